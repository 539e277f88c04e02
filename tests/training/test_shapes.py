"""Recipes of networks beyond the one-layer transformer: each switch trains, and the engine says why it is the one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from modscope.errors import InputError
from modscope.training.recipe import Recipe
from modscope.training.tables import Pairs
from modscope.training.trainer import Trainer

SMALL = {"task.p": 7, "task.fraction": 0.6, "network.d_model": 8, "network.n_heads": 2, "network.d_mlp": 12}
SWITCHES: dict[str, dict[str, Any]] = {
    "two layers and LayerNorm": {"layers.n_layers": 2, "layers.norm": "layer"},
    "two layers, RMSNorm after": {"layers.n_layers": 2, "layers.norm": "rms", "layers.norm_after": True},
    "no MLP": {"network.d_mlp": 0},
    "a gated MLP": {"layers.gated": True, "network.activation": "silu"},
    "rotary positions": {"layers.rotary": "halves"},
    "tied embeddings": {"layers.tied": True},
    "grouped heads": {"layers.n_kv_heads": 1},
    "the sequence a + b =": {"layers.sequence": ["a", "+", "b", "="]},
    "two hidden layers": {"mlp.hidden": [9, 8]},
    "summed embeddings": {"mlp.summed": True, "mlp.d_embed": 6},
}


@pytest.mark.parametrize(("why", "switches"), SWITCHES.items(), ids=list(SWITCHES))
def test_the_plain_engine_trains_the_switch(why: str, switches: dict[str, Any]) -> None:
    recipe = Recipe().changed({**SMALL, **switches, "optimiser.learning_rate": 1e-2})
    trainer = Trainer(recipe)
    assert trainer.engine_reason.startswith("plain engine: ")
    assert why.split(",")[0].split(" and ")[0] in trainer.engine_reason
    first = trainer.advance().loss
    moved = {name: weight.detach().clone() for name, weight in trainer.weights.items()}
    for _ in range(40):
        last = trainer.advance().loss
    assert last < first
    assert not any(torch.equal(moved[name], weight) for name, weight in trainer.weights.items())
    assert Recipe.from_dict(recipe.to_dict()) == recipe


def test_the_loss_is_that_of_the_network() -> None:
    trainer = Trainer(Recipe().changed({**SMALL, **SWITCHES["two layers and LayerNorm"]}))
    pairs: Pairs = trainer.train_pairs
    network = trainer.network()
    logits = network(network.pair_tokens(pairs.a, pairs.b)).double()
    expected = torch.nn.functional.cross_entropy(logits, pairs.labels)
    np.testing.assert_allclose(trainer.scores()["train"].loss, float(expected), rtol=1e-5)


def test_an_mlp_of_one_hidden_layer_is_trained_fast() -> None:
    assert Trainer(Recipe().changed({**SMALL, "mlp.hidden": [9]})).engine_reason.startswith("fast engine")


def test_settings_of_another_family_change_nothing_and_are_refused() -> None:
    with pytest.raises(InputError, match=r"settings of \[layers\] would change nothing"):
        Recipe().changed({"network.family": "transformer", "layers.n_layers": 2})
    with pytest.raises(InputError, match="expected those of one"):
        Recipe().changed({"layers.n_layers": 2, "mlp.hidden": [3]})
