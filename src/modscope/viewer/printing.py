"""A view as a figure for print: exact size in inches, fonts in points, text that stays text; drawn as the page draws it."""

from __future__ import annotations

import io
from typing import Any

from modscope.errors import InputError, UnknownName
from modscope.viewer.displaylist import figure_of
from modscope.viewer.page import Page
from modscope.viewer.picture import stills

__all__ = ["KINDS", "printed"]

KINDS = ("svg", "pdf", "png")
_TEXT = 12  # size of most texts of a display list, in its units


def printed(
    view: Page, kind: str, *, width: float, height: float | None, size: float, font: str, dpi: int
) -> bytes:
    """The bytes of the first view as it starts, `width` by `height` inches, text of `size` points."""
    import matplotlib as mpl

    if kind not in KINDS:
        raise UnknownName.of("kind of figure", kind, KINDS)
    if len(view.views) != 1:
        raise InputError(f"{len(view.views)} views in one output: expected one, each is a figure of its own")
    for name, value in (("width", width), ("height", height or width), ("size", size), ("dpi", dpi)):
        if not 0 < value < 1e4:
            raise InputError(f"{name} = {value!r}: expected a number above 0")
    units = 72 * _TEXT / size
    title = str(view.views[0]["title"])
    top = 1.8 * _TEXT if title else 0.0
    with stills(view) as made:
        drawn = made.bare(width * units, None if height is None else height * units - top)
    whole = (width * units, drawn["height"] + top)
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "modscope", "pdf.fonttype": 42}):
        figure = figure_of([drawn], [(0.0, top)], whole, units=units, font=font)
        if title:
            figure.text(
                0.5, 1 - top / 2 / whole[1], title, ha="center", va="center", fontsize=size, family=font
            )
        out = io.BytesIO()
        date: dict[str, Any] = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}.get(kind, {})
        figure.savefig(out, format=kind, dpi=dpi, metadata=date or None)
    return out.getvalue()
