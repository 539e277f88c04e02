"""Ideal waves, and how far two waves are the same but for scale, sign, reversal, shift or mean."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr

from modscope.boundary import public
from modscope.errors import InputError, UnknownName
from modscope.signal import _dft
from modscope.signal._axes import Array, Axis, negligible, position, real_values, without

__all__ = [
    "SAMENESS",
    "cosine_wave",
    "defects_with_and_without_scale",
    "noise_defects",
    "wave_defect",
    "wave_defects",
    "wave_groups",
]

SAMENESS = ("mean", "scale", "sign", "reversal", "shift", "phases")
_FINER = 16
_PAIRS_AT_ONCE = 4096


@public
def cosine_wave(
    p: int, k: float | np.ndarray, *, phase: float | np.ndarray = 0.0, amplitude: float | np.ndarray = 1.0
) -> np.ndarray:
    """amplitude * cos(2 pi k n / p + phase) at n = 0..p-1; the arguments broadcast, n is the last axis.

    >>> cosine_wave(4, 1, phase=np.pi / 2, amplitude=2).round(6).tolist()
    [0.0, -2.0, -0.0, 2.0]
    """
    k, phase, amplitude = (np.asarray(v, dtype=np.float64)[..., None] for v in (k, phase, amplitude))
    return amplitude * np.cos(2 * np.pi / p * (k * np.arange(p) % p) + phase)


@public
def wave_defect(x: Array, y: Array, axis: Axis, *, up_to: Sequence[str] = ("mean", "scale")) -> Array:
    """How far two waves are from being the same up to some changes: 0 the same, 1 nothing in common.

    The defect is 1 - r^2, r the largest <x, g y> / (|x| |y|) over the changes g (0 if that is negative);
    without "scale" 2 <x, g y> / (|x|^2 + |y|^2). With "scale" it is the share of energy that one wave leaves
    unexplained of the other. Changes: "mean" removes both means first; "scale" by a positive factor; "sign"; "reversal"
    y[-n]; "shift" cyclic, by any real number; "phases" of all frequencies freely, so that only the
    amplitude spectra are compared. Two zero waves are the same. Named arrays broadcast, never align; the
    axis goes. Compare with `noise_defects`: the more changes, the more alike two random waves look.

    >>> n = np.arange(8)
    >>> x, y = np.cos(2 * np.pi * n / 8), 3 * np.cos(2 * np.pi * n / 8 + 1)
    >>> [float(wave_defect(x, y, 0, up_to=g).round(4)) for g in (["scale"], ["scale", "shift"])]
    [0.7081, 0.0]
    """
    changes = _changes(up_to)
    if isinstance(x, xr.DataArray) and isinstance(y, xr.DataArray):
        try:
            x, y = xr.broadcast(*xr.align(x, y, join="exact"))
        except ValueError as error:
            raise InputError(f"two waves over different coordinates or sizes: {error}") from error
        y = y.transpose(*x.dims)
    i, j = position(x, axis), position(y, axis)
    first, second = np.moveaxis(real_values(x), i, -1), np.moveaxis(real_values(y), j, -1)
    if first.shape[-1] != second.shape[-1]:
        raise InputError(f"waves of {first.shape[-1]} and {second.shape[-1]} samples: expected equally many")
    defect = _defect(_orthonormal(first, changes), _orthonormal(second, changes), first.shape[-1], changes)
    defect = defect.astype(np.result_type(first.dtype, second.dtype))
    return without(x, (i,)).copy(data=defect) if isinstance(x, xr.DataArray) else defect


@public
def wave_defects(x: Array, axis: Axis, item: Axis, *, up_to: Sequence[str] = ("mean", "scale")) -> Array:
    """`wave_defect` of every two of the waves along an axis `item`: a symmetric matrix of zero diagonal.

    The array has the two axes only. The result is (item, other).

    >>> wave_defects(np.array([[0.0, 1.0], [1.0, 0.0], [2.0, 0.0]]), 1, 0, up_to=["scale"]).tolist()
    [[0.0, 1.0, 1.0], [1.0, 0.0, 0.0], [1.0, 0.0, 0.0]]
    """
    changes = _changes(up_to)
    i, j = position(x, item), position(x, axis)
    if x.ndim != 2 or i == j:
        raise InputError(f"an array of {x.ndim} axes: expected two, the items and the wave")
    waves = real_values(x).transpose(i, j)
    count, p = waves.shape
    bins = _orthonormal(waves, changes)
    defects = np.zeros((count, count))
    rows = max(1, _PAIRS_AT_ONCE // count)
    for start in range(0, count, rows):
        block = slice(start, start + rows)
        defects[block, start:] = _defect(bins[block, None], bins[None, start:], p, changes)
        defects[start:, block] = defects[block, start:].T
    np.fill_diagonal(defects, 0)
    defects = defects.astype(waves.dtype)
    if not isinstance(x, xr.DataArray):
        return defects
    names = without(x, (j,)).coords
    return xr.DataArray(defects, dims=(x.dims[i], "other"), coords=names, name=x.name, attrs=x.attrs)


@public
def wave_groups(defects: Array, threshold: float) -> Array:
    """The group of each item, numbered from 0: items linked by a chain of defects below the threshold.

    >>> wave_groups(np.array([[0.0, 1.0, 0.9], [1.0, 0.0, 0.01], [0.9, 0.01, 0.0]]), 0.1).tolist()
    [0, 1, 1]
    """
    values = real_values(defects)
    if values.ndim != 2 or values.shape[0] != values.shape[1]:
        raise InputError(f"defects of shape {values.shape}: expected a square matrix")
    linked = (values < threshold) | (threshold > values.T) | np.eye(len(values), dtype=bool)
    groups = np.arange(len(values))
    while True:
        spread = np.where(linked, groups[None, :], len(values)).min(axis=1)
        if (spread == groups).all():
            break
        groups = spread
    groups = np.unique(groups, return_inverse=True)[1]
    return without(defects, (1,)).copy(data=groups) if isinstance(defects, xr.DataArray) else groups


@public
def noise_defects(
    p: int, *, up_to: Sequence[str] = ("mean", "scale"), pairs: int = 200, seed: int = 0
) -> np.ndarray:
    """The control for `wave_defect`: the defects of independent pairs of white-noise waves of length p.

    >>> float(noise_defects(113).mean().round(2)), float(noise_defects(113, up_to=["mean", "phases"]).mean().round(2))
    (1.0, 0.38)
    """
    noise = np.random.default_rng(seed).normal(size=(2, pairs, p))
    return wave_defect(noise[0], noise[1], 1, up_to=up_to)


def _changes(up_to: Sequence[str]) -> frozenset[str]:
    names = [up_to] if isinstance(up_to, str) else list(up_to)
    for name in names:
        if name not in SAMENESS:
            raise UnknownName.of("change of a wave", name, SAMENESS)
    return frozenset(names)


def _orthonormal(waves: np.ndarray, changes: frozenset[str]) -> np.ndarray:
    """Phasors along the last axis, scaled so that <x, y> = sum of Re(X conj Y)."""
    p = waves.shape[-1]
    weight = np.sqrt(p / _dft.whole_weight(p, np.arange(p // 2 + 1)))
    bins = _dft.phasors(waves.astype(np.float64), waves.ndim - 1) * weight
    if "mean" in changes:
        mean = np.abs(bins[..., 0]) ** 2
        bins[..., 0] = 0
        rest = (bins.real**2 + bins.imag**2).sum(axis=-1)
        bins *= (rest > negligible(waves.dtype) * mean)[..., None]
    return bins


def _defect(X: np.ndarray, Y: np.ndarray, p: int, changes: frozenset[str]) -> np.ndarray:
    return _defect_of(_largest_product(X, Y, p, changes), X, Y, scale="scale" in changes)


def _defect_of(product: np.ndarray, X: np.ndarray, Y: np.ndarray, *, scale: bool) -> np.ndarray:
    """The defect of two waves whose largest product is known, up to a factor or not."""
    energies = [(B.real**2 + B.imag**2).sum(axis=-1) for B in (X, Y)]
    whole = np.sqrt(energies[0] * energies[1]) if scale else (energies[0] + energies[1]) / 2
    both_zero = (energies[0] == 0) & (energies[1] == 0)
    common = product.clip(min=0)
    r = np.divide(common, whole, out=np.zeros_like(common), where=whole > 0)
    return np.where(both_zero, 0.0, 1 - np.minimum(r, 1) ** 2)


def defects_with_and_without_scale(
    first: np.ndarray, second: np.ndarray, *, up_to: Sequence[str]
) -> tuple[np.ndarray, np.ndarray]:
    """`wave_defect` of the waves along the last axis with their sizes kept, and up to a positive factor: at one price.

    >>> kept, removed = defects_with_and_without_scale(np.array([[1.0, 0.0]]), np.array([[2.0, 0.0]]), up_to=[])
    >>> kept.round(2).tolist(), removed.round(2).tolist()
    ([0.36], [0.0])
    """
    changes, p = _changes(up_to), first.shape[-1]
    X, Y = _orthonormal(first, changes), _orthonormal(second, changes)
    product = _largest_product(X, Y, p, changes)
    kept, removed = (_defect_of(product, X, Y, scale=scale) for scale in (False, True))
    return kept, removed


def _largest_product(X: np.ndarray, Y: np.ndarray, p: int, changes: frozenset[str]) -> np.ndarray:
    """The largest <x, g y> over the changes g, of phasors with frequency last."""
    if "phases" in changes:
        return (np.abs(X) * np.abs(Y)).sum(axis=-1)
    crosses = [X * Y.conj()]
    if "reversal" in changes:
        crosses.append(X * Y)
    if "sign" in changes:
        crosses += [-cross for cross in crosses]
    if "shift" in changes:
        return np.max([_largest_over_shifts(cross, p) for cross in crosses], axis=0)
    return np.max([cross.real.sum(axis=-1) for cross in crosses], axis=0)


def _largest_over_shifts(cross: np.ndarray, p: int) -> np.ndarray:
    """The maximum over real s of R(s) = sum of Re(cross_k e^(i w_k s)): a fine grid, then Newton's steps."""
    w = 2 * np.pi * np.arange(cross.shape[-1]) / p
    size = 1 << (_FINER * p - 1).bit_length()  # a power of two, whatever primes are in p
    halved = cross * np.where(w == 0, 1, 0.5)
    on_grid = np.fft.irfft(halved, n=size, axis=-1) * size
    s = on_grid.argmax(axis=-1) * (p / size)
    best = on_grid.max(axis=-1)
    for _ in range(3):
        turned = cross * np.exp(1j * w * s[..., None])
        slope, bend = -(turned.imag * w).sum(axis=-1), -(turned.real * w**2).sum(axis=-1)
        step = np.divide(-slope, bend, out=np.zeros_like(slope), where=bend < 0)
        s = s + step.clip(-1 / _FINER, 1 / _FINER)
    return np.maximum(best, (cross * np.exp(1j * w * s[..., None])).real.sum(axis=-1))
