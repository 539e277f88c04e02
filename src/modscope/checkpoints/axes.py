"""Named axes of foreign tensors: split, sliced and put into the order that modscope uses.

Axes are written as in einops: "d_model (head d_head)" is a matrix whose columns run over the heads and,
within each, over d_head. One name has one size in all tensors of a network, so a tensor that was stored the
other way round is found out wherever the sizes differ.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from modscope.errors import CheckpointError, InputError

__all__ = ["Source", "arranged", "axis_sizes", "check_numbers", "parsed_axes"]

Groups = tuple[tuple[str, ...], ...]
Take = int | tuple[int | None, int | None]


def parsed_axes(axes: str) -> Groups:
    """The axes of a pattern, each as the names that are merged in it.

    >>> parsed_axes("d_model (head d_head)")
    (('d_model',), ('head', 'd_head'))
    """
    if not re.fullmatch(r"\s*((\w+|\(\s*\w+(\s+\w+)*\s*\))(\s+|$|(?=\()))*", axes):
        raise InputError(f"axes {axes!r}: expected names as in 'd_model (head d_head)'")
    groups = tuple(tuple(re.findall(r"\w+", part)) for part in re.findall(r"\([^)]*\)|\w+", axes))
    names = [name for group in groups for name in group]
    if len(set(names)) < len(names):
        raise InputError(f"axes {axes!r}: a name occurs twice")
    return groups


@dataclass(frozen=True)
class Source:
    """Where one weight comes from: a tensor with named axes, or one number for all its entries.

    take keeps part of an axis: an index drops the axis ({"qkv": 0}), a pair of start and stop cuts it.
    """

    tensor: str = ""
    axes: str = ""
    take: Mapping[str, Take] = field(default_factory=dict)
    scale: float = 1.0
    constant: float | None = None


def axis_sizes(
    patterns: Mapping[str, tuple[tuple[int, ...], str]], known: Mapping[str, int]
) -> dict[str, int]:
    """The size of every named axis, from the shapes of all tensors and the sizes already known.

    patterns: tensor name -> (shape, axes). Raises CheckpointError where a shape has another number of axes,
    where two tensors disagree, or where a merged axis cannot be divided.

    >>> axis_sizes({"W_O": ((6, 8), "d_model (head d_head)"), "W_Q": ((2, 4, 6), "head d_head d_model")}, {})
    {'d_model': 6, 'head': 2, 'd_head': 4}
    """
    sizes = dict(known)
    origin = dict.fromkeys(known, "what was given")
    merged = []
    for name, (shape, axes) in patterns.items():
        groups = parsed_axes(axes)
        if len(groups) != len(shape):
            raise CheckpointError(f"{name} has shape {shape}: expected {len(groups)} axes, {axes}")
        for group, size in zip(groups, shape, strict=True):
            if len(group) == 1:
                _bind(sizes, origin, group[0], size, name)
            else:
                merged.append((name, group, size))
    # A merged axis may need a size that another merged axis gives.
    for _ in range(len(merged) + 1):
        merged = [entry for entry in merged if not _solved(sizes, origin, *entry)]
    if merged:
        name, group, size = merged[0]
        unknown = " and ".join(axis for axis in group if axis not in sizes)
        raise CheckpointError(
            f"{name}: an axis of {size} is merged from {' '.join(group)}, and the sizes of {unknown} are not known: give one"
        )
    return sizes


def _solved(
    sizes: dict[str, int], origin: dict[str, str], name: str, group: tuple[str, ...], size: int
) -> bool:
    unknown = [axis for axis in group if axis not in sizes]
    if len(unknown) > 1:
        return False
    product = math.prod(sizes[axis] for axis in group if axis in sizes)
    if product == 0 or size % product or (not unknown and size != product):
        parts = ", ".join(f"{axis} = {sizes[axis]}" for axis in group if axis in sizes)
        raise CheckpointError(
            f"{name}: an axis of {size} cannot be divided as ({' '.join(group)}) with {parts}"
        )
    if unknown:
        _bind(sizes, origin, unknown[0], size // product, name)
    return True


def _bind(sizes: dict[str, int], origin: dict[str, str], axis: str, size: int, name: str) -> None:
    if sizes.setdefault(axis, size) != size:
        raise CheckpointError(
            f"axis {axis} is {size} in {name} but {sizes[axis]} in {origin[axis]}: the tensors are not of one network, or their axes are in another order"
        )
    origin.setdefault(axis, name)


def check_numbers(name: str, tensor: Tensor) -> None:
    """Raises CheckpointError for a tensor that is not of finite floating-point numbers."""
    if not tensor.is_floating_point():
        raise CheckpointError(f"{name} has numbers of type {tensor.dtype}: expected floating point")
    wrong = int((~torch.isfinite(tensor)).sum())
    if wrong:
        raise CheckpointError(f"{name} has {wrong} of {tensor.numel()} numbers that are NaN or infinite")


def arranged(tensor: Tensor, source: Source, wanted: str, sizes: Mapping[str, int]) -> Tensor:
    """A copy of the tensor with merged axes split, parts taken, and the axes in the wanted order.

    >>> w = torch.arange(6).reshape(3, 2)
    >>> arranged(w, Source("w", "(head d_head) d_model"), "head d_model d_head", {"head": 1, "d_head": 3, "d_model": 2})
    tensor([[[0, 2, 4],
             [1, 3, 5]]])
    """
    names = [name for group in parsed_axes(source.axes) for name in group]
    x = tensor.reshape([sizes[name] for name in names])
    for axis, part in source.take.items():
        if axis not in names:
            raise InputError(f"{source.tensor}: cannot take {axis}: its axes are {' '.join(names)}")
        x = _taken(x, names.index(axis), part, f"{source.tensor}: {axis}")
        if isinstance(part, int):
            names.remove(axis)
    order = [name for group in parsed_axes(wanted) for name in group]
    if sorted(names) != sorted(order):
        raise InputError(
            f"{source.tensor}: axes {source.axes} leave {' '.join(names)}: expected {wanted} in any order"
        )
    x = x.permute([names.index(name) for name in order])
    # A copy, not a view: the file is mapped into memory and may be gone before the network is.
    return x.contiguous().clone() if source.scale == 1.0 else x.contiguous() * source.scale


def _taken(x: Tensor, dim: int, part: Take, what: str) -> Tensor:
    size = x.shape[dim]
    if isinstance(part, int):
        if not -size <= part < size:
            raise InputError(f"{what} has {size} entries: cannot take number {part}")
        return x.select(dim, part)
    kept = range(size)[slice(*part)]
    if not len(kept):
        raise InputError(f"{what} has {size} entries: {part[0]}:{part[1]} keeps none of them")
    return x.index_select(dim, torch.tensor(kept))
