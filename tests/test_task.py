"""The data set: labels, tokens and exact splits."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from modscope.errors import InputError, UnknownName
from modscope.task import OPERATIONS, ModularTask, Split

MODULI = st.sampled_from([3, 4, 5, 7, 8, 9, 12, 13, 15])


@given(p=MODULI, a=st.integers(0, 99), b=st.integers(0, 99))
def test_labels_are_the_operation(p: int, a: int, b: int) -> None:
    a, b = a % p, b % p
    expected = {
        "add": (a + b) % p,
        "subtract": (a - b) % p,
        "multiply": a * b % p,
        "x^2+xy+y^2": (a**2 + a * b + b**2) % p,
    }
    for operation, c in expected.items():
        assert ModularTask(p, operation).labels[a, b] == c


@given(p=MODULI)
def test_tokens_are_a_major_and_end_in_equals(p: int) -> None:
    task = ModularTask(p)
    tokens = task.tokens()
    assert tokens.shape == (p * p, 3)
    assert (tokens[:, 0] * p + tokens[:, 1] == np.arange(p * p)).all()
    assert (tokens[:, 2] == p).all()
    assert (task.tokens(equals=False) == tokens[:, :2]).all()


def test_python_split_is_the_published_shuffle() -> None:
    pairs = [(a, b) for a in range(113) for b in range(113)]
    random.seed(0)
    random.shuffle(pairs)
    mask = ModularTask(113).train_mask
    assert mask.sum() == 3830
    assert all(mask[a, b] for a, b in pairs[:3830])


def test_torch_split_is_randperm_after_manual_seed() -> None:
    state = torch.random.get_rng_state()
    torch.manual_seed(598)
    first = torch.randperm(113 * 113)[:3830]
    torch.random.set_rng_state(state)
    mask = ModularTask(113, split=Split("torch", 0.3, 598)).train_mask
    assert mask.sum() == 3830
    assert mask.reshape(-1)[first.numpy()].all()


@given(p=MODULI, seed=st.integers(0, 2**32 - 1))
def test_mask_split_is_that_mask_and_round_trips(p: int, seed: int) -> None:
    mask = np.random.default_rng(seed).random((p, p)) < 0.4
    task = ModularTask(p, "subtract", Split.of_mask(mask))
    assert (task.train_mask == mask).all()
    again = ModularTask.from_dict(task.to_dict())
    assert again == task
    assert (again.train_mask == mask).all()


def test_splits_cover_and_do_not_overlap() -> None:
    masks = ModularTask(12, split=Split(fraction=0.25, seed=3)).masks()
    assert masks["train"].sum() == 36
    assert not (masks["train"] & masks["test"]).any()
    assert (masks["train"] | masks["test"]).all()
    assert list(ModularTask(12, split=Split("none")).masks()) == ["all"]


def test_random_labels_depend_on_their_seed_only() -> None:
    one, same, other = (ModularTask(13, "random", label_seed=s).labels for s in (1, 1, 2))
    assert (one == same).all()
    assert (one != other).mean() > 0.5


@pytest.mark.parametrize("p", [2, 0, -5, 3.5, "ten", None, True])
def test_a_modulus_is_an_integer_of_at_least_three(p: object) -> None:
    with pytest.raises(InputError, match="expected an integer of at least 3"):
        ModularTask(p)  # type: ignore[arg-type]


def test_bad_names_get_the_nearest_choice() -> None:
    with pytest.raises(UnknownName, match="did you mean 'multiply'"):
        ModularTask(5, "multipy")
    with pytest.raises(UnknownName, match="kind of split"):
        Split("pyton")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="from 0 to 1"):
        Split(fraction=30)
    with pytest.raises(InputError, match="booleans of shape"):
        Split.of_mask(np.ones((3, 4)))
    with pytest.raises(InputError, match="another size"):
        Split.of_mask(np.ones((5, 5), bool)).train_mask(7)


def test_every_operation_has_labels_in_range() -> None:
    for operation in OPERATIONS:
        labels = ModularTask(9, operation).labels
        assert labels.min() >= (-1 if operation == "divide" else 0)
        assert labels.max() < 9
