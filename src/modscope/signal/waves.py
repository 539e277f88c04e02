"""Ideal waves, and how far two waves are the same but for scale, sign, reversal, shift or mean."""

from __future__ import annotations

import numpy as np

__all__ = ["cosine_wave"]


def cosine_wave(
    p: int, k: float | np.ndarray, *, phase: float | np.ndarray = 0.0, amplitude: float | np.ndarray = 1.0
) -> np.ndarray:
    """amplitude * cos(2 pi k n / p + phase) at n = 0..p-1; the arguments broadcast, n is the last axis.

    >>> cosine_wave(4, 1, phase=np.pi / 2, amplitude=2).round(6).tolist()
    [0.0, -2.0, -0.0, 2.0]
    """
    k, phase, amplitude = (np.asarray(v, dtype=np.float64)[..., None] for v in (k, phase, amplitude))
    return amplitude * np.cos(2 * np.pi / p * (k * np.arange(p) % p) + phase)
