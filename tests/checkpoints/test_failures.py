"""A file that is not a usable network is refused with one clear sentence, and nothing in it runs."""

from __future__ import annotations

import json
import struct
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.torch import save_file
from tests.checkpoints.written import flat_state, lens_state, old_state, random_transformer, saved

from modscope.checkpoints import open_checkpoint, save_safetensors
from modscope.checkpoints.reading import HEADER_LIMIT, all_tensors
from modscope.errors import CheckpointError, InputError, ModscopeError
from modscope.task import ModularTask

NETWORK = random_transformer(3, p=11, d_model=12, n_heads=3, d_head=5, d_mlp=7)
STATE = lens_state(NETWORK)


def refused(path: Path, message: str, error: type[Exception] = CheckpointError, **arguments: Any) -> None:
    with pytest.raises(error, match=message) as caught:
        open_checkpoint(path, **arguments)
    assert str(path.name) in str(caught.value) or str(path.parent.name) in str(caught.value) or arguments


def changed(**tensors: torch.Tensor | None) -> dict[str, torch.Tensor]:
    short = {name.split(".")[-1]: name for name in STATE}
    state = dict(STATE)
    for name, tensor in tensors.items():
        if tensor is None:
            del state[short[name]]
        else:
            state[short[name]] = tensor
    return state


def test_what_is_not_a_file_of_weights(tmp_path: Path) -> None:
    refused(tmp_path / "none.pt", "no such file", InputError)
    refused(tmp_path, "no file of weights", InputError)
    (tmp_path / "net.pt").write_bytes(b"")
    refused(tmp_path / "net.pt", "empty")
    (tmp_path / "net.txt").write_text("weights")
    refused(tmp_path / "net.txt", "ends in .pt", InputError)
    (tmp_path / "net.pt").write_text("p,loss\n113,0.5\n")
    refused(tmp_path / "net.pt", "not written by torch.save")
    (tmp_path / "net.pt").write_bytes(bytes(range(256)) * 12)
    refused(tmp_path / "net.pt", r"cut short, or not written by torch\.save$")
    (tmp_path / "net.safetensors").write_bytes(b"abc")
    refused(tmp_path / "net.safetensors", "not a whole safetensors file")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (torch.zeros(3), "one tensor of shape"),
        ([1, 2], "holds a list"),
        ({}, "no state dict"),
        ({"loss": 3, "epoch": 4}, "it holds loss, epoch"),
        ({"model": {"loss": 3}}, "model holds no tensor"),
        ({"state_dicts": [STATE, 3]}, r"state_dicts\[1\] is a int"),
    ],
)
def test_files_without_a_state_dict(content: Any, message: str, tmp_path: Path) -> None:
    refused(saved(content, tmp_path / "net.pt"), message)


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_cut_files(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"net{suffix}"
    if suffix == ".pt":
        saved(STATE, path)
    else:
        save_safetensors(path, NETWORK, ModularTask(11))
    whole = path.read_bytes()
    for share in (0.001, 0.1, 0.5, 0.9, 0.999):
        path.write_bytes(whole[: max(1, int(share * len(whole)))])
        refused(path, "cut short|not a whole")


@given(data=st.data(), suffix=st.sampled_from([".pt", ".safetensors"]))
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_damage_is_an_error_of_ours_or_harmless(data: st.DataObject, suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"net{suffix}"
    if suffix == ".pt":
        saved(STATE, path)
    else:
        save_safetensors(path, NETWORK, ModularTask(11))
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 8))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(bytes(content))
    try:
        open_checkpoint(path)
    except ModscopeError as error:
        assert len(str(error)) < 2000  # noqa: PT017 - an error is one of two good outcomes


def test_headers_that_lie_about_their_length(tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    for length in (2**63, 2**40, 0, 9):
        path.write_bytes(struct.pack("<Q", length) + b"{}")
        refused(path, "announces a header of")
    with path.open("wb") as file:
        file.write(struct.pack("<Q", HEADER_LIMIT + 1))
        file.truncate(HEADER_LIMIT + 100)
    refused(path, "a header of 67108865 bytes")
    header = json.dumps({"w": {"dtype": "F32", "shape": [10**9, 10**9], "data_offsets": [0, 4]}}).encode()
    path.write_bytes(struct.pack("<Q", len(header)) + header + b"abcd")
    refused(path, "not a whole safetensors file")


def test_archives_that_are_larger_inside(tmp_path: Path) -> None:
    path = tmp_path / "net.pt"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("net/data.pkl", b"\0" * 10**7)
    refused(path, "unpacks to 10000000 bytes")


def test_tensors_that_claim_more_than_there_is(tmp_path: Path) -> None:
    huge = torch.zeros(1).as_strided((2**20, 2**20), (0, 0))
    refused(
        saved({**STATE, "unembed.W_U": huge}, tmp_path / "net.pt"), "claims more numbers than the file holds"
    )
    sparse = torch.eye(3).to_sparse()
    refused(saved({**STATE, "unembed.W_U": sparse}, tmp_path / "net.pt"), "sparse")


def test_containers_that_hold_themselves_are_walked_once() -> None:
    loop: list[Any] = [{"w": torch.zeros(1)}]
    loop.append(loop)
    layer: list[Any] = [torch.zeros(1)]
    for _ in range(60):
        layer = [layer, layer]
    assert [name for name, _ in all_tensors({"loop": loop})] == ["loop[0].w"]
    assert len(list(all_tensors({"layer": layer}))) == 1


@pytest.mark.parametrize(
    ("state", "message"),
    [
        (changed(W_K=None), "missing blocks.0.attn.W_K"),
        (changed(W_E=None, W_pos=None), "missing embed.W_E, pos_embed.W_pos"),
        ({**STATE, "gate": torch.zeros(2, 3)}, r"not of this layout: gate \(2, 3\)"),
        ({**STATE, "blocks.1.mlp.W_in": torch.zeros(2, 3)}, r"not of this layout: blocks.1.mlp.W_in \(2, 3\)"),
        ({**STATE, "blocks.0.attn.ln_q.w": torch.ones(12)}, "not of this layout: blocks.0.attn.ln_q.w"),
        (changed(W_E=torch.full((12, 12), float("nan"))), "embed.W_E has 144 of 144 numbers that are NaN"),
        (changed(b_out=torch.tensor([float("inf")] + [0.0] * 11)), "b_out has 1 of 12"),
        (changed(W_U=torch.zeros(12, 11, dtype=torch.int64)), "torch.int64"),
        (changed(W_U=torch.zeros(12, 11, dtype=torch.complex64)), "complex64"),
        (changed(W_in=torch.randn(7, 12)), "d_model is 7 in W_in .* but 12 in W_E"),
        (changed(W_U=torch.randn(11, 12)), "d_model is 11 in W_U"),
        (changed(W_Q=torch.randn(3, 5, 12)), "d_model is 5 in W_Q"),
        (changed(b_in=torch.randn(7, 1)), "expected 1 axes"),
        (changed(W_U=torch.randn(12, 3)), "12 tokens, 3 positions, 3 answers do not tell what the network reads"),
        (changed(W_pos=torch.randn(1, 12), W_U=torch.randn(12, 12)), "1 positions"),
    ],
)  # fmt: skip
def test_tensors_that_make_no_network(state: dict[str, torch.Tensor], message: str, tmp_path: Path) -> None:
    refused(saved(state, tmp_path / "net.pt"), message)


def test_the_wrong_modulus(tmp_path: Path) -> None:
    path = saved(STATE, tmp_path / "net.pt")
    refused(path, "p = 13 does not fit: 12 tokens", p=13)
    refused(path, "p = 5 does not fit", p=5)
    own = save_safetensors(tmp_path / "own.safetensors", NETWORK, ModularTask(11))
    refused(own, "network for p = 11", InputError, p=13)
    with pytest.raises(InputError, match="at least 3"):
        open_checkpoint(path, p=2)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"n_layers": 3}, "n_layers = 3: the tensors are those of one layer"),
        ({"normalization_type": "BatchNorm"}, "norm 'BatchNorm'"),
        ({"use_linear": True}, "linear mixer"),
        ({"act_fn": "Mish"}, "activation function 'Mish'"),
        ({"split": {"kind": "numpy"}}, "kind of split 'numpy'"),
        ({"positional_embedding_type": "alibi"}, "alibi"),
        ({"positional_embedding_type": "rotary"}, "rotary, and the file has a table of positions"),
    ],
)
def test_configs_that_cannot_be_followed(config: dict[str, Any], message: str, tmp_path: Path) -> None:
    path = saved(STATE, tmp_path / "net.pt", config)
    with pytest.raises(CheckpointError, match=message):
        open_checkpoint(path)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"fn_name": "as usual"}, "operation 'as usual'"),
        ({"funcs": "lambda x: __import__('os').mkdir('sprung')%59"}, "operation"),
        ({"group": "baseline"}, "operation 'baseline'"),
        ({"frac_train": 30}, "train fraction = 30"),
        ({"p": "many"}, "p = 'many'"),
    ],
)
def test_words_of_a_neighbour_that_mean_something_else_are_passed_over(
    config: dict[str, Any], message: str, tmp_path: Path
) -> None:
    path = saved(STATE, tmp_path / "net.pt", config)
    assert any(
        f"passed over: {next(iter(config))}" in note and message in note
        for note in open_checkpoint(path).notes
    )
    with pytest.raises(CheckpointError, match=message):
        open_checkpoint(path, config=config)
    assert not Path("sprung").exists()


def test_configs_that_cannot_be_read(tmp_path: Path) -> None:
    path = saved(STATE, tmp_path / "net.pt")
    (tmp_path / "config.json").write_text("{")
    refused(path, "config.json: not readable as JSON", InputError)
    (tmp_path / "config.json").write_text("[1]")
    refused(path, "holds a list", InputError)
    (tmp_path / "other.toml").write_text("p = ")
    refused(path, "not readable as TOML", InputError, config=tmp_path / "other.toml")
    refused(path, "no such file", InputError, config=tmp_path / "absent.json")


def test_epochs_that_are_not_there(tmp_path: Path) -> None:
    refused(saved(STATE, tmp_path / "net.pt"), "does not say its epoch", InputError, epoch=3)
    many = {"state_dicts": [STATE, STATE, STATE], "epochs": [0, 100, 200]}
    refused(
        saved(many, tmp_path / "many.pt"), "it has 0, 100, 200; the nearest is 100", InputError, epoch=120
    )
    own = save_safetensors(tmp_path / "own.safetensors", NETWORK, ModularTask(11), {"epoch": 7})
    refused(own, "of epoch 7", InputError, epoch=8)
    with pytest.raises(InputError, match="epoch 8 is not in it"):
        open_checkpoint(own).network_at(8)


def test_train_indices_out_of_range(tmp_path: Path) -> None:
    refused(
        saved({"model": STATE, "train_indices": torch.tensor([0, 121])}, tmp_path / "net.pt"), "has 121 pairs"
    )
    refused(saved({"model": STATE, "train_indices": [0.5]}, tmp_path / "net.pt"), "pair numbers")


@pytest.mark.parametrize("write", [old_state, flat_state])
def test_other_layouts_name_what_is_missing(write: Any, tmp_path: Path) -> None:
    state = write(NETWORK)
    gone = next(name for name in state if name.endswith("W_V"))
    del state[gone]
    refused(saved(state, tmp_path / "net.pt"), f"missing {gone}")


def test_own_file_with_numbers_that_are_none(tmp_path: Path) -> None:
    broken = random_transformer(3, p=11, d_model=12, n_heads=3, d_head=5, d_mlp=7)
    path = save_safetensors(tmp_path / "own.safetensors", broken, ModularTask(11))
    with safe_open(str(path), framework="pt") as file:
        metadata = file.metadata()
    broken.weights["embed.W_E"][0, 0] = float("nan")
    with pytest.raises(CheckpointError, match="NaN"):
        save_safetensors(tmp_path / "other.safetensors", broken, ModularTask(11))
    assert not (tmp_path / "other.safetensors").exists()
    save_file(broken.weights, path, {"modscope": metadata["modscope"]})
    refused(path, "NaN")


def test_metadata_of_another_program_do_no_harm(tmp_path: Path) -> None:
    state = {name: tensor.contiguous() for name, tensor in flat_state(NETWORK).items()}
    save_file(state, tmp_path / "net.safetensors", {"format": "pt"})
    assert open_checkpoint(tmp_path / "net.safetensors").layout == "flat"
    save_file(state, tmp_path / "net.safetensors", {"modscope": "[]"})
    refused(tmp_path / "net.safetensors", "do not describe it")
