"""Which pairs a foreign network was trained on, and which operation: stated, or told by its own losses."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from torch import Tensor

from modscope.checkpoints.settings import Settings
from modscope.errors import CheckpointError
from modscope.losses import cross_entropy
from modscope.task import OPERATIONS, ModularTask, Split

__all__ = ["found_operation", "found_split", "stated_split", "train_advantage"]

SEEDS = (0, 1, 2, 3, 4, 5, 42, 598, 999, 1337)
FRACTIONS = (0.3, 0.5, 0.4, 0.8)
# Standard errors by which losses on the training pairs must be lower. A wrong split is a random one, and with
# some hundred candidates the largest of their advantages stays below 4.
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
    logs = np.log(np.maximum(loss, 1e-300))
    seen, unseen = logs[mask], logs[~mask]
    if min(len(seen), len(unseen)) < FEWEST:
        return 0.0
    error = np.sqrt(seen.var() / len(seen) + unseen.var() / len(unseen))
    return float((unseen.mean() - seen.mean()) / error) if error > 0 else 0.0


def found_operation(logits: np.ndarray, settings: Settings) -> tuple[str, str | None]:
    """The operation that was stated, else the one with the best accuracy; and a note where it was not stated.

    logits [a, b, answer].
    """
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
    indices = np.asarray(listed.cpu() if isinstance(listed, Tensor) else listed)
    if indices.dtype.kind not in "iu" or indices.ndim != 1 or not len(indices):
        raise CheckpointError(f"{source}: train_indices: expected a list of pair numbers a * p + b")
    if indices.min() < 0 or indices.max() >= p * p:
        raise CheckpointError(f"{source}: train_indices reach {indices.max()}: p = {p} has {p * p} pairs")
    mask = np.zeros(p * p, bool)
    mask[indices] = True
    return Split.of_mask(mask.reshape(p, p))


def found_split(logits: np.ndarray, task: ModularTask, settings: Settings) -> tuple[Split, str]:
    """The split a network was trained on, and why it is taken to be that one.

    The conventions of the project that wrote the config come first, then every named split with the usual
    seeds. The first on which the network's own loss is convincingly lower is it; else the convention,
    unconfirmed; else none.
    """
    if settings.split is not None:
        return settings.split, f"split {described(settings.split)}, as stated"
    if settings.convention == "unseeded":
        return Split("none"), "split drawn without a seed, so it is not known: numbers are over all pairs"
    loss = cross_entropy(logits, task.labels)
    conventional = list(_conventional(settings, task.p))
    for split in conventional:
        advantage = train_advantage(loss, split.train_mask(task.p))
        if advantage >= CONVINCING:
            return split, f"split {described(split)}, as the config's authors draw it; {_evidence(advantage)}"
    for split in _named(settings):
        advantage = train_advantage(loss, split.train_mask(task.p))
        if advantage >= CONVINCING:
            return (
                split,
                f"split not stated: {described(split)} found by trying the named ones; {_evidence(advantage)}",
            )
    if conventional:
        return (
            conventional[0],
            f"split {described(conventional[0])}, as the config's authors draw it; the losses do not confirm it",
        )
    return Split("none"), "split not stated, and no named one explains the losses: numbers are over all pairs"


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


def _conventional(settings: Settings, p: int) -> Iterator[Split]:
    fraction = 0.3 if settings.fraction is None else settings.fraction
    if settings.convention == "python":
        yield Split("python", fraction, settings.seed or 0)
    elif settings.convention == "torch" and settings.seed:
        yield Split("torch", fraction, settings.seed)
    elif settings.convention == "torch":
        # Their seed doubles as the switch of the shuffle: seed 0 leaves the pairs in order.
        mask = np.arange(p * p).reshape(p, p) < int(fraction * p * p)
        yield Split.of_mask(mask)
    elif settings.fraction is not None and settings.seed is not None:
        yield Split("python", fraction, settings.seed)
        yield Split("torch", fraction, settings.seed)


def _named(settings: Settings) -> Iterator[Split]:
    seeds = SEEDS if settings.seed is None else (settings.seed, *SEEDS)
    for fraction in FRACTIONS if settings.fraction is None else (settings.fraction,):
        for seed in seeds:
            yield Split("python", fraction, seed)
            yield Split("torch", fraction, seed)
