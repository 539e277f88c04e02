"""A neuron writes at twice the phase at which it reads."""

from __future__ import annotations

import numpy as np

from modscope.findings.claim import Claim, Outcome
from modscope.findings.evidence import Bench
from modscope.findings.finding import Picture, Rule
from modscope.findings.resampling import interval

__all__ = ["CLAIM"]


def _measure(bench: Bench, claim: Claim) -> Outcome:
    found = bench.outputs.isel(neuron=bench.explained)
    distance, control = found.distance.values, found.control.values
    numbers = {
        "median distance from the neuron's own phase on a + b": float(np.nanmedian(found.measured_distance)),
        "median share of W_L at the neuron's frequency": float(np.nanmedian(found.share)),
    }
    picture = Picture(
        "points",
        found.expected.values.tolist(),
        {"phase on the logits": found.psi.values.tolist()},
        "sum of the input phases, rad",
        "output phase psi, rad",
    )
    over = interval(distance, over="neurons", statistic=np.median, seed=bench.seed)
    return Outcome(*claim.of(float(np.median(distance)), float(np.median(control)), over), numbers, picture)


CLAIM = Claim(
    id="output-phase",
    title="Output phase is twice the input's",
    statement="A neuron that reads cos(wa + phi) + cos(wb + phi) writes cos(wc + 2 phi) on the logits.",
    unit="rad, 0 to pi",
    effect=(
        "median over the explained neurons of the distance between the phase of its row of W_out W_U and the sum of its "
        "phases at a and b (a minus b for subtraction)"
    ),
    control="the same to the phases of another neuron of the same frequency",
    rule=Rule(holds=0.3, in_part=0.9, larger=False),
    measure=_measure,
    needs=("answer", "neurons"),
    warning="A sum of the two phases is 2 phi only where they agree.",
    citations=("sum over phi of ReLU(cos(x + phi)) cos(2 phi) is cos(2x)",),
)
