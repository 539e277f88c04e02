"""The embedding is a few waves."""

from __future__ import annotations

import numpy as np

from modscope.analysis.weights.frequencies import energy_shares, gini, inverse_participation_ratio
from modscope.findings.claim import Claim, Outcome
from modscope.findings.evidence import Bench
from modscope.findings.finding import Picture, Rule
from modscope.findings.resampling import interval

__all__ = ["CLAIM"]

_CONTROLS = 20


def _measure(bench: Bench, claim: Claim) -> Outcome:
    table = bench.keys_evidence.embedding
    shares = energy_shares(table)
    noise = [gini(energy_shares(bench_noise)) for bench_noise in _noise(table.shape, bench.seed)]
    falling = np.sort(shares.values)[::-1]
    numbers = {
        "effective number of frequencies": 1 / inverse_participation_ratio(shares),
        "frequencies for 90 % of the energy": float(np.searchsorted(np.cumsum(falling), 0.9) + 1),
    }
    if bench.ks:
        numbers["share at the key frequencies"] = float(shares.sel(k=list(bench.ks)).sum())
    over = interval(_energies(table), over="dimensions", statistic=_gini_of_sum, seed=bench.seed)
    picture = Picture(
        "bars",
        shares.k.values.tolist(),
        {"share of energy": shares.values.tolist()},
        "frequency k",
        "share of the energy outside DC",
        bench.ks,
    )
    return Outcome(*claim.of(gini(shares), max(noise), over), numbers, picture)


def _noise(shape: tuple[int, ...], seed: int) -> list[np.ndarray]:
    generator = np.random.default_rng(seed)
    return [generator.standard_normal(shape) for _ in range(_CONTROLS)]


def _energies(table: np.ndarray) -> np.ndarray:
    """Energy at each frequency, [dimension, k]."""
    power = np.abs(np.fft.rfft(table, axis=0)[1:]) ** 2
    if len(table) % 2 == 0:
        power[-1] /= 2
    return power.T


def _gini_of_sum(energies: np.ndarray, axis: int) -> np.ndarray:
    return np.array([gini(row) for row in energies.sum(axis=axis)])


CLAIM = Claim(
    id="sparse-embedding",
    title="Sparse embedding",
    statement="The embedding of the residues is made of waves of a few frequencies.",
    unit="Gini coefficient, 0 to 1",
    effect="Gini coefficient of the energies of W_E at the frequencies 1 to p/2, summed over d_model",
    control="the largest of 20 Gini coefficients of normal noise of the same shape",
    rule=Rule(holds=0.75, in_part=0.5),
    measure=_measure,
    warning="A frequency in the embedding need not be used for the answer.",
    citations=("Nanda et al. 2023, section 4.1", "Hurley & Rickard 2009"),
)
