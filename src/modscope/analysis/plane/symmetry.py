"""Symmetries of the pictures over (a, b).

The reflection a -> c - a of a row of the picture in the order (c, a) exchanges a and b where c = a + b: to be even
about c/2 for every c *is* to be symmetric under the swap of a and b. Every network that adds and
treats its two inputs alike has it, whether it sums or multiplies, whether its embedding is in order or
permuted. It tells when a network generalises, not how.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

import numpy as np
import xarray as xr

from modscope.activations import Activations
from modscope.analysis.plane.energy import ROUNDING, is_held, pictures_of
from modscope.analysis.plane.terms import CONSTANT, LINES, line_means
from modscope.boundary import public
from modscope.circle import Circle
from modscope.errors import InputError
from modscope.signal import spectrum

__all__ = [
    "circulant_defects",
    "covariance_defect",
    "even_fraction",
    "even_fractions",
    "fixed_point_slopes",
    "fixed_points",
    "recorded_even_fraction",
    "swap_shares",
]

_FEATURES_AT_ONCE = 64
_ROWS_AT_ONCE = 32
_GROUP_BYTES = 400_000_000


@public
def even_fraction(x: xr.DataArray, circle: Circle | None = None) -> float:
    """Share of the energy of x (a, b, ...) that is even about c/2 in the order (c, a), means of each c removed.

    even part (Y(c, a) + Y(c, c-a))/2 of Y minus its mean over a for each c, over all features. The
    reflection a -> c - a at fixed c = a + b exchanges a and b; at fixed c = a - b it takes (a, b) to (-b, -a).
    1 is even, 0 odd; white noise has 0.5; nan where nothing is left beside the functions of c. It
    is the same as symmetry under exchange: true of every commutative solution, and no sign of a mechanism.

    >>> n = np.arange(5)
    >>> wave = np.cos(2 * np.pi * n / 5)
    >>> even_fraction(xr.DataArray(wave[:, None] + wave, dims=("a", "b")))
    1.0
    >>> round(even_fraction(xr.DataArray(wave[:, None] - wave, dims=("a", "b"))), 6)
    0.0
    """
    sign = 1 if circle is None else circle.turn
    return _even_share([pictures_of(x, circle)], sign)


def recorded_even_fraction(acts: Activations, hook: str) -> float:
    """`even_fraction` of a hook in the order of the record's circle, its energies from its `line_means` where these are in
    that order; one too large to be held, some features at a time.
    """
    circle, sign = acts.circle, acts.circle.turn
    held = is_held(acts, hook)
    groups = iter([acts.at(hook).values]) if held else _feature_groups(acts, hook)
    ordered = (_flat(circle.pairs(group)) for group in groups)
    if not circle.whole:
        return _even_share(ordered, sign)
    size, of_answer = _energies_of_lines(line_means(acts, hook), "sum" if sign > 0 else "difference")
    return _share(sum(_odd_energy(group, sign) for group in ordered), size - of_answer, size)


def _flat(x: np.ndarray) -> np.ndarray:
    return x.reshape(*x.shape[:2], -1)


def _energies_of_lines(means: xr.Dataset, line: str) -> tuple[float, float]:
    """The energy of a hook over all pairs and features, and that of its means along one family of lines."""
    p = means.sizes["n"]
    size = float((means.variance + means.average**2).sum()) * p**2
    return size, float(np.square(means["mean"].sel(line=line).values).sum()) * p


def _feature_groups(acts: Activations, hook: str) -> Iterator[np.ndarray]:
    """Pictures [a, b, some features] of a hook that is never held whole: the forward pass is run for each group again."""
    p = acts.task.p
    count = math.prod(acts.axes_of(hook).values()) // p**2
    size = max(1, _GROUP_BYTES // (4 * p**2))
    for start in range(0, count, size):
        parts = [
            block[hook].values.reshape(-1, p, count)[..., start : start + size].copy()
            for block in acts.blocks(hook)
        ]
        yield np.concatenate(parts)


def _even_share(groups: Iterable[np.ndarray], sign: int) -> float:
    """The even share of pictures [place, place, feature] that come some features at a time; NaN where only rounding is left."""
    odd = own = size = 0.0
    for values in groups:
        for start in range(0, values.shape[-1], _FEATURES_AT_ONCE):
            energy, of_answer = _energies(values[..., start : start + _FEATURES_AT_ONCE], sign)
            own += energy - of_answer
            size += energy
        odd += _odd_energy(values, sign)
    return _share(odd, own, size)


def _share(odd: float, own: float, size: float) -> float:
    """1 - odd / own; NaN where nothing but rounding is left of the whole energy."""
    return 1.0 - odd / own if own > ROUNDING * size else float("nan")


def _energies(x: np.ndarray, sign: int) -> tuple[float, float]:
    """The energy of pictures [a, b, feature], and that of their means over the pairs of each a + sign * b."""
    p, energy = len(x), 0.0
    row, total = np.empty(x.shape[1:]), np.zeros(x.shape[1:])
    for a, values in enumerate(x):
        np.copyto(row, values)
        energy += float(np.vdot(row, row))
        if sign > 0:
            total[a:] += row[: p - a]
            total[:a] += row[p - a :]
        else:
            total[: a + 1] += row[a::-1]
            total[a + 1 :] += row[:a:-1]
    return energy, float(np.vdot(total, total)) / p


def _odd_energy(x: np.ndarray, sign: int) -> float:
    """The energy of half the difference of pictures [a, b, feature] and their mirror images, in float64."""
    p, total = len(x), 0.0
    room: np.ndarray | None = None
    back = -np.arange(p) % p
    for a in range(p):
        # the exchange of a and b takes each pair once to another; the difference of two near floats is exact
        first = a + 1 if sign > 0 else 0
        for start in range(first, p, _ROWS_AT_ONCE):
            b = slice(start, min(start + _ROWS_AT_ONCE, p))
            mirrored = x[b, a] if sign > 0 else x[back[b], back[a]]
            apart = x[a, b] - mirrored
            room = np.empty((_ROWS_AT_ONCE, x.shape[2])) if room is None else room
            np.copyto(room[: len(apart)], apart)
            total += float(np.vdot(room[: len(apart)], room[: len(apart)]))
    return total / 4 * (2 if sign > 0 else 1)


@public
def even_fractions(acts: Activations, hooks: Iterable[str] | None = None) -> xr.Dataset:
    """The share of each hook's energy that is even about c/2, in the order (c, a), c the answer.

    Each row loses its mean over a first; even part (Y(a) + Y(c - a))/2; energies over all rows and
    features (`even_fraction`). `even` and `odd` = 1 - even over (hook,). Before
    attention the wave of one position alone is taken (position a): there it is 0.5, because the
    reflections of all c together turn any wave as often away from itself as onto it. White noise has 0.5
    in expectation. NaN where rows are constant.

    With c = a + b the reflection exchanges a and b; with c = a - b it takes (a, b) to (-b, -a), and
    `swap_shares` and `covariance_defect` ask about the exchange. Raises InputError where the answer turns on no
    circle.
    """
    circle = acts.circle
    _ = circle.turn
    hooks = _hooks(acts, hooks)
    even = [
        even_fraction(acts.at(hook), circle)
        if hook in acts.joint_hooks
        else _even_fraction_of_token_wave(circle.rows(acts.at(hook, "a").values))
        for hook in hooks
    ]
    return _two_halves(hooks, even, "even", "odd")


def _hooks(acts: Activations, hooks: Iterable[str] | None) -> list[str]:
    if hooks is not None:
        return [acts.hook_name(hook) for hook in hooks]
    return [
        hook
        for hook in acts
        if hook in acts.joint_hooks or ("pos" in acts[hook].dims and hook != "pos_embed")
    ]


def _chunks(acts: Activations, hook: str) -> Iterable[np.ndarray]:
    """The picture at a hook, float64 [a, b, some features]."""
    x = acts.at(hook).transpose("a", "b", ...).values
    x = x.reshape(*x.shape[:2], -1)
    for start in range(0, x.shape[-1], _FEATURES_AT_ONCE):
        yield x[..., start : start + _FEATURES_AT_ONCE].astype(np.float64)


def _even_fraction_of_token_wave(x: np.ndarray) -> float:
    """Over all c, sum (x(a) + x(c - a))^2 / 4 = (sum x^2 + (sum x)^2 / p) / 2 for x [token, feature]."""
    x = x.reshape(len(x), -1).astype(np.float64)
    size, x = np.sum(x**2), x - x.mean(axis=0)
    energy = np.sum(x**2)
    even = (energy + np.sum(x.sum(axis=0) ** 2) / len(x)) / 2
    return float(even / energy) if energy > CONSTANT * size else float("nan")


@public
def swap_shares(acts: Activations, hooks: Iterable[str] | None = None) -> xr.Dataset:
    """The shares of each hook's variance that are symmetric and antisymmetric under the swap of a and b.

    `symmetric`: energy of (f(a, b) + f(b, a))/2; `antisymmetric`: of (f(a, b) - f(b, a))/2; over (hook,), of
    the centred picture, for any operation. White noise: (p + 1)/2p and (p - 1)/2p, about one half.
    Subtraction needs the antisymmetric part: sin w(a - b) changes its sign.
    """
    hooks = [h for h in _hooks(acts, hooks) if h in acts.joint_hooks]
    shares = []
    for hook in hooks:
        same = energy = size = 0.0
        for x in _chunks(acts, hook):
            size += float(np.sum(x**2))
            x = x - x.mean(axis=(0, 1))
            energy += float(np.sum(x**2))
            same += float(np.einsum("abf,baf->", x, x))
        shares.append((1 + same / energy) / 2 if energy > CONSTANT * size else float("nan"))
    return _two_halves(hooks, shares, "symmetric", "antisymmetric")


def _two_halves(hooks: list[str], shares: list[float], first: str, second: str) -> xr.Dataset:
    """Shares and what is left of 1, without the last digits that rounding puts outside 0..1."""
    clipped = np.clip(np.asarray(shares, dtype=np.float64), 0.0, 1.0)
    return xr.Dataset({first: ("hook", clipped), second: ("hook", 1 - clipped)}, {"hook": hooks})


@public
def covariance_defect(acts: Activations) -> xr.Dataset:
    """How far the logits are from what the operation asks of them when a and b are swapped.

    Addition: Q_c(a, b) = Q_c(b, a). Subtraction: Q_c(a, b) = Q_-c(b, a). `defect`: the energy of half the
    difference of the two sides over the energy, both with each answer's mean removed for addition and the
    overall mean removed for subtraction; 0 holds, about 1/2 for white noise. `plain`: the same without
    taking c to -c. Raises InputError for other operations, and where there are not p answers.
    """
    operation, p = acts.task.operation, acts.task.p
    if operation not in ("add", "subtract"):
        raise InputError(f"operation {operation!r}: expected add or subtract")
    logits = acts.at("logits").transpose("a", "b", "answer").values
    if logits.shape[-1] != p:
        raise InputError(f"{logits.shape[-1]} answers: expected p = {p}, one for each residue")
    mirrored = -np.arange(p) % p if operation == "subtract" else np.arange(p)
    x = logits.astype(np.float64)
    # softmax does not see a constant over the answers
    x -= x.mean(axis=-1, keepdims=True)
    energy = float(np.sum(x**2)) or float("nan")
    defect = _half_difference(x, x[..., mirrored]) / energy
    return xr.Dataset({"defect": defect, "plain": _half_difference(x, x) / energy})


def _half_difference(x: np.ndarray, y: np.ndarray) -> float:
    return float(np.sum((x - y.swapaxes(0, 1)) ** 2)) / 4


@public
def fixed_points(p: int) -> xr.Dataset:
    """Where the reflection a -> c - a leaves a wave of length p in place: c/2 and c/2 + p/2, for every c.

    `first`(c) = c/2 and `second`(c) = (c/2 + p/2) mod p, as real numbers; `integer`(c): how many of them are
    residues. For odd p one is and one lies half way between two; for even p both or none.

    >>> fixed_points(5).integer.values.tolist(), fixed_points(4).integer.values.tolist()
    ([1, 1, 1, 1, 1], [2, 0, 2, 0])
    """
    c = np.arange(p)
    first, second = c / 2, (c / 2 + p / 2) % p
    whole = (first % 1 == 0).astype(int) + (second % 1 == 0)
    return xr.Dataset({"first": ("c", first), "second": ("c", second), "integer": ("c", whole)}, {"c": c})


@public
def fixed_point_slopes(acts: Activations, hooks: Iterable[str] | None = None) -> xr.Dataset:
    """How steep the rows of the picture in the order (c, a) are at their two fixed points, c/2 and c/2 + p/2.

    Root mean square over rows and features of the slope of the band-limited wave there, over the same of
    its slope everywhere: an even wave has a horizontal tangent at both, 0; white noise has 1; an odd
    wave is steeper than 1. `first`, `second` over (hook,). Rows without waves give NaN; for add only.
    """
    if acts.task.operation != "add":
        raise InputError(
            f"operation {acts.task.operation!r}: the fixed points c/2 and c/2 + p/2 are those of add"
        )
    hooks = [h for h in _hooks(acts, hooks) if h in acts.joint_hooks]
    slopes = [_slopes(acts, hook) for hook in hooks]
    names = ("first", "second")
    return xr.Dataset(
        {name: (("hook",), [s[i] for s in slopes]) for i, name in enumerate(names)}, {"hook": hooks}
    )


def _slopes(acts: Activations, hook: str) -> tuple[float, float]:
    p = acts.task.p
    residues = np.arange(p)
    turn = 2 * np.pi / p
    k = np.arange(1, p // 2 + 1)
    at_first = np.exp(1j * turn * np.outer(residues, k) / 2)
    other = (-1.0) ** k
    first = second = everywhere = size = 0.0
    for x in _chunks(acts, hook):
        size += float(np.sum(x**2)) / p
        rows = x[residues[None, :], (residues[:, None] - residues[None, :]) % p]
        slope = 1j * turn * k[None, :, None] * spectrum(rows, 1)[:, 1:]
        here = slope * at_first[..., None]
        first += float(np.sum(here.real.sum(axis=1) ** 2))
        second += float(np.sum((here * other[None, :, None]).real.sum(axis=1) ** 2))
        everywhere += float(np.sum(np.abs(slope) ** 2)) / 2
    if everywhere <= CONSTANT * size * turn**2:
        return float("nan"), float("nan")
    return (first / everywhere) ** 0.5, (second / everywhere) ** 0.5


@public
def circulant_defects(acts: Activations, hooks: Iterable[str] | None = None) -> xr.Dataset:
    """How far each hook's picture is from a function of one number: of a + b, of a - b, of a, of b.

    1 minus the share of the variance that the means along the lines of equal a + b (and so on) explain,
    over (hook,): `sum`, `difference`, `a`, `b`. 0 for a picture of circulant (for a - b: Toeplitz) form or of
    equal rows; white noise gives p/(p + 1).
    """
    hooks = [h for h in _hooks(acts, hooks) if h in acts.joint_hooks]
    defects = []
    for hook in hooks:
        means = line_means(acts, hook)
        explained = means["mean"].var("n").where(means.variance > 0, 0.0)
        total = float(means.variance.sum()) or float("nan")
        defects.append((1 - explained.sum([d for d in explained.dims if d != "line"]) / total).clip(0.0, 1.0))
    return xr.Dataset(
        {line: (("hook",), [float(d.sel(line=line)) for d in defects]) for line in LINES}, {"hook": hooks}
    )
