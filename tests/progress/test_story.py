"""What a page tells of training: the epochs it takes, the numbers kept with the shipped run, its films."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modscope.activations import record
from modscope.errors import InputError
from modscope.progress import progress
from modscope.progress.story import TOLD, told_epochs, training_story
from modscope.runs import Run
from modscope.shipped import shipped_network, shipped_run


@given(st.lists(st.integers(0, 10**6), min_size=1, max_size=200, unique=True), st.integers(2, 30))
def test_first_and_last_epoch_are_told_and_never_too_many(epochs: list[int], most: int) -> None:
    epochs.sort()
    told = told_epochs(epochs, most=most)
    assert told[-1] == epochs[-1]
    assert told[0] == epochs[0]
    assert len(told) == min(most, len(epochs))
    assert set(told) <= set(epochs)


def test_the_numbers_kept_with_the_shipped_run_are_those_of_its_networks() -> None:
    run = shipped_run()
    at = [run.epochs[0], run.epochs[-1]]
    kept, fresh = (progress(run, measures=TOLD, epochs=at, keep=keep) for keep in (True, False))
    assert set(kept) == set(fresh)
    for name in fresh:
        np.testing.assert_allclose(kept[name], fresh[name], rtol=2e-4, atol=1e-9, err_msg=str(name))


def test_the_story_ends_at_the_network() -> None:
    run, network = shipped_run(), shipped_network()
    story = training_story(run, neuron=53)
    assert story.told == run.epochs
    assert story.neuron is not None
    at = record(network.model, network.task).at("mlp_post").isel(neuron=53).values
    p = run.task.p
    a = np.arange(p)
    for c in (0, 40):
        # one neuron is computed alone: the same but for the last digits of float32
        row = story.neuron.sel(epoch=run.epochs[-1], c=c).values
        np.testing.assert_allclose(row, at[a, (c - a) % p], rtol=1e-5, atol=2e-6)
    assert story.spectrum.sel(epoch=run.epochs[-1]).sum().item() == pytest.approx(1.0)
    assert [phase.name for phase in story.phases.phases][-1] == "settled"


def test_one_checkpoint_has_no_story() -> None:
    with pytest.raises(InputError, match="three or more"):
        training_story(Run.of(shipped_network()))
