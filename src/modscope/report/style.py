"""Colours of the report, and pictures that follow the reader's light or dark theme."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = [
    "GRID",
    "INK",
    "MUTED",
    "PLAIN",
    "TERM_COLOURS",
    "WIDTH",
    "colour_of",
    "css_class",
    "key_colours",
    "percent_tick",
    "svg",
]

# Placeholders that matplotlib writes into the SVG; `svg` turns each into a variable of the page's stylesheet.
INK, MUTED, GRID, PAPER, PLAIN = "#0a0b01", "#0a0b02", "#0a0b03", "#0a0b04", "#0a0b05"

WIDTH = 9.6  # inches, of every picture

_KEYS = tuple(f"#0a0c{i:02x}" for i in range(1, 9))
TERM_COLOURS = {"linear": "#0a0d01", "sum": "#0a0d02", "difference": "#0a0d03", "cross": "#0a0d04"}

_VARIABLES = {
    INK: "ink",
    MUTED: "muted",
    GRID: "grid",
    PAPER: "card",
    PLAIN: "plain",
    **{placeholder: f"key-{i}" for i, placeholder in enumerate(_KEYS, start=1)},
    **{placeholder: f"term-{name}" for name, placeholder in TERM_COLOURS.items()},
}

_RC: dict[str, Any] = {
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 10.0,
    "text.color": INK,
    "axes.labelcolor": MUTED,
    "axes.edgecolor": GRID,
    "axes.facecolor": "none",
    "axes.titlesize": 10.0,
    "axes.titlecolor": INK,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.8,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "xtick.color": GRID,
    "ytick.color": GRID,
    "xtick.labelcolor": MUTED,
    "ytick.labelcolor": MUTED,
    "figure.facecolor": "none",
    "savefig.facecolor": "none",
    "legend.frameon": False,
    "figure.constrained_layout.use": True,
}


def key_colours(frequencies: Iterable[int]) -> dict[int, str]:
    """A colour for each key frequency, the same in every picture; after eight they come round again."""
    return {k: _KEYS[i % len(_KEYS)] for i, k in enumerate(frequencies)}


def colour_of(k: int, keys: dict[int, str]) -> str:
    """The colour of a frequency: its own if it is a key frequency, else the plain one."""
    return keys.get(k, PLAIN)


def css_class(k: int, keys: dict[int, str]) -> str:
    """The stylesheet's class with the colour of a key frequency."""
    return _VARIABLES[colour_of(k, keys)]


def percent_tick(value: float, _position: object = None) -> str:
    """The label of a tick on an axis of shares."""
    return f"{100 * value:.0f} %"


def svg(draw: Callable[[Figure], None], *, size: tuple[float, float], name: str) -> str:
    """What `draw` puts on a figure of so many inches, as inline SVG whose colours follow the page's theme.

    name: makes the ids inside the picture different from those of the page's other pictures.
    """
    import matplotlib
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    settings: Any = {**_RC, "svg.hashsalt": name}
    with matplotlib.rc_context(settings):
        figure = Figure(figsize=size)
        FigureCanvasSVG(figure)
        draw(figure)
        text = io.StringIO()
        figure.savefig(text, format="svg", dpi=150, metadata={"Date": None, "Creator": None})
    return _themed(text.getvalue())


def _themed(text: str) -> str:
    text = text[text.index("<svg") :]
    for placeholder, variable in _VARIABLES.items():
        text = text.replace(placeholder, f"var(--{variable})")
    text = re.sub(r"<(metadata|style)\b.*?</\1>", "", text, flags=re.DOTALL)
    text = re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL)
    text = re.sub(r"font: ([0-9.]+px)[^;\"]*", r"font-size: \1; font-family: inherit", text)
    text = re.sub(r'<g id="[^"]*"', "<g", text)
    text = re.sub(r' id="image[^"]*"', "", text)  # the same picture twice would be the same id twice
    return re.sub(r"<svg [^>]*?viewBox", '<svg aria-hidden="true" viewBox', text, count=1)
