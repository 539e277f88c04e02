"""Recipes that others published, and our quick one."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from modscope.checkpoints.reading import read_table
from modscope.errors import UnknownName
from modscope.operations import operation_from
from modscope.training.recipe import (
    Keep,
    NetworkShape,
    Optimiser,
    Recipe,
    Stop,
    TaskShape,
    flattened,
    operation_settings,
)

__all__ = ["PRESETS", "preset", "recipe_from_toml"]


PRESETS: Mapping[str, Recipe] = {
    # Nanda et al. 2023, "Progress measures for grokking via mechanistic interpretability", the main run.
    "nanda": Recipe(preset="nanda"),
    # The grokking demo of TransformerLens: no bias is trained, no warm-up, its own split and initialisation.
    "transformer_lens": Recipe(
        task=TaskShape(split="torch", split_seed=598),
        network=NetworkShape(biases=(), initialisation="transformer_lens"),
        optimiser=Optimiser(warmup=0),
        seed=999,
        preset="transformer_lens",
    ),
    # Zhong et al. 2023, "The clock and the pizza": model A has attention_rate 0, model B 1.
    "pizza": Recipe(
        task=TaskShape(p=59, split="torch", fraction=0.8),
        network=NetworkShape(equals=False, causal=False, attention_rate=0.0),
        optimiser=Optimiser(weight_decay=2.0),
        stop=Stop(steps=20_000),
        preset="pizza",
    ),
    # Learning rate times weight decay sets the clock. Thirty times the published rate breaks memorisation in a few
    # hundred steps, by spikes of the loss; ten times is as much as the clean-up bears, and only with a brake on
    # tensors that overshoot. The few networks that come to rest with test pairs wrong begin anew.
    "quick": Recipe(
        optimiser=Optimiser(
            learning_rate=3e-2,
            learning_rate_schedule=((0, 3e-2), (500, 2.1e-2), (1000, 1.45e-2), (1500, 1e-2)),
            update_clipping=True,
            brake_below=1.25e-2,
        ),
        stop=Stop(steps=14_000, begin_anew=3_500),
        keep=Keep(resume=250, test=25),
        preset="quick",
    ),
}


def preset(name: str) -> Recipe:
    """The recipe of that name.

    >>> preset("pizza").task.p
    59
    """
    if not isinstance(name, str) or name not in PRESETS:
        raise UnknownName.of("preset", name, PRESETS)
    return PRESETS[name]


def recipe_from_toml(path: str | os.PathLike[str]) -> Recipe:
    """The recipe in a TOML file; `preset = "nanda"` at its head starts from that preset."""
    values = read_table(Path(path))
    start = preset(values["preset"]) if values.get("preset") else Recipe()
    changes = flattened(values)
    if isinstance(text := changes.get("task.operation"), str) and not changes.get("task.table"):
        changes |= operation_settings(operation_from(text, Path(path).parent))
    return start.changed(changes)
