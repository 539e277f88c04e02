"""Intervals by resampling, always from a seed."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from modscope.findings.finding import Interval

__all__ = ["interval", "interval_of_ratio"]

_DRAWS = 400


def interval(
    values: np.ndarray,
    *,
    over: str,
    statistic: Callable[..., np.ndarray] = np.mean,
    seed: int = 0,
) -> Interval | None:
    """The 95 % percentile interval of a statistic of values under resampling with replacement, less its bias.

    statistic takes an array and an axis (np.mean, np.median). values: one number, or one row, for each thing
    that is resampled; a row is kept whole. None for fewer than two values, or where one is not finite.

    >>> interval(np.array([1.0, 1.0, 1.0]), over="neurons")
    Interval(low=1.0, high=1.0, over='neurons')
    """
    values = np.asarray(values, dtype=np.float64)
    if len(values) < 2 or not np.isfinite(values).all():
        return None
    generator = np.random.default_rng(seed)
    drawn = values[generator.integers(len(values), size=(_DRAWS, len(values)))]
    draws = statistic(drawn, axis=1)
    low, high = np.quantile(draws, [0.025, 0.975])
    # fewer different things are in a draw than in the whole, which shifts what is not a mean
    shift = float(statistic(values[None], axis=1)[0] - draws.mean())
    return Interval(float(low) + shift, float(high) + shift, over)


def interval_of_ratio(above: np.ndarray, below: np.ndarray, *, over: str, seed: int = 0) -> Interval | None:
    """The interval of sum(above) / sum(below), where each thing resampled has one of each.

    >>> interval_of_ratio(np.array([1.0, 2.0, 3.0]), np.array([2.0, 4.0, 6.0]), over="examples")
    Interval(low=0.5, high=0.5, over='examples')
    """

    def ratio(rows: np.ndarray, axis: int) -> np.ndarray:
        total = rows.sum(axis=axis)
        return np.divide(
            total[..., 0], total[..., 1], where=total[..., 1] != 0, out=np.full(total.shape[:-1], np.nan)
        )

    if np.sum(below) == 0:
        return None
    return interval(np.stack([above, below], axis=1), over=over, statistic=ratio, seed=seed)
