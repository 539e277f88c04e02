"""Which pairs a foreign network was trained on, and which operation: stated, or told by its own losses."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from torch import Tensor

from modscope.checkpoints.settings import Settings
from modscope.errors import CheckpointError, turned_into
from modscope.losses import Logits, cross_entropy
from modscope.task import OPERATIONS, ModularTask, Split

__all__ = ["found_operation", "found_split", "stated_split", "train_advantage"]

SEEDS = (0, 1, 2, 3, 4, 5, 42, 598, 999, 1337)
FRACTIONS = tuple(percent / 100 for percent in range(5, 96))
# Standard errors by which losses on the training pairs must be lower. A wrong split is a random one, and of
# all the candidates here (twenty orders, ninety fractions) the largest advantage is 3 to 4.
CONVINCING = 6.0
FEWEST = 20  # pairs on either side; fewer have no standard error to speak of


def train_advantage(loss: np.ndarray, mask: np.ndarray) -> float:
    """By how many standard errors the log losses on the masked pairs are below those on the others.

    loss [a, b] float64, mask bool[a, b]. About normal with variance 1 for a mask that has nothing to do with
    the network; tens for the pairs it was trained on, for most networks even long after they generalise.

    >>> loss = np.tile([1.0, 2.0], (8, 4))
    >>> loss[:3] /= 100
    >>> train_advantage(loss, loss < 0.5) > 6
    True
    """
    order = np.concatenate((np.flatnonzero(mask), np.flatnonzero(~mask)))
    return float(_advantages(_log(loss)[order], np.array([mask.sum()]))[0])


def _log(loss: np.ndarray) -> np.ndarray:
    return np.log(np.maximum(loss, 1e-300)).ravel()


def _advantages(logs: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """The advantage of the first n of the log losses over the others, for each n in counts."""
    # Centred, so that the variances below are not the difference of two large numbers.
    logs = logs - logs.mean()
    sums, squares = np.cumsum(logs), np.cumsum(logs**2)
    advantages = np.zeros(len(counts))
    few = (counts < FEWEST) | (len(logs) - counts < FEWEST)
    n = counts[~few]
    rest = len(logs) - n
    seen, unseen = sums[n - 1] / n, (sums[-1] - sums[n - 1]) / rest
    spread = (squares[n - 1] / n - seen**2) / n + ((squares[-1] - squares[n - 1]) / rest - unseen**2) / rest
    # Rounding alone must not count: losses that are all one number favour no pair.
    error = np.sqrt(np.maximum(spread, 1e-18))
    advantages[~few] = (unseen - seen) / error
    return advantages


def found_operation(logits: Logits, settings: Settings) -> tuple[str, str | None]:
    """The operation that was stated, else the one with the best accuracy; and a note where it was not stated.

    logits [a, b, answer].
    """
    if settings.operation == "random":
        return (
            "random",
            "random labels of another program: which they were is not known, so losses mean nothing",
        )
    if settings.operation is not None:
        return settings.operation, None
    answers = logits.argmax(axis=-1)
    accuracy = {
        operation: float((answers == ModularTask(len(answers), operation).labels).mean())
        for operation in OPERATIONS
        if operation != "random"
    }
    best = max(accuracy, key=lambda operation: accuracy[operation])
    if accuracy[best] < 0.1 or accuracy[best] < 2 * accuracy["add"]:
        best = "add"
    return best, f"operation not stated: taken to be {best}, accuracy {accuracy[best]:.4f}"


def stated_split(data: Mapping[str, Any], p: int, source: object) -> Split | None:
    """The split that a file states by listing its training pairs under `train_indices` (a major)."""
    listed = data.get("train_indices")
    if listed is None:
        return None
    with turned_into(CheckpointError, f"{source}: train_indices"):
        indices = np.asarray(listed.cpu() if isinstance(listed, Tensor) else listed)
    if indices.dtype.kind not in "iu" or indices.ndim != 1 or not len(indices):
        raise CheckpointError(f"{source}: train_indices: expected a list of pair numbers a * p + b")
    if indices.min() < 0 or indices.max() >= p * p:
        raise CheckpointError(f"{source}: train_indices reach {indices.max()}: p = {p} has {p * p} pairs")
    mask = np.zeros(p * p, bool)
    mask[indices] = True
    return Split.of_mask(mask.reshape(p, p))


def found_split(logits: Logits, task: ModularTask, settings: Settings) -> tuple[Split, str]:
    """The split a network was trained on, and why it is taken to be that one.

    The convention of the project that wrote the config comes first. Where the network's own loss is not
    convincingly lower on it, every named split with the usual seeds is tried, and the one with the largest
    advantage is it; else the convention, unconfirmed; else none.
    """
    if settings.split is not None:
        return settings.split, f"split {described(settings.split)}, as stated"
    if settings.convention == "unseeded":
        return Split("none"), "split drawn without a seed, so it is not known: numbers are over all pairs"
    logs = _log(cross_entropy(logits, task.labels))
    conventional = _conventional(settings, task.p)
    if conventional is not None:
        split, advantage = _best_fraction(logs, conventional, settings, task.p)
        if advantage >= CONVINCING:
            return split, f"split {described(split)}, as the config's authors draw it; {_evidence(advantage)}"
    drawn = [_best_fraction(logs, split, settings, task.p) for split in _named(settings)]
    split, advantage = max(drawn, key=lambda found: found[1])
    if advantage >= CONVINCING:
        return (
            split,
            f"split not stated: {described(split)} found by trying the named ones; {_evidence(advantage)}",
        )
    if conventional is not None:
        reason = "as the config's authors draw it; the losses do not confirm it"
        return conventional, f"split {described(conventional)}, {reason}"
    return Split("none"), "split not stated, and no named one explains the losses: numbers are over all pairs"


def _best_fraction(logs: np.ndarray, split: Split, settings: Settings, p: int) -> tuple[Split, float]:
    """The split with the fraction that the losses favour, unless the fraction is stated, and its advantage."""
    if split.kind == "mask":
        return split, train_advantage(np.exp(logs).reshape(p, p), split.train_mask(p))
    fractions = FRACTIONS if settings.fraction is None else (settings.fraction,)
    counts = np.array([int(fraction * p * p) for fraction in fractions])
    advantages = _advantages(logs[split.order(p)], counts)
    best = int(advantages.argmax())
    return Split(split.kind, fractions[best], split.seed), float(advantages[best])


def described(split: Split) -> str:
    """A split in words: torch randperm, seed 1, 30 %."""
    if split.kind == "none":
        return "unknown"
    if split.kind == "mask":
        return f"given as a list of pairs, {split.fraction:.4g} of all"
    draw = "random.shuffle" if split.kind == "python" else "torch.randperm"
    return f"{draw}, seed {split.seed}, {split.fraction:.4g} of all"


def _evidence(advantage: float) -> str:
    return f"its training pairs have the lower loss by {advantage:.0f} standard errors"


def _conventional(settings: Settings, p: int) -> Split | None:
    fraction = 0.3 if settings.fraction is None else settings.fraction
    if settings.convention == "python":
        return Split("python", fraction, settings.seed or 0)
    if settings.convention == "torch" and settings.seed:
        return Split("torch", fraction, settings.seed)
    if settings.convention == "torch":
        # Their seed doubles as the switch of the shuffle: seed 0 leaves the pairs in order.
        return Split.of_mask(np.arange(p * p).reshape(p, p) < int(fraction * p * p))
    return None


def _named(settings: Settings) -> Iterator[Split]:
    seeds = SEEDS if settings.seed is None else (settings.seed, *SEEDS)
    for seed in dict.fromkeys(seeds):
        yield Split("python", seed=seed)
        yield Split("torch", seed=seed)
