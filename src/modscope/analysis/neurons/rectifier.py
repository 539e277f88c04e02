"""What the rectifier adds: harmonics of a biased cosine, and products of waves that were only summed before.

ReLU(r cos(t) + d) is even in t with a closed form for each harmonic. A sum of two waves of one frequency,
cos(wa + phi) + cos(wb + phi) = 2 cos(w(a - b)/2) cos(w(a + b)/2 + phi), has no energy on a + b; its rectified
version has, at the second harmonic of w(a + b)/2. That is the same frequency k on the diagonal, not 2k along
one axis: the two are kept apart here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import combinations

import numpy as np
import xarray as xr

from modscope.activations import Activations
from modscope.analysis.neurons.clusters import recorded_clusters
from modscope.analysis.plane.marginals import checked_frequencies
from modscope.analysis.plane.terms import LINES, term_energy
from modscope.boundary import public
from modscope.errors import InputError
from modscope.networks.kinds import need_neurons
from modscope.residues import harmonic, intermodulation
from modscope.signal import basis_frequencies, fourier_basis, spectrum_at

__all__ = [
    "axis_amplitudes",
    "block_energy",
    "harmonic_proportion",
    "harmonic_shares",
    "neuron_harmonics",
    "rectified_cosine",
]


_ROWS_AT_ONCE = 128
_NUMBERS_AT_ONCE = 2**24
_COLUMNS_AT_ONCE = 2048


@public
def rectified_cosine(bias: float | np.ndarray, n: int | np.ndarray) -> np.ndarray:
    """The coefficient of cos(n t) in ReLU(cos t + bias); n = 0 is the mean.

    With t0 = arccos(-bias), the cosine is above zero for |t| < t0, and
    c_n = (2/pi) [sin((n-1) t0) / (2(n-1)) + sin((n+1) t0) / (2(n+1)) + bias sin(n t0) / n],
    c_1 = (t0 + sin(2 t0)/2 + 2 bias sin t0) / pi, c_0 = (sin t0 + bias t0) / pi.
    For an amplitude r and offset d it is r c_n(d / r). bias >= 1: the cosine is passed whole; bias <= -1: not
    at all. The arguments broadcast.

    >>> rectified_cosine(0.0, np.arange(5)).round(4).tolist()  # 1/pi, 1/2, 2/(3 pi), 0, -2/(15 pi)
    [0.3183, 0.5, 0.2122, 0.0, -0.0424]
    """
    bias, n = np.broadcast_arrays(np.asarray(bias, np.float64), np.asarray(n))
    if (n < 0).any():
        raise InputError("a harmonic below 0 was asked for: expected 0 (the mean), 1, 2, ...")
    t0 = np.arccos(np.clip(-bias, -1.0, 1.0))
    # the formula for n >= 2, where nothing is divided by zero; 2 stands in elsewhere
    m = np.where(n >= 2, n, 2)
    higher = np.sin((m - 1) * t0) / (m - 1) + np.sin((m + 1) * t0) / (m + 1) + 2 * bias * np.sin(m * t0) / m
    first = t0 + np.sin(2 * t0) / 2 + 2 * bias * np.sin(t0)
    mean = np.sin(t0) + bias * t0
    return np.select([n == 0, n == 1], [mean, first], higher) / np.pi


@public
def neuron_harmonics(acts: Activations, key_frequencies: Sequence[int], *, harmonics: int = 4) -> xr.Dataset:
    """The harmonics that the closed form predicts for every neuron and row, beside those measured.

    At fixed a, the input of a neuron of frequency k is nearly d + r cos(w_k b + phi), with d and r its DC and
    amplitude along b in that row; its output should have r c_n(d / r) at n k with the phase n phi. Over the
    neurons of each key frequency's cluster and all rows, by (k, harmonic) with harmonic 0..harmonics:
    `predicted` and `measured`, root mean square amplitudes along b; `fve`, the share of the measured
    energy that the prediction, phase included, explains; `neurons` (k). A harmonic is read at n k mod p,
    where others are aliased too: where two large ones meet, fve falls. NaN for a cluster without neurons.
    Raises InputError for a network without ReLU.
    """
    if acts.model.config.activation != "relu":
        raise InputError(
            f"not applicable to activation {acts.model.config.activation!r}: the closed form is that of relu"
        )
    need_neurons(acts.model, "the closed form")
    p = acts.task.p
    ks = checked_frequencies(key_frequencies, p)
    found = recorded_clusters(acts)
    n = np.arange(harmonics + 1)
    energy = np.zeros((3, len(ks), len(n)))
    for block in acts.blocks("mlp_pre", "mlp_post"):
        for i, k in enumerate(ks):
            members = found.members(k)
            pre, post = (block[h].values[..., members].astype(np.float64) for h in ("mlp_pre", "mlp_post"))
            energy[:, i] += _harmonic_energies(pre, post, k, n)
    sizes = [len(found.members(k)) for k in ks]
    count = np.array(sizes, np.float64)[:, None] * p
    count[count == 0] = np.nan
    with np.errstate(divide="ignore", invalid="ignore"):
        fve = 1 - energy[2] / energy[1]
    over = ("k", "harmonic")
    return xr.Dataset(
        {
            "predicted": (over, np.sqrt(energy[0] / count)),
            "measured": (over, np.sqrt(energy[1] / count)),
            "fve": (over, fve),
            "neurons": (("k",), sizes),
        },
        {"k": list(ks), "harmonic": n},
    )


def _harmonic_energies(pre: np.ndarray, post: np.ndarray, k: int, n: np.ndarray) -> np.ndarray:
    """Summed squares of (predicted, measured, measured - predicted) for each harmonic; pre, post [a, b, neuron]."""
    p = pre.shape[1]
    d, wave = pre.mean(axis=1), _phasors_along_b(pre, np.array([k]))[0]
    r = np.abs(wave)
    moving = np.where(r > 0, r, 1.0)
    unit = np.where(r > 0, wave / moving, 1.0)
    predicted = r * rectified_cosine(d / moving, n[:, None, None]) * unit ** n[:, None, None]
    predicted[0] = np.where(r > 0, predicted[0].real, np.maximum(d, 0))
    measured = _phasors_along_b(post, n * k % p)
    parts = (predicted, measured, measured - predicted)
    return np.array([np.sum(np.abs(x) ** 2, axis=(1, 2)) for x in parts])


def _phasors_along_b(x: np.ndarray, bins: np.ndarray) -> np.ndarray:
    """[bin, a, neuron]: coefficients on e^{2 pi i bin b / p}, doubled unless they have no conjugate partner."""
    p = x.shape[1]
    turn = np.exp(-2j * np.pi / p * (bins[:, None] * np.arange(p) % p))
    scale = np.where(2 * bins % p == 0, 1.0, 2.0) / p
    return np.einsum("kb,abf->kaf", turn * scale[:, None], x, optimize=True)


@public
def harmonic_proportion(
    acts: Activations, key_frequencies: Sequence[int], *, hooks: Iterable[str] | None = None
) -> xr.Dataset:
    """Sum of the amplitudes at the second harmonic over the sum of those at k, along a and along b.

    Along b: the amplitudes of every row (fixed a) and feature, summed; along a likewise. Variables over
    (hook, k): along_a, along_b, proportion (their mean); fundamental and second (hook, axis, k), mean
    amplitudes; intermodulation (hook, axis, pair, mix), mean amplitudes at the sum and the difference of
    every two key frequencies (`mixed` names them), to be held against the fundamentals. Before attention the
    waves of positions a and b over their own tokens take the place of rows. Taken along one axis,
    cos w(a + b) counts as frequency k. NaN where there is no wave at k. Hooks: by default all that carry
    waves over the tokens.
    """
    p = acts.task.p
    ks = checked_frequencies(key_frequencies, p)
    chosen = [acts.hook_name(h) for h in hooks] if hooks is not None else _wave_hooks(acts)
    at = _with_seconds(ks, p)
    pairs = list(combinations(ks, 2))
    mixed = np.array([intermodulation(j, k, p) for j, k in pairs], int).reshape(-1, 2)
    every = np.concatenate((at.ravel(), mixed.ravel()))
    found = np.stack([axis_amplitudes(acts, hook, every) for hook in chosen])
    amplitude, ratio = _second_over_first(found[..., : at.size], at)
    products = found[..., at.size :].reshape(len(chosen), 2, *mixed.shape)
    variables = {
        "along_a": (("hook", "k"), ratio[:, 0]),
        "along_b": (("hook", "k"), ratio[:, 1]),
        "proportion": (("hook", "k"), ratio.mean(axis=1)),
        "fundamental": (("hook", "axis", "k"), amplitude[:, :, 0]),
        "second": (("hook", "axis", "k"), amplitude[:, :, 1]),
        "intermodulation": (("hook", "axis", "pair", "mix"), products),
    }
    coords = {"hook": chosen, "axis": ["a", "b"], "k": list(ks), "mix": ["sum", "difference"]}
    data = xr.Dataset(variables, coords).assign_coords(pair=[f"{j}, {k}" for j, k in pairs])
    return data.assign_coords(harmonic=("k", at[1]), mixed=(("pair", "mix"), mixed))


def second_over_first(
    acts: Activations, key_frequencies: Sequence[int], hooks: Sequence[str]
) -> xr.DataArray:
    """The `proportion` of `harmonic_proportion` alone, (hook, k)."""
    ks = checked_frequencies(key_frequencies, acts.task.p)
    at = _with_seconds(ks, acts.task.p)
    found = np.stack([axis_amplitudes(acts, hook, at.ravel()) for hook in hooks])
    ratio = _second_over_first(found, at)[1].mean(axis=1)
    return xr.DataArray(ratio, dims=("hook", "k"), coords={"hook": list(hooks), "k": list(ks)})


def _with_seconds(ks: Sequence[int], p: int) -> np.ndarray:
    """Frequencies and their second harmonics, int[2, k]."""
    return np.array([ks, [harmonic(k, 2, p) for k in ks]])


def _second_over_first(found: np.ndarray, at: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Amplitudes [hook, axis, 2, k] at frequencies and their second harmonics, and the second over the first, [hook, axis, k]."""
    amplitude = found.reshape(len(found), 2, *at.shape)
    # a second harmonic that is DC (k = p/2) is no wave
    amplitude[:, :, 1] = np.where(at[1] == 0, np.nan, amplitude[:, :, 1])
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(amplitude[:, :, 0] > 1e-9, amplitude[:, :, 1] / amplitude[:, :, 0], np.nan)
    return amplitude, ratio


def _wave_hooks(acts: Activations) -> list[str]:
    return [h for h in acts.hooks if h in acts.joint_hooks or {"pos", "token"} <= set(acts[h].dims)]


def axis_amplitudes(acts: Activations, hook: str, at: np.ndarray) -> np.ndarray:
    """Mean amplitude over rows and features of the waves along a and along b, [axis, frequency].

    At a fixed a, a hook that depends on both tokens is a wave of b for each feature, and the other way round;
    before attention the waves of positions a and b over their own tokens are taken. at: int[frequency].
    """
    if not acts.is_joint(hook):
        x = acts[hook]
        if not {"pos", "token"} <= set(x.dims):
            raise InputError(f"{hook} has axes {x.dims}: expected a wave over the tokens at a and at b")
        both = spectrum_at(x.astype(np.float64), "token", at).sel(pos=["a", "b"])
        axes = [d for d in both.dims if d not in ("pos", "k")]
        return abs(both).mean(axes).transpose("pos", "k").values
    p = acts.task.p
    every, where = np.unique(at, return_inverse=True)
    size = len(every)
    angle = 2 * np.pi / p * (every[:, None] * np.arange(p) % p)
    scale = np.where(2 * every % p == 0, 1.0, 2.0)[:, None] / p
    waves = np.concatenate((np.cos(angle) * scale, np.sin(angle) * scale))
    along_b, count = np.zeros(size), 0
    sums: np.ndarray | None = None
    for a, rows in _many_rows(acts, hook):
        turned = waves.astype(rows.dtype)
        for row in rows:
            parts = turned @ row
            along_b += _lengths(parts)
        flat = rows.reshape(len(rows), -1)
        sums = np.zeros((2 * size, flat.shape[1]), flat.dtype) if sums is None else sums
        for start in range(0, flat.shape[1], _COLUMNS_AT_ONCE):  # what is added to stays in the caches
            some = slice(start, start + _COLUMNS_AT_ONCE)
            sums[:, some] += turned[:, a] @ flat[:, some]
        count += rows.shape[0] * rows.shape[2]
    assert sums is not None
    along_a = np.zeros(size)
    for start in range(0, sums.shape[1], _COLUMNS_AT_ONCE):
        along_a += _lengths(sums[:, start : start + _COLUMNS_AT_ONCE])
    return np.stack((along_a / sums.shape[1], along_b / count))[:, where]


def _many_rows(acts: Activations, hook: str) -> Iterator[tuple[slice, np.ndarray]]:
    """Many rows of a hook [row, b, feature] at a time, so that a sum over them is worth its while; they last until the next."""
    p = acts.task.p
    if hook in acts.kept:
        values = acts.at(hook).values.reshape(p, p, -1)
        for start in range(0, p, _ROWS_AT_ONCE):
            rows = slice(start, min(start + _ROWS_AT_ONCE, p))
            yield rows, values[rows]
        return
    room, start, end = np.empty(0), 0, 0
    for block in acts.blocks(hook):
        some = block[hook].values.reshape(len(block[hook]), p, -1)
        if not room.size:
            room = np.empty(
                (max(len(some), min(p, _NUMBERS_AT_ONCE // some[0].size)), *some.shape[1:]), some.dtype
            )
        if end + len(some) - start > len(room):
            yield slice(start, end), room[: end - start]
            start = end
        room[end - start : end - start + len(some)] = some
        end += len(some)
    yield slice(start, end), room[: end - start]


def _lengths(parts: np.ndarray) -> np.ndarray:
    """The sum over the columns of the lengths of vectors whose two halves are stacked, float64 [row]."""
    size = len(parts) // 2
    first, second = parts[:size], parts[size:]
    length = first * first
    length += second * second
    return np.sqrt(length, out=length).sum(axis=1, dtype=np.float64)


@public
def harmonic_shares(
    acts: Activations, key_frequencies: Sequence[int], *, hooks: Iterable[str] | None = None
) -> xr.Dataset:
    """Where the variance of each hook lies in two dimensions: on a, on b, on a + b or on a - b, and at which frequency.

    Shares of the variance over all pairs, summed over features. Variables: fundamental (hook, line, k) and
    second (hook, line, k), at k and at alias(2k) on each line; intermodulation (hook, line), at all sums
    and differences of two different key frequencies that are neither k nor 2k of any; other (hook, line), at
    the remaining frequencies; cross (hook), products of different frequencies. Where several k share a
    second harmonic, or one is a key frequency itself, it is counted for the key frequency first and then
    for the first k only, so everything adds up to 1. "2k on a" is a second harmonic along one axis; "k on
    a + b" is what the answer needs. NaN for a hook that does not vary.
    """
    p = acts.task.p
    ks = checked_frequencies(key_frequencies, p)
    chosen = acts.joint_hooks if hooks is None else [acts.hook_name(h) for h in hooks]
    seconds = _first_named([harmonic(k, 2, p) for k in ks], set(ks) | {0})
    mixed = {f for j, k in combinations(ks, 2) for f in intermodulation(j, k, p)} - set(ks) - {0}
    mixed -= {harmonic(k, 2, p) for k in ks}
    rows = [_shares_of(acts, hook, ks, seconds, sorted(mixed)) for hook in chosen]
    fundamental, second, between, other, cross = (np.array(column) for column in zip(*rows, strict=True))
    return xr.Dataset(
        {
            "fundamental": (("hook", "line", "k"), fundamental),
            "second": (("hook", "line", "k"), second),
            "intermodulation": (("hook", "line"), between),
            "other": (("hook", "line"), other),
            "cross": (("hook",), cross),
        },
        {"hook": list(chosen), "line": list(LINES), "k": list(ks)},
    )


def _shares_of(
    acts: Activations, hook: str, ks: Sequence[int], seconds: Sequence[int], mixed: Sequence[int]
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, float]:
    """Shares at ks and at their second harmonics [line, k], at mixed and at other frequencies [line], and cross."""
    terms = term_energy(acts, hook)
    variance = float(terms.total.sum())
    total = variance if variance > 0 else np.nan
    share = terms.energy.sum(list(terms.total.dims)).transpose("line", "k").values / total
    # frequency 0 stands for one already counted: a column of nothing
    share = np.concatenate((0 * share[:, :1], share), axis=1)
    first, second = share[:, list(ks)], share[:, list(seconds)]
    between = share[:, list(mixed)].sum(axis=1)
    other = share.sum(axis=1) - first.sum(axis=1) - second.sum(axis=1) - between
    return first, second, between, np.where(other < 0, 0.0, other), float(terms.cross.sum()) / total


def _first_named(frequencies: Sequence[int], taken: set[int]) -> list[int]:
    """The frequencies with 0 in place of one that is taken or stood before."""
    named: list[int] = []
    for f in frequencies:
        named.append(0 if f in taken or f in named else f)
    return named


@public
def block_energy(acts: Activations, key_frequencies: Sequence[int], *, hook: str) -> xr.DataArray:
    """Share of the variance in the products {cos, sin}(w_j a) x {cos, sin}(w_k b), by (k_a, k_b); 0 is the constant.

    Row and column 0 are the 1-D terms; k_a = k_b the products of one frequency, a + b and a - b together;
    the rest are products of two key frequencies. Before the nonlinearity only the first row and column have
    energy in a sum of waves. The entry (0, 0), the mean, is 0. NaN for a hook that does not vary.
    """
    p, hook = acts.task.p, acts.hook_name(hook)
    ks, at = (0, *checked_frequencies(key_frequencies, p)), basis_frequencies(p)
    rows = [fourier_basis(p)[at == k] for k in ks]
    energy, variance = _projected_energy(acts, hook, np.concatenate(rows))
    energy[0, 0] = 0.0
    edges = np.cumsum([0, *(len(r) for r in rows[:-1])])
    shares = np.add.reduceat(np.add.reduceat(energy, edges, axis=0), edges, axis=1)
    shares = shares / variance if variance > 0 else np.full_like(shares, np.nan)
    coords = {"k_a": list(ks), "k_b": list(ks)}
    return xr.DataArray(shares, dims=("k_a", "k_b"), coords=coords, name="share", attrs={"hook": hook})


def _projected_energy(acts: Activations, hook: str, waves: np.ndarray) -> tuple[np.ndarray, float]:
    """Energy [wave of a, wave of b] of a hook in the products of orthonormal waves, and its centred energy."""
    p = acts.task.p
    coefficients: np.ndarray | float = 0.0
    square: np.ndarray | float = 0.0
    total: np.ndarray | float = 0.0
    for block in acts.blocks(hook):
        x = block[hook].values.astype(np.float64)
        x = x.reshape(len(x), p, -1)
        along_b = np.einsum("jb,abf->jaf", waves, x, optimize=True)
        along_a = waves[:, block[hook].a.values]
        coefficients = coefficients + np.einsum("ia,jaf->ijf", along_a, along_b, optimize=True)
        square = square + np.sum(x**2, axis=(0, 1))
        total = total + np.sum(x, axis=(0, 1))
    variance = float(np.sum(square - np.square(total) / p**2))
    return np.sum(np.square(coefficients), axis=-1), variance
