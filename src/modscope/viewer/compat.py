"""The names that the original notebook used, on top of `show` and `heatmap`.

`draw_vector` draws the last axis and plays another, `draw_matrix` (also `draw_heatmap`) the last two axes as a picture.
Their axes are residues, so the drawn ones close. `get_points(indices)` gives (places, labels), `get_message(indices)` and
`descriptor(index)` a text, a label map `(index, start, end)` or `(index)` the label of an index.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from modscope.errors import InputError, UnknownName
from modscope.viewer.api import heatmap, show
from modscope.viewer.inputs import lines_of
from modscope.viewer.view import View

__all__ = ["draw_heatmap", "draw_matrix", "draw_vector", "showVector"]

LabelMap = Callable[..., str] | Sequence[str]
_STARTS = {"time": "wave", "wave": "wave", "frequency": "spectrum", "spectrum": "spectrum", "both": "both"}
_HEIGHT = 600


def draw_vector(
    x: object,
    *,
    start_play_axis: int | None = None,
    start_indices: Sequence[int] | None = None,
    full_mode: bool = True,
    get_points: Callable[..., Any] | None = None,
    get_message: Callable[..., str] | None = None,
    descriptor: Callable[..., str] | str | None = None,
    label_maps: Mapping[int | str, LabelMap] | Sequence[LabelMap | None] | None = None,
    axis_names: Sequence[str] | None = None,
    time_in_seconds: float | None = None,
    start_gui_type: str | None = None,
    scale_factor: float | None = None,
    **options: Any,
) -> View:
    """The last axis of an array (or of a list of same-shaped ones) as a wave, another one played.

    `start_indices` belong to the leading axes, in order. `axis_names` name the axes, `label_maps` their indices (by axis or in
    order), `descriptor` is a text or a callable of the indices for the line above, `time_in_seconds` the time of one
    cycle, `start_gui_type` "time", "frequency" or "both", `scale_factor` how many times as high as usual the view is.

    >>> import numpy as np
    >>> draw_vector(np.zeros((2, 3, 5)), start_play_axis=0, start_indices=[1, 2]).state["select"]
    {'axis0': 1, 'axis1': 2, 'axis2': 0}
    """
    dims = _named(x, axis_names, options)
    select = options.pop("select", None) or _selected(dims, start_indices)
    options.setdefault("x", -1)
    options.setdefault("periodic", [dims[-1]])
    if get_points is not None:
        options["markers"] = get_points
    if (text := get_message or descriptor) is not None:
        options["message"] = text
    if label_maps is not None:
        options["labels"] = _labels(x, options, dims, label_maps)
    if time_in_seconds is not None:
        options["seconds_per_cycle"] = time_in_seconds
    if start_gui_type is not None:
        if start_gui_type not in _STARTS:
            raise UnknownName.of("start_gui_type", start_gui_type, _STARTS)
        options["mode"] = _STARTS[start_gui_type]
    if scale_factor is not None:
        options["height"] = _height(scale_factor)
    return show(x, play=options.pop("play", start_play_axis), select=select, controls=full_mode, **options)


def draw_matrix(
    x: object,
    *,
    xmap: LabelMap | None = None,
    ymap: LabelMap | None = None,
    descriptor: Callable[..., str] | str | None = None,
    start_indices: Sequence[int] | None = None,
    full_mode: bool = True,
    axis_names: Sequence[str] | None = None,
    **options: Any,
) -> View:
    """The last two axes of an array as a heat map; `xmap` and `ymap` label their indices.

    `descriptor` is a text or a callable of the index of the first axis, which is the picture's number, as in the original.

    >>> import numpy as np
    >>> view = draw_matrix(np.zeros((4, 3, 5)), ymap=lambda i, start, end: f"row {i}", descriptor=lambda i: f"picture {i}")
    >>> view.state["mode"], view.views[0]["labels"]["axis1"][2]
    ('heatmap', 'row 2')
    """
    dims = _named(x, axis_names, options)
    select = options.pop("select", None) or _selected(dims, start_indices)
    maps = {dim: one for dim, one in zip(dims[-2:], (ymap, xmap), strict=True) if one is not None}
    if maps:
        options["labels"] = _labels(x, options, dims, maps)
    if callable(descriptor):
        first = dims[0]
        options["message"] = _of_first(descriptor, first)
    elif descriptor is not None:
        options["message"] = descriptor
    return heatmap(x, select=select, controls=full_mode, **({"x": -1, "y": -2} | options))


draw_heatmap = draw_matrix


def _of_first(descriptor: Callable[..., str], first: str) -> Callable[[list[int]], str]:
    """The original's callable of one number, as one of all indices."""
    return lambda indices: str(descriptor(indices[0]))


def _height(factor: float) -> int:
    if not 0 < float(factor) <= 10:
        raise InputError(f"scale_factor = {factor!r}: expected a number above 0 and up to 10")
    return round(_HEIGHT * float(factor))


def _named(x: object, names: Sequence[str] | None, options: dict[str, Any]) -> tuple[str, ...]:
    if names is not None:
        options["dims"] = list(names)
    return _dims(x, options)


def _labels(
    x: object,
    options: Mapping[str, Any],
    dims: tuple[str, ...],
    maps: Mapping[Any, LabelMap] | Sequence[LabelMap | None],
) -> dict[str, list[str]]:
    """The label of every index, axis by axis, from callables of (index, start, end) or (index), or lists."""
    sizes = lines_of(x, dims=options.get("dims"), names=options.get("names"))[0].sizes
    by_axis = maps if isinstance(maps, Mapping) else dict(enumerate(maps))
    labels = {}
    for axis, one in by_axis.items():
        if one is None:
            continue
        if axis not in dims and not (isinstance(axis, int) and -len(dims) <= axis < len(dims)):
            raise UnknownName.of("axis in label_maps", str(axis), dims)
        dim = dims[axis] if isinstance(axis, int) else axis
        labels[dim] = [_label(one, i, sizes[dim]) for i in range(sizes[dim])]
    return labels


def _label(one: LabelMap, i: int, size: int) -> str:
    if not callable(one):
        return str(one[i]) if i < len(one) else str(i)
    wants = len(inspect.signature(one).parameters)
    return str(one(i, 0, size - 1) if wants >= 3 else one(i))


def _dims(x: object, options: dict[str, Any]) -> tuple[str, ...]:
    return lines_of(x, dims=options.get("dims"), names=options.get("names"))[0].dims


def _selected(dims: tuple[str, ...], indices: Sequence[int] | None) -> dict[str, int]:
    indices = list(indices or ())
    if len(indices) > len(dims):
        raise InputError(
            f"start_indices has {len(indices)} entries: expected at most {len(dims)}, one an axis"
        )
    return dict(zip(dims, indices, strict=False))


showVector = draw_vector  # noqa: N816 - the original's name
