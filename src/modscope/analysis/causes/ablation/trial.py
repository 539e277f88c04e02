"""One ablation and its random controls: what is put where, and what the network then scores."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from modscope.activations import Activations
from modscope.analysis.stream.scores import scores_of_blocks
from modscope.losses import Scores
from modscope.model import Network

__all__ = ["SHUFFLED", "Ablation", "ChangedHook", "ChangedNetwork", "Outcome", "Trial"]

SHUFFLED = "the same change, dealt to random pairs"


@dataclass(frozen=True)
class Outcome:
    """Loss and accuracy by split, and the size of the change: its energy over that of the activation.

    The size is not known of a control or of a change to the weights.
    """

    loss: Scores
    accuracy: Scores
    changed: float | None = None


class Trial(Protocol):
    """An ablation at work: holds its arrays for as long as its controls need them."""

    def outcome(self) -> Outcome:
        """What the ablated network scores."""

    def control(self, generator: np.random.Generator) -> Outcome:
        """What a random change of the same size scores."""

    def shuffled(self, generator: np.random.Generator) -> Outcome:
        """What a random change of exactly the same energy scores; as `control` where there is none."""


@dataclass(frozen=True)
class Ablation:
    """A named intervention: what it does, what its random control is, and how to start it."""

    name: str
    says: str
    control: str
    start: Callable[[], Trial]


def resumed(acts: Activations, hook: str, values: np.ndarray, changed: float | None = None) -> Outcome:
    """Loss and accuracy with one activation replaced and the rest of the forward pass run again."""
    blocks = ((rows, block["logits"]) for rows, block in acts.resume({hook: values}))
    return Outcome(*scores_of_blocks(blocks, acts.task), changed)


class ChangedHook:
    """One activation replaced. The control replaces it with one of `alternatives`, drawn at random; without
    them it deals the change itself to random pairs, so that its size stays exactly the same."""

    def __init__(
        self,
        acts: Activations,
        hook: str,
        values: np.ndarray,
        alternatives: Callable[[np.random.Generator], np.ndarray] | None = None,
    ) -> None:
        self.acts, self.hook, self.values, self.alternatives = acts, hook, values, alternatives
        # the skip path is what a resumed MLP needs besides
        early = ("resid_pre",) if "resid_pre" in acts and acts.is_joint("resid_pre") else ()
        acts.load(*(h for h in (*early, "resid_mid", hook) if h in acts))

    @property
    def before(self) -> np.ndarray:
        """The activation as recorded, [a, b, ...]."""
        return self.acts.at(self.hook).values

    def outcome(self) -> Outcome:
        return resumed(self.acts, self.hook, self.values, self.changed(self.values))

    def control(self, generator: np.random.Generator) -> Outcome:
        if self.alternatives is None:
            return self.shuffled(generator)
        return resumed(self.acts, self.hook, self.alternatives(generator))

    def shuffled(self, generator: np.random.Generator) -> Outcome:
        """What the same change scores when it is dealt to random pairs."""
        before, p = self.before, self.acts.task.p
        change = (self.values - before).reshape(p * p, -1)
        values = before + change[generator.permutation(p * p)].reshape(before.shape)
        return resumed(self.acts, self.hook, values)

    def changed(self, values: np.ndarray) -> float:
        """Energy of the change over the energy of the activation, nothing centred."""
        before = self.before
        change, whole = 0.0, 0.0
        for old, new in zip(before, values, strict=True):
            change += float(np.sum(np.square(new - old, dtype=np.float64)))
            whole += float(np.sum(np.square(old, dtype=np.float64)))
        return change / whole if whole > 0 else 0.0


class ChangedNetwork:
    """A network with other weights, and a random alternative to it for each control."""

    def __init__(
        self, acts: Activations, network: Network, alternatives: Callable[[np.random.Generator], Network]
    ) -> None:
        self.acts, self.network, self.alternatives = acts, network, alternatives

    def outcome(self) -> Outcome:
        return self._scores(self.network)

    def control(self, generator: np.random.Generator) -> Outcome:
        return self._scores(self.alternatives(generator))

    def shuffled(self, generator: np.random.Generator) -> Outcome:
        return self.control(generator)

    def _scores(self, network: Network) -> Outcome:
        blocks = self.acts.recorded_anew(network).resume({})
        return Outcome(*scores_of_blocks(((rows, x["logits"]) for rows, x in blocks), self.acts.task))


def by_name(ablations: Iterable[Ablation]) -> dict[str, Ablation]:
    """The ablations by their names, in order."""
    return {ablation.name: ablation for ablation in ablations}
