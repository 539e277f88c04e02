"""Arrays as one page carries them: an array that several of its views show is packed once."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from modscope.viewer.inputs import Tensor
from modscope.viewer.pack import LOSSLESS_LIMIT, WHOLE_LIMIT, Block, packed
from modscope.viewer.sums_of_waves import over_pairs

__all__ = ["Parcel", "Parcels", "digest", "distinct_numbers"]


_WAVES_TAKE = 0.5  # bytes a number, of activations


@dataclass(frozen=True)
class Parcel:
    """A block, the order of the axes in it, and the index (of how many) of each axis that was cut."""

    block: Block
    dims: tuple[str, ...]
    kept: dict[str, list[int]]


def digest(tensor: Tensor) -> str:
    """A hash of the values, their mask, their shape and the names of their axes."""
    told = hashlib.sha1(repr((tensor.dims, tensor.values.shape)).encode(), usedforsecurity=False)
    told.update(np.ascontiguousarray(tensor.values).data)
    if tensor.mask is not None:
        told.update(np.ascontiguousarray(tensor.mask).data)
    return told.hexdigest()


@dataclass
class Parcels:
    """The parcels of a page by the digest of their array.

    `numbers` is how many numbers the page holds in all, where that is known: what a tensor may take is its share
    of the page's budget.
    """

    numbers: int = 0
    made: dict[str, list[Parcel]] = field(default_factory=dict)

    def parcel(
        self, tensor: Tensor, axes: Mapping[str, Any], *, precision: str, share: float
    ) -> tuple[Tensor, Parcel]:
        """What a page carries of a tensor that is drawn over `axes`, with the tensor cut and turned to it."""
        small, kept = _narrowed(tensor, axes, precision, share * WHOLE_LIMIT)
        # The wave last: 16 bits have a scale for each row of the last axis.
        turned = small.transposed(sorted(small.dims, key=axes["x"].__eq__))
        if precision == "waves" and _is_over_c(turned):
            return turned, self._sheared(turned, kept, share)
        known = self.made.setdefault(digest(small), [])
        for parcel in known:
            if precision in ("auto", {"f32": "float32", "i16": "int16", "waves": "waves"}[parcel.block.enc]):
                return small.transposed(parcel.dims), replace(parcel, kept=kept)
        limit = max(1, round(share * LOSSLESS_LIMIT))
        known.append(Parcel(packed(turned, precision=precision, limit=limit), turned.dims, kept))
        return turned, known[-1]

    def _sheared(self, tensor: Tensor, kept: dict[str, list[int]], share: float) -> Parcel:
        """Rows of c as the pictures over (a, b) that they are, which other views show."""
        pairs = replace(tensor, values=over_pairs(tensor.values), dims=(*tensor.dims[:-2], "a", "b"))
        known = self.made.setdefault(digest(pairs), [])
        for parcel in known:
            if parcel.block.enc == "waves" and parcel.dims == pairs.dims:
                return Parcel(replace(parcel.block, enc="sheared"), tensor.dims, kept)
        limit = max(1, round(share * LOSSLESS_LIMIT))
        block = packed(pairs, precision="waves", limit=limit)
        if block.enc != "waves":
            return Parcel(packed(tensor, precision="waves", limit=limit), tensor.dims, kept)
        known.append(Parcel(block, pairs.dims, {}))
        return Parcel(replace(block, enc="sheared"), tensor.dims, kept)


def _is_over_c(tensor: Tensor) -> bool:
    """Whether the last two axes are c and a, of one size, with a value for every pair."""
    square = tensor.dims[-2:] == ("c", "a") and len(set(tensor.values.shape[-2:])) == 1
    return square and tensor.mask is None


def distinct_numbers(pages: Sequence[Sequence[Tensor]]) -> int:
    """How many numbers several views hold, an array that several of them show counted once."""
    return sum({digest(tensor): tensor.values.size for page in pages for tensor in page}.values())


def _narrowed(
    tensor: Tensor, axes: Mapping[str, Any], precision: str, limit: float
) -> tuple[Tensor, dict[str, list[int]]]:
    """The part of a tensor that a page can carry: axes that are not drawn are cut to their index."""
    kept: dict[str, list[int]] = {}
    if precision == "float32":
        return tensor, kept
    roles = ("x", "y", "play") if axes["mode"] in ("heatmap", "spectrum2d") else ("x", "play", "y")
    drawn = [axes.get(role) for role in (*roles, "grid")]
    spare = sorted(
        (dim for dim in tensor.dims if dim not in drawn[:2]), key=lambda d: (d in drawn, -tensor.sizes[d])
    )
    values, mask, dims = tensor.values, tensor.mask, list(tensor.dims)
    bytes_each = _WAVES_TAKE if precision == "waves" else 2
    while bytes_each * values.size * 5 / 4 > limit and spare:
        dim = spare.pop(0)
        at = int(axes["index"].get(dim, 0))
        kept[dim] = [at, tensor.sizes[dim]]
        axis = dims.index(dim)
        values = values.take(at, axis=axis)
        mask = None if mask is None else mask.take(at, axis=axis)
        dims.remove(dim)
    if not kept:
        return tensor, kept
    what = ", ".join(f"{dim}={at} of {size}" for dim, (at, size) in kept.items())
    warnings.warn(
        f"{tensor.name} {tensor.values.shape} is too large for a page: only {what} is in it; narrow it first, "
        'save with folder=True or ask for precision="float32"',
        stacklevel=7,
    )
    return replace(tensor, values=values, mask=mask, dims=tuple(dims)), kept
