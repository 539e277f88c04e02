"""The phases of the neurons of each frequency tile the circle."""

from __future__ import annotations

import numpy as np
import xarray as xr

from modscope.analysis.neurons.waves import phase_tiling
from modscope.findings.claim import Claim, Outcome
from modscope.findings.evidence import Bench
from modscope.findings.finding import Picture, Rule

__all__ = ["CLAIM"]

_ORDERS = [1, 2, 4]


def _measure(bench: Bench, claim: Claim) -> Outcome:
    waves = bench.waves.isel(neuron=bench.explained)
    # where the waves of a and of b cancel there is no shared phase
    waves = waves.isel(neuron=np.flatnonzero(np.isfinite(waves.phase.values)))
    if not waves.sizes["neuron"]:
        return Outcome(*claim.of(float("nan"), float("nan")))
    tiling = phase_tiling(waves, draws=20, seed=bench.seed)
    squeezed = phase_tiling(waves.assign(phase=np.mod(waves.phase, 2 * np.pi) / 4), draws=1, seed=bench.seed)
    numbers = {
        "the same of uniformly random phases": _largest(tiling.control_resultant, tiling.neurons.values),
        "largest gap, in even gaps": float(tiling.largest_gap.max()),
    }
    phases = np.sort(np.mod(waves.phase.values, 2 * np.pi))
    order = np.argsort(np.mod(waves.phase.values, 2 * np.pi))
    picture = Picture(
        "points", phases.tolist(), {"frequency": waves.frequency.values[order].tolist()},
        "phase, rad", "frequency k of the neuron",
    )  # fmt: skip
    effect = _largest(tiling.resultant, tiling.neurons.values)
    return Outcome(*claim.of(effect, _largest(squeezed.resultant, tiling.neurons.values)), numbers, picture)


def _largest(resultant: xr.DataArray, neurons: np.ndarray) -> float:
    """The largest over the orders of the mean over clusters, weighed by their neurons."""
    means = np.average(resultant.sel(order=_ORDERS).transpose("order", "k").values, axis=1, weights=neurons)
    return float(means.max())


CLAIM = Claim(
    id="phases-tile",
    title="Phases tile the circle",
    statement="The phases of the neurons of each frequency tile the circle, so that their sums cancel what is not wanted.",
    unit="resultant length, 0 to 1",
    effect=(
        "largest over m = 1, 2, 4 of |mean e^(i m phi)| over the explained neurons of a frequency, "
        "mean over frequencies weighed by their neurons"
    ),
    control="the same phases squeezed into a quarter of the circle",
    rule=Rule(holds=0.25, in_part=0.5, larger=False),
    measure=_measure,
    needs=("neurons",),
    warning="Random phases tile the circle as well as chance has it; their value is among the numbers.",
    citations=("quadrature of ReLU(cos(x + phi)) cos(2 phi) over phi",),
)
