"""Waves over the residues as sums of cosines: one normalisation, real and complex, one axis or two."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr

from modscope.boundary import public
from modscope.errors import InputError
from modscope.residues import modulus
from modscope.signal import _dft
from modscope.signal._axes import Array, Axes, Axis, position, positions, real_values, rewrap

__all__ = [
    "amplitude",
    "basis_frequencies",
    "basis_labels",
    "fourier_basis",
    "from_fourier",
    "phase",
    "power",
    "spectrum",
    "spectrum_at",
    "synthesise",
    "to_fourier",
]


@public
def fourier_basis(p: int) -> np.ndarray:
    """The orthonormal real Fourier basis over the residues mod p: rows const, cos 1, sin 1, cos 2, ...

    const = 1/sqrt(p), cos k = sqrt(2/p) cos(2 pi k n / p), sin k alike; for even p the last row is the
    Nyquist cosine (-1)^n / sqrt(p), which has no sine. float64 [p, p].

    >>> fourier_basis(4).round(3).tolist()[1:]
    [[0.707, 0.0, -0.707, -0.0], [0.0, 0.707, 0.0, -0.707], [0.5, -0.5, 0.5, -0.5]]
    """
    return _dft.basis(modulus(p))


@public
def basis_frequencies(p: int) -> np.ndarray:
    """The frequency of each row of `fourier_basis(p)`, int64 [p].

    >>> basis_frequencies(5).tolist(), basis_frequencies(6).tolist()
    ([0, 1, 1, 2, 2], [0, 1, 1, 2, 2, 3])
    """
    return (np.arange(modulus(p)) + 1) // 2


@public
def basis_labels(p: int) -> list[str]:
    """The name of each row of `fourier_basis(p)`.

    >>> basis_labels(6)
    ['const', 'cos 1', 'sin 1', 'cos 2', 'sin 2', 'cos 3']
    """
    return ["const"] + [f"{'sin' if n % 2 == 0 else 'cos'} {(n + 1) // 2}" for n in range(1, modulus(p))]


@public
def to_fourier(x: Array, axes: Axes) -> Array:
    """Coefficients in the orthonormal basis along one or several axes, which keep their names.

    The coordinate of each becomes `basis_labels`. Sums of squares are kept (Parseval).

    >>> abs(to_fourier(np.array([1.0, 0.0, -1.0, 0.0]), 0)).round(3).tolist()
    [0.0, 1.414, 0.0, 0.0]
    """
    values, found = real_values(x), positions(x, axes)
    for i in found:
        values = _dft.coefficients(values, i)
    return rewrap(x, values, {i: (_name(x, i), _labels(values.shape[i])) for i in found})


@public
def from_fourier(x: Array, axes: Axes) -> Array:
    """The values whose coefficients in the orthonormal basis these are: undoes `to_fourier`.

    The coordinate of each axis becomes the residues 0..p-1.

    >>> from_fourier(np.array([0.0, 2**0.5, 0.0, 0.0]), 0).round(3).tolist()
    [1.0, 0.0, -1.0, -0.0]
    """
    values, found = real_values(x), positions(x, axes)
    for i in found:
        values = _dft.from_coefficients(values, i)
    return rewrap(x, values, {i: (_name(x, i), np.arange(values.shape[i])) for i in found})


@public
def spectrum(x: Array, axis: Axes) -> Array:
    """The phasors C of a real wave: x[n] = sum over k of Re(C_k e^(2 pi i k n / p)), complex.

    A cos(2 pi k n / p + phase) has C_k = A e^(i phase); C_0 is the mean. One axis becomes `k` = 0..p//2.
    Two axes a, b become `k_a` = -((p-1)//2)..p//2 and `k_b` = 0..p//2 with
    x[a, b] = sum Re(C e^(2 pi i (k_a a + k_b b) / p)): a wave on a + b is at (k, k), on a - b at (-k, k).
    Every real wave has one bin; the bins that would repeat it (k_b = 0 or p/2 with k_a < 0) are zero.

    >>> n = np.arange(8)
    >>> spectrum(3 + 2 * np.cos(2 * np.pi * n / 8 + 0.5), 0)[:2].round(4).tolist()
    [(3+0j), (1.7552+0.9589j)]
    """
    values, found = real_values(x), positions(x, axis)
    if len(found) == 1:
        return rewrap(
            x, _dft.phasors(values, found[0]), {found[0]: ("k", np.arange(values.shape[found[0]] // 2 + 1))}
        )
    if len(found) != 2:
        raise InputError(f"a spectrum over {len(found)} axes: expected one or two")
    return _spectrum_2d(x, values, found)


@public
def amplitude(x: Array, axis: Axes) -> Array:
    """The amplitude A of each A cos(2 pi k n / p + phase) in a real wave; of k = 0, |mean|.

    >>> amplitude(np.array([1.0, 0.0, -1.0, 0.0]), 0).round(3).tolist()
    [0.0, 1.0, 0.0]
    """
    return abs(spectrum(x, axis))


@public
def phase(x: Array, axis: Axes) -> Array:
    """The phase of each A cos(2 pi k n / p + phase) in a real wave, radians in (-pi, pi].

    >>> phase(np.array([0.0, 1.0, 0.0, -1.0]), 0)[1].round(4)
    np.float64(-1.5708)
    """
    phasors = spectrum(x, axis)
    return rewrap(phasors, np.angle(_plain(phasors)))


@public
def power(x: Array, axis: Axes) -> Array:
    """The mean square that each frequency contributes: A^2/2, or A^2 where it has one component.

    The sum over k is the mean of x^2 along the axis; without k = 0 it is the variance (Parseval).

    >>> power(np.array([3.0, 2.0, 1.0, 2.0]), 0).round(3).tolist()
    [4.0, 0.5, 0.0]
    """
    found = positions(x, axis)
    if len(found) == 1:
        values, i = real_values(x), found[0]
        ks = np.arange(values.shape[i] // 2 + 1)
        return rewrap(x, _power_1d(values, i), {i: ("k", ks)})
    phasors = spectrum(x, axis)
    single = np.ones((1,) * x.ndim, dtype=bool)
    for i, ks in zip(found, (_signed(x.shape[found[0]]), np.arange(x.shape[found[1]] // 2 + 1)), strict=True):
        single = single & _spread(_dft.whole_weight(x.shape[i], ks) == 1, i, x.ndim)
    values = _plain(phasors)
    share = np.where(single, 1, 0.5).astype(values.real.dtype)
    return rewrap(phasors, (values.real**2 + values.imag**2) * share)


@public
def spectrum_at(x: Array, axis: Axis, frequencies: Sequence[float] | np.ndarray) -> Array:
    """The phasors at any real frequencies: C(f) = 2/p sum_n x[n] e^(-2 pi i f n / p).

    At f = 0 and, for even p, f = p/2 (one component) the factor is 1/p, so that whole frequencies agree
    with `spectrum`. The axis becomes `k`, with the frequencies as its coordinate.

    >>> n = np.arange(8)
    >>> abs(spectrum_at(np.cos(2 * np.pi * n / 8), 0, [1, 1.5])).round(3).tolist()
    [1.0, 0.755]
    """
    values, i = real_values(x), position(x, axis)
    ks = _frequencies(frequencies)
    rows = _dft.phasor_rows(_dft.length(values.shape[i]), ks)
    return rewrap(x, _complex(_dft.along(rows, values, i), i), {i: ("k", ks)})


@public
def synthesise(
    phasors: Array, p: int | tuple[int, int], *, axis: Axes = "k", name: str | None = None
) -> Array:
    """The wave of these phasors at the residues 0..p-1: undoes `spectrum` and takes any choice of its bins.

    The frequencies are the coordinate of the axis (any real numbers), or, in an ndarray, the bins of
    `spectrum`. The axis `k` becomes `name` (n, if none is given); two axes `k_a`, `k_b`, named in the order
    in which `spectrum` was given a and b, become `a`, `b`; where their lengths differ p is a pair.

    >>> synthesise(np.array([1, 2j, 0]), 4, axis=0).round(3).tolist()
    [1.0, -1.0, 1.0, 3.0]
    """
    found = positions(phasors, axis)
    sizes = tuple(p) if isinstance(p, tuple) else (p,) * len(found)
    if len(found) > 2 or len(sizes) != len(found):
        raise InputError(f"phasors over {len(found)} axes and p = {p}: expected one or two axes, p for each")
    values = _plain(phasors)
    values = values.astype(np.result_type(values.dtype, np.complex64), copy=False)
    for i, size in zip(found[:-1], sizes[:-1], strict=True):
        turns = np.outer(np.arange(_dft.length(size)), _bins(phasors, i, size, signed=True))
        values = _dft.along(np.exp(2j * np.pi / size * (turns % size)), values, i)
    last, size = found[-1], _dft.length(sizes[-1])
    rows = _dft.wave_rows(size, _bins(phasors, last, size, signed=False))
    values = _dft.along(rows, np.concatenate([values.real, values.imag], axis=last), last)
    names = {i: str(_name(phasors, i)).removeprefix("k_") for i in found}
    if len(found) == 1 and (name or names[last] == "k"):
        names[last] = name or "n"
    return rewrap(phasors, values, {i: (names[i], np.arange(values.shape[i])) for i in found})


def _power_1d(values: np.ndarray, i: int) -> np.ndarray:
    p = _dft.length(values.shape[i])
    ks = np.arange(p // 2 + 1)
    root = np.sqrt(1 / _dft.whole_weight(p, ks))
    if _dft.fft_is_faster(p):
        parts = _dft.phasors(values, i)
        out = parts.real**2 + parts.imag**2
        out *= _spread((root**2).astype(values.dtype), i, out.ndim)
        return out
    # Scaled in the matrix, real and imaginary parts apart: nothing is left to do but two squares.
    rows = _dft.phasor_rows(p, ks) * np.tile(root, 2)[:, None]
    real, imag = np.split(_dft.along(rows, values, i), 2, axis=i)
    out = np.square(real)
    out += np.square(imag, out=imag)
    return out


def _complex(parts: np.ndarray, i: int) -> np.ndarray:
    """Real parts, then imaginary parts along an axis -> complex."""
    real, imag = np.split(parts, 2, axis=i)
    out = np.empty(real.shape, np.result_type(parts.dtype, np.complex64))
    out.real, out.imag = real, imag
    return out


def _signed(p: int) -> np.ndarray:
    return np.arange(-((p - 1) // 2), p // 2 + 1)


def _spectrum_2d(x: Array, values: np.ndarray, found: tuple[int, ...]) -> Array:
    first, last = found
    p, q = _dft.length(values.shape[first]), _dft.length(values.shape[last])
    ks, ls = _signed(p), np.arange(q // 2 + 1)
    turn = np.exp(-2j * np.pi / p * (np.outer(ks, np.arange(p)) % p)) / p
    out = _dft.along(turn, _dft.phasors(values, last), first)
    # On k_b = 0 (and q/2) the halves k_a and -k_a are conjugate: one of them carries both.
    single = _dft.whole_weight(q, ls) == 1
    weight = _dft.whole_weight(p, ks) * (ks >= 0)
    table = np.where(single[None, :], weight[:, None], 1.0).astype(values.dtype)
    out = out * _spread(table if first < last else table.T, sorted(found), out.ndim)
    return rewrap(x, out, {first: (f"k_{_name(x, first)}", ks), last: (f"k_{_name(x, last)}", ls)})


def _spread(table: np.ndarray, at: int | Sequence[int], ndim: int) -> np.ndarray:
    """A small table over some axes, shaped to broadcast over all of them."""
    shape = [1] * ndim
    for i, size in zip((at,) if isinstance(at, int) else at, table.shape, strict=True):
        shape[i] = size
    return table.reshape(shape)


def _name(x: np.ndarray | xr.DataArray, i: int) -> str:
    return str(x.dims[i]) if isinstance(x, xr.DataArray) else str(i)


def _labels(p: int) -> list[str]:
    return basis_labels(p) if p > 2 else ["const", "cos 1"]


def _plain(x: np.ndarray | xr.DataArray) -> np.ndarray:
    return x.values if isinstance(x, xr.DataArray) else np.asarray(x)


def _frequencies(given: Sequence[float] | np.ndarray) -> np.ndarray:
    ks = np.atleast_1d(np.asarray(given))
    if ks.ndim != 1 or ks.dtype.kind not in "iuf" or not np.isfinite(ks).all():
        raise InputError(f"frequencies {given!r}: expected a list of finite numbers")
    return ks


def _bins(x: np.ndarray | xr.DataArray, i: int, p: int, *, signed: bool) -> np.ndarray:
    if isinstance(x, xr.DataArray) and x.dims[i] in x.coords:
        return _frequencies(x.coords[x.dims[i]].values)
    ks = _signed(p) if signed else np.arange(p // 2 + 1)
    if len(ks) != x.shape[i]:
        raise InputError(f"{x.shape[i]} phasors along axis {_name(x, i)} for p = {p}: expected {len(ks)}")
    return ks
