"""Operations recognised from answers alone, some of them wrong; and when there is nothing to judge."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modscope.errors import InputError
from modscope.grounds import grounds_of
from modscope.operations import Operation, recognise
from modscope.task import ModularTask, Split

OPERATIONS = {
    "a+b": (12, 13, 29), "a-b": (12, 13), "2a+5b+3": (13, 24), "a*b": (12, 29), "a/b": (13, 29), "3a/b": (13,),
    "a^2*b": (29,), "max": (12, 29), "min": (13,), "a^2+b^2": (12, 29), "a^2+ab+b^2+a": (29,), "x^3+xy": (29,),
    "x^3+xy^2+y": (31,), "2a^2-ab+3b^2+4": (29,), "x/y if y is odd else x-y": (29,), "D7": (14,), "S4": (24,), "Q8": (8,),
    "A4": (12,), "C2xC14": (28,), "Dic3": (12,),
}  # fmt: skip


def with_mistakes(labels: np.ndarray, share: float, seed: int) -> np.ndarray:
    generator = np.random.default_rng(seed)
    wrong = (generator.random(labels.shape) < share) | (labels < 0)
    return np.where(wrong, generator.integers(len(labels), size=labels.shape), labels)


@pytest.mark.parametrize("share", [0.0, 0.02])
@pytest.mark.parametrize("text", OPERATIONS)
def test_an_operation_is_recognised_with_mistakes_in_it(text: str, share: float) -> None:
    for p in OPERATIONS[text]:
        operation = Operation.of(text)
        labels = operation.labels(p)
        answers = with_mistakes(labels, share, p)
        found = recognise(answers)
        defined = labels >= 0
        assert found.fits
        assert (found.best.operation.labels(p)[defined] == labels[defined]).all()
        assert found.best.share == pytest.approx((answers == labels)[defined].mean(), abs=0.02)
        assert found.runner_up.share < found.best.share
        if operation.group is not None:
            assert operation.name in found.best.text


@given(p=st.sampled_from([7, 8, 13, 15]), seed=st.integers(0, 40))
def test_a_circle_in_other_names_is_recognised(p: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    of_a, of_b, of_c = (rng.permutation(p) for _ in range(3))
    answers = of_c[(of_a[:, None] + of_b) % p]
    found = recognise(answers)
    assert found.best.share == 1.0
    assert (found.best.operation.labels(p) == answers).all()
    assert found.best.geometry.kind == "circle"


@pytest.mark.parametrize("p", [11, 12, 29, 59])
def test_nothing_is_recognised_in_random_answers(p: int) -> None:
    found = recognise(np.random.default_rng(p).integers(p, size=(p, p)))
    assert not found.fits
    assert "no operation that is known" in str(found)


def test_a_constant_answer_is_no_operation() -> None:
    found = recognise(np.full((11, 11), 3))
    assert not found.fits
    assert found.constant == 3


def test_answers_that_are_no_residues_agree_with_nothing() -> None:
    answers = ModularTask(11).labels
    answers[:4] = 11
    assert recognise(answers).best.share == pytest.approx(7 / 11)
    with pytest.raises(InputError, match="expected whole numbers"):
        recognise(np.zeros((3, 4), int))


def logits_for(answers: np.ndarray, size: float = 30.0) -> np.ndarray:
    return size * np.eye(len(answers))[answers]


SPLIT = Split("python", 0.4, 0)


def grounds(answers: np.ndarray, task: ModularTask, **kinds: object) -> str:
    problem = grounds_of(logits_for(answers), task, **kinds).problem  # type: ignore[arg-type]
    return "" if problem is None else problem.kind


def test_a_network_that_knows_the_answer_can_be_judged() -> None:
    for text in ("add", "subtract", "max", "D7", "x/y"):
        task = ModularTask(14, text, SPLIT)
        assert grounds(np.maximum(task.labels, 0), task) == ""
    own = ModularTask(13, np.random.default_rng(0).integers(13, size=(13, 13)))
    assert grounds(own.labels, own) == ""


def test_what_cannot_be_judged_says_why() -> None:
    task = ModularTask(23, "add", SPLIT)
    rng = np.random.default_rng(0)
    noise = rng.integers(23, size=(23, 23))
    by_heart = np.where(task.train_mask, task.labels, noise)
    assert grounds(noise, task) == "chance"
    assert grounds(np.full_like(noise, 4), task) == "chance"
    assert grounds(by_heart, task) == "memorised"
    assert grounds(ModularTask(23, "max").labels, task) == "operation"
    assert grounds(ModularTask(23, "a+2b").labels, task) == "operation"
    hidden = ModularTask(23, "add", Split("none"))
    assert grounds(by_heart, hidden) == "accuracy"
    assert grounds(by_heart, hidden, stated={"train_accuracy": 1.0, "test_accuracy": 0.04}) == "memorised"
    logits = logits_for(task.labels)
    logits[0, 0, 0] = np.nan
    assert grounds_of(logits, task).problem.kind == "broken"  # type: ignore[union-attr]
    sure = logits_for(np.where(rng.random((23, 23)) < 0.6, task.labels, noise), 100.0)
    assert grounds_of(sure, task).problem.kind == "loss"  # type: ignore[union-attr]


def test_the_way_out_is_named() -> None:
    why = grounds_of(logits_for(ModularTask(28, "D14").labels), ModularTask(28)).why_not
    assert why.startswith(
        "the answers are those of product in D14, on 100.0% of the pairs, and not those of a+b ("
    )
    assert why.endswith("--operation D14")
