"""Writers of foreign layouts, each spelled out with einsum and loops, apart from the tables that read them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from modscope.model import Network, PairMLP, PairMLPConfig, Transformer, TransformerConfig

State = dict[str, Tensor]


def random_transformer(seed: int = 0, **switches: Any) -> Transformer:
    """A network none of whose weights, biases too, is zero."""
    config = TransformerConfig(**switches)
    generator = torch.Generator().manual_seed(seed)
    return Transformer(
        config,
        {name: torch.randn(shape, generator=generator) * 0.5 for name, shape in config.shapes().items()},
    )


def random_pair_mlp(seed: int = 0, **switches: Any) -> PairMLP:
    config = PairMLPConfig(**switches)
    generator = torch.Generator().manual_seed(seed)
    return PairMLP(
        config, {name: torch.randn(shape, generator=generator) for name, shape in config.shapes().items()}
    )


def lens_state(network: Network) -> State:
    n = len(network.config.positions)
    state = {name: weight.clone() for name, weight in network.weights.items()}
    state["blocks.0.attn.mask"] = torch.ones(n, n).tril().bool()
    state["blocks.0.attn.IGNORE"] = torch.tensor(-1e5)
    return state


def old_state(network: Network) -> State:
    weight = network.weight
    heads, d_head, d_model = weight("W_O").shape
    out = torch.zeros(d_model, heads * d_head)
    for head in range(heads):
        for i in range(d_head):
            out[:, head * d_head + i] = weight("W_O")[head, i]
    answers = weight("W_U")
    if network.config.equals:
        # The old networks have "=" among their answers; its logit means nothing.
        answers = torch.cat((answers, torch.randn(d_model, 1)), dim=1)
    n = len(network.config.positions)
    return {
        "embed.W_E": torch.einsum("vd->dv", weight("W_E")),
        "pos_embed.W_pos": weight("W_pos").clone(),
        **{f"blocks.0.attn.W_{x}": torch.einsum("hdm->hmd", weight(f"W_{x}")) for x in "QKV"},
        "blocks.0.attn.W_O": out,
        "blocks.0.attn.mask": torch.ones(n, n).tril(),
        "blocks.0.mlp.W_in": weight("W_in").T,
        "blocks.0.mlp.b_in": weight("b_in").clone(),
        "blocks.0.mlp.W_out": weight("W_out").T,
        "blocks.0.mlp.b_out": weight("b_out").clone(),
        "unembed.W_U": answers.clone(),
    }


def flat_state(network: Network) -> State:
    weight = network.weight
    state = {
        **{f"W_{x}": weight(f"W_{x}").clone() for x in "QKVO"},
        "token_embed.weight": weight("W_E").clone(),
        "pos_embed.weight": weight("W_pos").clone(),
        "W_in.weight": weight("W_in").T,
        "W_in.bias": weight("b_in").clone(),
        "W_out.weight": weight("W_out").T,
        "W_out.bias": weight("b_out").clone(),
        "unembed.weight": weight("W_U").T,
    }
    if network.has_weight("b_U"):
        state["unembed.bias"] = weight("b_U").clone()
    return state


def stacked_mlp_state(network: Network) -> State:
    weight = network.weight
    return {
        "W_x": weight("W_E_a").clone(),
        "W_y": weight("W_E_b").clone(),
        "W": torch.cat((weight("W_in_a"), weight("W_in_b"))),
        "W_U": weight("W_U").clone(),
    }


WRITERS: dict[str, Callable[[Network], State]] = {
    "transformer-lens": lens_state,
    "old": old_state,
    "flat": flat_state,
}


def saved(state: Any, path: Path, config: dict[str, Any] | None = None) -> Path:
    torch.save(state, path)
    if config is not None:
        path.with_name("config.json").write_text(json.dumps(config))
    return path


def same_logits(one: Network, other: Network) -> bool:
    return bool(np.allclose(one.all_logits().numpy(), other.all_logits().numpy(), rtol=1e-5, atol=1e-5))
