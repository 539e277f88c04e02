"""The margin of the right logit does not depend on how far a is from b."""

from __future__ import annotations

import numpy as np

from modscope.analysis.answer.clock_and_pizza import (
    distance_irrelevance,
    gradient_cosines,
    gradient_symmetricity,
)
from modscope.findings.claim import Claim, Outcome
from modscope.findings.evidence import Bench
from modscope.findings.finding import Picture, Rule

__all__ = ["CLAIM"]

_TRIPLES = 2000
_PARTS = 20  # of which the spread is the error
_EXACT = 32_768  # triples that are all taken
_NOTHING = 0.01  # spread over mean below which there is no dependence to speak of


def _measure(bench: Bench, claim: Claim) -> Outcome:
    p, n = bench.p, np.arange(bench.p)
    fit = bench.keys_evidence.fit
    assert fit is not None
    sign = 1 if bench.task.operation == "add" else -1
    distance = (n[:, None] - sign * n) % p
    margin = bench.margin
    own = np.bincount(distance.ravel(), margin.ravel(), p) / np.bincount(distance.ravel(), minlength=p)
    envelopes = np.abs(np.cos(np.pi * np.outer(bench.ks, n) / p))
    weights = fit.alpha.sel(k=list(bench.ks)).values
    pizza = weights @ (envelopes / envelopes.mean(axis=1, keepdims=True))
    of_pizza = _irrelevance_of(pizza, distance)
    numbers = {
        "distance irrelevance": distance_irrelevance(bench.logits, bench.task),
        "spread over distances of the mean margin, over its mean": float(own.std() / own.mean()),
        **_symmetricity(bench),
    }
    effect = numbers["distance irrelevance"]
    if not margin.std() > _NOTHING * abs(margin.mean()):
        effect = 1.0
    picture = Picture(
        "lines",
        n.tolist(),
        {"margin": own.tolist(), "that of a pizza": pizza.tolist()},
        "a - b" if sign == 1 else "a + b",
        "right logit minus mean logit",
    )
    return Outcome(*claim.of(effect, of_pizza), numbers, picture)


def _irrelevance_of(curve: np.ndarray, distance: np.ndarray) -> float:
    """Distance irrelevance of right logits that are a function of the distance alone: 0, or NaN where it is constant."""
    right = curve[distance]
    spreads = [right[distance == d].std() for d in np.unique(distance)]
    return float(np.mean(spreads) / right.std()) if right.std() > 1e-12 * abs(right.mean()) else float("nan")


def _symmetricity(bench: Bench) -> dict[str, float]:
    """Gradient symmetricity over all triples (a, b, c) where they are few, else over a sample with its standard error."""
    if bench.acts.network is None:
        return {}
    p = bench.p
    exact = p**3 <= _EXACT
    if exact:
        triples = np.stack(np.unravel_index(np.arange(p**3), (p, p, p)), axis=1)
        return {"gradient symmetricity": gradient_symmetricity(bench.acts, triples=triples)}
    triples = bench.generator().integers(p, size=(_TRIPLES, 3))
    parts = gradient_cosines(bench.acts, triples=triples).reshape(_PARTS, -1).mean(axis=1)
    return {
        "gradient symmetricity": float(np.mean(parts)),
        "gradient symmetricity, standard error": float(np.std(parts, ddof=1) / _PARTS**0.5),
    }


CLAIM = Claim(
    id="distance-irrelevant",
    title="Distance a - b does not matter",
    statement="What varies in the right logit does not vary with the distance a - b.",
    unit="share of the standard deviation",
    effect=(
        "distance irrelevance: the mean over d = a - b of the standard deviation of the right logit over the pairs of "
        "that distance, over its standard deviation over all pairs; 1 where the margin varies by less than 1 %"
    ),
    control="the same of a pizza with the same weights of the key frequencies: sum of alpha_k |cos w_k(a - b)/2|",
    rule=Rule(holds=0.9, in_part=0.5),
    measure=_measure,
    needs=("answer", "keys"),
    warning="It says what varies with, not by how much: the spread over distances of the mean margin is among the numbers.",
    citations=("Zhong et al. 2023, section 4.2",),
)
