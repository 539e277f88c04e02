"""Loss and accuracy in float64, for each split."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from modscope.errors import InputError
from modscope.task import ModularTask

__all__ = [
    "Logits",
    "Scores",
    "StreamedLogits",
    "accuracies",
    "by_split",
    "cross_entropy",
    "losses",
    "right_answers",
]

_NUMBERS = 131072  # logits converted to float64 at a time: what fits the second-level cache


@dataclass(frozen=True)
class Scores:
    """One number for each split; train and test are None where no split is known."""

    train: float | None
    test: float | None
    all: float

    def to_dict(self) -> dict[str, float | None]:
        """The numbers by the name of the split."""
        return {"train": self.train, "test": self.test, "all": self.all}


class StreamedLogits:
    """The logits of all pairs [a, b, answer], made again by blocks of pairs wherever they are asked for, never held whole.

    make: a call of it gives the blocks [pair, answer] in the order of the pairs, a major.
    """

    def __init__(self, make: Callable[[], Iterable[np.ndarray]], p: int, answers: int) -> None:
        self.shape = (p, p, answers)
        self._make = make

    def argmax(self, axis: int = -1) -> np.ndarray:
        """The largest answer of each pair, [a, b]; axis is the last one."""
        if axis not in (-1, 2):
            raise InputError(f"axis {axis}: expected the last one, of the answers")
        return np.concatenate([block.argmax(axis=-1) for block in self._make()]).reshape(self.shape[:2])

    def cross_entropy(self, labels: np.ndarray) -> np.ndarray:
        """The cross-entropy of each pair, [a, b]."""
        found, start = np.empty(labels.size), 0
        for block in self._make():
            rows = slice(start, start + len(block))
            found[rows] = cross_entropy(block, labels.reshape(-1)[rows])
            start += len(block)
        return found.reshape(labels.shape)

    def right_answers(self, labels: np.ndarray) -> np.ndarray:
        """Whether each pair is answered rightly, [a, b]."""
        found, start = np.empty(labels.size, bool), 0
        for block in self._make():
            rows = slice(start, start + len(block))
            found[rows] = right_answers(block, labels.reshape(-1)[rows])
            start += len(block)
        return found.reshape(labels.shape)


Logits = np.ndarray | StreamedLogits


def cross_entropy(logits: Logits, labels: np.ndarray) -> np.ndarray:
    """Cross-entropy of each example in float64: log(1 + sum over j != y of exp(l_j - l_y)).

    Written without the difference of two large numbers, so a loss of 1e-12 keeps its digits.
    logits [..., answer], labels [...] -> float64 [...], in nats; NaN where the label is -1, as there is no answer.

    >>> round(float(cross_entropy(np.array([[0.0, 0.0]]), np.array([1]))[0]), 6)
    0.693147
    """
    if isinstance(logits, StreamedLogits):
        return logits.cross_entropy(np.asarray(labels))
    logits, labels = np.asarray(logits), np.asarray(labels)
    if logits.shape[:-1] != labels.shape:
        raise InputError(f"logits of shape {logits.shape} do not fit labels of shape {labels.shape}")
    flat, wanted = logits.reshape(-1, logits.shape[-1]), labels.reshape(-1)
    loss = np.empty(len(flat))
    size = max(1, _NUMBERS // max(1, flat.shape[1]))
    for start in range(0, len(flat), size):
        rows = slice(start, start + size)
        gap = flat[rows].astype(np.float64)
        index = np.arange(len(gap)), wanted[rows]
        gap -= gap[index][:, None]
        gap[index] = -np.inf
        top = gap.max(axis=1)
        with np.errstate(invalid="ignore"):
            gap -= top[:, None]
            rest = top + np.log(np.exp(gap, out=gap).sum(axis=1))
            loss[rows] = np.logaddexp(0.0, rest)
    loss[wanted < 0] = np.nan
    return loss.reshape(labels.shape)


def right_answers(logits: Logits, labels: np.ndarray) -> np.ndarray:
    """Whether each example is answered rightly: the logit of its label is above all others, so a tie is not right.

    logits [..., answer], labels [...] -> bool [...]; False where the label is -1, as there is no answer.

    >>> right_answers(np.array([[2.0, 1.0], [0.0, 0.0]]), np.array([0, 0]))
    array([ True, False])
    """
    if isinstance(logits, StreamedLogits):
        return logits.right_answers(np.asarray(labels))
    logits, labels = np.asarray(logits), np.asarray(labels)
    flat, wanted = logits.reshape(-1, logits.shape[-1]), labels.reshape(-1)
    right = np.empty(len(flat), bool)
    size = max(1, _NUMBERS // max(1, flat.shape[1]))
    for start in range(0, len(flat), size):
        rows = slice(start, start + size)
        own = flat[rows][np.arange(len(wanted[rows])), wanted[rows]]
        # A logit that is not a number is not at least itself either.
        right[rows] = (np.count_nonzero(flat[rows] >= own[:, None], axis=1) == 1) & np.isfinite(own)
    return (right & (wanted >= 0)).reshape(labels.shape)


def by_split(values: np.ndarray, task: ModularTask) -> Scores:
    """The mean of values [a, b] over each split; pairs without an answer count nowhere."""
    means = {name: float(values[mask].mean()) if mask.any() else None for name, mask in task.masks().items()}
    every = means["all"]
    return Scores(means.get("train"), means.get("test"), float("nan") if every is None else every)


def losses(logits: Logits, task: ModularTask) -> Scores:
    """Mean cross-entropy of logits [a, b, answer] over each split."""
    return by_split(cross_entropy(logits, task.labels), task)


def accuracies(logits: Logits, task: ModularTask) -> Scores:
    """Share of pairs that are answered rightly (`right_answers`), over each split."""
    return by_split(right_answers(logits, task.labels), task)


def is_guessing(accuracy: float, p: int) -> bool:
    """Whether an accuracy over all p*p pairs is what guessing gives.

    Below four standard errors above 1/p, and, for the smallest p, below halfway from 1/p to 1.

    >>> is_guessing(0.01, 113), is_guessing(0.02, 113), is_guessing(1.0, 3)
    (True, False, False)
    """
    chance = 1 / p
    return accuracy < chance + min(4 * (chance * (1 - chance)) ** 0.5 / p, (1 - chance) / 2)
