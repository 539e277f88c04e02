"""Still pictures and tables of a view: the page's own code draws them, in an engine without a browser.

`modscope/viewer/static/still.js` is the part of the page between state and display list. It gives an SVG, the numbers
as CSV, or the list itself, which matplotlib sets as PNG or PDF.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np

from modscope.errors import InputError
from modscope.viewer.displaylist import figure_of
from modscope.viewer.page import Page

__all__ = ["Stills", "in_few_colours", "stills"]

WIDTH = 900
_GAP = 12


@cache
def _code() -> str:
    return files("modscope.viewer").joinpath("static/still.js").read_text("utf-8")


class Stills:
    """The pictures of a view, as long as the engine is open."""

    def __init__(self, view: Page, engine: Any) -> None:
        self._view = view
        self._engine = engine
        engine.eval(_code())
        spec = view.page_spec(whole=True)
        for values in view.whole_values():
            data = np.ascontiguousarray(values, dtype="<f4").tobytes()
            room = engine.eval(f"still.room({len(data)})")
            room[:] = data
            del room
        engine.eval(f"still.open({json.dumps(json.dumps(spec))})")

    @property
    def _places(self) -> tuple[int, int]:
        """Pictures beside each other, and the width of one."""
        across = min(self._view.across, len(self._view.views))
        return across, WIDTH if across == 1 else 620

    def move(self, index: Mapping[str, int]) -> None:
        """Goes to other indices."""
        self._engine.eval(f"still.move({json.dumps(dict(index))})")

    def csv(self, n: int = 0) -> str:
        """The numbers that a view shows."""
        return str(self._engine.eval(f"still.csv({n})"))

    def _lists(self) -> list[dict[str, Any]]:
        _, width = self._places
        return [self._read(f"still.list({n}, {width})") for n in range(len(self._view.views))]

    def bare(self, width: float, height: float | None) -> dict[str, Any]:
        """The display list of the first view without its title and notes, in units of the list."""
        return self._read(f"still.bare(0, {width}, {height or 0})")

    def _read(self, call: str) -> dict[str, Any]:
        made: dict[str, Any] = json.loads(self._engine.eval(call))
        count = int(self._engine.eval("still.images.length"))
        return made | {"images": [bytes(self._engine.eval(f"still.images[{i}]")) for i in range(count)]}

    def picture(self, *, dpi: int, kind: str) -> bytes:
        """PNG or PDF of all views."""
        across, width = self._places
        lists = self._lists()
        return _set(lists, _positions([one["height"] for one in lists], across, width), dpi=dpi, kind=kind)

    def svg(self) -> str:
        """All views as one SVG."""
        across, width = self._places
        parts = [self._engine.eval(f'still.svg({n}, {width}, "v{n}-")') for n in range(len(self._view.views))]
        if len(parts) == 1:
            return str(parts[0])
        heights = [float(part.split('height="', 1)[1].split('"', 1)[0]) for part in parts]
        places, whole = _positions(heights, across, width)
        placed = [
            part.replace("<svg ", f'<svg x="{x:g}" y="{y:g}" ', 1)
            for part, (x, y) in zip(parts, places, strict=True)
        ]
        head = parts[0].split(" viewBox", 1)[0]
        return (
            f'{head} viewBox="0 0 {whole[0]:g} {whole[1]:g}" width="{whole[0]:g}" height="{whole[1]:g}">\n'
            + "".join(placed)
            + "</svg>\n"
        )


@contextmanager
def stills(view: Page) -> Iterator[Stills]:
    """An engine that draws a view; it is shut down at the end.

    Raises InputError where there is no engine for this machine.
    """
    try:
        from py_mini_racer import MiniRacer
    except ImportError as error:
        raise InputError(
            f"pictures from Python need mini-racer ({error}): pip install mini-racer, or save them in the page"
        ) from None
    engine = MiniRacer()
    try:
        yield Stills(view, engine)
    finally:
        # Left open, its threads would keep Python from ending.
        engine.close()


def _positions(
    heights: list[float], across: int, width: float
) -> tuple[list[tuple[float, float]], tuple[float, float]]:
    """The place of each picture in rows, and the size of the whole."""
    places: list[tuple[float, float]] = []
    y = 0.0
    for start in range(0, len(heights), across):
        row = heights[start : start + across]
        places += [(i * (width + _GAP), y) for i in range(len(row))]
        y += max(row) + _GAP
    return places, (across * (width + _GAP) - _GAP, y - _GAP)


def _set(
    lists: list[dict[str, Any]],
    places: tuple[list[tuple[float, float]], tuple[float, float]],
    *,
    dpi: int,
    kind: str,
) -> bytes:
    figure = figure_of(lists, *places)
    out = io.BytesIO()
    figure.savefig(out, format=kind, dpi=dpi, metadata={"CreationDate": None} if kind == "pdf" else None)
    return out.getvalue()


def in_few_colours(png: bytes) -> bytes:
    """The PNG with a palette of 64 colours: a third of the bytes, for a line drawing the same picture."""
    from PIL import Image  # matplotlib writes its own PNG with it

    out = io.BytesIO()
    Image.open(io.BytesIO(png)).convert("RGB").quantize(64).save(out, "PNG", optimize=True)
    return out.getvalue()
