"""What a file does not say is said; a choice of a few is tried; stated numbers are held against measured ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from tests.checkpoints.written import saved

from modscope import planted
from modscope.checkpoints import open_checkpoint
from modscope.checkpoints.assumptions import Tried, _to_be_taken
from modscope.checkpoints.settings import Settings
from modscope.checkpoints.splits import found_split
from modscope.checkpoints.stated import disagreements, not_compared
from modscope.losses import losses
from modscope.model import Transformer
from modscope.task import ModularTask, Split


def lens(network: Transformer) -> dict[str, torch.Tensor]:
    return {name: weight.float() for name, weight in network.weights.items()}


def test_every_switch_that_nobody_stated_is_named_though_all_is_right(tmp_path: Path) -> None:
    network, _ = planted.pizza(13, (1, 3))
    path = saved(lens(network), tmp_path / "net.pt")
    checkpoint = open_checkpoint(path)
    assert checkpoint.measured["all_accuracy"] == 1.0
    note = next(note for note in checkpoint.notes if note.startswith("assumed, not stated"))
    for switch in ("attention rate 1", "activation relu", "causal mask", "scores over sqrt(d_head)"):
        assert switch in note
    assert {tuple(tried.choice.values()) for tried in checkpoint.tried} == {
        (rate, activation) for rate in (1.0, 0.0) for activation in ("relu", "gelu")
    }
    stated = open_checkpoint(
        path, config={"activation": "relu", "attention_rate": 1.0, "causal": True, "attn_scale": 1.0}
    )
    assert not any(note.startswith("assumed") for note in stated.notes)
    assert stated.tried == ()


def test_another_choice_has_to_mend_answers_unless_both_are_usual() -> None:
    def tried(rate: float, activation: str, loss: float, accuracy: float) -> Tried:
        return Tried({"attention_rate": rate, "activation": activation}, "add", loss, accuracy)

    usual = tried(1.0, "relu", 1e-3, 1.0)
    assert not _to_be_taken(tried(1.0, "gelu", 1e-7, 1.0), usual, usual, plain=True)
    assert _to_be_taken(tried(0.0, "relu", 1e-7, 1.0), usual, usual, plain=True)
    assert not _to_be_taken(tried(0.0, "relu", 1e-7, 1.0), usual, usual, plain=False)
    wrong = tried(1.0, "relu", 1.0, 0.7)
    assert _to_be_taken(tried(1.0, "gelu", 1e-2, 0.99), wrong, wrong, plain=False)
    assert not _to_be_taken(tried(1.0, "gelu", 0.9, 0.99), wrong, wrong, plain=False)
    untrained = tried(1.0, "relu", 3.0, 0.05)
    assert not _to_be_taken(tried(0.0, "relu", 0.1, 0.4), untrained, untrained, plain=True)


def test_a_network_without_equals_takes_the_rate_that_works(published: Path, tmp_path: Path) -> None:
    source = next((published / "pizza_A").glob("*.pt"))
    alone = tmp_path / "alone.pt"
    alone.write_bytes(source.read_bytes())
    checkpoint = open_checkpoint(alone)
    assert checkpoint.model.config.attention_rate == 0.0
    assert checkpoint.measured["all_loss"] == pytest.approx(1.384e-07, rel=1e-3)
    rate_1 = next(
        tried for tried in checkpoint.tried if tried.choice == {"attention_rate": 1.0, "activation": "relu"}
    )
    assert rate_1.loss == pytest.approx(9.1e-4, rel=0.01)
    other = next((published / "pizza_B").glob("*.pt"))
    alone.write_bytes(other.read_bytes())
    assert open_checkpoint(alone).model.config.attention_rate == 1.0


def test_a_mean_over_all_pairs_lies_between_train_and_test() -> None:
    measured = {"all_loss": 5.0, "all_accuracy": 0.202}
    said = {"train_loss": 1e-7, "test_loss": 3e-7, "train_accuracy": 1.0, "test_accuracy": 1.0}
    texts = disagreements(said, measured)
    assert (
        "accuracy over all pairs is 0.202, which is not between train 1 and test 1 as the file says" in texts
    )
    assert any(text.startswith("loss over all pairs is 5") for text in texts)
    fits = {"train_loss": 1e-7, "test_loss": 7.0, "train_accuracy": 1.0, "test_accuracy": 0.01}
    assert disagreements(fits, measured) == []
    assert "train loss 1e-07" in not_compared(fits, measured)[0]
    assert disagreements(fits, measured | {"test_loss": 7.0}) == []


@pytest.mark.parametrize("fraction", [0.6, 0.35])
def test_the_fraction_is_the_one_that_explains_the_stated_loss(fraction: float) -> None:
    task = ModularTask(23, "add", Split("torch", fraction, 1))
    rng = np.random.default_rng(0)
    size = np.where(task.train_mask, 7.5, 7.0) + rng.normal(0, 0.6, (23, 23))
    logits = size[..., None] * np.eye(23)[task.labels]
    stated = losses(logits, task).to_dict()
    named = {f"{name}_loss": value for name, value in stated.items() if value is not None}
    split, reason = found_split(logits, ModularTask(23), Settings(), named)
    assert split == task.split
    assert "its fraction gives the stated test and train loss" in reason
    far = {"test_loss": 100.0}
    assert "no fraction gives the losses" in found_split(logits, ModularTask(23), Settings(), far)[1]


def test_a_quotient_is_split_like_a_sum() -> None:
    task = ModularTask(23, "a/b", Split("torch", 0.4, 42))
    size = np.where(task.train_mask, 9.0, 7.0)
    logits = size[..., None] * np.eye(23)[np.maximum(task.labels, 0)]
    assert found_split(logits, ModularTask(23, "a/b"), Settings())[0] == task.split
