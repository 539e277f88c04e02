"""Recipes that others published, and our quick one."""

from __future__ import annotations

from collections.abc import Mapping

from modscope.errors import UnknownName
from modscope.training.recipe import Keep, NetworkShape, Optimiser, Recipe, Stop, TaskShape

__all__ = ["PRESETS", "preset"]

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
    # Ten times the published rate, for learning rate times weight decay sets the clock; clipped updates, for
    # without them such a rate throws a network out of its solution now and then; then slower, for at that rate
    # the clean-up may never end. For addition: docs/training.md says how often it settles.
    "quick": Recipe(
        optimiser=Optimiser(
            learning_rate=1e-2,
            learning_rate_schedule=((0, 1e-2), (1500, 1e-2), (2200, 3e-3)),
            update_clipping=True,
        ),
        stop=Stop(steps=4_000),
        keep=Keep(resume=250, test=25),
        preset="quick",
    ),
}


def preset(name: str) -> Recipe:
    """The recipe of that name.

    >>> preset("pizza").task.p
    59
    """
    if name not in PRESETS:
        raise UnknownName.of("preset", name, PRESETS)
    return PRESETS[name]
