"""One epoch on the bench: what several measures look at, computed once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import xarray as xr

from modscope.activations import Activations
from modscope.analysis.answer.clock_and_pizza import first_triples
from modscope.analysis.answer.keys import Evidence, evidence_of
from modscope.analysis.causes.mechanism import Mechanism, mechanism
from modscope.analysis.neurons.waves import neuron_waves, output_phases
from modscope.analysis.plane.energy import PairEnergy, hooks_in_turn, pair_energy
from modscope.analysis.plane.symmetry import even_fraction
from modscope.analysis.plane.terms import energy_of_lines, line_means
from modscope.circle import Circle
from modscope.errors import InputError
from modscope.memory import release_freed
from modscope.task import ModularTask

__all__ = ["Frame", "Moment"]

_KEPT = ("pattern", "mlp_pre", "mlp_post", "logits")


@dataclass(frozen=True)
class Frame:
    """What all epochs of a run are measured with: the task, the key frequencies, the triples of gradients."""

    task: ModularTask
    keys: tuple[int, ...] = ()
    _made: dict[str, np.ndarray] = field(default_factory=dict, repr=False, compare=False)

    @property
    def triples(self) -> np.ndarray:
        """The triples (a, b, c) of the gradient symmetricity, drawn once: the shuffle costs more than the gradients."""
        if "triples" not in self._made:
            self._made["triples"] = first_triples(self.task.p, min(100, self.task.p**3))
        return self._made["triples"]


class Moment:
    """The record of one epoch, with what measures share."""

    def __init__(self, acts: Activations, frame: Frame) -> None:
        self.acts, self.frame, self.task = acts, frame, acts.task

    def close(self) -> None:
        """Let go of every array at once: what waits for the collector of cycles would wait for the next epoch's."""
        self.acts.forget()
        vars(self).clear()
        release_freed()

    @property
    def keys(self) -> tuple[int, ...]:
        """The key frequencies; InputError where there is none."""
        if not self.frame.keys:
            raise InputError("the run has no key frequencies")
        return self.frame.keys

    @property
    def logits(self) -> np.ndarray:
        """Logits [a, b, answer]."""
        return self.acts.at("logits").values

    @cached_property
    def evidence(self) -> Evidence:
        """Embedding, W_L, clusters and the fit of the logits, on the circle of the task."""
        return evidence_of(self.acts)

    @property
    def circle(self) -> Circle:
        """The circle on which the residues lie."""
        return self.evidence.circle

    @cached_property
    def waves(self) -> xr.Dataset:
        """The wave of each neuron at its own frequency."""
        return neuron_waves(self.acts, rectified=False)

    @cached_property
    def outputs(self) -> xr.Dataset:
        """The phase with which each neuron writes, beside twice that with which it reads."""
        return output_phases(self.acts, self.waves)

    @cached_property
    def mechanism(self) -> Mechanism:
        """Shares of the margin by mechanism."""
        return mechanism(self.acts, self.frame.keys)

    @cached_property
    def planes(self) -> tuple[dict[str, PairEnergy], dict[str, float]]:
        """Energy by kind of term, and even fraction, of each hook that depends on both tokens."""
        energy, even = {}, {}
        for hook, x in hooks_in_turn(self.acts):
            energy[hook] = pair_energy(x, self.circle)
            even[hook] = float("nan") if self.circle.sign is None else even_fraction(x, self.circle)
        # what no other measure looks at whole need not stay in memory
        self.acts.forget(*(hook for hook in self.acts.kept if hook not in _KEPT))
        return energy, even

    @cached_property
    def pre(self) -> xr.Dataset:
        """The means of mlp_pre along lines, and its energy by line and frequency."""
        means = line_means(self.acts, "mlp_pre")
        return means.merge(energy_of_lines(means, self.task.operation), combine_attrs="override")

    def named(self, values: Sequence[float], dim: str, names: Sequence[object]) -> xr.DataArray:
        """Values over a named axis."""
        return xr.DataArray(np.asarray(values, dtype=np.float64), dims=dim, coords={dim: list(names)})
