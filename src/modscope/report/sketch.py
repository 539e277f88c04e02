"""Small pictures of bars, lines and points, written as SVG at once: a page has dozens of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from modscope.findings import Picture

__all__ = ["nice_ticks", "sketch"]

WIDTH, HEIGHT = 460, 220
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 10, 12, 40
_COLOURS = 8


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


@dataclass(frozen=True)
class _Scale:
    """Where a value stands in pixels."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        return self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start)


def sketch(picture: Picture) -> Markup:
    """A picture's data as inline SVG in the colours of the page."""
    series = {name: np.array([_number(v) for v in y]) for name, y in picture.series.items()}
    found = [v for y in series.values() for v in y[np.isfinite(y)]]
    if not found or not len(picture.x):
        return Markup("")
    low, high = min(found), max(found)
    if picture.kind != "points":  # bars and lines are read as lengths and heights from zero
        low, high = min(low, 0.0), max(high, 0.0)
    if low == high:
        low, high = low - 0.5, high + 0.5
    y_scale = _Scale(low, high + 0.04 * (high - low), HEIGHT - _BOTTOM, _TOP)
    numeric = picture.kind != "bars" and not any(isinstance(v, str) for v in picture.x)
    places = [_number(v) for v in picture.x] if numeric else list(range(len(picture.x)))
    edge = 0.0 if numeric else 0.5
    x_low, x_high = min(places) - edge, max(places) + edge
    if x_low == x_high:
        x_low, x_high = x_low - 0.5, x_high + 0.5
    x_scale = _Scale(x_low, x_high, _LEFT, WIDTH - _RIGHT)
    parts = [_y_axis(y_scale, low, high), _x_axis(picture, places, x_scale, numeric)]
    draw = {"bars": _bars, "lines": _lines, "points": _points}[picture.kind]
    for number, (name, y) in enumerate(series.items()):
        parts.append(draw(picture, places, y, x_scale, y_scale, number, len(series)))
        if len(series) > 1:
            parts.append(_legend(name, number, len(series)))
    parts.append(_labels(picture))
    height = HEIGHT + (18 if len(series) > 1 else 0) + (18 if len(series) > 2 else 0)
    return Markup('<svg class="sketch" aria-hidden="true" viewBox="0 0 {} {}">{}</svg>').format(
        WIDTH, height, Markup("").join(parts)
    )


def _number(value: object) -> float:
    return float("nan") if value is None or isinstance(value, str) else float(str(value))


def _text(x: float, y: float, text: str, anchor: str = "middle", extra: str = "") -> Markup:
    return Markup('<text x="{:.1f}" y="{:.1f}" text-anchor="{}"{}>{}</text>').format(
        x, y, anchor, Markup(extra), text
    )


def _y_axis(scale: _Scale, low: float, high: float) -> Markup:
    parts = []
    for tick in nice_ticks(low, high):
        y = scale(tick)
        parts.append(
            Markup('<line class="grid" x1="{}" x2="{}" y1="{:.1f}" y2="{:.1f}"/>').format(
                _LEFT, WIDTH - _RIGHT, y, y
            )
        )
        parts.append(_text(_LEFT - 5, y + 3.5, f"{tick:g}".replace("-", "−"), "end"))
    return Markup("").join(parts)


def _x_axis(picture: Picture, places: Sequence[float], scale: _Scale, numeric: bool) -> Markup:
    y = HEIGHT - _BOTTOM + 14
    if numeric:
        ticks = nice_ticks(min(places), max(places), 6)
        return Markup("").join(_text(scale(t), y, f"{t:g}".replace("-", "−")) for t in ticks)
    room = (WIDTH - _LEFT - _RIGHT) / len(places)
    longest = max(len(str(v)) for v in picture.x)
    every = max(1, math.ceil((longest * 6.5 + 5) / room)) if longest <= 6 else 1
    fits = max(3, int(room / 5.6))
    parts = []
    for i in range(0, len(places), every):
        text = str(picture.x[i])
        short = text if len(text) <= fits or longest <= 6 else text[: fits - 1] + "…"
        label = Markup("{}<title>{}</title>").format(short, text)
        parts.append(_text(scale(places[i]), y, label))
    return Markup("").join(parts)


def _labels(picture: Picture) -> Markup:
    middle = (_LEFT + WIDTH - _RIGHT) / 2
    turned = f' transform="rotate(-90 11 {(HEIGHT - _BOTTOM) / 2 + 4:.0f})"'
    return _text(middle, HEIGHT - 8, picture.x_label) + _text(
        11, (HEIGHT - _BOTTOM) / 2 + 4, picture.y_label, extra=turned
    )


def _legend(name: str, number: int, count: int) -> Markup:
    column, row = number % 2, number // 2
    x = _LEFT + column * (WIDTH - _LEFT) / 2
    y = HEIGHT + 8 + 18 * row
    return Markup('<rect class="s{}" x="{:.1f}" y="{:.1f}" width="9" height="9" rx="2"/>').format(
        number % _COLOURS + 1, x, y - 8
    ) + _text(x + 14, y, name, "start")


def _bars(
    picture: Picture,
    places: Sequence[float],
    y: np.ndarray,
    x_scale: _Scale,
    y_scale: _Scale,
    number: int,
    count: int,
) -> Markup:
    room = x_scale(1) - x_scale(0)
    width = room * 0.74 / count
    marked = {str(mark) for mark in picture.marks}
    parts = []
    for place, value, name in zip(places, y, picture.x, strict=True):
        if not math.isfinite(value):
            continue
        top, foot = sorted((y_scale(value), y_scale(0.0)))
        left = x_scale(place) - room * 0.37 + number * width
        plain = marked and str(name) not in marked
        parts.append(
            Markup(
                '<rect class="s{}" x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}"{}><title>{}: {:.4g}</title></rect>'
            ).format(
                number % _COLOURS + 1,
                left,
                top,
                max(width, 0.6),
                foot - top,
                Markup(' opacity=".45"') if plain else "",
                name,
                value,
            )
        )
    return Markup("").join(parts)


def _lines(
    picture: Picture,
    places: Sequence[float],
    y: np.ndarray,
    x_scale: _Scale,
    y_scale: _Scale,
    number: int,
    count: int,
) -> Markup:
    points = " ".join(
        f"{x_scale(p):.1f},{y_scale(v):.1f}" for p, v in zip(places, y, strict=True) if math.isfinite(v)
    )
    marks = [
        Markup('<line class="mark" x1="{0:.1f}" x2="{0:.1f}" y1="{1}" y2="{2}"/>').format(
            x_scale(_number(mark)), _TOP, HEIGHT - _BOTTOM
        )
        for mark in picture.marks
        if number == 0 and math.isfinite(_number(mark)) and x_scale.low <= _number(mark) <= x_scale.high
    ]
    line = Markup('<polyline class="l{}" points="{}"/>').format(number % _COLOURS + 1, points)
    return Markup("").join(marks) + line


def _points(
    picture: Picture,
    places: Sequence[float],
    y: np.ndarray,
    x_scale: _Scale,
    y_scale: _Scale,
    number: int,
    count: int,
) -> Markup:
    dot = Markup('<circle class="s{}" cx="{:.1f}" cy="{:.1f}" r="2.1" opacity=".65"/>')
    return Markup("").join(
        dot.format(number % _COLOURS + 1, x_scale(p), y_scale(v))
        for p, v in zip(places, y, strict=True)
        if math.isfinite(v) and math.isfinite(p)
    )
