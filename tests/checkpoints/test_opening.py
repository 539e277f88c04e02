"""What is concluded about a network when it is opened: epoch, operation, split, and whether the file is right."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.checkpoints.written import (
    flat_state,
    lens_state,
    old_state,
    random_transformer,
    same_logits,
    saved,
    stacked_mlp_state,
)

from modscope.checkpoints import open_checkpoint, save_safetensors
from modscope.checkpoints.settings import Settings, settings_from
from modscope.checkpoints.splits import found_operation, found_split, train_advantage
from modscope.checkpoints.stated import disagreements
from modscope.errors import CheckpointError, InputError
from modscope.losses import cross_entropy
from modscope.model import PairMLP, PairMLPConfig, Transformer
from modscope.operations import Operation
from modscope.task import ModularTask, Split

NETWORK = random_transformer(3, p=11, d_model=12, n_heads=3, d_head=5, d_mlp=7)


def lookup_network(task: ModularTask, *, sure: float = 20.0, unsure: float = 20.0) -> PairMLP:
    """An MLP with one neuron per pair that gives its label, surer of the training pairs than of the others."""
    p = task.p
    one, other = torch.tensor(task.pairs).T
    neurons = torch.arange(p * p)
    w_a, w_b, w_u = torch.zeros(p, p * p), torch.zeros(p, p * p), torch.zeros(p * p, p)
    w_a[one, neurons] = w_b[other, neurons] = 1.0
    heights = torch.where(torch.tensor(task.train_mask).flatten(), sure, unsure)
    w_u[neurons, torch.tensor(task.labels).flatten()] = heights
    noise = torch.rand(p * p, generator=torch.Generator().manual_seed(0))[:, None]
    weights = {
        "embed.W_E_a": torch.eye(p), "embed.W_E_b": torch.eye(p),
        "mlp.W_in_a": w_a, "mlp.W_in_b": w_b, "unembed.W_U": w_u * (1 + 0.1 * noise),
    }  # fmt: skip
    # relu(1 + 1 - 1) = 1 for the pair itself, relu(1 - 1) = 0 for pairs that share one number with it.
    weights["mlp.b_in"] = torch.full((p * p,), -1.0)
    return PairMLP(PairMLPConfig(p, d_hidden=p * p, d_embed=p, biases=("b_in",)), weights)


def logits_of(task: ModularTask, **sureness: float) -> np.ndarray:
    return lookup_network(task, **sureness).all_logits().numpy()


@pytest.mark.parametrize("operation", ["add", "subtract", "multiply", "x^2+xy+y^2"])
@pytest.mark.parametrize("p", [9, 14])
def test_the_operation_is_told_by_the_answers(operation: str, p: int) -> None:
    logits = logits_of(ModularTask(p, operation))
    assert found_operation(logits, Settings())[0].name == operation
    assert found_operation(logits, Settings(operation="add")) == (Operation.of("add"), None)


def test_a_network_that_answers_nothing_is_taken_to_add() -> None:
    logits = np.random.default_rng(0).normal(size=(12, 12, 12))
    operation, note = found_operation(logits, Settings())
    assert operation.name == "add"
    assert note is not None
    assert note.startswith("operation not stated")


@pytest.mark.parametrize(
    "split", [Split("python", 0.3, 0), Split("torch", 0.3, 598), Split("python", 0.5, 42)], ids=repr
)
@pytest.mark.parametrize("p", [23, 30])
def test_a_named_split_is_found_from_the_losses(split: Split, p: int) -> None:
    task = ModularTask(p, "add", split)
    logits = logits_of(task, sure=9.0, unsure=7.0)
    found, reason = found_split(logits, ModularTask(p), Settings())
    assert found == split
    assert "found by trying the named ones" in reason


def test_a_split_that_nobody_names_is_not_invented() -> None:
    mask = np.random.default_rng(5).random((23, 23)) < 0.3
    logits = logits_of(ModularTask(23, "add", Split.of_mask(mask)), sure=9.0, unsure=7.0)
    found, reason = found_split(logits, ModularTask(23), Settings())
    assert found.kind == "none"
    assert "no named one" in reason


def test_the_convention_of_the_config_comes_first_and_is_checked() -> None:
    task = ModularTask(23, "add", Split("torch", 0.3, 1))
    logits = logits_of(task, sure=9.0, unsure=7.0)
    right = Settings(convention="torch", seed=1, fraction=0.3)
    assert (
        "as the config's authors draw it; its training pairs"
        in found_split(logits, ModularTask(23), right)[1]
    )
    # The config says one thing, the network's losses another.
    found, reason = found_split(logits, ModularTask(23), Settings(convention="python", seed=1, fraction=0.3))
    assert found == Split("torch", 0.3, 1)
    assert "found by trying" in reason
    flat = np.zeros((23, 23, 23))
    found, reason = found_split(flat, ModularTask(23), right)
    assert found == Split("torch", 0.3, 1)
    assert "do not confirm" in reason
    # Their seed 0 is also the switch of the shuffle.
    unshuffled, _ = found_split(flat, ModularTask(23), Settings(convention="torch", seed=0, fraction=0.3))
    assert (unshuffled.train_mask(23).flatten().nonzero()[0] == np.arange(int(0.3 * 23 * 23))).all()
    assert found_split(flat, ModularTask(23), Settings(convention="unseeded"))[0].kind == "none"
    assert found_split(flat, ModularTask(23), Settings(split=Split("python", 0.7, 9)))[0] == Split(
        "python", 0.7, 9
    )


def test_the_advantage_of_random_masks_is_small_and_of_the_right_one_large() -> None:
    task = ModularTask(31, "add", Split("python", 0.3, 0))
    loss = cross_entropy(logits_of(task, sure=9.0, unsure=8.0), task.labels)
    wrong = [train_advantage(loss, Split("torch", 0.3, seed).train_mask(31)) for seed in range(200)]
    assert max(np.abs(wrong)) < 4.5
    assert np.std(wrong) == pytest.approx(1.0, abs=0.25)
    assert train_advantage(loss, task.train_mask) > 6
    assert train_advantage(loss, ~task.train_mask) < -6
    assert train_advantage(np.ones((31, 31)), task.train_mask) == 0.0


def test_indices_in_the_file_are_the_split(tmp_path: Path) -> None:
    indices = torch.randperm(121, generator=torch.Generator().manual_seed(4))[:40]
    content = {"model": lens_state(NETWORK), "train_indices": indices, "test_indices": torch.arange(3)}
    mask = open_checkpoint(saved(content, tmp_path / "net.pt")).task.train_mask
    assert set(mask.flatten().nonzero()[0]) == set(indices.tolist())


def test_a_file_that_is_right_about_itself(tmp_path: Path) -> None:
    task = ModularTask(23, "subtract", Split("torch", 0.3, 1))
    network = lookup_network(task, sure=9.0, unsure=7.0)
    path = save_safetensors(tmp_path / "own.safetensors", network, task, {"epoch": 12})
    measured = open_checkpoint(path).measured
    assert measured["train_loss"] < measured["all_loss"] < measured["test_loss"]
    assert measured["all_accuracy"] == 1.0
    record = {
        "epoch": 12,
        "losses": {key: measured[f"{key}_loss"] for key in ("train", "test", "all")},
        "accuracies": {"all": 1.0, "train": None},
    }
    checkpoint = open_checkpoint(save_safetensors(path, network, task, record), epoch=12)
    assert checkpoint.agrees
    assert (checkpoint.layout, checkpoint.epoch, checkpoint.epochs) == ("modscope", 12, (12,))
    assert checkpoint.task == task
    assert not checkpoint.at_chance
    assert checkpoint.notes == ()


def test_a_file_that_is_wrong_about_itself_and_a_network_at_chance(tmp_path: Path) -> None:
    content = {
        "model_state_dict": flat_state(NETWORK),
        "all_acc": 100.0,
        "val_loss": torch.tensor(0.5),
        "all_loss": 1e-3,
    }
    checkpoint = open_checkpoint(saved(content, tmp_path / "net.pt"))
    assert checkpoint.stated == {"all_accuracy": 1.0, "test_loss": 0.5, "all_loss": 1e-3}
    assert checkpoint.agrees is False
    assert checkpoint.at_chance
    assert any("disagrees with its file: all accuracy is" in note for note in checkpoint.notes)
    assert checkpoint.notes[0].startswith("cannot be judged: the accuracy over all pairs is 0.")
    assert "guessing (1/11)" in checkpoint.notes[0]
    assert any(note.startswith("at chance: ") for note in checkpoint.notes)
    assumed = "assumed, not stated: attention rate 1, activation relu, causal mask, scores over sqrt(d_head)"
    assert any(note.startswith(assumed) for note in checkpoint.notes)
    assert open_checkpoint(saved(lens_state(NETWORK), tmp_path / "bare.pt")).agrees is None


def test_a_square_matrix_stored_the_other_way_round_is_reported(published: Path, tmp_path: Path) -> None:
    path = published / "nanda_mainline" / "end_run_data.pth"
    content = torch.load(path, weights_only=True, map_location="cpu")
    state = content["state_dicts"][-1]
    state["blocks.0.attn.W_O"] = state["blocks.0.attn.W_O"].T.contiguous()
    checkpoint = open_checkpoint(saved(content, tmp_path / "turned.pth"))
    assert checkpoint.agrees is False
    assert any("train loss" in note and "disagrees" in note for note in checkpoint.notes)


def test_tolerances_of_what_a_file_says() -> None:
    assert disagreements({"train_loss": 1.0e-7}, {"train_loss": 1.4e-7}) == []
    assert disagreements({"train_loss": 1.0e-7, "test_loss": 2.0}, {"train_loss": 1.05e-7}) == []
    assert len(disagreements({"train_loss": 1.0}, {"train_loss": 1.2})) == 1
    assert len(disagreements({"train_loss": 1.0e-7}, {"train_loss": 3.0e-7})) == 1
    assert len(disagreements({"test_accuracy": 0.99}, {"test_accuracy": 0.98})) == 1


def many(count: int = 4) -> list[Transformer]:
    return [random_transformer(seed, p=11, d_model=12, n_heads=3, d_head=5, d_mlp=7) for seed in range(count)]


@pytest.mark.parametrize(
    ("states", "epochs"), [("state_dicts", "epochs"), ("checkpoints", "checkpoint_epochs")]
)
def test_the_epochs_of_a_run_file(states: str, epochs: str, tmp_path: Path) -> None:
    networks = many()
    content: dict[str, Any] = {
        states: [old_state(network) for network in networks],
        epochs: [0, 100, 200, 300],
        "train_losses": [float(epoch) for epoch in range(301)],
        "test_losses": [float(epoch * 10) for epoch in range(31)],
        "config": {"fn_name": "add", "num_epochs": 301},
    }
    path = saved(content, tmp_path / "run.pth")
    checkpoint = open_checkpoint(path)
    assert (checkpoint.epoch, checkpoint.epochs) == (300, (0, 100, 200, 300))
    assert same_logits(checkpoint.model, networks[3])
    for epoch, network in zip(checkpoint.epochs, networks, strict=True):
        assert same_logits(checkpoint.network_at(epoch), network)
    early = open_checkpoint(path, epoch=100)
    assert same_logits(early.model, networks[1])
    # Saved after the step: the loss of what epoch 100 left is written as that of epoch 101.
    assert early.stated == {"train_loss": 101.0, "test_loss": 100.0}
    with pytest.raises(InputError, match="nearest is 100"):
        checkpoint.network_at(140)


def test_states_without_their_epochs_and_by_epoch(tmp_path: Path) -> None:
    networks = many(2)
    nameless = open_checkpoint(saved({"state_dicts": [lens_state(n) for n in networks]}, tmp_path / "a.pt"))
    assert (nameless.epoch, nameless.epochs) == (1, (0, 1))
    assert "numbered from 0" in " ".join(nameless.notes)
    assert same_logits(nameless.model, networks[1])
    by_epoch = {"state_dicts": {0: lens_state(networks[0]), 500: lens_state(networks[1])}}
    assert open_checkpoint(saved(by_epoch, tmp_path / "b.pt")).epochs == (0, 500)
    thinned = {
        "state_dicts": [lens_state(networks[1])],
        "epochs": [0, 1, 2],
        "model": lens_state(networks[0]),
    }
    checkpoint = open_checkpoint(saved(thinned, tmp_path / "c.pt"), config={"num_epochs": 3})
    assert checkpoint.epochs == (2, 3)
    assert same_logits(checkpoint.network_at(3), networks[0])
    assert sum("state_dicts" in note for note in checkpoint.notes) == 2


def test_a_folder_with_one_file_or_one_of_the_end(tmp_path: Path) -> None:
    networks = many(3)
    saved({"model": lens_state(networks[0]), "epoch": 10}, tmp_path / "net_a.pt")
    assert open_checkpoint(tmp_path, epoch=10).epoch == 10
    with pytest.raises(InputError, match="nearest is 10"):
        open_checkpoint(tmp_path, epoch=11)
    saved(lens_state(networks[1]), tmp_path / "net_b.pt")
    with pytest.raises(InputError, match=r"2 files of weights: give the path of one of net_a.pt, net_b.pt"):
        open_checkpoint(tmp_path)
    saved(lens_state(networks[2]), tmp_path / "net_final.pt")
    checkpoint = open_checkpoint(tmp_path)
    assert same_logits(checkpoint.model, networks[2])
    assert any("net_final.pt was opened" in note for note in checkpoint.notes)


@pytest.mark.parametrize(
    ("weights", "config"),
    [
        ("model_x1.pt", "config_x1.json"),
        ("model.pt", "cfg.json"),
        ("a.pt", "a.json"),
        ("model.pt", "config.json"),
    ],
)
def test_the_config_that_belongs_to_a_file(weights: str, config: str, tmp_path: Path) -> None:
    saved(lens_state(NETWORK), tmp_path / weights)
    (tmp_path / config).write_text(json.dumps({"act_fn": "GeLU", "frac_train": 0.4}))
    (tmp_path / "config_other.json").write_text("{}")
    checkpoint = open_checkpoint(tmp_path / weights)
    assert checkpoint.model.config.activation == "gelu"
    assert f"config read from {config}" in checkpoint.notes
    # What is given comes before what is found.
    assert (
        open_checkpoint(tmp_path / weights, config={"activation": "relu"}).model.config.activation == "relu"
    )


def test_a_run_folder(tmp_path: Path) -> None:
    networks, task = many(2), ModularTask(11, "add", Split("python", 0.4, 3))
    for epoch, network in zip((5, 9), networks, strict=True):
        save_safetensors(tmp_path / f"{epoch}.safetensors", network, task, {"epoch": epoch})
    listed = [{"epoch": 5, "file": "5.safetensors"}, {"epoch": 9, "file": "9.safetensors"}]
    manifest = tmp_path / "manifest.json"
    manifest.write_text(json.dumps({"checkpoints": listed}))
    checkpoint = open_checkpoint(tmp_path)
    assert (checkpoint.epoch, checkpoint.task) == (9, task)
    assert same_logits(open_checkpoint(tmp_path, epoch=5).model, networks[0])
    with pytest.raises(InputError, match="nearest is of epoch 5"):
        open_checkpoint(tmp_path, epoch=6)
    for broken, message in (
        ({}, "expected a list of checkpoints"),
        ({"checkpoints": []}, "no checkpoint yet"),
        ({"checkpoints": [{"epoch": 5, "file": "../x.safetensors"}]}, "outside of the run folder"),
        ({"checkpoints": [{"epoch": 5, "file": "6.safetensors"}]}, "which is not there"),
    ):
        manifest.write_text(json.dumps(broken))
        with pytest.raises(CheckpointError, match=message):
            open_checkpoint(tmp_path)


def test_a_folder_of_the_mlp_family(tmp_path: Path) -> None:
    from tests.checkpoints.written import random_pair_mlp

    network = random_pair_mlp(1, p=10, d_embed=4, d_hidden=6)
    config = {
        "model": "OneLayerMLP",
        "group": "CyclicGroup",
        "group_parameter": 10,
        "frac_train": 0.4,
        "seed": 3,
    }
    (tmp_path / "cfg.json").write_text(json.dumps(config))
    (tmp_path / "summary_metrics.json").write_text(json.dumps({"test_loss": 50.0, "epoch": 3}))
    saved(stacked_mlp_state(network), tmp_path / "model.pt")
    checkpoint = open_checkpoint(tmp_path)
    assert checkpoint.task.split == Split("torch", 0.4, 3)
    assert checkpoint.stated == {"test_loss": 50.0}
    assert same_logits(checkpoint.model, network)


def test_words_of_configs() -> None:
    pizza = {
        "funcs": "lambda x: (x[0]-x[1])%59",
        "C": 59,
        "attn_coeff": 0.25,
        "frac": 0.8,
        "eqn_sign": 0,
        "act_fn": "GeLU",
    }
    assert settings_from(pizza, source="config") == Settings(
        p=59, operation="subtract", fraction=0.8, attention_rate=0.25, causal=False, equals=False, activation="gelu",
        convention="unseeded",
    )  # fmt: skip
    lens = {
        "attention_dir": "bidirectional",
        "act_fn": "relu",
        "n_heads": 3,
        "n_layers": 1,
        "attn_scale": -1,
        "d_vocab": 7,
    }
    assert settings_from(lens, source="config") == Settings(
        causal=False, activation="relu", n_heads=3, n_layers=1
    )
    assert settings_from({"task": "modular addition".replace(" ", "_")}, source="config").operation == "add"
    assert Settings(p=5).over(Settings(p=7, seed=1)) == Settings(p=5, seed=1)
