"""What a page holds: tensors, views of them, and how both are written for the page's script."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from modscope.viewer.inputs import Tensor
from modscope.viewer.pack import LOSSLESS_LIMIT, WHOLE_LIMIT, Block, meta_of, packed, with_mask

__all__ = ["Page"]

# Text of a page beyond which a warning says how large it is.
LARGE = 8_000_000
# Heights of the parts of a card in the page, in pixels.
_CARD, _AXIS, _BARS, _BASE_PLOT, _TALL_PLOT = 160, 32, 34, 330, 560
_TALL_MODES = {"both", "heatmap", "spectrum2d", "multiples", "ridge"}


@dataclass(frozen=True, eq=False, repr=False)
class Page:
    """One or several views of some tensors, as data."""

    tensors: tuple[Tensor, ...]
    views: tuple[Mapping[str, Any], ...]
    across: int = 1
    link: bool = True
    theme: str = "auto"
    precision: str = "auto"

    def describe(self) -> str:
        """One sentence on what is shown, for those who see a still or hear the page."""
        texts = []
        for view in self.views:
            state = view["state"]
            along = f", moving along {state['play']}" if state.get("play") else ""
            texts.append(f"{view['title'] or view['name']}: {state['mode']} over {state['x']}{along}")
        return "; ".join(texts) + "."

    @property
    def height(self) -> int:
        """Pixels that the output needs; the picture takes what the controls leave."""
        rows = [self.views[i : i + self.across] for i in range(0, len(self.views), self.across)]
        return sum(max(_height(view, len(row)) for view in row) + 12 for row in rows)

    def blocks(self, *, precision: str | None = None) -> list[Block]:
        """The packed tensors, each once."""
        return [block for _, block, _ in self._packed(precision or self.precision)]

    def page_spec(self, *, precision: str | None = None, whole: bool = False) -> dict[str, Any]:
        """The description that the page reads: version, tensors (without their numbers), views.

        With `whole` it is that of the float32 values as they are, in the order of `whole_values`.
        """
        if whole:
            metas = [meta_of(tensor) for tensor in self.tensors]
            views = [dict(view) for view in self.views]
        else:
            parts = self._packed(precision or self.precision)
            metas = [
                meta_of(tensor, enc=block.enc, error=block.error, src=block.id)
                | ({"kept": kept} if kept else {})
                for tensor, block, kept in parts
            ]
            views = [_narrowed_view(view, parts) for view in self.views]
        return {
            "v": 1,
            "tensors": metas,
            "views": views,
            "link": self.link,
            "across": self.across,
            "theme": self.theme,
            "source": "inline",
        }

    @cached_property
    def _packs(self) -> dict[str, list[tuple[Tensor, Block, dict[str, list[int]]]]]:
        return {}

    def _packed(self, precision: str) -> list[tuple[Tensor, Block, dict[str, list[int]]]]:
        if precision not in self._packs:
            parts = []
            every = sum(tensor.values.size for tensor in self.tensors)
            for t, tensor in enumerate(self.tensors):
                axes = self._axes_of(t)
                # The budget is the page's: each tensor has the share that it is of all numbers.
                share = tensor.values.size / every
                small, kept = _narrowed(tensor, axes, precision, share * WHOLE_LIMIT)
                # The wave last: 16 bits have a scale for each row of the last axis.
                small = small.transposed(sorted(small.dims, key=axes["x"].__eq__))
                limit = max(1, round(share * LOSSLESS_LIMIT))
                parts.append((small, packed(small, precision=precision, limit=limit), kept))
            self._packs[precision] = parts
            _say_if_large(sum(len(block.data) for _, block, _ in parts) * 5 / 4)
        return self._packs[precision]

    def whole_values(self) -> Iterator[np.ndarray]:
        """The float32 values of each tensor as they are, masked ones with the bits that say so."""
        return (with_mask(tensor) for tensor in self.tensors)

    def _axes_of(self, t: int) -> Mapping[str, Any]:
        view = next(view for view in self.views if any(line["t"] == t for line in view["lines"]))
        return view["state"]


def _height(view: Mapping[str, Any], beside: int) -> int:
    if view["height"]:
        return int(view["height"])
    plot = _TALL_PLOT if view["state"]["mode"] in _TALL_MODES else _BASE_PLOT
    # Side by side the bars of controls wrap.
    bars = _BARS * (bool(view["bookmarks"]) + (len(view["lines"]) > 1) + 2 * (beside > 1))
    return _CARD + plot + bars + (_AXIS * len(view["dims"]) if view["full"] else 0)


def _say_if_large(text: float) -> None:
    if text > LARGE:
        warnings.warn(
            f"the page of this view takes {text / 1e6:.1f} MB: select or narrow an axis, or save it with folder=True",
            stacklevel=8,
        )


def _narrowed(
    tensor: Tensor, axes: Mapping[str, Any], precision: str, limit: float
) -> tuple[Tensor, dict[str, list[int]]]:
    """The part of a tensor that a page can carry: axes that are not drawn are cut to their index."""
    kept: dict[str, list[int]] = {}
    if precision == "float32":
        return tensor, kept
    drawn = [axes.get(role) for role in ("x", "play", "y", "grid")]
    spare = sorted(
        (dim for dim in tensor.dims if dim not in drawn[:2]), key=lambda d: (d in drawn, -tensor.sizes[d])
    )
    values, dims = tensor.values, list(tensor.dims)
    while 2 * values.size * 4 / 3 > limit and spare:
        dim = spare.pop(0)
        at = int(axes["index"].get(dim, 0))
        kept[dim] = [at, tensor.sizes[dim]]
        values = values.take(at, axis=dims.index(dim))
        dims.remove(dim)
    if not kept:
        return tensor, kept
    what = ", ".join(f"{dim}={at} of {size}" for dim, (at, size) in kept.items())
    warnings.warn(
        f"{tensor.name} {tensor.values.shape} is too large for a page: only {what} is in it; narrow it first, "
        'save with folder=True or ask for precision="float32"',
        stacklevel=6,
    )
    small = replace(tensor, values=values, dims=tuple(dims))
    return small, kept


def _narrowed_view(
    view: Mapping[str, Any], parts: Sequence[tuple[Tensor, Block, dict[str, list[int]]]]
) -> dict:
    gone = {dim for line in view["lines"] for dim in parts[line["t"]][2]}
    if not gone:
        return dict(view)
    dims = [dim for dim in view["dims"] if dim not in gone]
    state = dict(view["state"])
    for role in ("y", "grid", "with"):
        if state.get(role) in gone:
            state[role] = state["play"] if role == "y" else None
    state["index"] = {dim: at for dim, at in state["index"].items() if dim not in gone}
    shape = [size for dim, size in zip(view["dims"], view["shape"], strict=True) if dim not in gone]
    return dict(view) | {"dims": dims, "shape": shape, "state": state}
