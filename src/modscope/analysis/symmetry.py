"""Symmetries of the pictures over (a, b).

The reflection a -> c - a of a row of the picture in the order (c, a) exchanges a and b where c = a + b: to be even
about c/2 for every c *is* to be symmetric under the swap of a and b. Every network that adds and
treats its two inputs alike has it, whether it sums or multiplies, whether its embedding is in order or
permuted. It tells when a network generalises, not how.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import xarray as xr

from modscope.activations import Activations
from modscope.analysis.terms import LINES, line_means
from modscope.errors import InputError
from modscope.signal import spectrum

__all__ = [
    "circulant_defects",
    "covariance_defect",
    "even_fractions",
    "fixed_point_slopes",
    "fixed_points",
    "swap_shares",
]

_FEATURES_AT_ONCE = 64


def even_fractions(acts: Activations, hooks: Iterable[str] | None = None) -> xr.Dataset:
    """The share of each hook's energy that is even about c/2, in the order (c, a), c = a + b.

    Each row loses its mean over a first; even part (Y(a) + Y(c - a))/2; energies over all rows and
    features. `even` and `odd` = 1 - even over (hook,). Before attention the wave of one position alone is
    taken (position a): there it is exactly 0.5, as it is for white noise in expectation. NaN where rows are constant.
    Raises InputError for operations other than add: under a subtraction the swap takes c to -c, and
    `swap_shares` and `covariance_defect` are what can be asked.
    """
    _need_add(acts)
    hooks = _hooks(acts, hooks)
    even = [_even_fraction(acts, hook) for hook in hooks]
    return xr.Dataset({"even": (("hook",), even), "odd": (("hook",), [1 - e for e in even])}, {"hook": hooks})


def _need_add(acts: Activations) -> None:
    if acts.task.operation != "add":
        raise InputError(
            f"operation {acts.task.operation!r}: a -> c - a exchanges a and b for add only; see swap_shares"
        )


def _hooks(acts: Activations, hooks: Iterable[str] | None) -> list[str]:
    if hooks is not None:
        return [acts.model.hook_name(hook) for hook in hooks]
    return [
        hook
        for hook in acts.hooks
        if hook in acts.joint_hooks or ("pos" in acts[hook].dims and hook != "pos_embed")
    ]


def _chunks(acts: Activations, hook: str) -> Iterable[np.ndarray]:
    """The picture at a hook, float64 [a, b, some features]."""
    x = acts.at(hook).transpose("a", "b", ...).values
    x = x.reshape(*x.shape[:2], -1)
    for start in range(0, x.shape[-1], _FEATURES_AT_ONCE):
        yield x[..., start : start + _FEATURES_AT_ONCE].astype(np.float64)


def _even_fraction(acts: Activations, hook: str) -> float:
    if hook not in acts.joint_hooks:
        return _even_fraction_of_token_wave(acts.at(hook, "a").values)
    even = energy = size = 0.0
    for x in _chunks(acts, hook):
        size += float(np.sum(x**2))
        p = len(x)
        x = x - _line_means(x, 1)[np.add.outer(np.arange(p), np.arange(p)) % p]
        energy += float(np.sum(x**2))
        # |x + swapped|^2 / 4 without another array: |x|^2/2 + <x, swapped>/2
        even += float(np.sum(x**2) + np.einsum("abf,baf->", x, x)) / 2
    return even / energy if energy > 1e-12 * size else float("nan")


def _even_fraction_of_token_wave(x: np.ndarray) -> float:
    x = x.reshape(len(x), -1).astype(np.float64)
    size, x = np.sum(x**2), x - x.mean(axis=0)
    energy = np.sum(x**2)
    # the cross term, summed over all c, is the square of the sum: zero
    return (
        float((energy + np.sum(x.sum(axis=0) ** 2) / len(x)) / (2 * energy))
        if energy > 1e-12 * size
        else float("nan")
    )


def _line_means(x: np.ndarray, sign: int) -> np.ndarray:
    """The means of x [a, b, feature] over the pairs with the same a + b (sign 1) or a - b (-1), [p, feature]."""
    p = len(x)
    line = (np.arange(p)[:, None] + sign * np.arange(p)) % p
    order = np.argsort(line.ravel(), kind="stable")
    return x.reshape(p * p, -1)[order].reshape(p, p, -1).mean(axis=1)


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
        shares.append((1 + same / energy) / 2 if energy > 1e-12 * size else float("nan"))
    return xr.Dataset(
        {"symmetric": (("hook",), shares), "antisymmetric": (("hook",), [1 - s for s in shares])},
        {"hook": hooks},
    )


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


def fixed_point_slopes(acts: Activations, hooks: Iterable[str] | None = None) -> xr.Dataset:
    """How steep the rows of the picture in the order (c, a) are at their two fixed points, c/2 and c/2 + p/2.

    Root mean square over rows and features of the slope of the band-limited wave there, over the same of
    its slope everywhere: an even wave has a horizontal tangent at both, 0; white noise has 1; an odd
    wave is steeper than 1. `first`, `second` over (hook,). Rows without waves give NaN; for add only.
    """
    _need_add(acts)
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
    if everywhere <= 1e-12 * size * turn**2:
        return float("nan"), float("nan")
    return (first / everywhere) ** 0.5, (second / everywhere) ** 0.5


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
