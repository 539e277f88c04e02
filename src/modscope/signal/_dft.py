"""Kernels: matrices of the discrete Fourier transform and their products along one axis of an ndarray."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from modscope.errors import InputError

__all__ = ["along", "basis", "dirichlet", "length", "phasor_rows", "trigonometric", "wave_rows"]


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
    before, after = x.shape[:axis], x.shape[axis + 1 :]
    rows, size = matrix.shape
    n_before, n_after = int(np.prod(before)), int(np.prod(after))
    if n_after == 1:
        out = x.reshape(n_before, size) @ matrix.T
    elif n_before == 1:
        out = matrix @ x.reshape(size, n_after)
    else:
        out = np.matmul(matrix, x.reshape(n_before, size, n_after))
    return out.reshape(*before, rows, *after)
