"""Networks to and from TransformerLens; with the library itself where it is installed."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from tests.checkpoints.written import random_pair_mlp, random_transformer, same_logits, saved

from modscope.checkpoints import open_checkpoint
from modscope.checkpoints.convert import (
    from_hooked_transformer,
    hooked_transformer,
    transformer_lens_config,
    transformer_lens_state,
)
from modscope.errors import CheckpointError, InputError
from modscope.model import Network

NETWORKS = [
    random_transformer(1, p=11, d_model=12, n_heads=3, d_head=5, d_mlp=7),
    random_transformer(
        2,
        p=8,
        d_model=8,
        n_heads=2,
        d_mlp=8,
        equals=False,
        causal=False,
        activation="gelu",
        biases=("b_Q", "b_O", "b_U"),
    ),
]


def hooked(network: Network) -> Any:
    """As much of a HookedTransformer as is read: its config and its state dict."""
    state = transformer_lens_state(network)
    return SimpleNamespace(cfg=SimpleNamespace(**transformer_lens_config(network)), state_dict=lambda: state)


@pytest.mark.parametrize("network", NETWORKS, ids=repr)
def test_there_and_back(network: Network) -> None:
    again = from_hooked_transformer(hooked(network))
    assert same_logits(again, network)
    assert again.config.biases == ("b_Q", "b_K", "b_V", "b_O", "b_in", "b_out", "b_U")
    assert (again.config.causal, again.config.activation) == (
        network.config.causal,
        network.config.activation,
    )  # type: ignore[union-attr]


@pytest.mark.parametrize("network", NETWORKS, ids=repr)
def test_the_state_dict_opens_as_a_file(network: Network, tmp_path: Path) -> None:
    path = saved(transformer_lens_state(network), tmp_path / "net.pt", {"act_fn": network.config.activation})
    assert same_logits(open_checkpoint(path).model, network)


def test_what_transformer_lens_has_not() -> None:
    sizes = {"p": 5, "d_model": 4, "n_heads": 2, "d_mlp": 4}
    with pytest.raises(InputError, match="rate 1 only"):
        transformer_lens_state(random_transformer(**sizes, attention_rate=0.5))
    with pytest.raises(InputError, match="relu and gelu"):
        transformer_lens_config(random_transformer(**sizes, activation="quadratic"))
    with pytest.raises(InputError, match="PairMLP has no counterpart"):
        transformer_lens_state(random_pair_mlp(p=5))


def test_what_modscope_has_not() -> None:
    other = hooked(NETWORKS[0])
    other.cfg.parallel_attn_mlp = True
    with pytest.raises(CheckpointError, match="side by side"):
        from_hooked_transformer(other)
    with pytest.raises(CheckpointError, match="p = 7 does not fit"):
        from_hooked_transformer(hooked(NETWORKS[0]), p=7)


@pytest.mark.parametrize("network", NETWORKS, ids=repr)
def test_transformer_lens_itself_agrees(network: Network) -> None:
    lens = pytest.importorskip("transformer_lens", reason="TransformerLens is not installed")
    if not hasattr(lens, "HookedTransformer"):
        pytest.skip("this TransformerLens has no HookedTransformer")
    model = hooked_transformer(network)
    p, equals = network.config.p, network.config.equals
    a, b = torch.meshgrid(torch.arange(p), torch.arange(p), indexing="ij")
    columns = [a.flatten(), b.flatten()] + ([torch.full((p * p,), p)] if equals else [])
    with torch.no_grad():
        theirs = model(torch.stack(columns, dim=1))[:, -1].reshape(p, p, -1).numpy()
    assert np.allclose(theirs, network.all_logits().numpy(), rtol=1e-4, atol=1e-5)
    assert same_logits(from_hooked_transformer(model), network)
