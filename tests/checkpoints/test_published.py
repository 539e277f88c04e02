"""The published checkpoints open, and have the losses that their authors give."""

from __future__ import annotations

from pathlib import Path

import pytest

from modscope.checkpoints import open_checkpoint
from modscope.task import Split

# folder or file -> layout, p, split, and measured numbers
GOLDEN = {
    "nanda_mainline/end_run_data.pth": (
        "old", 113, Split("python", 0.3, 0),
        {"train_loss": 9.7715e-08, "test_loss": 3.1206e-07, "all_loss": 2.4777e-07, "all_accuracy": 1.0},
    ),
    "chughtai_C113_T_seed1": (
        "transformer-lens", 113, Split("torch", 0.3, 1),
        {"train_loss": 8.8592e-08, "test_loss": 1.8848e-07, "all_loss": 1.5852e-07, "test_accuracy": 1.0},
    ),
    "pizza_A": ("old", 59, Split("none"), {"all_loss": 1.3843e-07, "all_accuracy": 1.0}),
    "pizza_B": ("old", 59, Split("none"), {"all_loss": 1.5609e-07, "all_accuracy": 1.0}),
    "flat_p113/checkpoint_final.pt": ("flat", 113, Split("none"), {"all_loss": 2.0572e-04, "all_accuracy": 1.0}),
    "flat_p113/checkpoint_e001000.pt": ("flat", 113, Split("none"), {"all_loss": 10.4132, "all_accuracy": 0.3045}),
}  # fmt: skip


@pytest.mark.parametrize("name", GOLDEN)
def test_a_published_checkpoint_has_its_published_numbers(name: str, published: Path) -> None:
    layout, p, split, numbers = GOLDEN[name]
    checkpoint = open_checkpoint(published / name)
    assert (checkpoint.layout, checkpoint.task.p) == (layout, p)
    assert checkpoint.task.operation == "add"
    assert checkpoint.task.split == split
    for key, value in numbers.items():
        assert checkpoint.measured[key] == pytest.approx(value, rel=6e-5), key
    assert checkpoint.agrees in (True, None)
    assert not checkpoint.at_chance
    assert not [note for note in checkpoint.notes if "disagrees" in note or "chance" in note]


def test_the_authors_own_numbers_are_met(published: Path) -> None:
    for name in ("nanda_mainline", "chughtai_C113_T_seed1"):
        checkpoint = open_checkpoint(published / name)
        assert checkpoint.agrees
        for key in ("train_loss", "test_loss"):
            assert checkpoint.measured[key] == pytest.approx(checkpoint.stated[key], rel=2e-4)


def test_attention_of_the_pizza_models(published: Path) -> None:
    for name, rate in (("pizza_A", 0.0), ("pizza_B", 1.0)):
        config = open_checkpoint(published / name).model.config
        assert (config.attention_rate, config.causal, config.equals) == (rate, False, False)  # type: ignore[union-attr]


def test_the_other_network_of_a_run_file(published: Path) -> None:
    checkpoint = open_checkpoint(published / "nanda_mainline")
    assert checkpoint.epoch == 49900
    assert checkpoint.epochs == (49900, 50000)
    end = open_checkpoint(published / "nanda_mainline", epoch=50000)
    assert end.measured["all_loss"] == pytest.approx(2.3958e-07, rel=1e-4)
    again = checkpoint.network_at(50000)
    assert all((again.weights[name] == weight).all() for name, weight in end.model.weights.items())


def test_a_split_is_found_without_a_config(published: Path, tmp_path: Path) -> None:
    import torch

    whole = torch.load(
        published / "nanda_mainline" / "end_run_data.pth", weights_only=True, map_location="cpu"
    )
    torch.save(whole["model"], tmp_path / "bare.pt")
    checkpoint = open_checkpoint(tmp_path / "bare.pt")
    assert checkpoint.task.split == Split("python", 0.3, 0)
    assert any("found by trying the named ones" in note for note in checkpoint.notes)
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "model.pt").symlink_to(published / "chughtai_C113_T_seed1" / "model.pt")
    assert open_checkpoint(tmp_path / "b").task.split == Split("torch", 0.3, 1)
