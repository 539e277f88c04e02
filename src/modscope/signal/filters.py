"""Passing and stopping frequencies, and reading a wave between its samples."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr

from modscope.boundary import public
from modscope.errors import InputError, UnknownName
from modscope.signal import _dft
from modscope.signal._axes import Array, Axes, Axis, position, positions, real_values, rewrap
from modscope.signal.directions import direction_basis, frequency_set

__all__ = [
    "interpolate",
    "keep_frequencies",
    "remove_frequencies",
    "resample",
    "shift",
    "split_frequencies",
]

_TERMS = ("every", "any", "sum", "difference", "linear", "2x2", "3x3")


@public
def keep_frequencies(
    x: Array, axes: Axes, frequencies: Sequence[int] | np.ndarray, *, terms: str = "every"
) -> Array:
    """The part of a wave or picture at some frequencies; 0 is the mean and is kept only if it is listed.

    Over several axes `terms` says which components are meant, `frequencies` being the set S:
    "every"       the frequency along every axis is in S (a block; with 0 in S its edges are 1-D terms);
    "any"         the frequency along at least one axis is in S;
    "sum"         waves on a + b of a frequency in S (two axes): with the keys and 0, Nanda's restricted logits;
    "difference"  waves on a - b;
    "linear"      1-D terms, (k, 0) and (0, k);
    "2x2"         products of equal frequency: sum and difference;
    "3x3"         2x2, linear and the mean.
    Orthogonal projections all: keeping twice changes nothing, and what `remove_frequencies` gives is the rest.
    Along one axis alone a product cos(w a) cos(w b) has frequency k, not 2k.

    >>> n = np.arange(8)
    >>> wave = np.cos(2 * np.pi * n / 8)
    >>> np.allclose(keep_frequencies(wave + (-1.0) ** n, 0, [1]), wave)
    True
    """
    values, found = real_values(x), positions(x, axes)
    return rewrap(x, _kept(values, found, frequencies, terms))


@public
def remove_frequencies(
    x: Array, axes: Axes, frequencies: Sequence[int] | np.ndarray, *, terms: str = "every"
) -> Array:
    """A wave or picture without the part that `keep_frequencies` gives for the same arguments.

    >>> remove_frequencies(np.array([3.0, 1.0, 3.0, 1.0]), 0, [0]).round(6).tolist()
    [1.0, -1.0, 1.0, -1.0]
    """
    return split_frequencies(x, axes, frequencies, terms=terms)[1]


@public
def split_frequencies(
    x: Array, axes: Axes, frequencies: Sequence[int] | np.ndarray, *, terms: str = "every"
) -> tuple[Array, Array]:
    """The part at some frequencies and the rest, (kept, removed): together they are x.

    >>> [part.round(6).tolist() for part in split_frequencies(np.array([3.0, 1.0, 3.0, 1.0]), 0, [0])]
    [[2.0, 2.0, 2.0, 2.0], [1.0, -1.0, 1.0, -1.0]]
    """
    values, found = real_values(x), positions(x, axes)
    kept = _kept(values, found, frequencies, terms)
    return rewrap(x, kept), rewrap(x, values - kept)


@public
def interpolate(x: Array, axis: Axis, at: Sequence[float] | np.ndarray) -> Array:
    """The band-limited periodic curve through the samples, read at any real places.

    The coordinate of the axis becomes the places. For even p the Nyquist wave is read as its cosine
    cos(pi n): the samples say nothing of a sine.

    >>> interpolate(np.array([1.0, 0.0, -1.0, 0.0]), 0, [0, 0.5]).round(4).tolist()
    [1.0, 0.7071]
    """
    values, i = real_values(x), position(x, axis)
    places = np.atleast_1d(np.asarray(at, dtype=np.float64))
    if places.ndim != 1 or not np.isfinite(places).all():
        raise InputError(f"places {at!r}: expected a list of finite numbers")
    out = _dft.along(_dft.dirichlet(_dft.length(values.shape[i]), places), values, i)
    return rewrap(x, out, {i: (x.dims[i] if isinstance(x, xr.DataArray) else i, places)})


@public
def resample(x: Array, axis: Axis, n: int) -> Array:
    """The band-limited periodic curve through the samples, at n evenly spaced places of one period.

    The coordinate of the axis becomes j p / n. Where n < p, frequencies above n/2 are removed first.

    >>> resample(np.array([1.0, 0.0, -1.0, 0.0]), 0, 8).round(3).tolist()
    [1.0, 0.707, 0.0, -0.707, -1.0, -0.707, -0.0, 0.707]
    """
    values, i = real_values(x), position(x, axis)
    if n != int(n) or n < 1:
        raise InputError(f"resampling to n = {n!r}: expected a whole number of at least 1")
    p = _dft.length(values.shape[i])
    places = np.arange(int(n)) * p / n
    matrix = _dft.dirichlet(p, places, np.arange(min(p, int(n)) // 2 + 1))
    out = _dft.along(matrix, values, i)
    return rewrap(x, out, {i: (x.dims[i] if isinstance(x, xr.DataArray) else i, places)})


@public
def shift(x: Array, axis: Axis, s: float) -> Array:
    """The wave moved forwards by s, cyclically: y[n] = x[n - s], band-limited between samples.

    A whole s moves the samples and rounds nothing. For even p the Nyquist wave, which has only a cosine,
    is multiplied by cos(pi s): a shift by 1/2 loses it, and only then shifts do not undo each other.

    >>> shift(np.array([1.0, 0.0, -1.0, 0.0]), 0, 1).tolist()
    [0.0, 1.0, 0.0, -1.0]
    """
    values, i = real_values(x), position(x, axis)
    if not np.isfinite(s):
        raise InputError(f"a shift by {s!r}: expected a finite number")
    if s == int(s):
        return rewrap(x, np.roll(values, int(s) % values.shape[i], axis=i))
    p = _dft.length(values.shape[i])
    return rewrap(x, _dft.along(_dft.dirichlet(p, np.arange(p) - s), values, i))


def _kept(
    values: np.ndarray, found: tuple[int, ...], frequencies: Sequence[int] | np.ndarray, terms: str
) -> np.ndarray:
    if terms not in _TERMS:
        raise UnknownName.of("choice of terms", terms, _TERMS)
    if terms == "every":
        for i in found:
            values = _projected(values, i, frequencies)
        return values
    if terms == "any":
        rest = values
        for i in found:
            rest = rest - _projected(rest, i, frequencies)
        return values - rest
    if len(found) != 2 or values.shape[found[0]] != values.shape[found[1]]:
        raise InputError(
            f'terms "{terms}" over axes of sizes {tuple(values.shape[i] for i in found)}: expected two axes of size p'
        )
    pictures = np.moveaxis(values, found, (0, 1))
    rows = direction_basis(pictures.shape[0], frequencies, terms).astype(values.dtype)
    rows = rows.reshape(len(rows), pictures.shape[0] ** 2)
    flat = pictures.reshape(rows.shape[1], -1)
    kept = _dft.product(rows.T, _dft.product(rows, flat))
    return np.moveaxis(kept.reshape(pictures.shape), (0, 1), found)


def _projected(values: np.ndarray, i: int, frequencies: Sequence[int] | np.ndarray) -> np.ndarray:
    p = _dft.length(values.shape[i])
    rows = _dft.basis(p, frequency_set(frequencies, p))
    if 2 * len(rows) > p:
        return _dft.along(rows.T @ rows, values, i)
    return _dft.along(rows.T, _dft.along(rows, values, i), i)
