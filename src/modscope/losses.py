"""Loss and accuracy in float64, for each split."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from modscope import memory
from modscope.boundary import public
from modscope.errors import InputError
from modscope.pace import paced
from modscope.task import ModularTask

__all__ = [
    "Logits",
    "Scores",
    "StreamedLogits",
    "accuracies",
    "by_split",
    "cross_entropy",
    "logits_of_labels",
    "logits_of_pairs",
    "losses",
    "losses_and_accuracies",
    "right_answers",
    "row_blocks",
    "scored",
]

_NUMBERS_OF_ROWS = 2**19
_NUMBERS = 65536  # logits converted to float64 at a time: what fits the second-level cache


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

    make: a call of it gives the blocks [pair, answer] in the order of the pairs, a major, whole rows of a in each.
    """

    def __init__(self, make: Callable[[], Iterable[np.ndarray]], p: int, answers: int) -> None:
        self.shape = (p, p, answers)
        self._make = make
        self._guesses: np.ndarray | None = None
        self._scored: dict[bytes, tuple[np.ndarray, np.ndarray]] = {}

    def _blocks(self) -> Iterator[np.ndarray]:
        p = self.shape[0]
        what = f"logits of all {p} * {p} pairs"
        return paced(self._make(), what, p, size=lambda block: len(block) // p)

    def rows(self) -> Iterator[tuple[slice, np.ndarray]]:
        """Some rows of a, and their logits [row, b, answer], one block after the other."""
        start = 0
        for block in self._blocks():
            count = len(block) // self.shape[1]
            yield slice(start, start + count), block.reshape(count, *self.shape[1:])
            start += count

    def held(self) -> np.ndarray:
        """The whole [a, b, answer]; InputError where it does not fit into the memory that is free."""
        p = self.shape[0]
        memory.require(4 * p * p * self.shape[2], f"the logits of all {p} * {p} pairs")
        return np.concatenate([block for _, block in self.rows()])

    def argmax(self, axis: int = -1) -> np.ndarray:
        """The largest answer of each pair, [a, b]; axis is the last one."""
        if axis not in (-1, 2):
            raise InputError(f"axis {axis}: expected the last one, of the answers")
        if self._guesses is None:
            guesses = np.concatenate([block.argmax(axis=-1) for block in self._blocks()])
            self._guesses = guesses.reshape(self.shape[:2])
        return self._guesses

    def scored(self, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The cross-entropy of each pair, and whether it is answered rightly, each [a, b]; made once for the same labels."""
        key = labels.tobytes()
        if key not in self._scored:
            loss, right = np.empty(labels.size), np.empty(labels.size, bool)
            guesses, start, wanted = np.empty(labels.size, np.int64), 0, labels.reshape(-1)
            for block in self._blocks():
                rows = slice(start, start + len(block))
                guesses[rows] = block.argmax(axis=-1)
                loss[rows], right[rows] = _looked_at(block, wanted[rows], guesses=guesses[rows])
                start += len(block)
            self._guesses = guesses.reshape(self.shape[:2])
            self._scored[key] = loss.reshape(labels.shape), right.reshape(labels.shape)
        loss, right = self._scored[key]
        return loss.copy(), right.copy()


Logits = np.ndarray | StreamedLogits


def row_blocks(logits: Logits) -> Iterator[tuple[slice, np.ndarray]]:
    """Logits [a, b, answer] some rows of a at a time, as many as stay in the caches: their slice and [row, b, answer]."""
    if isinstance(logits, StreamedLogits):
        yield from logits.rows()
        return
    size = max(1, _NUMBERS_OF_ROWS // max(1, math.prod(logits.shape[1:])))
    for start in range(0, len(logits), size):
        rows = slice(start, min(start + size, len(logits)))
        yield rows, logits[rows]


@public
def logits_of_labels(logits: Logits, labels: np.ndarray) -> np.ndarray:
    """Of each pair the logit of its label, [a, b] of logits [a, b, answer]; of the last answer where the label is -1."""
    if isinstance(logits, StreamedLogits):
        return np.concatenate([logits_of_labels(block, labels[rows]) for rows, block in logits.rows()])
    return np.take_along_axis(logits, labels[..., None], axis=-1)[..., 0]


@public
def logits_of_pairs(logits: Logits, pairs: np.ndarray) -> np.ndarray:
    """The logits of some pairs, numbered a p + b, [pair, answer]."""
    count = logits.shape[1]
    found = None
    for rows, block in row_blocks(logits):
        here = (pairs >= rows.start * count) & (pairs < rows.stop * count)
        if found is None:
            found = np.empty((len(pairs), logits.shape[2]), block.dtype)
        found[here] = block.reshape(-1, logits.shape[2])[pairs[here] - rows.start * count]
    assert found is not None
    return found


@public
def cross_entropy(logits: Logits, labels: np.ndarray) -> np.ndarray:
    """Cross-entropy of each example in float64: log(1 + sum over j != y of exp(l_j - l_y)).

    Written without the difference of two large numbers, so a loss of 1e-12 keeps its digits.
    logits [..., answer], labels [...] -> float64 [...], in nats; NaN where the label is -1, as there is no answer.

    >>> round(float(cross_entropy(np.array([[0.0, 0.0]]), np.array([1]))[0]), 6)
    0.693147
    """
    return _looked_at(logits, labels, judge=False)[0]


@public
def scored(logits: Logits, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The `cross_entropy` of each example, and whether it is answered rightly (`right_answers`), from one look at the logits.

    >>> loss, right = scored(np.array([[0.0, 0.0], [0.0, 1.0]]), np.array([1, 1]))
    >>> loss.round(6).tolist(), right.tolist()
    ([0.693147, 0.313262], [False, True])
    """
    return _looked_at(logits, labels)


def _looked_at(
    logits: Logits, labels: np.ndarray, *, judge: bool = True, guesses: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Loss and rightness; without judge, nobody looks again at the examples whose answer is not surely right.

    guesses: the answer of the largest logit of each example, where it is known: another than the label is not right.
    """
    if isinstance(logits, StreamedLogits):
        return logits.scored(np.asarray(labels))
    logits, labels = np.asarray(logits), np.asarray(labels)
    if logits.shape[:-1] != labels.shape:
        raise InputError(f"logits of shape {logits.shape} do not fit labels of shape {labels.shape}")
    flat, wanted = logits.reshape(-1, logits.shape[-1]), labels.reshape(-1)
    loss, right = np.empty(len(flat)), np.empty(len(flat), bool)
    # a guess of something else needs no second look
    hopeless = np.zeros(len(flat), bool) if guesses is None else guesses.reshape(-1) != wanted
    size = max(1, _NUMBERS // max(1, flat.shape[1]))
    room = np.empty((min(size, len(flat)), flat.shape[1]))
    for start in range(0, len(flat), size):
        rows = slice(start, start + size)
        ratios = room[: len(flat[rows])]
        loss[rows], right[rows] = _scored_block(flat[rows], wanted[rows], ratios)
        unsure = np.flatnonzero(~(right[rows] | hopeless[rows])) if judge else ()
        if len(unsure):
            # where another is above, the answer is wrong; what another equals or nearly so is looked at again
            close = start + unsure[~(_largest(ratios)[unsure] > 1)]
            right[close] = right_answers(flat[close], wanted[close])
    unknown = wanted < 0
    loss[unknown], right[unknown] = np.nan, False
    return loss.reshape(labels.shape), right.reshape(labels.shape)


def _scored_block(logits: np.ndarray, wanted: np.ndarray, gap: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Loss of some examples, and which are surely right.

    gap: float64 of the shape of logits, written over: it holds e^(l_j - l_y) then, 0 at the label.
    """
    import torch

    np.copyto(gap, logits)
    index = np.arange(len(gap)), wanted
    own = gap[index]
    gaps = torch.from_numpy(gap)
    torch.exp(gaps.sub_(torch.from_numpy(own)[:, None]), out=gaps)
    gap[index] = 0.0
    rest = gaps.sum(dim=1).numpy()
    rest[~np.isfinite(own)] = np.nan
    loss, right = np.log1p(rest), rest < 1
    # looked at again: what is too large for exp
    large = np.flatnonzero(~(rest < 1e300))
    if len(large):
        loss[large] = _far_losses(logits[large].astype(np.float64), wanted[large])
    return loss, right


def _largest(ratios: np.ndarray) -> np.ndarray:
    """The largest of each row; NaN where one is no number."""
    import torch

    largest: np.ndarray = torch.from_numpy(ratios).amax(dim=1).numpy()
    return largest


def _far_losses(gap: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Losses of examples whose label's logit lies hundreds below another; gap: their logits, written over."""
    index = np.arange(len(gap)), wanted
    with np.errstate(invalid="ignore"):
        gap -= gap[index][:, None]
        gap[index] = -np.inf
        top = gap.max(axis=1)
        gap -= top[:, None]
        return np.logaddexp(0.0, top + np.log(np.exp(gap, out=gap).sum(axis=1)))


@public
def right_answers(logits: Logits, labels: np.ndarray) -> np.ndarray:
    """Whether each example is answered rightly: the logit of its label is above all others, so a tie is not right.

    logits [..., answer], labels [...] -> bool [...]; False where the label is -1, as there is no answer.

    >>> right_answers(np.array([[2.0, 1.0], [0.0, 0.0]]), np.array([0, 0]))
    array([ True, False])
    """
    if isinstance(logits, StreamedLogits):
        return logits.scored(np.asarray(labels))[1]
    logits, labels = np.asarray(logits), np.asarray(labels)
    flat, wanted = logits.reshape(-1, logits.shape[-1]), labels.reshape(-1)
    right = np.empty(len(flat), bool)
    size = max(1, _NUMBERS // max(1, flat.shape[1]))
    for start in range(0, len(flat), size):
        rows = slice(start, start + size)
        own = flat[rows][np.arange(len(wanted[rows])), wanted[rows]]
        # Above all others: beside one that is not a number nothing is known to be.
        below = np.count_nonzero(flat[rows] < own[:, None], axis=1)
        right[rows] = (below == flat.shape[1] - 1) & np.isfinite(own)
    return (right & (wanted >= 0)).reshape(labels.shape)


@public
def by_split(values: np.ndarray, task: ModularTask) -> Scores:
    """The mean of values [a, b] over each split; pairs without an answer count nowhere."""
    means = {name: float(values[mask].mean()) if mask.any() else None for name, mask in task.masks().items()}
    every = means["all"]
    return Scores(means.get("train"), means.get("test"), float("nan") if every is None else every)


@public
def losses(logits: Logits, task: ModularTask) -> Scores:
    """Mean cross-entropy of logits [a, b, answer] over each split."""
    return by_split(cross_entropy(logits, task.labels), task)


@public
def accuracies(logits: Logits, task: ModularTask) -> Scores:
    """Share of pairs that are answered rightly (`right_answers`), over each split."""
    return by_split(right_answers(logits, task.labels), task)


@public
def losses_and_accuracies(logits: Logits, task: ModularTask) -> tuple[Scores, Scores]:
    """`losses` and `accuracies` from one look at the logits."""
    loss, right = scored(logits, task.labels)
    return by_split(loss, task), by_split(right, task)


def is_guessing(accuracy: float, p: int) -> bool:
    """Whether an accuracy over all p*p pairs is what guessing gives.

    Below four standard errors above 1/p, and, for the smallest p, below halfway from 1/p to 1.

    >>> is_guessing(0.01, 113), is_guessing(0.02, 113), is_guessing(1.0, 3)
    (True, False, False)
    """
    chance = 1 / p
    return accuracy < chance + min(4 * (chance * (1 - chance)) ** 0.5 / p, (1 - chance) / 2)
