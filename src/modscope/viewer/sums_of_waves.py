"""Pictures kept as the waves that they are sums of: a few whole numbers where 16 bits a value would be ten times as long.

Each picture (the last two axes) is written in the orthonormal basis 1, cos 1, sin 1, cos 2, ... of both axes, and every
coefficient rounded to a multiple of a step of the picture's own, chosen so that no value is off by more than a share of
the picture's range. Small steps become small numbers, the same coefficient of all pictures lies together, and gzip does
the rest.
"""

from __future__ import annotations

import numpy as np

__all__ = ["SHARE", "as_waves", "from_waves", "over_c", "over_pairs", "waves_fit"]

SHARE = 1 / 128  # of a picture's range, that a value may be off at most
_LARGEST = 512  # samples an axis, beyond which the page would take long to sum the waves
_CODES = 1 << 23
# A value's error is a sum of many roundings, and normal, with a twelfth of the step's square where every coefficient is
# rounded: this is as coarse a step as pictures of 113 x 113 often allow. Where they do not, it is made smaller.
_STEP = 0.6
_TOWARDS_ZERO = 0.2  # of a step: what is that little over a half is rounded down, for shorter codes


def waves_fit(values: np.ndarray) -> bool:
    """Whether an array can be kept as waves: finite pictures of a size that a page sums in no time."""
    return values.ndim >= 2 and max(values.shape[-2:]) <= _LARGEST and bool(np.isfinite(values).all())


def over_pairs(x: np.ndarray) -> np.ndarray:
    """The picture [..., c, a] as [..., a, c - a mod p].

    >>> over_c(over_pairs(np.arange(9).reshape(3, 3))).tolist()
    [[0, 1, 2], [3, 4, 5], [6, 7, 8]]
    """
    n = np.arange(x.shape[-1])
    return x[..., (n[:, None] + n) % len(n), n[:, None]]


def over_c(x: np.ndarray) -> np.ndarray:
    """The picture [..., a, b] as [..., a + b mod p, a], the inverse of `over_pairs`."""
    n = np.arange(x.shape[-1])
    return x[..., n, (n[:, None] - n) % len(n)]


def _basis(n: int) -> np.ndarray:
    """The orthonormal real basis, [function, sample]: 1, cos 1, sin 1, cos 2, ...; for even n cos n/2 last."""
    angle = 2 * np.pi / n * (np.outer(np.arange(1, n // 2 + 1), np.arange(n)) % n)
    rows = [np.full(n, 1 / np.sqrt(n))]
    for k, at in enumerate(angle, start=1):
        if 2 * k == n:
            rows.append(np.cos(at) / np.sqrt(n))
        else:
            rows += [np.cos(at) * np.sqrt(2 / n), np.sin(at) * np.sqrt(2 / n)]
    return np.array(rows)


def as_waves(values: np.ndarray) -> tuple[bytes, float] | None:
    """The bytes of an array [..., row, column] as waves, and the largest error of a value; None where one does not fit.

    A float32 step for each picture in byte planes, then the codes [coefficient, picture] as three byte planes, zigzag.
    """
    rows, columns = values.shape[-2:]
    pictures = values.reshape(-1, rows, columns).astype(np.float64)
    down, across = _basis(rows), _basis(columns)
    coefficients = down @ pictures @ across.T
    size = np.abs(pictures).max((1, 2), initial=0.0) * np.sqrt(rows * columns)
    span = pictures.max((1, 2)) - pictures.min((1, 2))
    step = np.maximum(_STEP * SHARE * span, size / _CODES * 2.5)
    step = np.where(step > 0, step, 1.0).astype(np.float32)
    for _ in range(16):
        codes = coefficients / step[:, None, None]
        codes = np.copysign(np.floor(np.abs(codes) + (0.5 - _TOWARDS_ZERO)), codes)
        again = (down.T @ (codes * step[:, None, None]) @ across).astype(np.float32)
        off = np.abs(again - pictures).max((1, 2), initial=0.0)
        wide = off > np.maximum(SHARE * span, 4e-7 * size)
        if not wide.any():
            break
        step = np.where(wide, step * np.float32(0.85), step)
    if wide.any() or np.abs(codes).max(initial=0.0) >= _CODES:
        return None
    signed = codes.astype(np.int64).reshape(len(pictures), -1).T
    zigzag = np.ascontiguousarray((signed << 1) ^ (signed >> 63)).ravel()
    planes = b"".join((zigzag >> shift & 255).astype(np.uint8).tobytes() for shift in (0, 8, 16))
    steps = step.astype("<f4").view(np.uint8).reshape(-1, 4).T.tobytes()
    return steps + planes, float(off.max(initial=0.0))


def from_waves(raw: bytes, shape: tuple[int, ...]) -> np.ndarray:
    """The float32 values of such bytes, as the page sums them."""
    rows, columns = shape[-2:]
    count, size = int(np.prod(shape[:-2], dtype=int)), int(np.prod(shape, dtype=int))
    steps = np.frombuffer(np.frombuffer(raw[: 4 * count], np.uint8).reshape(4, -1).T.tobytes(), "<f4")
    planes = np.frombuffer(raw[4 * count :], np.uint8).reshape(3, size).astype(np.int64)
    zigzag = planes[0] | planes[1] << 8 | planes[2] << 16
    codes = ((zigzag >> 1) ^ -(zigzag & 1)).reshape(rows * columns, count).T.reshape(-1, rows, columns)
    pictures = _basis(rows).T @ (codes * steps[:, None, None].astype(np.float64)) @ _basis(columns)
    return pictures.astype(np.float32).reshape(shape)
