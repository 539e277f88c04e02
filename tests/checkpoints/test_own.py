"""Our own file holds the network, the task and the record, exactly, or is not there at all."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from modscope.checkpoints import read_safetensors, save_safetensors
from modscope.errors import CheckpointError, InputError
from modscope.model import Network, PairMLP, PairMLPConfig, Transformer, TransformerConfig
from modscope.task import ModularTask, Split

NETWORKS = [
    Transformer.initialised(TransformerConfig(7, d_model=12, n_heads=2, d_head=5, d_mlp=9), seed=1),
    Transformer.initialised(
        TransformerConfig(
            8, d_model=6, n_heads=3, d_mlp=4, equals=False, attention_rate=0.25, biases=("b_Q", "b_U")
        )
    ),
    PairMLP.initialised(PairMLPConfig(6, d_hidden=11, d_embed=5, biases=("b_in",)), seed=2),
]


@pytest.mark.parametrize("network", NETWORKS, ids=repr)
def test_what_was_saved_comes_back(network: Network, tmp_path: Path) -> None:
    p = network.config.p
    task = ModularTask(p, "subtract", Split.of_mask(np.random.default_rng(0).random((p, p)) < 0.4))
    path = save_safetensors(tmp_path / "net.safetensors", network, task, {"losses": {"all": 1.5}, "steps": 3})
    saved = read_safetensors(path)
    assert saved.model.config == network.config
    assert saved.task == task
    assert (saved.task.train_mask == task.train_mask).all()
    assert saved.record == {"losses": {"all": 1.5}, "steps": 3}
    for name, weight in network.weights.items():
        assert torch.equal(weight, saved.model.weights[name])
    assert [entry.name for entry in tmp_path.iterdir()] == ["net.safetensors"]


def test_nothing_is_left_of_a_save_that_fails(tmp_path: Path) -> None:
    network, task = NETWORKS[0], ModularTask(7)
    for record in ({"loss": float("nan")}, {"loss": torch.zeros(1)}):
        with pytest.raises(InputError, match="JSON"):
            save_safetensors(tmp_path / "net.safetensors", network, task, record)
    with pytest.raises(InputError, match="p = 7, the task for p = 5"):
        save_safetensors(tmp_path / "net.safetensors", network, ModularTask(5))
    (tmp_path / "folder.safetensors").mkdir()
    with pytest.raises(CheckpointError, match="cannot be written"):
        save_safetensors(tmp_path / "folder.safetensors", network, task)
    assert [entry.name for entry in tmp_path.iterdir()] == ["folder.safetensors"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": 99}, "format 99"),
        ({"network": {"family": "transfomer"}}, "did you mean 'transformer'"),
        ({"network": {"family": "transformer", "p": 7, "width": 3}}, "width"),
        ({"task": {"p": 11}}, "p = 7 and its task for p = 11"),
        ({"network": {"family": "transformer", "p": 7, "d_model": 16, "n_heads": 2}}, "has shape"),
    ],
)
def test_metadata_that_do_not_describe_the_file(
    change: dict[str, object], message: str, tmp_path: Path
) -> None:
    path = save_safetensors(tmp_path / "net.safetensors", NETWORKS[0], ModularTask(7))
    with safe_open(str(path), framework="pt") as file:
        description = json.loads(file.metadata()["modscope"])
    for text, expected in (
        (json.dumps(description | change), message),
        ("{", "do not describe it"),
        ("3", "do not describe it"),
    ):
        save_file(dict(NETWORKS[0].weights), path, {"modscope": text})
        with pytest.raises(CheckpointError, match=expected):
            read_safetensors(path)


def test_a_file_of_another_origin(tmp_path: Path) -> None:
    save_file(dict(NETWORKS[0].weights), tmp_path / "net.safetensors")
    with pytest.raises(CheckpointError, match="not written by modscope"):
        read_safetensors(tmp_path / "net.safetensors")
