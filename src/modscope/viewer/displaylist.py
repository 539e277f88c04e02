"""Display lists of the page, set by matplotlib; unless said one unit of a list is one hundredth of an inch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["figure_of"]

UNITS = 100
_ANCHORS = {"start": "left", "middle": "center", "end": "right"}
_BASES = {"top": "top", "middle": "center_baseline", "bottom": "bottom"}


def figure_of(
    lists: Sequence[Mapping[str, Any]],
    places: Sequence[tuple[float, float]],
    size: tuple[float, float],
    *,
    units: float = UNITS,
    font: str = "sans-serif",
) -> Figure:
    """A figure with the display lists at their places, the first corner on top on the left.

    units: how many of the list's are an inch; font: the family of every text that is not a caption's code.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    width, height = size
    figure = Figure(figsize=(width / units, height / units), facecolor=lists[0]["ground"])
    FigureCanvasAgg(figure)
    for made, (x, y) in zip(lists, places, strict=True):
        box = (
            x / width,
            1 - (y + made["height"]) / height,
            made["width"] / width,
            made["height"] / height,
        )
        ax = figure.add_axes(box)
        ax.set(xlim=(0, made["width"]), ylim=(made["height"], 0))
        ax.axis("off")
        _Painter(ax, made["images"], 72 / units, font).paint(made["items"])
    return figure


def _numbers(values: Sequence[float | None]) -> np.ndarray:
    return np.array([np.nan if v is None else v for v in values], dtype=float)


class _Painter:
    """Puts the items of a list on axes, in their order."""

    def __init__(self, ax: Axes, images: Sequence[bytes], point: float, font: str) -> None:
        self.point = point
        self.font = font
        self.ax = ax
        self.images = images
        self.order = 0
        self.clip: Any = None

    def paint(self, items: Sequence[Mapping[str, Any]]) -> None:
        for item in items:
            self.order += 1
            kinds: Mapping[str, Callable[[Mapping[str, Any]], None]] = {
                "line": self._line,
                "segments": self._segments,
                "rect": self._rect,
                "dots": self._dots,
                "area": self._area,
                "text": self._text,
                "image": self._image,
                "clip": self._clip,
            }
            kinds[item["t"]](item)

    def _add(self, artist: Any) -> None:
        artist.set_zorder(self.order)
        if self.clip is not None:
            artist.set_clip_path(self.clip)
        else:
            artist.set_clip_on(False)

    def _stroke(self, item: Mapping[str, Any]) -> dict[str, Any]:
        width = item.get("width", 1) * self.point
        dash = [d * self.point / width for d in item.get("dash") or ()]
        style = (0, dash) if dash else "solid"
        return {"linewidth": width, "linestyle": style, "alpha": item.get("alpha")}

    def _line(self, item: Mapping[str, Any]) -> None:
        (made,) = self.ax.plot(
            _numbers(item["xs"]),
            _numbers(item["ys"]),
            color=item["stroke"],
            solid_joinstyle="round",
            **self._stroke(item),
        )
        self._add(made)

    def _segments(self, item: Mapping[str, Any]) -> None:
        from matplotlib.collections import LineCollection

        points = _numbers(item["points"]).reshape(-1, 2, 2)
        if len(points):
            made = LineCollection(list(points), colors=item["stroke"], **self._stroke(item))
            self._add(self.ax.add_collection(made, autolim=False))

    def _rect(self, item: Mapping[str, Any]) -> None:
        from matplotlib.patches import FancyBboxPatch, Rectangle

        radius = min(item.get("radius") or 0, item["w"] / 2, item["h"] / 2)
        look: Any = {
            "facecolor": item.get("fill") or "none",
            "edgecolor": item.get("stroke") or "none",
            "linewidth": item.get("width", 1) * self.point if item.get("stroke") else 0,
            "alpha": item.get("alpha"),
        }
        corner = (item["x"], item["y"])
        made = (
            FancyBboxPatch(
                corner, item["w"], item["h"], boxstyle=f"round,pad=0,rounding_size={radius}", **look
            )
            if radius > 0.5
            else Rectangle(corner, item["w"], item["h"], **look)
        )
        self._add(self.ax.add_patch(made))

    def _dots(self, item: Mapping[str, Any]) -> None:
        fill = "none" if item["fill"] == "transparent" else item["fill"]
        (made,) = self.ax.plot(
            _numbers(item["xs"]),
            _numbers(item["ys"]),
            "o",
            markersize=2 * item["r"] * self.point,
            markerfacecolor=fill,
            markeredgecolor=item.get("stroke") or "none",
            markeredgewidth=item.get("width", 1) * self.point if item.get("stroke") else 0,
            alpha=item.get("alpha"),
        )
        self._add(made)

    def _area(self, item: Mapping[str, Any]) -> None:
        ys = np.nan_to_num(_numbers(item["ys"]), nan=item["base"])
        made = self.ax.fill_between(
            _numbers(item["xs"]), ys, item["base"], color=item["fill"], alpha=item.get("alpha"), linewidth=0
        )
        self._add(made)

    def _text(self, item: Mapping[str, Any]) -> None:
        from matplotlib.patheffects import withStroke

        made = self.ax.text(
            item["x"],
            item["y"],
            item["text"].replace("$", r"\$"),
            fontsize=item["size"] * self.point,
            color=item["fill"],
            ha=_ANCHORS[item.get("anchor", "start")],
            va=_BASES[item.get("base", "middle")],
            fontweight="bold" if item.get("weight", 400) >= 600 else "normal",
            family="monospace" if item.get("mono") else self.font,
            rotation=-item.get("turn", 0),
            rotation_mode="default" if item.get("turn") else "anchor",
        )
        if item.get("turn"):
            made.set_verticalalignment("center")
        if item.get("halo"):
            made.set_path_effects([withStroke(linewidth=3.5 * self.point, foreground=item["halo"])])
        self._add(made)

    def _image(self, item: Mapping[str, Any]) -> None:
        rgba = np.frombuffer(self.images[item["rgba"]], np.uint8).reshape(item["rows"], item["columns"], 4)
        limits = self.ax.get_xlim(), self.ax.get_ylim()
        box = (item["x"], item["x"] + item["w"], item["y"] + item["h"], item["y"])
        made = self.ax.imshow(rgba, extent=box, interpolation="nearest", aspect="auto")
        self.ax.set(xlim=limits[0], ylim=limits[1])
        self._add(made)

    def _clip(self, item: Mapping[str, Any]) -> None:
        from matplotlib.patches import Rectangle

        outer = self.clip
        self.clip = Rectangle(
            (item["x"], item["y"]), item["w"], item["h"], transform=self.ax.transData, figure=self.ax.figure
        )
        self.paint(item["items"])
        self.clip = outer
