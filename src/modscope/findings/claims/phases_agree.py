"""A neuron has one phase for a and b."""

from __future__ import annotations

import numpy as np

from modscope.findings.claim import Claim, Outcome
from modscope.findings.evidence import Bench
from modscope.findings.finding import Picture, Rule
from modscope.findings.resampling import interval

__all__ = ["CLAIM"]


def _measure(bench: Bench, claim: Claim) -> Outcome:
    neurons, waves = bench.explained, bench.waves
    # a neuron that subtracts reads b reversed, with the opposite phase
    sign = 1 if bench.task.operation == "add" else -1
    of_a, of_b = waves.phase_a.values[neurons], sign * waves.phase_b.values[neurons]
    gaps = _distance(of_a, of_b)
    shuffled = _distance(of_a, of_b[_within(waves.frequency.values[neurons], bench.generator())])
    ratio = waves.amplitude_b.values[neurons] / np.maximum(waves.amplitude_a.values[neurons], 1e-30)
    numbers = {
        "share of neurons within 0.25 rad": float(np.mean(gaps < 0.25)),
        "median amplitude at b over that at a": float(np.median(ratio)),
    }
    picture = Picture(
        "points", of_a.tolist(), {"phase at b": of_b.tolist()}, "phase at a, rad", "phase at b, rad"
    )
    over = interval(gaps, over="neurons", statistic=np.median, seed=bench.seed)
    return Outcome(*claim.of(np.median(gaps), np.median(shuffled), over), numbers, picture)


def _distance(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.abs(np.angle(np.exp(1j * (x - y))))


def _within(groups: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """A random permutation that moves things inside their group only."""
    order = np.arange(len(groups))
    for group in np.unique(groups):
        members = np.flatnonzero(groups == group)
        order[members] = generator.permutation(members)
    return order


CLAIM = Claim(
    id="phases-agree",
    title="Phases at a and b agree",
    statement="A neuron's input is r cos(wa + phi) + r' cos(wb + phi): the same phase for a and for b.",
    unit="rad, 0 to pi",
    effect="median over the explained neurons of the distance between the phases of mlp_pre along a and along b",
    control="the same to the phase at b of another neuron of the same frequency",
    rule=Rule(holds=0.25, in_part=0.8, larger=False),
    measure=_measure,
    needs=("answer", "neurons"),
    citations=("Nanda et al. 2023, section 4.3",),
)
