"""Each neuron follows one frequency."""

from __future__ import annotations

import numpy as np
import xarray as xr

from modscope.analysis.neurons.clusters import EXPLAINED, neuron_fve
from modscope.findings.claim import Claim, Outcome
from modscope.findings.evidence import Bench
from modscope.findings.finding import Picture, Rule
from modscope.findings.resampling import interval

__all__ = ["CLAIM"]

_MIXED = 64


def _measure(bench: Bench, claim: Claim) -> Outcome:
    found = bench.keys_evidence.clusters
    alive = found.frequency > 0
    explained = found.explained[alive]
    numbers = {
        "neurons explained": float(explained.sum()),
        "neurons that vary": float(alive.sum()),
        "median share explained": float(np.median(found.fve[alive])) if alive.any() else float("nan"),
    } | {f"neurons of frequency {k}": float(n) for k, n in found.counts().items()}
    effect = float(explained.mean()) if alive.any() else float("nan")
    fve = np.sort(found.fve[alive])[::-1]
    picture = Picture(
        "lines", list(range(1, len(fve) + 1)), {"share explained": fve.tolist()},
        "neurons, best first", "share explained",
    )  # fmt: skip
    over = interval(explained.astype(float), over="neurons", seed=bench.seed)
    return Outcome(*claim.of(effect, _of_mixtures(bench), over), numbers, picture)


def _of_mixtures(bench: Bench) -> float:
    """The same share for random orthogonal mixtures of the neurons: the same space, another basis."""
    x = bench.acts.at("mlp_post")
    neurons = x.sizes["neuron"]
    noise = bench.generator().standard_normal((neurons, min(_MIXED, neurons)))
    mixture = np.linalg.qr(noise)[0].astype(x.dtype)
    mixed = neuron_fve(xr.DataArray(x.values @ mixture, dims=("a", "b", "neuron")), bench.circle)
    return float((mixed.max("k") > EXPLAINED).mean())


CLAIM = Claim(
    id="one-frequency",
    title="One frequency per neuron",
    statement="Each neuron's variance over the pairs is explained to more than 85 % by one frequency.",
    unit="share of neurons",
    effect="share of the neurons that vary whose fve by {1, cos wa, sin wa} x {1, cos wb, sin wb} of one frequency exceeds 0.85",
    control="the same share of 64 random orthogonal mixtures of the neurons",
    rule=Rule(holds=0.8, in_part=0.5),
    measure=_measure,
    citations=("Nanda et al. 2023, section 4.3",),
)
