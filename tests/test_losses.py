"""Cross-entropy keeps its digits where the usual formula loses them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.training.small import small

from modscope.activations import record
from modscope.errors import InputError
from modscope.losses import (
    StreamedLogits,
    accuracies,
    cross_entropy,
    is_guessing,
    logits_of_labels,
    logits_of_pairs,
    losses,
    right_answers,
    scored,
)
from modscope.model import Transformer
from modscope.task import ModularTask, Split
from modscope.training.engines import engine_for
from modscope.training.many.engine import ManyEngine
from modscope.training.tables import Pairs


@given(seed=st.integers(0, 1000), scale=st.sampled_from([0.1, 3.0, 20.0]))
def test_agrees_with_torch_in_float64(seed: int, scale: float) -> None:
    rng = np.random.default_rng(seed)
    logits, labels = rng.normal(size=(4, 5, 6)) * scale, rng.integers(6, size=(4, 5))
    expected = torch.nn.functional.cross_entropy(
        torch.tensor(logits).reshape(-1, 6), torch.tensor(labels).reshape(-1), reduction="none"
    )
    np.testing.assert_allclose(cross_entropy(logits, labels).reshape(-1), expected, rtol=1e-9, atol=1e-14)


def test_a_tiny_loss_keeps_its_digits() -> None:
    logits = np.array([[60.0, 0.0, 0.0]])
    assert cross_entropy(logits, np.array([0]))[0] == pytest.approx(2 * np.exp(-60.0), rel=1e-12)
    assert cross_entropy(np.array([[900.0, 0.0]]), np.array([1]))[0] == 900.0


def test_what_is_not_a_number_has_no_loss() -> None:
    nan, inf = float("nan"), float("inf")
    logits = np.array([[nan, 0.0], [0.0, nan], [inf, 0.0], [inf, 0.0], [0.0, -inf], [0.0, 0.0]])
    loss, right = scored(logits, np.array([0, 0, 0, 1, 0, -1]))
    assert np.isnan(loss).tolist() == [True, True, True, True, False, True]
    assert loss[4] == 0.0
    assert right[[0, 2, 3, 4, 5]].tolist() == [False, False, False, True, False]


@given(seed=st.integers(0, 1000), p=st.sampled_from([4, 5, 7]), scale=st.sampled_from([1.0, 400.0, 900.0]))
def test_one_look_and_logits_that_pass_in_blocks_say_the_same(seed: int, p: int, scale: float) -> None:
    rng = np.random.default_rng(seed)
    logits = (np.round(rng.normal(size=(p, p, p)), 1) * scale).astype(np.float32)
    labels = rng.integers(p, size=(p, p))
    at_once = logits.reshape(-1, p)
    passing = StreamedLogits(lambda: (at_once[i : i + 2 * p] for i in range(0, p * p, 2 * p)), p, p)
    exact = -torch.log_softmax(torch.from_numpy(logits).double(), -1).numpy()
    for given_logits in (logits, passing):
        loss, right = scored(given_logits, labels)
        np.testing.assert_allclose(loss, logits_of_labels(exact, labels), rtol=1e-9, atol=1e-12)
        np.testing.assert_array_equal(right, right_answers(logits, labels))
    assert passing.argmax().tolist() == logits.argmax(axis=-1).tolist()
    assert logits_of_labels(passing, labels).tolist() == logits_of_labels(logits, labels).tolist()
    drawn = rng.permutation(p * p)[:5]
    assert logits_of_pairs(passing, drawn).tolist() == at_once[drawn].tolist()


def test_scores_are_means_over_their_pairs() -> None:
    task = ModularTask(5, split=Split(fraction=0.4, seed=1))
    logits = np.random.default_rng(0).normal(size=(5, 5, 5))
    per_pair = cross_entropy(logits, task.labels)
    scores = losses(logits, task)
    assert scores.train == pytest.approx(per_pair[task.train_mask].mean())
    assert scores.test == pytest.approx(per_pair[~task.train_mask].mean())
    assert scores.all == pytest.approx(per_pair.mean())
    right = np.eye(5)[task.labels]
    assert accuracies(right, task).to_dict() == {"train": 1.0, "test": 1.0, "all": 1.0}
    assert accuracies(np.roll(right, 1, axis=-1), task).all == 0.0


def test_an_unknown_split_gives_the_whole_only() -> None:
    scores = losses(np.zeros((4, 4, 4)), ModularTask(4, split=Split("none")))
    assert (scores.train, scores.test) == (None, None)
    assert scores.all == pytest.approx(np.log(4))


def test_shapes_must_fit() -> None:
    with pytest.raises(InputError, match="do not fit"):
        cross_entropy(np.zeros((3, 4)), np.zeros(4, int))


def test_guessing_is_told_from_knowing_for_every_p() -> None:
    for p in (3, 4, 5, 12, 113):
        assert is_guessing(1 / p, p)
        assert not is_guessing(1.0, p)
        assert not is_guessing(0.5 + 0.6 / p, p)


def test_a_tie_is_not_a_right_answer_wherever_it_is_counted() -> None:
    """A network of zeros says the same of every answer: it answers nothing, in every engine and every table."""
    recipe = small()
    config, task = recipe.config, recipe.modular_task
    zeros = {name: torch.zeros_like(w) for name, w in Transformer.initialised(config).weights.items()}
    pairs = Pairs.of(task, task.labels >= 0)
    engines = [engine_for(config, choice=choice)[0] for choice in ("plain", "exact", "fast")]
    for engine in (*engines, ManyEngine(config)):
        found = engine.scores(zeros, pairs)
        assert found.accuracy == 0.0, engine.name
        assert found.loss == pytest.approx(np.log(task.p), rel=1e-6)
    acts = record(Transformer(config, zeros), task)
    assert accuracies(acts.at("logits").values, task).all == 0.0


def test_nothing_is_right_beside_a_logit_that_is_not_a_number() -> None:
    logits = np.array([[2.0, np.nan, 1.0], [2.0, 0.0, 1.0], [np.nan, 0.0, 1.0]])
    assert right_answers(logits, np.zeros(3, int)).tolist() == [False, True, False]
