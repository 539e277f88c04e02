"""Kernels: matrices of the discrete Fourier transform and their products along one axis of an ndarray."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from modscope.errors import InputError

__all__ = [
    "along",
    "basis",
    "dirichlet",
    "fft_is_faster",
    "from_coefficients",
    "length",
    "phasor_rows",
    "phasors",
    "product",
    "trigonometric",
    "wave_rows",
    "whole_weight",
]


def length(n: int) -> int:
    """The number of samples of a wave: at least 2."""
    if n < 2:
        raise InputError(f"a wave of {n} sample{'s'[: n != 1]}: expected at least 2")
    return n


def trigonometric(p: int, ks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """cos and sin of 2 pi k n / p as [k, n], from one period's table: whole k make no rounding in the angle."""
    turns = np.asarray(ks)[:, None] * np.arange(p) % p
    if np.issubdtype(turns.dtype, np.integer):
        angle = 2 * np.pi * np.arange(p) / p
        return np.cos(angle)[turns], np.sin(angle)[turns]
    angle = 2 * np.pi * turns / p
    return np.cos(angle), np.sin(angle)


def basis(p: int, ks: Sequence[int] | None = None) -> np.ndarray:
    """Orthonormal rows (const, cos 1, sin 1, ...) over the residues, of all frequencies or of some."""
    ks = range(p // 2 + 1) if ks is None else ks
    cos, sin = trigonometric(p, np.asarray(ks, dtype=np.int64))
    rows = []
    for k, c, s in zip(ks, cos, sin, strict=True):
        if k == 0 or 2 * k == p:
            rows.append(c / np.sqrt(p))
        else:
            rows += [c * np.sqrt(2 / p), s * np.sqrt(2 / p)]
    return np.array(rows).reshape(len(rows), p)


def whole_weight(p: int, ks: np.ndarray) -> np.ndarray:
    """1 for the frequencies of one component (DC, and p/2 for even p), 2 for the others."""
    ks = np.asarray(ks)
    return np.where((ks % p == 0) | (2 * ks % (2 * p) == p), 1.0, 2.0)


def phasor_rows(p: int, ks: np.ndarray) -> np.ndarray:
    """The rows [2k, n] that give real and imaginary parts of the phasors, one under the other."""
    cos, sin = trigonometric(p, ks)
    weight = whole_weight(p, ks)[:, None] / p
    return np.concatenate([cos * weight, -sin * weight])


def wave_rows(p: int, ks: np.ndarray) -> np.ndarray:
    """The matrix [n, 2k] that makes a wave of real and imaginary parts of its phasors."""
    cos, sin = trigonometric(p, ks)
    return np.concatenate([cos, -sin]).T


def dirichlet(p: int, at: np.ndarray, ks: np.ndarray | None = None) -> np.ndarray:
    """The matrix [at, n] of band-limited interpolation at any real places, from the frequencies ks (all)."""
    ks = np.arange(p // 2 + 1) if ks is None else ks
    angle = 2 * np.pi * np.outer(np.asarray(at, dtype=np.float64) % p, ks) / p
    rows = phasor_rows(p, ks)
    return np.cos(angle) @ rows[: len(ks)] - np.sin(angle) @ rows[len(ks) :]


def along(matrix: np.ndarray, x: np.ndarray, axis: int) -> np.ndarray:
    """matrix @ x along one axis, which stays where it is; in the float type of x.

    Whatever lies after the axis is the long side of one product, whatever lies before it counts the
    products: an array in C order is never copied.
    """
    matrix = np.ascontiguousarray(matrix, dtype=x.dtype)
    wide = _three_axes(x, axis)
    if wide.shape[2] == 1:
        out = product(wide[:, :, 0], matrix.T)
    elif wide.shape[0] == 1:
        out = product(matrix, wide[0])
    else:
        out = product(matrix, wide)
    return out.reshape(*x.shape[:axis], len(matrix), *x.shape[axis + 1 :])


def phasors(x: np.ndarray, axis: int) -> np.ndarray:
    """The phasors of real waves along one axis, complex, frequencies 0..p//2 in its place.

    By matrix product real and imaginary parts come out side by side, so that their memory is the complex
    array already; for that the frequencies are the innermost axis in memory, wherever they stand in the shape.
    """
    p = length(x.shape[axis])
    ks = np.arange(p // 2 + 1)
    if fft_is_faster(p):
        bins = torch.fft.rfft(_tensor(x), dim=axis, norm="forward")
        bins.narrow(axis, 1, (p - 1) // 2).mul_(2)
        return bins.numpy()
    wide = _three_axes(x, axis)
    columns = phasor_rows(p, ks).reshape(2, len(ks), p).transpose(2, 1, 0).reshape(p, 2 * len(ks))
    columns = np.ascontiguousarray(columns, dtype=x.dtype)
    if wide.shape[2] == 1:
        parts = product(wide[:, :, 0], columns)[:, None]
    else:
        parts = product(wide.transpose(0, 2, 1), columns)
    bins = parts.view(np.result_type(x.dtype, np.complex64)).transpose(0, 2, 1)
    return bins.reshape(*x.shape[:axis], len(ks), *x.shape[axis + 1 :])


def coefficients(x: np.ndarray, axis: int) -> np.ndarray:
    """The coefficients in the orthonormal basis along one axis."""
    p = length(x.shape[axis])
    if not fft_is_faster(p):
        return along(basis(p), x, axis)
    bins = torch.fft.rfft(_tensor(x), dim=axis, norm="ortho").numpy()
    bins = np.moveaxis(bins, axis, 0)
    out = np.empty((p, *bins.shape[1:]), x.dtype)
    inner = (p - 1) // 2
    out[0], out[-1] = bins[0].real, bins[-1].real
    out[1 : 2 * inner : 2] = bins[1 : inner + 1].real * np.sqrt(2, dtype=x.dtype)
    out[2 : 2 * inner + 1 : 2] = bins[1 : inner + 1].imag * -np.sqrt(2, dtype=x.dtype)
    return np.moveaxis(out, 0, axis)


def from_coefficients(x: np.ndarray, axis: int) -> np.ndarray:
    """The values that have these coefficients in the orthonormal basis along one axis."""
    p = length(x.shape[axis])
    if not fft_is_faster(p):
        return along(basis(p).T, x, axis)
    rows = np.moveaxis(x, axis, 0)
    bins = np.zeros((p // 2 + 1, *rows.shape[1:]), np.result_type(x.dtype, np.complex64))
    inner = (p - 1) // 2
    bins[-1], bins[0] = rows[-1], rows[0]
    half = np.sqrt(0.5, dtype=x.dtype)
    bins[1 : inner + 1].real = rows[1 : 2 * inner : 2] * half
    bins[1 : inner + 1].imag = rows[2 : 2 * inner + 1 : 2] * -half
    return np.moveaxis(torch.fft.irfft(_tensor(bins), n=p, dim=0, norm="ortho").numpy(), 0, axis)


def fft_is_faster(p: int) -> bool:
    """Whether waves of length p are faster by FFT than by matrix product.

    Measured with one thread, float32 and float64: with a prime factor above 13 an FFT is slow and the
    product is faster to about p = 400; otherwise to about p = 128.
    """
    rest = p
    for factor in (2, 3, 5, 7, 11, 13):
        while rest % factor == 0:
            rest //= factor
    return p > (128 if rest == 1 else 400)


def _three_axes(x: np.ndarray, axis: int) -> np.ndarray:
    before, after = x.shape[:axis], x.shape[axis + 1 :]
    return x.reshape(int(np.prod(before)), x.shape[axis], int(np.prod(after)))


def product(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """a @ b, large ones by torch: one pool of threads for the whole program, and the faster BLAS."""
    if a.size * b.shape[-1] < 2**16:
        return np.matmul(a, b)
    return torch.matmul(_tensor(a), _tensor(b)).numpy()


def _tensor(x: np.ndarray) -> torch.Tensor:
    # torch takes neither read-only memory nor backward strides.
    usable = x.flags.writeable and all(stride >= 0 for stride in x.strides)
    return torch.from_numpy(x if usable else x.copy())
