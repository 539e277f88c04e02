"""Intervals by resampling, always from a seed."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from modscope.findings.finding import Interval

__all__ = ["interval"]

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
