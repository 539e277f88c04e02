"""Reflection about s/2, exchange of a and b, circulant matrices: how far an array keeps each symmetry."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import xarray as xr

from modscope.boundary import public
from modscope.errors import InputError, UnknownName
from modscope.signal import _dft
from modscope.signal._axes import (
    Array,
    Axes,
    Axis,
    apply,
    axis_list,
    negligible,
    position,
    positions,
    real_values,
    rewrap,
    without,
)
from modscope.signal.directions import energy_by_term

__all__ = [
    "Centre",
    "circulant_defect",
    "even_fraction",
    "even_part",
    "odd_part",
    "phase_distance",
    "reflect",
    "reversed_copies",
    "swap",
    "swap_fraction",
]

# As many numbers as stay in a core's cache while a block is centred, reflected and squared.
_VALUES_AT_ONCE = 2**17

Centre: TypeAlias = float | str | np.ndarray | xr.DataArray


@public
def reflect(x: Array, axis: Axis, s: Centre) -> Array:
    """The wave reversed about s/2 (and about s/2 + p/2): y[n] = x[s - n], cyclically.

    s is a real number, or one number for each place on the other axes: the name of another axis (its
    residues), or an array that broadcasts. In the order (c, a), s="c" reflects each row about its own c/2.
    Whole s takes samples exactly; otherwise the wave is read between them by band-limited interpolation,
    and for even p the Nyquist wave is multiplied by cos(pi s).

    >>> reflect(np.array([0.0, 1.0, 2.0, 3.0, 4.0]), 0, 1).tolist()
    [1.0, 0.0, 4.0, 3.0, 2.0]
    """
    i = position(x, axis)
    return rewrap(x, _reflected(real_values(x), i, _centres(x, i, s)))


@public
def even_part(x: Array, axis: Axis, s: Centre = 0) -> Array:
    """The part of a wave that reflection about s/2 keeps: (x[n] + x[s - n]) / 2.

    >>> even_part(np.array([1.0, 2.0, 4.0]), 0).tolist()
    [1.0, 3.0, 3.0]
    """
    return rewrap(x, (real_values(x) + real_values(reflect(x, axis, s))) / 2)


@public
def odd_part(x: Array, axis: Axis, s: Centre = 0) -> Array:
    """The part of a wave that reflection about s/2 turns over: (x[n] - x[s - n]) / 2.

    >>> odd_part(np.array([1.0, 2.0, 4.0]), 0).tolist()
    [0.0, -1.0, 1.0]
    """
    return rewrap(x, (real_values(x) - real_values(reflect(x, axis, s))) / 2)


@public
def even_fraction(x: Array, axis: Axis, s: Centre = 0, *, keep: Axes = ()) -> Array:
    """The share of a centred wave's energy that is even about s/2: 1 even, 0 odd, about .5 white noise.

    The mean along the axis is removed, x' = x - mean; the fraction is the sum of even_part(x')^2 over the
    sum of x'^2, over all axes but those of `keep`. nan where a wave is constant. In the order (c, a) with
    s="c" this is symmetry under a <-> b beyond what depends on c alone, which any commutative solution has.

    >>> float(even_fraction(np.array([0.0, 1.0, 5.0, 1.0]), 0))
    1.0
    """
    i = position(x, axis)
    values, centres = real_values(x), _centres(x, i, s)

    def parts(rows: slice) -> tuple[np.ndarray, np.ndarray]:
        block = values[rows]
        centred = block - block.mean(axis=i, keepdims=True)
        at = centres[rows] if isinstance(centres, np.ndarray) and len(centres) > 1 else centres
        return (centred + _reflected(centred, i, at)) / 2, centred

    return _energy_share(x, parts, keep, whole=i == 0)


@public
def swap(x: Array, axes: tuple[Axis, Axis] = ("a", "b")) -> Array:
    """The picture with its two residues exchanged: y[a, b] = x[b, a].

    >>> swap(np.array([[1, 2], [3, 4]]), (0, 1)).tolist()
    [[1.0, 3.0], [2.0, 4.0]]
    """
    _square(x, axes)
    return apply(x, axes, lambda values, found: np.swapaxes(values, *found))


@public
def swap_fraction(x: Array, axes: tuple[Axis, Axis] = ("a", "b"), *, keep: Axes = ()) -> Array:
    """The share of a centred picture's energy that exchanging a and b keeps: 1 symmetric, 0 anti-symmetric.

    The mean over all pairs is removed; the energy is summed over all axes but those of `keep`. nan where
    the picture is constant. White noise gives about .5.

    >>> float(swap_fraction(np.array([[0.0, 1.0], [-1.0, 0.0]]), (0, 1)))
    0.0
    """
    found = _square(x, axes)
    values = real_values(x)
    mean = values.mean(axis=found, keepdims=True, dtype=np.float64).astype(values.dtype)
    swapped = np.swapaxes(values, *found)

    def parts(rows: slice) -> tuple[np.ndarray, np.ndarray]:
        at = mean[rows] if len(mean) > 1 else mean
        centred = values[rows] - at
        return (centred + swapped[rows] - at) / 2, centred

    return _energy_share(x, parts, keep)


@public
def reversed_copies(x: Array, axis: Axis, *, name: str = "c") -> Array:
    """A wave beside its reversed copies, one for each shift: y[c, n] = x[c - n], a new leading axis c.

    What a function of b alone looks like in the order (c, a).

    >>> reversed_copies(np.array([0.0, 1.0, 2.0]), 0).tolist()
    [[0.0, 2.0, 1.0], [1.0, 0.0, 2.0], [2.0, 1.0, 0.0]]
    """
    i = position(x, axis)
    values = real_values(x)
    p = values.shape[i]
    residue = np.arange(p)
    out = np.moveaxis(np.take(values, (residue[:, None] - residue) % p, axis=i), i, 0)
    if not isinstance(x, xr.DataArray):
        return out
    wide = x.expand_dims({name: residue})
    return rewrap(wide, out)


@public
def phase_distance(first: Array, second: Array | float, *, period: float = 2 * np.pi) -> Array:
    """The distance of two phases around the circle, in [0, period/2].

    Named arrays must have equal coordinates (no silent alignment).

    >>> float(phase_distance(np.array(3.0), np.array(-3.0)).round(4))
    0.2832
    """
    with xr.set_options(arithmetic_join="exact"):
        return abs((first - second + period / 2) % period - period / 2)


@public
def circulant_defect(
    x: Array, axes: tuple[Axis, Axis] = ("a", "b"), *, direction: str = "difference"
) -> Array:
    """The share of a centred matrix's energy that its circulant part does not hold: 0 circulant, in [0, 1].

    The circulant part is the mean over each cyclic diagonal, a function of a - b; direction="sum" takes
    the anti-diagonals, a function of a + b. The mean of the matrix is removed. nan where it is constant.
    White noise gives about 1 - 1/p.

    >>> float(circulant_defect(np.array([[1.0, 2.0, 4.0], [4.0, 1.0, 2.0], [2.0, 4.0, 1.0]]), (0, 1)).round(9))
    0.0
    """
    if direction not in ("sum", "difference"):
        raise UnknownName.of("direction", direction, ("sum", "difference"))
    _square(x, axes)
    energy = energy_by_term(x, axes, nyquist=direction)
    terms = real_values(energy)
    held, total = terms[1 if direction == "sum" else 2], terms.sum(axis=0)
    defect = 1 - _ratio(held, total)
    return without(energy, (0,)).copy(data=defect) if isinstance(energy, xr.DataArray) else defect


def _square(x: np.ndarray | xr.DataArray, axes: tuple[Axis, Axis]) -> tuple[int, ...]:
    found = positions(x, axes)
    if len(found) != 2 or x.shape[found[0]] != x.shape[found[1]]:
        raise InputError(f"axes {axes!r} of sizes {tuple(x.shape[i] for i in found)}: expected two of size p")
    return found


def _centres(x: np.ndarray | xr.DataArray, i: int, s: Centre) -> float | np.ndarray:
    """s as one number, or as an array that broadcasts with x and has size 1 along axis i."""
    if isinstance(x, xr.DataArray):
        if isinstance(s, str):
            if s not in x.dims:
                raise UnknownName.of("axis", s, x.dims)
            j = x.get_axis_num(s)
            s = x.coords[s] if s in x.coords else xr.DataArray(np.arange(x.shape[j]), dims=(x.dims[j],))
        if isinstance(s, xr.DataArray):
            unknown = [d for d in s.dims if d not in x.dims or x.get_axis_num(d) == i]
            if unknown or any(s.sizes[d] != x.sizes[d] for d in s.dims):
                raise InputError(
                    f"s with axes {dict(s.sizes)}: expected other axes than the reflected one of {dict(x.sizes)}"
                )
            shape = [x.sizes[d] if d in s.dims else 1 for d in x.dims]
            s = s.transpose(*[d for d in x.dims if d in s.dims]).values.reshape(shape)
    given = np.asarray(s)
    if given.dtype.kind not in "iuf" or not np.isfinite(given).all():
        raise InputError(f"s = {s!r}: expected finite numbers or the name of another axis")
    if given.ndim == 0:
        return float(given)
    if given.ndim != x.ndim or given.shape[i] != 1:
        raise InputError(f"s of shape {given.shape}: expected to broadcast with {x.shape}, 1 along axis {i}")
    return given


def _reflected(values: np.ndarray, i: int, s: float | np.ndarray) -> np.ndarray:
    p = _dft.length(values.shape[i])
    shape = [1] * values.ndim
    shape[i] = p
    residue = np.arange(p).reshape(shape)
    if np.all(np.mod(s, 1) == 0):
        if not isinstance(s, np.ndarray):
            return np.take(values, (int(s) - np.arange(p)) % p, axis=i)
        out = np.empty_like(values)
        for at in np.ndindex(*s.shape):
            rows = tuple(
                slice(n, n + 1) if size > 1 else slice(None) for n, size in zip(at, s.shape, strict=True)
            )
            out[rows] = np.take(values[rows], (int(s[at]) - np.arange(p)) % p, axis=i)
        return out
    if not isinstance(s, np.ndarray):
        return _dft.along(_dft.dirichlet(p, s - np.arange(p)), values, i)
    k = p // 2 + 1
    parts = _dft.along(_dft.phasor_rows(p, np.arange(k)), values, i)
    real, imag = np.split(parts, 2, axis=i)
    angle = 2 * np.pi / p * (s % p) * residue.take(np.arange(k), axis=i)
    cos, sin = np.cos(angle).astype(values.dtype), np.sin(angle).astype(values.dtype)
    turned = np.concatenate([real * cos - imag * sin, -(real * sin + imag * cos)], axis=i)
    return _dft.along(_dft.wave_rows(p, np.arange(k)), turned, i)


def _energy_share(
    x: Array, parts: Callable[[slice], tuple[np.ndarray, np.ndarray]], keep: Axes, *, whole: bool = False
) -> Array:
    """Energy of part over energy of centred, over all axes but the kept ones; some rows of x at a time."""
    values = real_values(x)
    kept = positions(x, keep) if axis_list(keep) else ()
    gone = tuple(i for i in range(x.ndim) if i not in kept)
    size = len(x) if whole else max(1, _VALUES_AT_ONCE * len(x) // max(1, x.size))
    energies: list[list[np.ndarray]] = []
    for start in range(0, len(x), size):
        block = slice(start, start + size)
        found, centred = parts(block)
        energies.append([_energy(part, gone) for part in (found, centred, values[block])])
    join = np.concatenate if 0 in kept else np.sum
    part, total, raw = (np.asarray(join(column, axis=0)) for column in zip(*energies, strict=True))
    share = _ratio(part, np.where(total > negligible(values.dtype) * raw, total, 0))
    if not isinstance(x, xr.DataArray):
        return share
    return without(x, gone).copy(data=share)


def _energy(values: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
    return np.asarray(np.square(values).sum(axis=axes, dtype=np.float64))


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.divide(part, whole, out=np.full_like(whole, np.nan), where=whole > 0)
