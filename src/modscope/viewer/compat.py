"""The names that the original notebook used, on top of `show` and `heatmap`.

`draw_vector(x, start_play_axis=, start_indices=, full_mode=, get_points=, get_message=)` draws the last axis;
`get_points(indices)` gives (places, labels), `get_message(indices)` a text.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from modscope.errors import InputError
from modscope.viewer.api import heatmap, show
from modscope.viewer.inputs import lines_of
from modscope.viewer.view import View

__all__ = ["draw_heatmap", "draw_vector", "showVector"]


def draw_vector(
    x: object,
    *,
    start_play_axis: int | None = None,
    start_indices: Sequence[int] | None = None,
    full_mode: bool = True,
    get_points: Callable[..., Any] | None = None,
    get_message: Callable[..., str] | None = None,
    **options: Any,
) -> View:
    """The last axis of an array (or of a list of same-shaped ones) as a wave, another one played.

    `start_indices` belong to the leading axes, in order.

    >>> import numpy as np
    >>> draw_vector(np.zeros((2, 3, 5)), start_play_axis=0, start_indices=[1, 2]).state["select"]
    {'axis0': 1, 'axis1': 2, 'axis2': 0}
    """
    dims = _dims(x, options)
    select = options.pop("select", None) or _selected(dims, start_indices)
    play = options.pop("play", start_play_axis)
    options.setdefault("x", -1)
    if get_points is not None:
        options["markers"] = get_points
    if get_message is not None:
        options["message"] = get_message
    return show(x, play=play, select=select, controls=full_mode, **options)


def draw_heatmap(
    x: object, *, start_indices: Sequence[int] | None = None, full_mode: bool = True, **options: Any
) -> View:
    """The last two axes of an array as a heat map."""
    select = options.pop("select", None) or _selected(_dims(x, options), start_indices)
    return heatmap(x, select=select, controls=full_mode, **({"x": -1, "y": -2} | options))


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
