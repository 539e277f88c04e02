"""Axes of the report's pictures: from values to pixels, and the ticks that stand on them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

__all__ = ["Axis", "axis_over", "nice_ticks", "plain_tick", "share_tick"]

Tick = tuple[float, str]


def nice_ticks(low: float, high: float, count: int = 4) -> list[float]:
    """Round numbers from low to high, about `count` of them, in steps of 1, 2 or 5 times a power of ten.

    >>> nice_ticks(0.0, 0.93), nice_ticks(-7.0, 12.0)
    ([0.0, 0.2, 0.4, 0.6, 0.8], [-5.0, 0.0, 5.0, 10.0])
    """
    span = high - low
    if not math.isfinite(span) or span <= 0:
        return [low] if math.isfinite(low) else []
    power = 10.0 ** math.floor(math.log10(span / count))
    step = next(m * power for m in (1, 2, 5, 10) if span / (m * power) <= count + 1)
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [round(i * step, 12) for i in range(first, last + 1)]


def plain_tick(value: float) -> str:
    """A number as the label of a tick, with a proper minus.

    >>> plain_tick(-0.5), plain_tick(40.0)
    ('−0.5', '40')
    """
    return f"{value:g}".replace("-", "−")


def share_tick(value: float) -> str:
    """A share as the label of a tick.

    >>> share_tick(0.2), share_tick(0.0005)
    ('20\\xa0%', '0.05\\xa0%')
    """
    return f"{100 * value:g}\u00a0%".replace("-", "−")


def _power_tick(exponent: int) -> str:
    return "10" + str(exponent).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))


@dataclass(frozen=True)
class Axis:
    """One axis of a chart: its range, what stands beside it, and where the ticks are.

    ticks: (value, label) pairs; None for round numbers named by `form`. log: powers of ten. downwards: a vertical axis
    whose smallest value is at the top, as in a matrix. grid: whether a thin line is drawn at each tick.
    """

    low: float
    high: float
    label: str = ""
    ticks: tuple[Tick, ...] | None = None
    form: Callable[[float], str] = plain_tick
    log: bool = False
    downwards: bool = False
    grid: bool = False

    def fraction(self, value: float) -> float:
        """Where a value stands, 0 at the low end and 1 at the high end."""
        low, high = (math.log10(self.low), math.log10(self.high)) if self.log else (self.low, self.high)
        if high == low:
            return 0.5
        if self.log:
            value = math.log10(value) if value > 0 else low
        return (value - low) / (high - low)

    def marks(self, count: int) -> list[Tick]:
        """The ticks that are drawn where there is room for about `count`."""
        if self.ticks is not None:
            every = max(1, math.ceil(len(self.ticks) / max(count * 3, 1)))
            return list(self.ticks[::every])
        if not self.log:
            return [(value, self.form(value)) for value in nice_ticks(self.low, self.high, count)]
        first, last = math.ceil(math.log10(self.low) - 1e-9), math.floor(math.log10(self.high) + 1e-9)
        every = max(1, math.ceil((last - first + 1) / (count + 1)))
        return [(10.0**e, _power_tick(e)) for e in range(first, last + 1, every)]


def axis_over(
    values: Iterable[float] | np.ndarray,
    label: str = "",
    *,
    zero: bool = False,
    margin: float = 0.04,
    log: bool = False,
    form: Callable[[float], str] = plain_tick,
    grid: bool = False,
) -> Axis:
    """The axis that holds all finite values with a margin; zero: 0 is on it, with no margin below.

    >>> axis_over([1.0, 3.0], margin=0.5).low, axis_over([1.0, 3.0], zero=True, margin=0.0).low
    (0.0, 0.0)
    """
    found = np.asarray(list(values) if not isinstance(values, np.ndarray) else values, float).ravel()
    found = found[np.isfinite(found)]
    if log:
        found = np.log10(found[found > 0])
    low, high = (float(found.min()), float(found.max())) if found.size else (0.0, 1.0)
    if zero:
        low, high = min(low, 0.0), max(high, 0.0)
    room = (high - low or 1.0) * margin
    edges = (low - (0.0 if zero and low == 0 else room), high + (0.0 if zero and high == 0 else room))
    if edges[0] == edges[1]:
        edges = (edges[0] - 0.5, edges[1] + 0.5)
    if log:
        edges = (10.0 ** edges[0], 10.0 ** edges[1])
    return Axis(*edges, label, form=form, log=log, grid=grid)
