"""A picture over (a, b) by what it depends on: one residue, a + b, a - b, or all of it at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from modscope.boundary import public
from modscope.errors import InputError, UnknownName
from modscope.signal import _dft
from modscope.signal._axes import Array, Axis, negligible, positions, real_values, without
from modscope.signal.spectrum import power

__all__ = [
    "TERMS",
    "answer_amplitudes",
    "answer_waves",
    "direction_basis",
    "energy_by_term",
    "frequency_fve",
    "mean_over",
    "term_spectrum",
]

TERMS = ("linear", "sum", "difference", "cross")
_DIRECTIONS = ("sum", "difference", "linear", "2x2", "3x3")


@public
def direction_basis(p: int, frequencies: Sequence[int] | np.ndarray, terms: str = "sum") -> np.ndarray:
    """Orthonormal pictures [row, a, b] that span some two-dimensional terms of some frequencies.

    "sum": cos and sin of w_k (a + b), which are (cos x cos - sin x sin)/sqrt 2 and (sin x cos + cos x sin)/sqrt 2;
    "difference": of w_k (a - b); "linear": cos and sin of w_k a and of w_k b; "2x2": the products
    {cos, sin} x {cos, sin}, the same space as sum and difference; "3x3": 2x2, linear and the constant.
    Frequency 0 is the constant picture. For even p the frequency p/2 has one component, and there the
    waves on a + b and a - b are the same: "sum", "difference" and "2x2" hold it once.

    >>> [len(direction_basis(8, [1, 4], terms)) for terms in ("sum", "difference", "linear", "2x2", "3x3")]
    [3, 3, 6, 5, 12]
    """
    if terms not in _DIRECTIONS:
        raise UnknownName.of("choice of terms", terms, _DIRECTIONS)
    ks = frequency_set(frequencies, p)
    waves = {k: _dft.basis(p, [k]) for k in ks}
    const = np.full((1, p, p), 1 / p)
    rows = [const] if 0 in ks or terms == "3x3" else []
    flat = np.full((1, p), p**-0.5)
    for k in ks:
        if k == 0:
            continue
        wave = waves[k]
        if terms in ("linear", "3x3"):
            rows += [_products(wave, flat), _products(flat, wave)]
        if terms in ("2x2", "3x3"):
            rows.append(_products(wave, wave))
        if terms in ("sum", "difference"):
            residue = np.arange(p)
            both = residue[:, None] + (residue if terms == "sum" else -residue)
            rows.append(wave[:, both % p] / np.sqrt(p))
    return np.concatenate(rows) if rows else np.empty((0, p, p))


def frequency_set(frequencies: Sequence[int] | np.ndarray, p: int) -> list[int]:
    """Frequencies as a sorted list of different integers in 0..p//2.

    >>> frequency_set([3, 1, 3], 7)
    [1, 3]
    """
    ks = np.atleast_1d(np.asarray(frequencies))
    whole = ks.size == 0 or (ks.ndim == 1 and ks.dtype.kind in "iuf" and bool((ks == np.round(ks)).all()))
    if not whole or ((ks < 0) | (ks > p // 2)).any():
        raise InputError(f"frequencies {frequencies!r}: expected whole numbers from 0 to {p // 2} (p = {p})")
    return sorted({int(k) for k in ks})


def _products(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    return (u[:, None, :, None] * v[None, :, None, :]).reshape(-1, u.shape[1], v.shape[1])


@public
def mean_over(
    x: Array, direction: str, axes: tuple[Axis, Axis] = ("a", "b"), *, name: str | None = None
) -> Array:
    """The mean of a picture over the pairs with one value of a + b ("sum") or of a - b ("difference").

    The best description of x[a, b] by a function of that residue alone. In place of the two axes one comes
    first, called `c` for "sum", `d` for "difference", or `name`.

    >>> mean_over(np.array([[0.0, 3.0], [5.0, 2.0]]), "sum", (0, 1)).tolist()
    [1.0, 4.0]
    """
    if direction not in ("sum", "difference"):
        raise UnknownName.of("direction", direction, ("sum", "difference"))
    values = _pictures(x, axes)
    means = _direction_means(values, direction)
    return _leading(x, axes, means, {name or ("c" if direction == "sum" else "d"): np.arange(len(values))})


@public
def energy_by_term(x: Array, axes: tuple[Axis, Axis] = ("a", "b"), *, nyquist: str = "sum") -> Array:
    """The variance of each picture by term: linear, sum (on a + b), difference (on a - b), cross.

    In the two-dimensional DFT: linear is the bins (+-k, 0) and (0, +-k), sum (k, k) and (-k, -k), difference
    (k, -k) and (-k, k), cross every other bin but the mean. The four add up to the variance over all pairs.
    For even p the bin (p/2, p/2) lies on both directions; it is counted once, under `nyquist`.
    In place of the two axes `term` comes first. Sum over the rest and divide for shares.

    >>> a, b = np.indices((5, 5))
    >>> energy_by_term(np.cos(2 * np.pi * (a + b) / 5) + 3, (0, 1)).round(6).tolist()
    [0.0, 0.5, 0.0, 0.0]
    """
    if nyquist not in ("sum", "difference"):
        raise UnknownName.of("term for the Nyquist frequency", nyquist, ("sum", "difference"))
    values = _pictures(x, axes)
    parts = _profiles(values)
    linear = parts.a.var(axis=0) + parts.b.var(axis=0)
    directions = {"sum": parts.sum.var(axis=0), "difference": parts.difference.var(axis=0)}
    if len(values) % 2 == 0:
        other = "difference" if nyquist == "sum" else "sum"
        directions[other] = directions[other] - power(parts.sum, 0)[-1]
    # Rounding must not leave a share below nothing.
    found: list[np.ndarray] = [
        np.maximum(part, 0) for part in (linear, directions["sum"], directions["difference"])
    ]
    cross = np.maximum(parts.variance - sum(found), 0)
    terms = np.where(parts.variance > 0, np.stack([*found, cross]), 0)
    return _leading(x, axes, terms, {"term": list(TERMS)})


@public
def term_spectrum(x: Array, axes: tuple[Axis, Axis] = ("a", "b")) -> Array:
    """The power of each picture at each frequency on four lines of its two-dimensional spectrum.

    Axis `term`: "a" and "b", the 1-D terms in each residue; "sum" and "difference", the waves on a + b and
    a - b. Then `k` = 0..p//2 (k = 0 is the squared mean, the same on all), then the rest. For even p the
    last frequency is the same wave on sum and difference.

    >>> a, b = np.indices((5, 5))
    >>> term_spectrum(np.cos(2 * np.pi * (a + b) / 5) + 2 * np.cos(2 * np.pi * 2 * b / 5), (0, 1)).round(3).tolist()
    [[0.0, 0.0, 0.0], [0.0, 0.0, 2.0], [0.0, 0.5, 0.0], [0.0, 0.0, 0.0]]
    """
    values = _pictures(x, axes)
    parts = _profiles(values)
    lines = np.stack([power(part, 0) for part in (parts.a, parts.b, parts.sum, parts.difference)])
    names = {"term": ["a", "b", "sum", "difference"], "k": np.arange(len(values) // 2 + 1)}
    return _leading(x, axes, lines, names)


@public
def frequency_fve(x: Array, axes: tuple[Axis, Axis] = ("a", "b")) -> Array:
    """The fraction of each picture's variance in {const, cos_k, sin_k} x {const, cos_k, sin_k}, by frequency.

    Axis `k` = 1..p//2, then the rest. The key frequency of a neuron is the argmax over k; a constant picture
    has nothing to explain and gets 0. Source: Nanda et al. 2023, the clusters of neurons.

    >>> a, b = np.indices((5, 5))
    >>> frequency_fve(np.cos(2 * np.pi * a / 5) * np.sin(2 * np.pi * b / 5), (0, 1)).round(3).tolist()
    [1.0, 0.0]
    """
    values = _pictures(x, axes)
    p, parts = len(values), _profiles(values)
    a, b, total, difference = (power(part, 0)[1:] for part in (parts.a, parts.b, parts.sum, parts.difference))
    block = a + b + total + difference
    if p % 2 == 0:
        block[-1] -= difference[-1]
    share = np.divide(block, parts.variance, out=np.zeros_like(block), where=parts.variance > 0)
    return _leading(x, axes, share, {"k": np.arange(1, p // 2 + 1)})


@public
def answer_amplitudes(
    logits: Array,
    axes: tuple[Axis, Axis] = ("a", "b"),
    answer: Axis = "answer",
    *,
    direction: str = "sum",
) -> Array:
    """alpha_k of the best fit of the logits by sum over k of alpha_k cos w_k(a + b - c), c the answer.

    The cosines are orthogonal on the p^3 cube: alpha_k is the mean of 2 L cos w_k(a + b - c) (of L cos for
    k = 0 and p/2), and explains the variance alpha_k^2 / 2 (alpha_k^2 for p/2). direction="difference" takes
    a - b for a + b. In place of the three axes `k` = 0..p//2 comes first. No cosine on the cube is ever built.

    >>> a, b, c = np.indices((5, 5, 5))
    >>> answer_amplitudes(3 * np.cos(2 * np.pi * 2 * (a + b - c) / 5) + c, (0, 1), 2)[2].round(4)
    np.float64(3.0)
    """
    if direction not in ("sum", "difference"):
        raise UnknownName.of("direction", direction, ("sum", "difference"))
    values = _pictures(logits, axes, answer)
    p = len(values)
    means = getattr(_profiles(values), direction)
    offsets = _profiles(means).difference
    alpha = _dft.along(_dft.phasor_rows(p, np.arange(p // 2 + 1))[: p // 2 + 1], offsets, 0)
    return _leading(logits, (*axes, answer), alpha, {"k": np.arange(p // 2 + 1)})


@public
def answer_waves(alpha: np.ndarray, p: int, *, direction: str = "sum") -> np.ndarray:
    """The logits [a, b, answer] that are the sum over k of alpha_k cos w_k(a + b - answer), k = 0..p//2.

    >>> answer_waves(np.array([0.0, 1.0]), 3)[1].round(3).tolist()
    [[-0.5, 1.0, -0.5], [-0.5, -0.5, 1.0], [1.0, -0.5, -0.5]]
    """
    if direction not in ("sum", "difference"):
        raise UnknownName.of("direction", direction, ("sum", "difference"))
    alpha = real_values(np.asarray(alpha))
    if alpha.shape != (p // 2 + 1,):
        raise InputError(f"amplitudes of shape {alpha.shape}: expected one for each k = 0..{p // 2}")
    wave = alpha @ _dft.trigonometric(p, np.arange(p // 2 + 1))[0]
    a, b, c = np.ogrid[:p, :p, :p]
    return wave.astype(alpha.dtype)[(a + (b if direction == "sum" else -b) - c) % p]


@dataclass(frozen=True)
class _Profiles:
    """Means of [a, b, ...] over all but one residue, float64: by a, by b, by a + b, by a - b; and the variance."""

    a: np.ndarray
    b: np.ndarray
    sum: np.ndarray
    difference: np.ndarray
    variance: np.ndarray


def _profiles(pictures: np.ndarray) -> _Profiles:
    p = len(pictures)
    by_a, by_b, by_sum, by_difference = (np.zeros(pictures.shape[1:], pictures.dtype) for _ in range(4))
    # Sums are taken about a value near the mean, so that a large mean costs no digits.
    near = pictures[0].mean(axis=0)
    row = np.empty(pictures.shape[1:], pictures.dtype)
    squares = np.zeros(near.shape)
    for a, values in enumerate(pictures):
        np.subtract(values, near, out=row)
        by_a[a] = row.mean(axis=0)
        by_b += row
        by_sum[a:] += row[: p - a]
        by_sum[:a] += row[p - a :]
        by_difference[: a + 1] += row[a::-1]
        by_difference[a + 1 :] += row[:a:-1]
        squares += np.einsum("b...,b...->...", row, row)
    a_mean = by_a.astype(np.float64)
    b_mean, sum_mean, difference_mean = (
        near + total.astype(np.float64) / p for total in (by_b, by_sum, by_difference)
    )
    variance = squares / p**2 - a_mean.mean(axis=0) ** 2
    variance = np.where(variance > negligible(pictures.dtype) * near**2, variance, 0)
    return _Profiles(near + a_mean, b_mean, sum_mean, difference_mean, variance)


def _direction_means(pictures: np.ndarray, direction: str) -> np.ndarray:
    """The profile of `_profiles` on one direction, to the same bits, in a third of the time."""
    p = len(pictures)
    near = pictures[0].mean(axis=0)
    row = np.empty(pictures.shape[1:], pictures.dtype)
    total = np.zeros(pictures.shape[1:], pictures.dtype)
    for a, values in enumerate(pictures):
        np.subtract(values, near, out=row)
        if direction == "sum":
            total[a:] += row[: p - a]
            total[:a] += row[p - a :]
        else:
            total[: a + 1] += row[a::-1]
            total[a + 1 :] += row[:a:-1]
    return near + total.astype(np.float64) / p


def _pictures(x: np.ndarray | xr.DataArray, axes: tuple[Axis, ...], *more: Axis) -> np.ndarray:
    """The values with the named axes first, all of the size p."""
    values, found = real_values(x), positions(x, (*axes, *more))
    if len(axes) != 2:
        raise InputError(f"axes {axes!r}: expected two, such as ('a', 'b')")
    sizes = [values.shape[i] for i in found]
    if len(set(sizes)) != 1 or sizes[0] < 2:
        raise InputError(f"axes {(*axes, *more)} have sizes {tuple(sizes)}: expected p each, at least 2")
    return np.moveaxis(values, found, range(len(found)))


def _leading(x: Array, gone: tuple[Axis, ...], values: np.ndarray, new: Mapping[str, Any]) -> Array:
    """Named again: the new axes come first, then what is left of x; in the float type of x."""
    values = values.astype(real_values(x).dtype, copy=False)
    if not isinstance(x, xr.DataArray):
        return values
    rest: xr.DataArray = without(x, positions(x, gone))
    taken = [name for name in new if name in rest.dims]
    if taken:
        raise InputError(f"the result would have two axes {taken[0]!r}: rename the one that is there already")
    coords: dict[Any, Any] = {**rest.coords, **{name: list(at) for name, at in new.items()}}
    return xr.DataArray(values, dims=(*new, *rest.dims), coords=coords, name=x.name, attrs=x.attrs)
