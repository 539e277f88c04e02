"""Charts of the report as inline SVG: sharp at any size, in the colours of the page, two beside each other or stacked.

Each chart is a picture of its own, so on a phone they stand one below the other. Texts are text: they can be selected,
searched, and grow with the reader's zoom.
"""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from modscope.report.marks import Mark, Place, text_width
from modscope.report.ramps import Ramp, ramp_table
from modscope.report.scales import Axis

__all__ = ["ColourBar", "chart", "panels"]

_RIGHT, _BAR = 12, 66  # pixels right of the axes, without and with a colour bar


@dataclass(frozen=True)
class ColourBar:
    """What the colours of a heat map mean: their ends and a label."""

    low: float
    high: float
    label: str = ""
    ramp: Ramp = "sequential"
    axis: Axis | None = None

    def svg(self, x: float, top: float, bottom: float, name: str) -> str:
        """The bar as SVG at x, from top to bottom; name: an id that is its own on the page."""
        table, steps = ramp_table(self.ramp), 12
        stops = "".join(
            f'<stop offset="{i / steps:.3f}" stop-color="rgb({",".join(map(str, table[round(255 * (1 - i / steps))]))})"/>'
            for i in range(steps + 1)
        )
        axis = self.axis or Axis(self.low, self.high)
        parts = [
            f'<defs><linearGradient id="{name}" x1="0" x2="0" y1="0" y2="1">{stops}</linearGradient></defs>',
            f'<rect x="{x}" y="{top}" width="9" height="{bottom - top}" fill="url(#{name})"/>',
        ]
        for value, text in axis.marks(4):
            y = bottom - axis.fraction(value) * (bottom - top)
            parts.append(f'<text x="{x + 13}" y="{y + 3.5:.1f}">{html.escape(text)}</text>')
        if self.label:
            parts.append(
                f'<text x="{x + 9}" y="{top - 8}" text-anchor="middle">{html.escape(self.label)}</text>'
            )
        return "".join(parts)


def chart(
    marks: Sequence[Mark],
    *,
    x: Axis,
    y: Axis,
    title: str = "",
    width: float = 460,
    height: float = 220,
    legend: Sequence[tuple[str, str]] = (),
    square: bool = False,
    bar: ColourBar | None = None,
    name: str = "",
) -> Markup:
    """Marks between two axes. legend: (colour, text) pairs; square: as high as it is wide between the axes.

    name: what the ids inside begin with, needed where there is a colour bar; it must be its own on the page.
    """
    y_ticks = y.marks(max(2, int(height / 45)))
    left = max([text_width(text) for _, text in y_ticks], default=0) + 10 + (16 if y.label else 0)
    right = width - (_BAR if bar else _RIGHT)
    entries, legend_height = _legend_places(legend, left, width)
    top = 24.0 + (16 if title else 0)
    if square:
        height = top + (right - left) + 30 + (16 if x.label else 0) + legend_height
    bottom = height - 20 - (16 if x.label else 0) - legend_height

    def to_x(value: float) -> float:
        return left + x.fraction(value) * (right - left)

    def to_y(value: float) -> float:
        share = y.fraction(value)
        return top + (share if y.downwards else 1 - share) * (bottom - top)

    place = Place(to_x, to_y, left, right, top, bottom)
    parts = [_y_axis(y, y_ticks, place), _x_axis(x, place)]
    parts += [mark.svg(place) for mark in marks]
    if title:
        start = max(0.0, min(left, width - 1.1 * text_width(title)))  # titles are bold
        parts.append(f'<text class="title" x="{start:.1f}" y="13">{html.escape(title)}</text>')
    if bar is not None:
        parts.append(bar.svg(right + 12, top, bottom, f"{name}-ramp"))
    parts += [
        f'<rect x="{lx:.1f}" y="{height - legend_height + ly + 2:.1f}" width="9" height="9" rx="2" style="fill:{colour}"/>'
        f'<text class="legend" x="{lx + 13:.1f}" y="{height - legend_height + ly + 10.5:.1f}">{html.escape(text)}</text>'
        for (lx, ly), (colour, text) in zip(entries, legend, strict=True)
    ]
    return Markup(
        f'<svg class="chart" aria-hidden="true" viewBox="0 0 {width:g} {height:.0f}">{"".join(parts)}</svg>'
    )


def _legend_places(
    legend: Sequence[tuple[str, str]], left: float, width: float
) -> tuple[list[tuple[float, float]], float]:
    """Where the entries of a legend stand below the chart, line by line, and how high it is."""
    places: list[tuple[float, float]] = []
    x, line = left, 0.0
    for _, text in legend:
        room = text_width(text) + 28
        if places and x + room > width:
            x, line = left, line + 16
        places.append((x, line))
        x += room
    return places, (line + 18 if legend else 0.0)


def _y_axis(axis: Axis, ticks: Sequence[tuple[float, str]], place: Place) -> str:
    parts = []
    for value, text in ticks:
        y = place.y(value)
        if axis.grid:
            parts.append(
                f'<line class="grid" x1="{place.left:.1f}" x2="{place.right:.1f}" y1="{y:.1f}" y2="{y:.1f}"/>'
            )
        parts.append(
            f'<text x="{place.left - 6:.1f}" y="{y + 3.8:.1f}" text-anchor="end">{html.escape(text)}</text>'
        )
    if axis.label:
        y = (place.top + place.bottom) / 2
        parts.append(
            f'<text x="11" y="{y:.1f}" text-anchor="middle" transform="rotate(-90 11 {y:.1f})">{html.escape(axis.label)}</text>'
        )
    return "".join(parts)


def _x_axis(axis: Axis, place: Place) -> str:
    width = place.right - place.left
    ticks = axis.marks(max(2, int(width / 70)))
    parts = [
        f'<line class="edge" x1="{place.left:.1f}" x2="{place.right:.1f}" y1="{place.bottom:.1f}" y2="{place.bottom:.1f}"/>'
    ]
    reached = float("-inf")
    for value, text in ticks:
        half = text_width(text) / 2
        x = min(place.x(value), place.right + _RIGHT - half)
        if axis.grid:
            parts.append(
                f'<line class="grid" x1="{place.x(value):.1f}" x2="{place.x(value):.1f}" y1="{place.top:.1f}" y2="{place.bottom:.1f}"/>'
            )
        if x - half < reached + 4:
            continue  # a label that would touch the one before is left out
        reached = x + half
        parts.append(
            f'<text x="{x:.1f}" y="{place.bottom + 15:.1f}" text-anchor="middle">{html.escape(text)}</text>'
        )
    if axis.label:
        parts.append(
            f'<text x="{(place.left + place.right) / 2:.1f}" y="{place.bottom + 31:.1f}" text-anchor="middle">'
            f"{html.escape(axis.label)}</text>"
        )
    return "".join(parts)


def panels(*charts: Markup, narrow: bool = False) -> Markup:
    """Charts beside each other where there is room, one below the other where there is not; narrow: three in a row."""
    kind = "panels narrow" if narrow else "panels"
    return Markup('<div class="{}">{}</div>').format(kind, Markup("").join(charts))
