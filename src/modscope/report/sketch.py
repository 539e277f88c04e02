"""The pictures of findings, drawn with the report's charts."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from markupsafe import Markup

from modscope.findings import Picture
from modscope.report.chart import chart
from modscope.report.marks import Bars, Dots, Line, Mark, Rule
from modscope.report.scales import Axis, axis_over

__all__ = ["sketch"]

_COLOURS = 8
_FADED = 0.45  # bars that are not marked, where some are


def sketch(picture: Picture) -> Markup:
    """A picture's data as inline SVG in the colours of the page; empty where there is nothing to draw."""
    series = {name: np.array([_number(v) for v in y]) for name, y in picture.series.items()}
    if not len(picture.x) or not any(np.isfinite(y).any() for y in series.values()):
        return Markup("")
    named = picture.kind == "bars" or any(isinstance(v, str) for v in picture.x)
    places = list(map(float, range(len(picture.x)))) if named else [_number(v) for v in picture.x]
    draw = {"bars": _bars, "lines": _lines, "points": _points}[picture.kind]
    marks = [mark for i, y in enumerate(series.values()) for mark in draw(picture, places, y, i, len(series))]
    legend = [(_colour(i), name) for i, name in enumerate(series)] if len(series) > 1 else []
    values = np.concatenate(list(series.values()))
    return chart(
        marks,
        x=_x_axis(picture, places, named),
        # bars and lines are read as lengths and heights from zero
        y=axis_over(values, picture.y_label, zero=picture.kind != "points", grid=True),
        legend=legend,
    )


def _x_axis(picture: Picture, places: Sequence[float], named: bool) -> Axis:
    if not named:
        found = axis_over(places, picture.x_label, margin=0.01)
        return found
    ticks = tuple((place, _short(str(v), len(places))) for place, v in zip(places, picture.x, strict=True))
    return Axis(-0.5, len(places) - 0.5, picture.x_label, ticks=ticks)


def _short(text: str, count: int) -> str:
    fits = max(4, int(62 / count))
    return text if len(text) <= max(fits, 7) else text[: fits - 1] + "…"


def _number(value: object) -> float:
    return float("nan") if value is None or isinstance(value, str) else float(str(value))


def _colour(number: int) -> str:
    return f"var(--key-{number % _COLOURS + 1})"


def _bars(picture: Picture, places: Sequence[float], y: np.ndarray, number: int, count: int) -> list[Mark]:
    width = 0.74 / count
    marked = {str(mark) for mark in picture.marks}
    shades = [_FADED if marked and str(name) not in marked else 1.0 for name in picture.x]
    said = [f"{name}: {value:.4g}" for name, value in zip(picture.x, y, strict=True)]
    at = [place + (number - (count - 1) / 2) * width for place in places]
    return [Bars(at, y.tolist(), _colour(number), width=width, said=said, opacity=shades)]


def _lines(picture: Picture, places: Sequence[float], y: np.ndarray, number: int, count: int) -> list[Mark]:
    rules: list[Mark] = []
    if number == 0:
        known = [_number(mark) for mark in picture.marks]
        rules = [Rule(at) for at in known if math.isfinite(at) and min(places) <= at <= max(places)]
    return [*rules, Line(places, y, _colour(number))]


def _points(picture: Picture, places: Sequence[float], y: np.ndarray, number: int, count: int) -> list[Mark]:
    return [Dots(places, y, _colour(number), 2.1, opacity=0.65)]
