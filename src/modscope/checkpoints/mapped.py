"""The tensors that a mapping names, arranged under the canonical names of a network of any depth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor

from modscope.checkpoints.axes import Source, arranged, axis_sizes, check_numbers
from modscope.checkpoints.layouts import Layout
from modscope.checkpoints.parts import AXES, full_name
from modscope.checkpoints.settings import Settings
from modscope.errors import CheckpointError

__all__ = ["LAYER", "canonical_tensors"]

LAYER = "{layer}"
_OUTER = ("W_E", "W_pos", "W_U", "b_U", "ln_final.w", "ln_final.b")


def canonical_tensors(
    layout: Layout, tensors: Mapping[str, Tensor], settings: Settings, sizes: Mapping[str, int]
) -> dict[str, Tensor]:
    """The tensors of a general layout as `embed.W_E`, `blocks.0.attn.W_Q`, ...; as they are where it names none.

    "{layer}" in the name of a tensor stands for 0, 1, ... for as long as there are such tensors. Raises CheckpointError
    where a tensor is missing, or one of the file is not named.
    """
    if not layout.sources:
        return dict(tensors)
    placed = _placed(layout, tensors)
    named = {source.tensor for source in placed.values()}
    strange = [f"{name} {tuple(t.shape)}" for name, t in tensors.items() if name not in named and t.ndim]
    if strange:
        raise CheckpointError(
            f"tensors that the mapping does not name: {', '.join(strange)}; list them under ignore"
        )
    known = {**layout.sizes, **sizes}
    for axis, size in (
        ("head", settings.n_heads),
        ("kv_head", settings.n_kv_heads),
        ("d_head", settings.d_head),
    ):
        if size is not None:
            known.setdefault(axis, size)
    patterns = {
        f"{name} ({source.tensor})": (tuple(tensors[source.tensor].shape), source.axes)
        for name, source in placed.items()
        if source.constant is None
    }
    found = axis_sizes(patterns, known)
    made = {}
    for name, source in placed.items():
        wanted = AXES[_role(name)]
        if source.axes and "kv_head" not in source.axes:
            wanted = wanted.replace("kv_head", "head")
        if source.constant is not None:
            made[name] = torch.full([found[axis] for axis in wanted.split()], source.constant)
            continue
        check_numbers(source.tensor, tensors[source.tensor])
        made[name] = arranged(tensors[source.tensor], source, wanted, found)
    return made


def _role(name: str) -> str:
    """The role of a canonical name: blocks.0.attn.W_Q is a W_Q, blocks.0.ln1.w an ln1.w."""
    parts = name.split(".")
    return ".".join(parts[-2:]) if parts[-2].startswith("ln") else parts[-1]


def _placed(layout: Layout, tensors: Mapping[str, Tensor]) -> dict[str, Source]:
    """Canonical name -> source with the name of a tensor that there is."""
    placed: dict[str, Source] = {}
    for role, source in layout.sources.items():
        if role in _OUTER:
            placed[full_name(None, role)] = source
            continue
        if LAYER not in source.tensor:
            placed[full_name(0, role)] = source
            continue
        layer = 0
        while (name := source.tensor.replace(LAYER, str(layer))) in tensors:
            placed[full_name(layer, role)] = replace(source, tensor=name)
            layer += 1
        if not layer:
            raise CheckpointError(f"{role}: there is no tensor {source.tensor.replace(LAYER, '0')}")
    missing = [s.tensor for s in placed.values() if s.constant is None and s.tensor not in tensors]
    if missing:
        raise CheckpointError(f"missing {', '.join(missing)}")
    return placed
