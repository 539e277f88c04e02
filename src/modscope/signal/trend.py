"""Waves that do not close: the trend of a signal on a line, and what periods hold of the rest."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from modscope.boundary import public
from modscope.errors import InputError, UnknownName
from modscope.signal._axes import Array, Axis, position, real_values, rewrap

__all__ = ["Trend", "detrended", "period_basis", "trend_basis"]

Trend = Literal["none", "mean", "linear", "quadratic"]
_DEGREES = {"none": -1, "mean": 0, "linear": 1, "quadratic": 2}


@public
def detrended(x: Array, axis: Axis, trend: Trend = "linear") -> Array:
    """A signal on a line without its trend: the polynomial in n that is nearest to it in least squares.

    Residues lie on a circle and have no trend; counted numbers do, and a line 0, 1, 2, ... alone has power at every
    period. trend: "mean", "linear" (mean and slope), "quadratic", or "none".

    >>> detrended(np.array([1.0, 3.0, 5.0, 8.0]), 0).round(3).tolist()
    [0.2, -0.1, -0.4, 0.3]
    """
    values, i = real_values(x), position(x, axis)
    basis = trend_basis(values.shape[i], trend)
    moved = np.moveaxis(values.astype(np.float64), i, 0)
    rest = moved - np.tensordot(basis, np.tensordot(basis.T, moved, axes=1), axes=1)
    return rewrap(x, np.moveaxis(rest, 0, i))


@public
def trend_basis(length: int, trend: Trend) -> np.ndarray:
    """Orthonormal polynomials on 0 .. length - 1 up to the degree of a trend, [n, degree].

    >>> trend_basis(4, "mean").ravel().tolist()
    [0.5, 0.5, 0.5, 0.5]
    """
    if trend not in _DEGREES:
        raise UnknownName.of("trend", trend, _DEGREES)
    degree = min(_DEGREES[trend], length - 1)
    n = np.linspace(-1.0, 1.0, length) if length > 1 else np.zeros(1)
    columns = (
        np.stack([n**power for power in range(degree + 1)], axis=1) if degree >= 0 else np.zeros((length, 0))
    )
    return _orthonormal(columns)


@public
def period_basis(length: int, periods: Sequence[float], trend: Trend = "linear") -> np.ndarray:
    """Orthonormal columns that hold cos and sin of some periods and nothing of a trend, [n, column].

    Periods need not divide the length: what they share is counted once. A period of 2 has one column. Raises
    InputError for a period shorter than 2, which is another one's alias, or longer than the signal.

    >>> period_basis(6, [2, 3], "mean").shape, round(float(period_basis(6, [2], "mean")[0, 0]) * 6**0.5, 6)
    ((6, 3), 1.0)
    """
    for period in periods:
        if not 2 <= period <= length:
            raise InputError(f"period {period:g} of {length} numbers: expected 2 to {length}")
    n, base = np.arange(length), trend_basis(length, trend)
    waves = [wave(2 * np.pi * n / period) for period in periods for wave in (np.cos, np.sin)]
    columns = np.stack(waves, axis=1) if waves else np.zeros((length, 0))
    return _orthonormal(columns - base @ (base.T @ columns))


def _orthonormal(columns: np.ndarray) -> np.ndarray:
    """Orthonormal columns of the same span, in order, those left out that add nothing."""
    found: list[np.ndarray] = []
    for column in columns.T:
        rest = column.copy()
        for _ in range(2):  # twice: once leaves rounding
            for other in found:
                rest -= other * (other @ rest)
        size = float(np.linalg.norm(rest))
        if size > 1e-9 * len(rest) ** 0.5:
            found.append(rest / size)
    return np.stack(found, axis=1) if found else np.zeros((len(columns), 0))
