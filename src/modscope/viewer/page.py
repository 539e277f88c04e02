"""What a page holds: tensors, views of them, and how both are written for the page's script."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from modscope.viewer.inputs import Tensor
from modscope.viewer.pack import Block, meta_of, with_mask
from modscope.viewer.parcels import Parcels

__all__ = ["Page", "say_if_large"]

# Text of a page beyond which a warning says how large it is.
LARGE = 8_000_000
# Heights of the parts of a card in the page, in pixels.
_CARD, _AXIS, _BARS, _BASE_PLOT, _TALL_PLOT = 160, 32, 34, 330, 560
_TALL_MODES = {"both", "heatmap", "spectrum2d", "multiples", "ridge"}
# A tensor as the page carries it, its block, and the index (of how many) of each axis that was cut.
Packed = tuple[Tensor, Block, dict[str, list[int]]]


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

    def blocks(self, *, precision: str | None = None, parcels: Parcels | None = None) -> list[Block]:
        """The packed tensors, each once; where `parcels` already has an array, in that form."""
        packs = self._packed(precision or self.precision, parcels)
        return list({block.id: block for _, block, _ in packs}.values())

    def page_spec(
        self, *, precision: str | None = None, whole: bool = False, parcels: Parcels | None = None
    ) -> dict[str, Any]:
        """The description that the page reads: version, tensors (without their numbers), views.

        With `whole` it is that of the float32 values as they are, in the order of `whole_values`.
        """
        if whole:
            metas = [meta_of(tensor) for tensor in self.tensors]
            views = [dict(view) for view in self.views]
        else:
            parts = self._packed(precision or self.precision, parcels)
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
    def _packs(self) -> dict[tuple[str, int], tuple[Parcels, list[Packed]]]:
        return {}

    def _packed(self, precision: str, parcels: Parcels | None) -> list[Packed]:
        key = (precision, id(parcels))
        if key not in self._packs:
            store = Parcels() if parcels is None else parcels
            # The budget is the page's: each tensor has the share that it is of all numbers.
            every = store.numbers or sum(tensor.values.size for tensor in self.tensors)
            made = [
                store.parcel(
                    tensor, self._axes_of(t), precision=precision, share=min(1.0, tensor.values.size / every)
                )
                for t, tensor in enumerate(self.tensors)
            ]
            self._packs[key] = store, [(small, parcel.block, parcel.kept) for small, parcel in made]
            if parcels is None:
                say_if_large(
                    sum(len(parcel.block.data) for _, parcel in made) * 5 / 4, "the page of this view"
                )
        return self._packs[key][1]

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


def say_if_large(text: float, what: str, limit: float = LARGE) -> None:
    """Warns where what is written takes more than a page should."""
    if text > limit:
        warnings.warn(
            f"{what} takes {text / 1e6:.1f} MB: select or narrow an axis, or save it with folder=True",
            stacklevel=8,
        )


def _narrowed_view(view: Mapping[str, Any], parts: Sequence[Packed]) -> dict:
    gone = {dim for line in view["lines"] for dim in parts[line["t"]][2]}
    if not gone:
        return dict(view)
    dims = [dim for dim in view["dims"] if dim not in gone]
    state = dict(view["state"])
    if state.get("play") in gone:
        state["play"] = next((dim for dim in reversed(dims) if dim != state["x"]), None)
    for role in ("y", "grid", "with"):
        if state.get(role) in gone:
            state[role] = state["play"] if role == "y" else None
    state["index"] = {dim: at for dim, at in state["index"].items() if dim not in gone}
    shape = [size for dim, size in zip(view["dims"], view["shape"], strict=True) if dim not in gone]
    return dict(view) | {"dims": dims, "shape": shape, "state": state}
