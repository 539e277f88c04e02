"""Which pairs a foreign network was trained on, and which operation: stated, or told by its own losses."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from torch import Tensor

from modscope.checkpoints.settings import Settings
from modscope.errors import CheckpointError, turned_into
from modscope.losses import Logits, cross_entropy
from modscope.operations import Operation, recognise
from modscope.pace import paced
from modscope.task import ModularTask, Split

__all__ = ["found_operation", "found_split", "stated_split", "train_advantage"]

SEEDS = (0, 1, 2, 3, 4, 5, 42, 598, 999, 1337)
FRACTIONS = tuple(percent / 100 for percent in range(5, 96))
# Standard errors by which losses on the training pairs must be lower. A wrong split is a random one, and of
# all the candidates here (twenty orders, ninety fractions) the largest advantage is 3 to 4.
CONVINCING = 6.0
EXPLAINED = 0.02  # how far, as a ratio, a loss may lie from the stated one to be explained by a fraction
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
    defined = np.isfinite(loss)
    order = np.concatenate((np.flatnonzero(mask & defined), np.flatnonzero(~mask & defined)))
    return float(_advantages(_log(loss)[order], np.array([(mask & defined).sum()]))[0])


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


def _likelihoods(logs: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """The log likelihood that the first n of the log losses and the others are two normal samples, for each n in counts.

    Where a split changes is told more sharply by it than by the distance of the means.
    """
    logs = logs - logs.mean()
    sums, squares = np.cumsum(logs), np.cumsum(logs**2)
    found = np.full(len(counts), -np.inf)
    few = (counts < FEWEST) | (len(logs) - counts < FEWEST)
    n = counts[~few]
    rest = len(logs) - n
    first = squares[n - 1] / n - (sums[n - 1] / n) ** 2
    other = (squares[-1] - squares[n - 1]) / rest - ((sums[-1] - sums[n - 1]) / rest) ** 2
    found[~few] = -(n * np.log(np.maximum(first, 1e-18)) + rest * np.log(np.maximum(other, 1e-18))) / 2
    return found


def found_operation(logits: Logits, settings: Settings) -> tuple[Operation, str | None]:
    """The operation that was stated, else the one that the answers are; and a note where it was not stated.

    logits [a, b, answer].
    """
    if settings.operation == "random":
        return (
            Operation.of("random"),
            "random labels of another program: which they were is not known, so losses mean nothing",
        )
    if settings.operation is not None:
        return Operation(settings.operation, settings.table or ""), None
    found = recognise(logits.argmax(axis=-1))
    best, other = found.best, found.runner_up
    # a network that has memorised gives few of the right answers, and clearly more of them than of any other operation
    taken = found.constant is None and (found.fits or (best.share > 0.1 and best.share > 2 * other.share))
    operation = best.operation if taken else Operation.of("add")
    if taken:
        shares = f"{best.share:.1%} of the pairs (next: {other.text}, {other.share:.1%})"
        return operation, f"operation not stated: taken to be {best.text}, the answer on {shares}"
    return operation, f"operation not stated: taken to be a+b; {found}"


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


def found_split(
    logits: Logits, task: ModularTask, settings: Settings, stated: Mapping[str, float] | None = None
) -> tuple[Split, str]:
    """The split a network was trained on, and why it is taken to be that one.

    The convention of the project that wrote the config comes first. Where the network's own loss is not
    convincingly lower on it, every named split with the usual seeds is tried, and the one with the largest
    advantage is it; else the convention, unconfirmed; else none. A fraction that is not stated is the one whose test
    and train loss are those that the file states (`stated`), else the one that the losses favour.
    """
    if settings.split is not None:
        return settings.split, f"split {described(settings.split)}, as stated"
    if settings.convention == "unseeded":
        return Split("none"), "split drawn without a seed, so it is not known: numbers are over all pairs"
    found = _Losses(cross_entropy(logits, task.labels).ravel(), task.p, settings.fraction, dict(stated or {}))
    conventional = _conventional(settings, task.p)
    if conventional is not None:
        split, advantage = found.best_fraction(conventional)
        if advantage >= CONVINCING:
            drawn, evidence = found.explained(split, advantage)
            return drawn, f"split {described(drawn)}, as the config's authors draw it; {evidence}"
    split, advantage = max(
        (
            found.best_fraction(split)
            for split in paced([*_named(settings)], "splits that may have been drawn")
        ),
        key=lambda found: found[1],
    )
    if advantage >= CONVINCING:
        drawn, evidence = found.explained(split, advantage)
        return drawn, f"split not stated: {described(drawn)} found by trying the named ones; {evidence}"
    if conventional is not None:
        reason = "as the config's authors draw it; the losses do not confirm it"
        return conventional, f"split {described(conventional)}, {reason}"
    return Split("none"), "split not stated, and no named one explains the losses: numbers are over all pairs"


class _Losses:
    """The losses of all pairs, against which splits are held; NaN where a pair has no answer."""

    def __init__(
        self, losses: np.ndarray, p: int, fraction: float | None, stated: Mapping[str, float]
    ) -> None:
        self.losses, self.p, self.fraction, self.stated = losses, p, fraction, stated

    def best_fraction(self, split: Split) -> tuple[Split, float]:
        """The split with the fraction that the losses favour, unless the fraction is stated, and its advantage."""
        if split.kind == "mask":
            return split, train_advantage(self.losses.reshape(self.p, self.p), split.train_mask(self.p))
        fractions = FRACTIONS if self.fraction is None else (self.fraction,)
        drawn, counts = self._drawn(split, fractions)
        logs = _log(drawn)
        advantages = _advantages(logs, counts)
        best = int(_likelihoods(logs, counts).argmax())
        return Split(split.kind, fractions[best], split.seed), float(advantages[best])

    def _drawn(self, split: Split, fractions: Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
        """The losses in the order that was drawn, and how many of them each fraction trains on."""
        losses = self.losses[split.order(self.p)]
        defined = np.isfinite(losses)
        before = np.concatenate(([0], np.cumsum(defined)))
        counts = before[[int(fraction * self.p**2) for fraction in fractions]]
        return losses[defined], counts

    def explained(self, split: Split, advantage: float) -> tuple[Split, str]:
        """The split with the fraction that explains the stated losses, and the evidence in words."""
        evidence = f"its training pairs have the lower loss by {advantage:.0f} standard errors"
        said = {
            name: self.stated[f"{name}_loss"] for name in ("test", "train") if f"{name}_loss" in self.stated
        }
        if split.kind == "mask" or self.fraction is not None or not said:
            return split, evidence
        losses, counts = self._drawn(split, FRACTIONS)
        sums = np.concatenate(([0.0], np.cumsum(losses)))
        with np.errstate(all="ignore"):
            means = {
                "train": sums[counts] / counts,
                "test": (sums[-1] - sums[counts]) / (len(losses) - counts),
            }
            off = _largest([np.abs(np.log(means[name] / value)) for name, value in said.items()])
        best = int(np.nanargmin(off))
        if off[best] < EXPLAINED:
            which = " and ".join(said)
            chosen = Split(split.kind, FRACTIONS[best], split.seed)
            return chosen, f"{evidence}; its fraction gives the stated {which} loss"
        return split, f"{evidence}; no fraction gives the losses that the file states"


def _largest(arrays: Sequence[np.ndarray]) -> np.ndarray:
    """The largest of several arrays place by place; NaN where none is a number."""
    return np.fmax.reduce(arrays)


def described(split: Split) -> str:
    """A split in words: torch randperm, seed 1, 30 %."""
    if split.kind == "none":
        return "unknown"
    if split.kind == "mask":
        return f"given as a list of pairs, {split.fraction:.4g} of all"
    draw = "random.shuffle" if split.kind == "python" else "torch.randperm"
    return f"{draw}, seed {split.seed}, {split.fraction:.4g} of all"


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
