"""What a network answers to all pairs: the same block by block as at once, within bounds, and only if it is numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from tests.checkpoints.written import lens_state, random_transformer, saved

from modscope.checkpoints import answers, open_checkpoint, save_safetensors
from modscope.checkpoints.answers import LARGEST_P, answers_of
from modscope.errors import CheckpointError, InputError
from modscope.losses import StreamedLogits, accuracies, losses
from modscope.memory import require
from modscope.task import ModularTask, Split

NETWORK = random_transformer(3, p=11, d_model=12, n_heads=3, d_head=5, d_mlp=7)


def test_logits_made_block_by_block_give_the_same_numbers(monkeypatch, tmp_path: Path) -> None:
    task = ModularTask(11, "subtract", Split("torch", 0.4, 3))
    whole = answers_of(NETWORK, "x")
    monkeypatch.setattr(answers, "_HELD", 0)
    streamed = answers_of(NETWORK, "x")
    assert isinstance(streamed, StreamedLogits)
    assert not isinstance(whole, StreamedLogits)
    assert streamed.shape == whole.shape == (11, 11, 11)
    np.testing.assert_array_equal(streamed.argmax(axis=-1), whole.argmax(axis=-1))
    assert losses(streamed, task) == losses(whole, task)
    assert accuracies(streamed, task) == accuracies(whole, task)
    path = saved(lens_state(NETWORK), tmp_path / "net.pt", {"fn_name": "add", "p": 11})
    in_blocks = open_checkpoint(path)
    monkeypatch.undo()
    assert in_blocks.to_dict() == open_checkpoint(path).to_dict()


def test_a_large_modulus_is_refused_with_what_it_would_take(tmp_path: Path) -> None:
    network = random_transformer(3, p=20_000, d_model=1, n_heads=1, d_head=1, d_mlp=1)
    path = save_safetensors(tmp_path / "net.safetensors", network, ModularTask(20_000))
    with pytest.raises(CheckpointError, match=f"32 TB: expected p of at most {LARGEST_P}"):
        open_checkpoint(path)


def test_more_memory_than_is_free_is_said_before_it_is_taken() -> None:
    with pytest.raises(InputError, match=r"the table would take 1 EB of memory, and .* are free"):
        require(10**18, "the table")
    require(1, "the table")


@pytest.mark.parametrize("large", [1e30, 1e38])
def test_weights_that_are_numbers_and_compute_none(tmp_path: Path, large: float) -> None:
    state = {name: torch.full_like(tensor, large) for name, tensor in lens_state(NETWORK).items()}
    with pytest.raises(
        CheckpointError, match=r"its weights are numbers, but the logits of 121 pairs are NaN"
    ):
        open_checkpoint(saved(state, tmp_path / "net.pt"))
