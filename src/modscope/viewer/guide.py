"""What to look at first in a view, as bookmarks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from modscope.viewer.inputs import Tensor

__all__ = ["guided"]

# Names that axes of neurons and of training have.
_NEURONS = ("neuron", "d_mlp")
_TRAINING = ("epoch", "step")


def guided(tensor: Tensor, free: Sequence[str], symmetric: bool) -> dict[str, Mapping[str, Any]]:
    """Bookmarks for an array, as `show` takes them, by what its axes are.

    Rows over c offer their evenness about c/2 and their spectrum, an axis of neurons the strongest one and all
    of them, an axis of training steps the way there. `symmetric`: whether the rows have a mirror line.

    >>> import numpy as np
    >>> list(guided(Tensor(np.zeros((2, 5, 5)), ("epoch", "c", "a")), ["epoch", "c", "a"], True))
    ['even about c/2', 'its spectrum', 'over training']
    """
    found: dict[str, Mapping[str, Any]] = {}
    along = next((dim for dim in reversed(free) if dim in ("a", "b", "token")), None)
    plain = {"mode": "wave", "fold": False}
    # The role of x first: the axis that had it may be the one that is played.
    if along is not None:
        plain = {"x": along, **plain}
        if symmetric and "c" in free:
            found["even about c/2"] = {**plain, "play": "c", "fold": True}
        found["its spectrum"] = {**plain, "mode": "spectrum"}
    for dim in free:
        if along is not None and dim in _NEURONS and tensor.sizes[dim] > 1:
            found["one neuron"] = {**plain, "select": {dim: _strongest(tensor, dim)}}
            found["all neurons"] = {**plain, "mode": "ridge", "rows": dim}
    for dim in free:
        if dim in _TRAINING and tensor.sizes[dim] > 1:
            found["over training"] = {**plain, "play": dim}
    return found


def _strongest(tensor: Tensor, dim: str) -> int:
    """The index along an axis whose values vary most."""
    rows = np.moveaxis(tensor.values, tensor.dims.index(dim), 0).reshape(tensor.sizes[dim], -1)
    rows = np.where(np.isfinite(rows), rows, np.nan).astype(np.float64)
    measured = ~np.isnan(rows).all(axis=1)
    spread = np.full(len(rows), -1.0)
    spread[measured] = np.nanvar(rows[measured], axis=1)
    return int(spread.argmax())
