"""What is drawn between the axes of a chart: bars, lines, dots, rules, labels, heat maps; each as SVG."""

from __future__ import annotations

import base64
import html
import io
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from modscope.report.ramps import Ramp, ramp_pixels

__all__ = ["Bars", "Dots", "Heat", "Labels", "Line", "Mark", "Place", "Rule", "Span", "Steps", "text_width"]

_LETTER = 6.7  # pixels, of the average letter at the size of the labels
LINE = 13.0  # pixels between lines of labels


def text_width(text: str) -> float:
    """About how many pixels a label takes."""
    return _LETTER * len(text)


def _title(text: str) -> str:
    return f"<title>{html.escape(text)}</title>" if text else ""


@dataclass(frozen=True)
class Place:
    """Where values stand on a chart, and its edges in pixels."""

    x: Callable[[float], float]
    y: Callable[[float], float]
    left: float
    right: float
    top: float
    bottom: float


class Mark(Protocol):
    """Something drawn between the axes."""

    def svg(self, place: Place) -> str:
        """The mark as SVG elements."""
        ...


@dataclass(frozen=True)
class Bars:
    """A bar for each place, from `base` to its value. across: bars lie, places are on the vertical axis.

    colours: one for all or one each, as CSS. said: the text shown on hover, one each. base: one for all or one each.
    """

    places: Sequence[float]
    values: Sequence[float]
    colours: str | Sequence[str] = "var(--key-1)"
    width: float = 0.74
    base: float | Sequence[float] = 0.0
    across: bool = False
    said: Sequence[str] = ()
    opacity: float | Sequence[float] = 1.0

    def svg(self, place: Place) -> str:
        n = len(self.places)
        colours = [self.colours] * n if isinstance(self.colours, str) else list(self.colours)
        bases = [self.base] * n if isinstance(self.base, (int, float)) else list(self.base)
        shades = [self.opacity] * n if isinstance(self.opacity, (int, float)) else list(self.opacity)
        parts = []
        for i, (at, value) in enumerate(zip(self.places, self.values, strict=True)):
            if not (math.isfinite(value) and math.isfinite(bases[i])):
                continue
            along, other = (place.x, place.y) if self.across else (place.y, place.x)
            ends = sorted((along(bases[i]), along(value)))
            sides = sorted((other(at - self.width / 2), other(at + self.width / 2)))
            (x0, x1), (y0, y1) = (ends, sides) if self.across else (sides, ends)
            shade = "" if shades[i] == 1 else f' opacity="{shades[i]:g}"'
            parts.append(
                f'<rect x="{x0:.1f}" y="{y0:.1f}" width="{max(x1 - x0, 0.0):.1f}" height="{max(y1 - y0, 0.0):.1f}" '
                f'style="fill:{colours[i]}"{shade}>{_title(self.said[i] if self.said else "")}</rect>'
            )
        return "".join(parts)


@dataclass(frozen=True)
class Line:
    """A line through points; a value that is not finite interrupts it."""

    x: Sequence[float] | np.ndarray
    y: Sequence[float] | np.ndarray
    colour: str = "var(--ink)"
    width: float = 1.4
    dash: str = ""

    def svg(self, place: Place) -> str:
        pieces: list[list[str]] = [[]]
        for x, y in zip(self.x, self.y, strict=True):
            if math.isfinite(x) and math.isfinite(y):
                pieces[-1].append(f"{place.x(float(x)):.1f},{place.y(float(y)):.1f}")
            elif pieces[-1]:
                pieces.append([])
        dash = f";stroke-dasharray:{self.dash}" if self.dash else ""
        style = f"fill:none;stroke:{self.colour};stroke-width:{self.width:g};stroke-linejoin:round{dash}"
        return "".join(f'<polyline points="{" ".join(piece)}" style="{style}"/>' for piece in pieces if piece)


@dataclass(frozen=True)
class Dots:
    """A dot for each point, or a ring; said: the text shown on hover, one each."""

    x: Sequence[float] | np.ndarray
    y: Sequence[float] | np.ndarray
    colour: str | Sequence[str] = "var(--key-1)"
    radius: float = 2.3
    ring: bool = False
    said: Sequence[str] = ()
    opacity: float = 1.0

    def svg(self, place: Place) -> str:
        colours = [self.colour] * len(self.x) if isinstance(self.colour, str) else list(self.colour)
        shade = "" if self.opacity == 1 else f' opacity="{self.opacity:g}"'
        parts = []
        for i, (x, y) in enumerate(zip(self.x, self.y, strict=True)):
            if not (math.isfinite(x) and math.isfinite(y)):
                continue
            paint = f"fill:none;stroke:{colours[i]};stroke-width:1.3" if self.ring else f"fill:{colours[i]}"
            parts.append(
                f'<circle cx="{place.x(float(x)):.1f}" cy="{place.y(float(y)):.1f}" r="{self.radius:g}" '
                f'style="{paint}"{shade}>{_title(self.said[i] if self.said else "")}</circle>'
            )
        return "".join(parts)


@dataclass(frozen=True)
class Steps:
    """The outline of a histogram: heights between edges."""

    edges: Sequence[float] | np.ndarray
    heights: Sequence[float] | np.ndarray
    colour: str = "var(--key-1)"

    def svg(self, place: Place) -> str:
        x = np.repeat(np.asarray(self.edges, float), 2)
        y = np.concatenate([[0.0], np.repeat(np.asarray(self.heights, float), 2), [0.0]])
        return Line(x, y, self.colour, 1.6).svg(place)


@dataclass(frozen=True)
class Rule:
    """A dashed line across the chart at one value, with its name at the end where there is room."""

    at: float
    label: str = ""
    level: bool = False
    colour: str = "var(--muted)"
    inside: bool = False

    def svg(self, place: Place) -> str:
        style = f"stroke:{self.colour};stroke-dasharray:4 3"
        if self.level:
            y = place.y(self.at)
            line = f'<line x1="{place.left}" x2="{place.right}" y1="{y:.1f}" y2="{y:.1f}" style="{style}"/>'
            return line + _text(place.right - 2, y - 4, self.label, "end", self.colour)
        x = place.x(self.at)
        line = f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{place.top}" y2="{place.bottom}" style="{style}"/>'
        half = text_width(self.label) / 2
        if self.inside:
            fits = x + 2 * half + 5 < place.right
            return line + _text(
                x + (5 if fits else -5), place.top + 10, self.label, "start" if fits else "end", self.colour
            )
        middle = min(max(x, place.left + half), place.right - half)
        return line + _text(middle, place.top - 5, self.label, "middle", self.colour)


@dataclass(frozen=True)
class Span:
    """A shaded stretch of the horizontal axis, with its name at the top where there is room."""

    start: float
    end: float
    label: str = ""
    opacity: float = 0.1
    colour: str = "var(--plain)"

    def svg(self, place: Place) -> str:
        left, right = (min(max(place.x(v), place.left), place.right) for v in (self.start, self.end))
        shade = (
            f'<rect x="{left:.1f}" y="{place.top}" width="{max(right - left, 0):.1f}" height="{place.bottom - place.top:.1f}" '
            f'style="fill:{self.colour}" opacity="{self.opacity:g}">{_title(self.label)}</rect>'
        )
        fits = text_width(self.label) < right - left - 4
        return shade + (
            _text((left + right) / 2, place.top - 5, self.label, "middle", "var(--muted)") if fits else ""
        )


def _text(x: float, y: float, text: str, anchor: str, colour: str = "") -> str:
    style = f' style="fill:{colour}"' if colour else ""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{style}>{html.escape(text)}</text>'
        if text
        else ""
    )


@dataclass(frozen=True)
class Labels:
    """Texts at points, moved up (or down) a line where they would stand on each other; anchor as in SVG.

    dx, dy: pixels from the point to the text. plate: a ground of this colour behind each text, for pictures.
    """

    x: Sequence[float]
    y: Sequence[float]
    texts: Sequence[str]
    colour: str | Sequence[str] = "var(--ink)"
    anchor: str = "middle"
    dx: float = 0.0
    dy: float = -4.0
    plate: str = ""

    def svg(self, place: Place) -> str:
        colours = [self.colour] * len(self.x) if isinstance(self.colour, str) else list(self.colour)
        taken: list[tuple[float, float, float]] = []
        parts = []
        for i in sorted(range(len(self.x)), key=lambda i: (self.x[i], self.y[i])):
            width = text_width(self.texts[i])
            x, y = place.x(self.x[i]) + self.dx, place.y(self.y[i]) + self.dy
            start = {"middle": x - width / 2, "start": x, "end": x - width}[self.anchor]
            shift = max(place.left - 40 - start, 0.0) - max(start + width - place.right - 2, 0.0)
            x, start = x + shift, start + shift
            while any(start < b and a < start + width and abs(y - other) < LINE for a, b, other in taken):
                y += -LINE if y - LINE > place.top - 20 else LINE * (2 + len(taken))
            taken.append((start, start + width, y))
            if self.plate:
                parts.append(
                    f'<rect x="{start - 3:.1f}" y="{y - 10:.1f}" width="{width + 6:.1f}" height="14" rx="3" '
                    f'style="fill:{self.plate};opacity:.85"/>'
                )
            parts.append(_text(x, y, self.texts[i], self.anchor, colours[i]))
        return "".join(parts)


@dataclass(frozen=True)
class Heat:
    """A matrix as a picture, row 0 at the top, filling the axes; values from low to high run through the ramp.

    What is not finite is left clear.
    """

    values: np.ndarray
    low: float
    high: float
    ramp: Ramp = "sequential"

    def svg(self, place: Place) -> str:
        from PIL import Image

        pixels = ramp_pixels(self.values, self.low, self.high, self.ramp)
        picture = io.BytesIO()
        Image.fromarray(pixels, "RGBA").save(picture, "PNG", compress_level=6)
        data = base64.b64encode(picture.getvalue()).decode()
        return (
            f'<image x="{place.left}" y="{place.top}" width="{place.right - place.left:.1f}" '
            f'height="{place.bottom - place.top:.1f}" preserveAspectRatio="none" href="data:image/png;base64,{data}"/>'
        )
