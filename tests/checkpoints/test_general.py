"""Networks told by the names and sizes of their tensors: what tensors do not tell is found by trying."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from modscope.checkpoints import open_checkpoint, save_safetensors
from modscope.errors import CheckpointError
from modscope.model import PairMLP
from modscope.networks.deep_mlp import DeepMLP

CASES = Path(os.environ.get("MODSCOPE_CASES", Path(__file__).resolve().parents[3] / "shared" / "cases"))
needs_cases = pytest.mark.skipif(not CASES.is_dir(), reason="the cases are not here")
TRAINED = Path(__file__).resolve().parents[1] / "networks" / "trained"


def saved(state: dict[str, Any], path: Path) -> Path:
    torch.save(state, path)
    return path


def as_modules() -> dict[str, Tensor]:
    """The trained two-layer network with LayerNorm under names of nn.TransformerEncoderLayer, q k v in one."""
    network = open_checkpoint(TRAINED / "two_layers_norm.safetensors").model
    weights, state = network.weights, {}
    state["embedding.weight"] = weights["embed.W_E"]
    state["pos_embedding.weight"] = weights["pos_embed.W_pos"]
    for i in range(2):
        at, into = f"blocks.{i}.", f"encoder.layers.{i}."
        qkv = [weights[f"{at}attn.W_{n}"].permute(0, 2, 1).flatten(0, 1) for n in "QKV"]
        state[f"{into}self_attn.in_proj_weight"] = torch.cat(qkv)
        state[f"{into}self_attn.out_proj.weight"] = weights[f"{at}attn.W_O"].flatten(0, 1).T
        state[f"{into}linear1.weight"], state[f"{into}linear1.bias"] = (
            weights[f"{at}mlp.W_in"].T,
            weights[f"{at}mlp.b_in"],
        )
        state[f"{into}linear2.weight"], state[f"{into}linear2.bias"] = (
            weights[f"{at}mlp.W_out"].T,
            weights[f"{at}mlp.b_out"],
        )
        for n in (1, 2):
            state[f"{into}norm{n}.weight"], state[f"{into}norm{n}.bias"] = (
                weights[f"{at}ln{n}.w"],
                weights[f"{at}ln{n}.b"],
            )
    state["norm.weight"], state["norm.bias"] = weights["ln_final.w"], weights["ln_final.b"]
    state["head.weight"] = weights["unembed.W_U"].T
    return {name: tensor.contiguous() for name, tensor in state.items()}


def test_heads_place_of_norms_and_mask_are_found_by_trying(tmp_path: Path) -> None:
    original = open_checkpoint(TRAINED / "two_layers_norm.safetensors").model
    checkpoint = open_checkpoint(saved(as_modules(), tmp_path / "net.pt"))
    config = checkpoint.model.config
    assert (config.n_heads, config.norm, config.norm_after, config.causal) == (4, "layer", False, True)
    np.testing.assert_allclose(checkpoint.model.all_logits(), original.all_logits(), atol=1e-4)
    assert any("found by trying" in note for note in checkpoint.notes)
    own = save_safetensors(tmp_path / "own.safetensors", checkpoint.model, checkpoint.task)
    assert np.array_equal(open_checkpoint(own).model.all_logits(), checkpoint.model.all_logits())


def test_an_untrained_network_is_not_guessed_at(tmp_path: Path) -> None:
    state = {name: torch.randn_like(tensor) for name, tensor in as_modules().items()}
    with pytest.raises(CheckpointError, match="number of heads does not show in the tensors"):
        open_checkpoint(saved(state, tmp_path / "net.pt"))


def test_a_mapping_with_the_layer_in_its_names(tmp_path: Path) -> None:
    state = {name.replace("encoder.layers", "teile"): tensor for name, tensor in as_modules().items()}
    state = {name.replace("self_attn.in_proj_weight", "anfang"): tensor for name, tensor in state.items()}
    fused = 'tensor = "teile.{layer}.anfang", axes = "(qkv head d_head) d_model"'
    lines = [
        "[settings]",
        "n_layers = 2",
        "norm_after = false",
        "n_heads = 4",
        "[sizes]",
        "qkv = 3",
        "[weights]",
    ]
    lines += [f"W_{n} = {{{fused}, take = {{qkv = {i}}}}}" for i, n in enumerate("QKV")]
    for weight, tensor, axes in (
        ("W_E", "embedding.weight", "vocab d_model"),
        ("W_pos", "pos_embedding.weight", "pos d_model"),
        ("W_O", "teile.{layer}.self_attn.out_proj.weight", "d_model (head d_head)"),
        ("W_in", "teile.{layer}.linear1.weight", "d_mlp d_model"),
        ("b_in", "teile.{layer}.linear1.bias", "d_mlp"),
        ("W_out", "teile.{layer}.linear2.weight", "d_model d_mlp"),
        ("b_out", "teile.{layer}.linear2.bias", "d_model"),
        ("W_U", "head.weight", "answer d_model"),
    ):
        lines.append(f'{weight} = {{tensor = "{tensor}", axes = "{axes}"}}')
    for part in ("ln1", "ln2", "ln_final"):
        tensor = "norm" if part == "ln_final" else f"teile.{{layer}}.norm{part[-1]}"
        lines += [
            f'"{part}.{k}" = {{tensor = "{tensor}.{long}"}}' for k, long in (("w", "weight"), ("b", "bias"))
        ]
    mapping = tmp_path / "map.toml"
    mapping.write_text("\n".join(lines))
    found = open_checkpoint(saved(state, tmp_path / "net.pt"), mapping=mapping)
    original = open_checkpoint(TRAINED / "two_layers_norm.safetensors").model
    np.testing.assert_allclose(found.model.all_logits(), original.all_logits(), atol=1e-4)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"sequence": ["a", "b", "="], "tokens": {"=": 40}}, "the vocabulary has 24 tokens, 0 to 23"),
        ({"sequence": ["a", "+", "b", "="]}, "has 4 tokens; the network has 3 positions"),
        ({"sequence": ["a", "c", "="]}, "has no b"),
        ({"sequence": ["a", "b", "="], "tokens": {"=": 3}, "p": 23}, "is one of the p = 23 residues"),
        ({"sequence": ["a", "b", "="], "p": 24}, "needs 1 tokens beside p = 24 residues"),
        ({"n_layers": 3, "n_heads": 4}, "n_layers = 3: the tensors are those of 2"),
    ],
)
def test_settings_that_do_not_fit(settings: dict[str, Any], message: str, tmp_path: Path) -> None:
    path = saved(as_modules(), tmp_path / "net.pt")
    with pytest.raises(CheckpointError, match=message):
        open_checkpoint(path, config=settings)


@pytest.mark.parametrize("hidden", [(), (9,), (9, 7), (9, 7, 6)])
@pytest.mark.parametrize("summed", [False, True])
def test_mlps_on_embeddings(hidden: tuple[int, ...], summed: bool, tmp_path: Path) -> None:
    """A sequence of nn.Linear on the embeddings of a, "+", b and "=", side by side or summed."""
    torch.manual_seed(0)
    widths = (4 if summed else 16, *hidden, 8)
    layers: list[nn.Module] = []
    for i in range(len(widths) - 1):
        layers += [nn.Linear(widths[i], widths[i + 1]), nn.Tanh()]
    module = nn.ModuleDict({"embedding": nn.Embedding(8, 4), "net": nn.Sequential(*layers[:-1])}).double()
    a, b = torch.meshgrid(torch.arange(6), torch.arange(6), indexing="ij")
    tokens = torch.stack([a, torch.full_like(a, 6), b, torch.full_like(a, 7)], dim=-1)
    with torch.no_grad():
        x = module["embedding"](tokens)
        expected = module["net"](x.sum(-2) if summed else x.flatten(-2))[..., :6]
    config = {"p": 6, "sequence": ["a", "+", "b", "="], "activation": "tanh", "operation": "add"}
    checkpoint = open_checkpoint(saved(module.state_dict(), tmp_path / "net.pt"), config=config)
    assert isinstance(checkpoint.model, PairMLP if len(hidden) == 1 else DeepMLP)
    np.testing.assert_allclose(checkpoint.model.all_logits(), expected, atol=1e-12)
    own = save_safetensors(tmp_path / "own.safetensors", checkpoint.model, checkpoint.task)
    assert np.array_equal(open_checkpoint(own).model.all_logits(), checkpoint.model.all_logits())


@needs_cases
def test_two_operators_are_two_views_that_can_be_compared(tmp_path: Path) -> None:
    checkpoint = open_checkpoint(CASES / "network_t.pt")
    assert {name: view.task.operation for name, view in checkpoint.views.items()} == {
        "+": "add",
        "-": "subtract",
    }
    accuracy = [view.measured["all_accuracy"] for view in checkpoint.views.values()]
    np.testing.assert_allclose(accuracy, [0.973, 0.980], atol=5e-4)
    assert open_checkpoint(CASES / "network_t.pt", operation="subtract").task.operation == "subtract"
    own = save_safetensors(tmp_path / "t.safetensors", checkpoint.model, checkpoint.task, checkpoint.record())
    again = open_checkpoint(own)
    for name, view in again.views.items():
        assert view.measured == checkpoint.views[name].measured


@needs_cases
def test_constant_tokens_of_an_mlp_are_a_bias() -> None:
    checkpoint = open_checkpoint(CASES / "network_z.pt")
    assert isinstance(checkpoint.model, PairMLP)
    assert checkpoint.measured["all_loss"] == pytest.approx(0.002875, abs=1e-6)
    assert checkpoint.measured["test_accuracy"] == pytest.approx(0.9906, abs=1e-4)
