"""Multiplication mod a prime is addition of logarithms: the same network, its tokens renamed."""

from __future__ import annotations

import numpy as np

from modscope.activations import Activations, RecordWithoutNetwork
from modscope.analysis.circle import Circle, circle_of
from modscope.errors import InputError
from modscope.model import Network
from modscope.networks.tokens import renamed
from modscope.task import ModularTask, Split

__all__ = ["as_addition", "logarithms_of"]


def logarithms_of(acts: Activations) -> Activations:
    """A record of activations alone, of a multiplication mod a prime as one of the addition of logarithms."""
    circle = circle_of(acts.task)
    if circle.whole or circle.sign is None or not isinstance(acts, RecordWithoutNetwork):
        return acts
    return acts.renamed(circle.residues, _sums(acts.task, circle))


def _sums(task: ModularTask, circle: Circle) -> ModularTask:
    split = task.split
    if split.kind != "none":
        kept = np.array(circle.residues)
        split = Split.of_mask(task.train_mask[np.ix_(kept, kept)])
    return ModularTask(circle.n, "add", split)


def as_addition(network: Network, task: ModularTask) -> tuple[Network, ModularTask]:
    """A network that multiplies mod a prime p as one that adds mod p - 1; others as they are.

    With g the smallest primitive root, token i of the new network is residue g^i of the old one and its answer i
    the answer g^i, so every claim about a + b, c and cosines speaks of logarithms. Residue 0, the pairs
    with it and the answer 0 are left out; the split is that of the pairs that remain.
    Raises InputError for p = 3, which leaves two residues.
    """
    circle = circle_of(task)
    if circle.whole or circle.sign is None:
        return network, task
    if circle.n < 3:
        raise InputError(
            f"multiplication mod {task.p} has {circle.n} residues beside 0: expected p of at least 5"
        )
    return renamed(network, circle.residues), _sums(task, circle)
