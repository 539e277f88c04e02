"""A network written in any layout comes back with the same logits, whatever its sizes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save_file
from tests.checkpoints.written import (
    WRITERS,
    lens_state,
    old_state,
    random_pair_mlp,
    random_transformer,
    same_logits,
    saved,
    stacked_mlp_state,
)

from modscope.checkpoints import open_checkpoint
from modscope.checkpoints.layouts import FLAT, OLD, TRANSFORMER_LENS, recognised
from modscope.errors import CheckpointError
from modscope.model import Transformer

DISTINCT = {"p": 11, "d_model": 12, "n_heads": 3, "d_head": 5, "d_mlp": 7}
EQUAL = {"p": 15, "d_model": 16, "n_heads": 4, "d_head": 4, "d_mlp": 16}  # with "=" the vocabulary is 16 too
EVEN = {"p": 16, "d_model": 16, "n_heads": 4, "d_head": 4, "d_mlp": 16, "equals": False}
ALL_FOUR = {"p": 3, "d_model": 4, "n_heads": 4, "d_head": 4, "d_mlp": 4}  # even heads and d_head
SIZES = [DISTINCT, EQUAL, EVEN, ALL_FOUR, {**DISTINCT, "equals": False}]


@pytest.mark.parametrize("layout", WRITERS)
@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_a_layout_is_read_as_it_was_written(layout: str, sizes: dict[str, Any], tmp_path: Path) -> None:
    network = random_transformer(3, **sizes)
    checkpoint = open_checkpoint(saved(WRITERS[layout](network), tmp_path / "net.pt"))
    assert checkpoint.layout == layout
    assert checkpoint.model.config == network.config
    for name, weight in network.weights.items():
        assert torch.equal(checkpoint.model.weights[name], weight), name
    assert same_logits(checkpoint.model, network)


@given(
    p=st.integers(3, 12),
    d_model=st.integers(1, 9),
    n_heads=st.integers(1, 4),
    d_head=st.integers(1, 5),
    d_mlp=st.integers(1, 9),
    equals=st.booleans(),
    layout=st.sampled_from(sorted(WRITERS)),
)
def test_any_sizes_come_back(tmp_path_factory: pytest.TempPathFactory, layout: str, **sizes: Any) -> None:
    network = random_transformer(1, **sizes)
    path = tmp_path_factory.mktemp("any") / "net.pth"
    checkpoint = open_checkpoint(saved(WRITERS[layout](network), path))
    assert checkpoint.model.config == network.config
    assert same_logits(checkpoint.model, network)


@pytest.mark.parametrize("biases", [("b_Q", "b_K", "b_V", "b_O", "b_in", "b_out", "b_U"), ("b_U",), ()])
def test_biases_are_used_where_they_are(biases: tuple[str, ...], tmp_path: Path) -> None:
    network = random_transformer(5, **DISTINCT, biases=biases)
    checkpoint = open_checkpoint(saved(lens_state(network), tmp_path / "net.pt"))
    assert checkpoint.model.config.biases == biases
    assert same_logits(checkpoint.model, network)


def test_a_reading_in_the_wrong_order_would_be_seen(tmp_path: Path) -> None:
    # The tests above mean something only if equal sizes do not make the orders equivalent.
    network = random_transformer(3, **EQUAL)
    state = old_state(network)
    for name in ("embed.W_E", "blocks.0.attn.W_O", "blocks.0.mlp.W_in", "unembed.W_U"):
        turned = {**state, name: state[name].T.contiguous()}
        wrong = open_checkpoint(saved(turned, tmp_path / "net.pt"))
        assert not same_logits(wrong.model, network), name


def test_w_o_of_the_old_layout_is_not_a_plain_reshape(tmp_path: Path) -> None:
    network = random_transformer(3, **EQUAL)
    state = old_state(network)
    reshaped = state["blocks.0.attn.W_O"].reshape(4, 4, 16)
    assert not torch.allclose(reshaped, network.weight("W_O"))
    assert torch.equal(
        open_checkpoint(saved(state, tmp_path / "net.pt")).model.weight("W_O"), network.weight("W_O")
    )


def test_old_and_lens_files_differ_by_names_and_axes_alone() -> None:
    network = random_transformer(3, **EQUAL)
    assert recognised(old_state(network)) is OLD
    assert recognised(lens_state(network)) is TRANSFORMER_LENS
    assert recognised(WRITERS["flat"](network)) is FLAT
    assert recognised({"a": torch.zeros(2), "W_U": torch.zeros(2, 2)}) is None


@pytest.mark.parametrize(
    "sizes", [{"p": 9, "d_embed": 4, "d_hidden": 7}, {"p": 8, "d_embed": 8, "d_hidden": 16}], ids=str
)
def test_the_stacked_mlp(sizes: dict[str, int], tmp_path: Path) -> None:
    network = random_pair_mlp(2, **sizes)
    checkpoint = open_checkpoint(saved(stacked_mlp_state(network), tmp_path / "net.pt"))
    assert checkpoint.layout == "stacked-mlp"
    assert checkpoint.model.config == network.config
    assert same_logits(checkpoint.model, network)
    with pytest.raises(CheckpointError, match=r"\(pair d_embed\)"):
        open_checkpoint(
            saved({**stacked_mlp_state(network), "W": network.weight("W_in_a")}, tmp_path / "net.pt")
        )


def test_other_mlps(tmp_path: Path) -> None:
    network = random_pair_mlp(2, p=9, d_hidden=7)
    state = {"W_x": network.weight("W_in_a"), "W_y": network.weight("W_in_b"), "W_U": network.weight("W_U")}
    checkpoint = open_checkpoint(saved(state, tmp_path / "net.pt", {"model": "BetterOneLayerMLP"}))
    assert checkpoint.layout == "summed-mlp"
    assert same_logits(checkpoint.model, network)
    # The bilinear network has the same tensors and another meaning.
    with pytest.raises(CheckpointError, match="BilinearNet"):
        open_checkpoint(saved(state, tmp_path / "net.pt", {"model": "BilinearNet"}))
    (tmp_path / "config.json").unlink()
    assert open_checkpoint(saved(dict(network.weights), tmp_path / "net.pt")).layout == "one-hot-mlp"
    embedded = random_pair_mlp(2, p=9, d_hidden=7, d_embed=5, biases=("b_in", "b_U"))
    checkpoint = open_checkpoint(saved(dict(embedded.weights), tmp_path / "net.pt"))
    assert checkpoint.layout == "pair-mlp"
    assert same_logits(checkpoint.model, embedded)
    early = stacked_mlp_state(random_pair_mlp(2, p=9, d_hidden=7, d_embed=5))
    early["W_E_a"], early["W_E_b"] = early.pop("W_x"), early.pop("W_y")
    assert open_checkpoint(saved(early, tmp_path / "net.pt")).layout == "early-stacked-mlp"


def test_safetensors_of_any_layout_and_wrapped_names(tmp_path: Path) -> None:
    network = random_transformer(4, **DISTINCT)
    for layout, write in WRITERS.items():
        state = {f"module._orig_mod.{name}": tensor.contiguous() for name, tensor in write(network).items()}
        save_file(state, tmp_path / "net.safetensors")
        checkpoint = open_checkpoint(tmp_path / "net.safetensors")
        assert checkpoint.layout == layout
        assert same_logits(checkpoint.model, network)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_number_types(dtype: torch.dtype, tmp_path: Path) -> None:
    network = random_transformer(4, **DISTINCT)
    state = {name: tensor.to(dtype) for name, tensor in lens_state(network).items() if tensor.ndim}
    model = open_checkpoint(saved(state, tmp_path / "net.pt")).model
    assert model.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
    assert torch.equal(model.weight("W_E").to(dtype), network.weight("W_E").to(dtype))


def test_files_of_the_old_kind_without_an_archive(tmp_path: Path) -> None:
    network = random_transformer(4, **DISTINCT)
    torch.save(lens_state(network), tmp_path / "net.pt", _use_new_zipfile_serialization=False)
    assert same_logits(open_checkpoint(tmp_path / "net.pt").model, network)


def test_a_repeated_tensor_is_left_out_with_a_note_and_an_unknown_one_refused(tmp_path: Path) -> None:
    network = random_transformer(4, **DISTINCT)
    state = lens_state(network)
    checkpoint = open_checkpoint(saved({**state, "x_embed": state["embed.W_E"].clone()}, tmp_path / "net.pt"))
    assert any("x_embed repeats embed.W_E" in note for note in checkpoint.notes)
    other = {**state, "x_embed": state["embed.W_E"] + 1}
    with pytest.raises(CheckpointError, match=r"not of this layout: x_embed \(12, 12\)"):
        open_checkpoint(saved(other, tmp_path / "net.pt"))


def test_spare_tokens_positions_and_answers_are_left_out(tmp_path: Path) -> None:
    network = random_transformer(4, **DISTINCT)
    state = lens_state(network)
    state["pos_embed.W_pos"] = torch.cat((state["pos_embed.W_pos"], torch.randn(2, 12)))
    state["unembed.W_U"] = torch.cat((state["unembed.W_U"], torch.randn(12, 1)), dim=1)
    checkpoint = open_checkpoint(saved(state, tmp_path / "net.pt"), p=11)
    assert same_logits(checkpoint.model, network)
    assert sum("left out" in note for note in checkpoint.notes) == 2


def test_the_scale_of_attention_is_folded(tmp_path: Path) -> None:
    network = random_transformer(4, **DISTINCT, biases=("b_Q", "b_in"))
    path = saved(lens_state(network), tmp_path / "net.pt")
    unscaled = open_checkpoint(path, config={"use_attn_scale": False})
    weights = dict(network.weights)
    for name in ("blocks.0.attn.W_Q", "blocks.0.attn.b_Q"):
        weights[name] = weights[name] * 5**0.5
    assert same_logits(unscaled.model, Transformer(network.config, weights))
    same = open_checkpoint(path, config={"attn_scale": 5**0.5})
    assert same_logits(same.model, network)
