"""What `show` gives back: one or several views of some tensors, to look at, to save, to put side by side."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from modscope.boundary import public
from modscope.errors import InputError, UnknownName, shown
from modscope.viewer import html, picture
from modscope.viewer.inputs import Tensor
from modscope.viewer.outputs import outputs_here
from modscope.viewer.page import Page

if TYPE_CHECKING:
    from modscope.viewer.widget import ViewWidget
from modscope.writing import write_whole

__all__ = ["View"]


@dataclass(frozen=True, eq=False, repr=False)
class View(Page):
    """One or several pictures that move, with their numbers: displays itself in a notebook.

    `a | b` puts views side by side in one output, with linked indices and cursors.
    """

    def __or__(self, other: View) -> View:
        if not isinstance(other, View):
            raise InputError(f"a view | {shown(other)}: a {type(other).__name__}; expected another view")
        return joined([self, other], across=self.across + other.across)

    def widget(self) -> ViewWidget:
        """The live form: an anywidget whose index, mode, x, hover and state Python sees.

        Needs a kernel and a front end with widgets; raises InputError where anywidget is not installed.
        """
        try:
            from modscope.viewer.widget import ViewWidget
        except ImportError as error:
            raise InputError(f"a live view needs anywidget ({error}): pip install 'modscope[live]'") from None
        return ViewWidget(self)

    def __repr__(self) -> str:
        return f"View({self.describe()!r})"

    def _repr_html_(self) -> str:
        return html.frame(self)

    def _mime_(self) -> tuple[str, str]:
        # marimo puts what has a script into a frame of a fixed height, which would cut the view.
        return "text/html", html.frame(self, broker=False)

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        # In the outputs of a notebook an array that several of them show is stored once; the HTML alone is always whole.
        return {"text/html": html.frame(self, outputs_here()), "text/plain": repr(self)}

    # What is in it

    @property
    def state(self) -> dict[str, Any]:
        """The state of the first view: `show(x, **state)` makes it again (`states` has those of all)."""
        return self.states[0]

    @property
    def states(self) -> list[dict[str, Any]]:
        """The state of every view, as keyword arguments of `show`."""
        return [_keywords(view["state"]) for view in self.views]

    # Out of it

    @public
    def save(self, path: str | os.PathLike[str], *, folder: bool = False) -> Path:
        """Writes a page that opens from disk without a network; with folder=True the numbers lie beside it.

        A folder page holds every number as float32 in `NAME_data/*.bin` and must be served (for example
        by `python -m http.server`), since browsers do not let a page read files beside it. Suffixes .png, .pdf, .svg
        and .csv write those instead. Returns the path.
        """
        target = Path(path)
        if target.suffix in (".png", ".pdf"):
            return _written(target, self.png() if target.suffix == ".png" else self.pdf())
        if target.suffix in (".svg", ".csv"):
            return _written(target, (self.svg() if target.suffix == ".svg" else self.csv()).encode())
        if target.suffix not in (".html", ".htm"):
            raise InputError(
                f"cannot save as {target.name!r}: expected a name that ends in .html, .png, .pdf, .svg or .csv"
            )
        if not folder:
            return _written(target, html.page(self).encode())
        beside = target.parent / f"{target.stem}_data"
        text, numbers = html.folder_page(self, beside.name)
        beside.mkdir(parents=True, exist_ok=True)
        for name, data in numbers.items():
            _written(beside / name, data)
        return _written(target, text.encode())

    @public
    def still(self, *, dpi: int = 110, kind: str = "png") -> bytes:
        """A picture (png, pdf or svg) of all views as they start: the one that the page draws."""
        with picture.stills(self) as made:
            return made.svg().encode() if kind == "svg" else made.picture(dpi=dpi, kind=kind)

    @public
    def figure(
        self,
        path: str | os.PathLike[str],
        *,
        width: float = 6.5,
        height: float | None = None,
        size: float = 9.0,
        font: str = "sans-serif",
        dpi: int = 300,
    ) -> Path:
        """Writes the view as it starts as a figure for print: .svg, .pdf or .png, by the suffix. Returns the path.

        width and height in inches, size of the text in points; font: a family that matplotlib finds, or serif,
        sans-serif, monospace. Text stays text in the SVG, and the PDF embeds TrueType. The title is left out where it is empty.
        Raises InputError for another suffix, or where the view is one of several in an output.
        """
        from modscope.viewer.printing import KINDS, printed

        target = Path(path)
        kind = target.suffix.lstrip(".").lower()
        if kind not in KINDS:
            raise InputError(
                f"cannot print as {target.name!r}: expected a name that ends in .svg, .pdf or .png"
            )
        return _written(
            target, printed(self, kind, width=width, height=height, size=size, font=font, dpi=dpi)
        )

    @public
    def frames(self, folder: str | os.PathLike[str], *, every: int = 1, dpi: int = 110) -> list[Path]:
        """Writes one PNG for each index of the play axis (of the first view), numbered from 0; returns the paths."""
        target = Path(folder)
        axis = self.views[0]["state"]["play"]
        if axis is None:
            raise InputError(
                "a view of one axis has no axis to play: expected an array with at least two axes"
            )
        target.mkdir(parents=True, exist_ok=True)
        size = dict(zip(self.views[0]["dims"], self.views[0]["shape"], strict=True))[axis]
        paths = []
        with picture.stills(self) as made:
            for n, i in enumerate(range(0, size, every)):
                made.move({axis: i})
                paths.append(_written(target / f"{n:04d}.png", made.picture(dpi=dpi, kind="png")))
        return paths

    @public
    def at(self, **index: int) -> View:
        """The same views at other indices, by axis name; views without that axis stay as they are."""
        known = {dim for view in self.views for dim in view["dims"]}
        for dim in index:
            if dim not in known:
                raise UnknownName.of("axis", dim, sorted(known))
        moved = []
        for view in self.views:
            own = {dim: at for dim, at in index.items() if dim in view["dims"]}
            for dim, at in own.items():
                size = view["shape"][view["dims"].index(dim)]
                if not 0 <= at < size:
                    raise InputError(f"index {at} of axis {dim}: expected an integer from 0 to {size - 1}")
            state = view["state"]
            moved.append({**view, "state": {**state, "index": {**state["index"], **own}}})
        return replace(self, views=tuple(moved))

    @public
    def png(self, *, dpi: int = 150) -> bytes:
        """The bytes of a PNG of all views as they start."""
        return self.still(dpi=dpi)

    def svg(self) -> str:
        """The text of an SVG of all views as they start."""
        return self.still(kind="svg").decode()

    def pdf(self) -> bytes:
        """The bytes of a PDF of all views as they start."""
        return self.still(kind="pdf")

    def csv(self) -> str:
        """The numbers that the first view shows as it starts, as CSV with a head line."""
        with picture.stills(self) as made:
            return made.csv().replace("\r\n", "\n")


def _written(target: Path, data: bytes) -> Path:
    if not target.parent.is_dir():
        raise InputError(f"cannot write {target}: there is no folder {target.parent}")
    return write_whole(target, data)


_KEYWORDS = {
    "seconds": "seconds_per_cycle",
    "scope": "scale",
    "centre": "recentre",
    "grid": "rows",
    "with": "play_with",
    "symmetry": "symmetry_axes",
    "index": "select",
}


def _keywords(state: Mapping[str, Any]) -> dict[str, Any]:
    return {_KEYWORDS.get(key, key): value for key, value in state.items()}


def joined(views: Sequence[View], *, across: int, link: bool = True) -> View:
    """Views in one output; tensors that several of them show are carried once."""
    tensors: list[Tensor] = []
    specs: list[Mapping[str, Any]] = []
    for view in views:
        where = []
        for tensor in view.tensors:
            same = [i for i, t in enumerate(tensors) if _same(t, tensor)]
            where.append(same[0] if same else len(tensors))
            if not same:
                tensors.append(tensor)
        for spec in view.views:
            specs.append({**spec, "lines": [{**line, "t": where[line["t"]]} for line in spec["lines"]]})
    if link:
        specs = _agreeing(specs)
    precision = "float32" if any(view.precision == "float32" for view in views) else views[0].precision
    return View(tuple(tensors), tuple(specs), across, link, views[0].theme, precision)


def _agreeing(specs: list[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Linked views start at one index of each axis: the first that somebody chose."""
    chosen: dict[tuple[str, int], int] = {}
    for spec in specs:
        for dim, size in zip(spec["dims"], spec["shape"], strict=True):
            if dim in spec["chosen"]:
                chosen.setdefault((dim, size), spec["state"]["index"][dim])
    out: list[Mapping[str, Any]] = []
    for spec in specs:
        sizes = zip(spec["dims"], spec["shape"], strict=True)
        index = {dim: chosen.get((dim, size), spec["state"]["index"][dim]) for dim, size in sizes}
        out.append({**spec, "state": {**spec["state"], "index": index}})
    return out


def _same(one: Tensor, other: Tensor) -> bool:
    if one.dims != other.dims or one.values.shape != other.values.shape or one.name != other.name:
        return False
    here, there = one.values.__array_interface__, other.values.__array_interface__
    return (here["data"] == there["data"] and here["strides"] == there["strides"]) or np.array_equal(
        one.values, other.values, equal_nan=True
    )
