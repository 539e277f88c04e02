"""Every switch of layered transformers against forward passes of torch.nn modules, at every hook."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.networks.modules import Reference
from torch import Tensor, nn

from modscope.activations import record
from modscope.checkpoints import Checkpoint, open_checkpoint, save_safetensors
from modscope.networks.layered import LayeredTransformer

P = 5
SEQUENCE, TOKENS = ["a", "+", "b", "="], {"+": 6, "=": 8}

SWITCHES: dict[str, dict[str, Any]] = {
    "one layer": {"layers": 1},
    "two layers": {},
    "three layers": {"layers": 3},
    "four layers": {"layers": 4},
    "LayerNorm before": {"norm": "layer"},
    "LayerNorm before, one layer": {"norm": "layer", "layers": 1},
    "LayerNorm before, no final norm": {"norm": "layer", "final": False},
    "LayerNorm after": {"norm": "layer", "after": True},
    "LayerNorm, not learned": {"norm": "layer", "learned": False},
    "RMSNorm before": {"norm": "rms"},
    "RMSNorm after": {"norm": "rms", "after": True},
    "gated, SiLU": {"gated": True, "act": "silu", "norm": "rms", "bias": False},
    "GELU": {"act": "gelu"},
    "GELU by tanh": {"act": "gelu_tanh"},
    "tanh": {"act": "tanh"},
    "quadratic": {"act": "quadratic"},
    "identity": {"act": "identity"},
    "rotary halves": {"rotary": "halves"},
    "rotary neighbours": {"rotary": "neighbours"},
    "grouped heads": {"kv": 2},
    "fused": {"fused": True},
    "fused and grouped": {"fused": True, "kv": 1},
    "every position sees all": {"causal": False},
    "attention rate": {"rate": 0.25},
    "attention only": {"f": 0},
    "attention only, LayerNorm": {"f": 0, "norm": "layer"},
    "attention only, LayerNorm after": {"f": 0, "norm": "layer", "after": True},
    "tied": {"tied": True},
    "tied, LayerNorm": {"tied": True, "norm": "layer"},
    "no biases": {"bias": False},
}


def saved(state: dict[str, Tensor], path: Path) -> Path:
    torch.save(state, path)
    return path


def opened(module: Reference, folder: Path, **changes: Any) -> Checkpoint:
    path = saved(module.state_dict(), folder / "net.pt")
    return open_checkpoint(path, config={**module.stated(P, SEQUENCE, TOKENS), **changes})


def tokens_of_pairs() -> Tensor:
    a, b = torch.meshgrid(torch.arange(P), torch.arange(P), indexing="ij")
    columns = [a, torch.full_like(a, TOKENS["+"]), b, torch.full_like(a, TOKENS["="])]
    return torch.stack([column.flatten() for column in columns], dim=1)


def agree_everywhere(network: Any, expected: dict[str, Tensor], task: Any, tolerance: float) -> None:
    """Every hook, at every position and at the read one alone, is that of the module."""
    whole, read = record(network, task, positions="all"), record(network, task)
    assert set(whole) == set(expected) | {h for h in whole if h.endswith(("attn_scores", "pattern"))}
    for hook, values in expected.items():
        wanted = values.detach().unflatten(0, (P, P))
        wanted = wanted[..., :P] if hook == "logits" else wanted
        found = whole.expand(hook).transpose("a", "b", "pos", ...).values
        np.testing.assert_allclose(found, wanted, rtol=tolerance, atol=tolerance, err_msg=hook)
        at_read = read.expand(hook).transpose("a", "b", "pos", ...).values[:, :, -1]
        np.testing.assert_allclose(at_read, wanted[:, :, -1], rtol=tolerance, atol=tolerance, err_msg=hook)


@pytest.mark.parametrize("switches", SWITCHES.values(), ids=list(SWITCHES))
def test_a_switch_is_what_the_module_does(switches: dict[str, Any], tmp_path: Path) -> None:
    module = Reference(**switches).double()
    checkpoint = opened(module, tmp_path)
    with torch.no_grad():
        agree_everywhere(checkpoint.model, module(tokens_of_pairs()), checkpoint.task, 1e-9)


def test_in_float32_to_its_rounding(tmp_path: Path) -> None:
    module = Reference(norm="layer", gated=True, act="silu", kv=2, rotary="halves")
    checkpoint = opened(module, tmp_path)
    assert checkpoint.model.dtype == torch.float32
    with torch.no_grad():
        agree_everywhere(checkpoint.model, module(tokens_of_pairs()), checkpoint.task, 2e-5)


def test_b_has_rows_of_its_own(tmp_path: Path) -> None:
    module = Reference(tokens=14, norm="layer").double()
    checkpoint = open_checkpoint(
        saved(module.state_dict(), tmp_path / "net.pt"), config=module.stated(P, SEQUENCE, {**TOKENS, "b": 9})
    )
    tokens = tokens_of_pairs()
    tokens[:, 2] += 9
    with torch.no_grad():
        agree_everywhere(checkpoint.model, module(tokens), checkpoint.task, 1e-9)


def test_a_token_whose_vector_is_zero(tmp_path: Path) -> None:
    module = Reference(norm="rms").double()
    path = saved(module.state_dict(), tmp_path / "net.pt")
    checkpoint = open_checkpoint(path, config=module.stated(P, SEQUENCE, {**TOKENS, "=": "zero"}))
    with torch.no_grad():
        module.token_embedding.weight[TOKENS["="]] = 0.0
        agree_everywhere(checkpoint.model, module(tokens_of_pairs()), checkpoint.task, 1e-9)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_switches_together(data: st.DataObject, tmp_path: Path) -> None:
    draw = data.draw
    switches = {
        "layers": draw(st.integers(1, 3)),
        "norm": draw(st.sampled_from(["", "layer", "rms"])),
        "after": draw(st.booleans()),
        "learned": draw(st.booleans()),
        "final": draw(st.booleans()),
        "act": draw(st.sampled_from(["relu", "gelu", "silu", "tanh", "quadratic", "identity"])),
        "gated": draw(st.booleans()),
        "rotary": draw(st.sampled_from(["", "halves", "neighbours"])),
        "causal": draw(st.booleans()),
        "rate": draw(st.sampled_from([1.0, 0.5, 0.0])),
        "kv": draw(st.sampled_from([1, 2, 4])),
        "fused": draw(st.booleans()),
        "f": draw(st.sampled_from([0, 6])),
        "bias": draw(st.booleans()),
        "tied": draw(st.booleans()),
    }
    if switches["norm"] and not switches["learned"]:
        # a norm without weights leaves no trace in a file: whether there is a last one is then taken for granted
        switches["final"] = True
    module = Reference(**switches).double()
    checkpoint = opened(module, tmp_path)
    with torch.no_grad():
        agree_everywhere(checkpoint.model, module(tokens_of_pairs()), checkpoint.task, 1e-8)
    own = save_safetensors(tmp_path / "own.safetensors", checkpoint.model, checkpoint.task)
    again = open_checkpoint(own).model
    assert again.config == checkpoint.model.config
    assert np.array_equal(again.all_logits(), checkpoint.model.all_logits())


@pytest.mark.parametrize("norm_first", [False, True])
@pytest.mark.parametrize("activation", ["relu", "gelu"])
def test_torchs_own_encoder(norm_first: bool, activation: str, tmp_path: Path) -> None:
    torch.manual_seed(1)
    layer = nn.TransformerEncoderLayer(
        8, 2, 12, dropout=0.0, activation=activation, batch_first=True, norm_first=norm_first
    )
    model = nn.ModuleDict(
        {
            "embedding": nn.Embedding(9, 8),
            "pos_embedding": nn.Embedding(4, 8),
            "transformer": nn.TransformerEncoder(layer, 2, enable_nested_tensor=False),
            "fc_out": nn.Linear(8, 9),
        }
    ).double()
    with torch.no_grad():
        for weight in model.parameters():
            weight.copy_(torch.randn(weight.shape, dtype=torch.double) * 0.5)
    model.eval()
    hooks: dict[str, Tensor] = {}
    for i, one in enumerate(model["transformer"].layers):
        one.linear1.register_forward_hook(lambda m, x, y, i=i: hooks.update({f"blocks.{i}.mlp_pre": y}))
        one.register_forward_hook(lambda m, x, y, i=i: hooks.update({f"blocks.{i}.resid_post": y}))
        one.norm1.register_forward_hook(lambda m, x, y, i=i: hooks.update({f"blocks.{i}.norm1": y}))
    tokens = tokens_of_pairs()
    with torch.no_grad(), torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
        x = model["embedding"](tokens) + model["pos_embedding"].weight
        mask = nn.Transformer.generate_square_subsequent_mask(4, dtype=torch.double)
        logits = model["fc_out"](model["transformer"](x, mask=mask, is_causal=True))
    stated = {
        "p": P,
        "sequence": SEQUENCE,
        "tokens": TOKENS,
        "n_heads": 2,
        "activation": activation,
        "operation": "add",
    }
    config = {**stated, "norm_after": not norm_first, "causal": True}
    checkpoint = open_checkpoint(saved(model.state_dict(), tmp_path / "net.pt"), config=config)
    acts = record(checkpoint.model, checkpoint.task, positions="all")
    for hook in ("blocks.0.mlp_pre", "blocks.0.resid_post", "blocks.1.mlp_pre", "blocks.1.resid_post"):
        wanted = hooks[hook].unflatten(0, (P, P))
        np.testing.assert_allclose(
            acts[hook].transpose("a", "b", "pos", ...), wanted, atol=1e-9, err_msg=hook
        )
    if not norm_first:
        wanted = hooks["blocks.1.norm1"].unflatten(0, (P, P))
        np.testing.assert_allclose(
            acts["blocks.1.resid_mid"].transpose("a", "b", "pos", ...), wanted, atol=1e-9
        )
    np.testing.assert_allclose(acts.at("logits"), logits[:, -1, :P].unflatten(0, (P, P)), atol=1e-9)


def test_torchs_own_attention(tmp_path: Path) -> None:
    """nn.MultiheadAttention with its weights given out, head by head."""
    torch.manual_seed(2)
    model = nn.ModuleDict(
        {
            "embed": nn.Embedding(9, 8),
            "attn": nn.MultiheadAttention(8, 4, batch_first=True),
            "ln1": nn.LayerNorm(8),
            "ln2": nn.LayerNorm(8),
            "mlp": nn.Sequential(nn.Linear(8, 12), nn.ReLU(), nn.Linear(12, 8)),
            "head": nn.Linear(8, 9),
        }
    ).double()
    positions = torch.randn(1, 4, 8, dtype=torch.double)
    with torch.no_grad():
        x = model["embed"](tokens_of_pairs()) + positions
        y = model["ln1"](x)
        mask = torch.ones(4, 4).triu(1).bool()
        out, pattern = model["attn"](y, y, y, attn_mask=mask, average_attn_weights=False)
        x = x + out
        x = x + model["mlp"](model["ln2"](x))
        logits = model["head"](x)
    state = {**model.state_dict(), "pos_embedding": positions}
    config = {
        "p": P,
        "sequence": SEQUENCE,
        "tokens": TOKENS,
        "n_heads": 4,
        "norm_after": False,
        "activation": "relu",
    }
    checkpoint = open_checkpoint(saved(state, tmp_path / "net.pt"), config={**config, "operation": "add"})
    assert isinstance(checkpoint.model, LayeredTransformer)
    acts = record(checkpoint.model, checkpoint.task, positions="all")
    found = acts["pattern"].transpose("a", "b", "head", "pos", "key_pos").values
    np.testing.assert_allclose(found, pattern.unflatten(0, (P, P)), atol=1e-12)
    np.testing.assert_allclose(
        acts["attn_out"].transpose("a", "b", ...), out.unflatten(0, (P, P)).movedim(2, 2), atol=1e-12
    )
    np.testing.assert_allclose(acts.at("logits"), logits[:, -1, :P].unflatten(0, (P, P)), atol=1e-12)
