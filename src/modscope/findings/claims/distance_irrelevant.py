"""The margin of the right logit does not depend on how far a is from b."""

from __future__ import annotations

import numpy as np

from modscope.analysis.answer.clock_and_pizza import distance_irrelevance, gradient_symmetricity
from modscope.analysis.causes.replacement import margins
from modscope.findings.claim import Claim, Outcome
from modscope.findings.evidence import Bench
from modscope.findings.finding import Picture, Rule

__all__ = ["CLAIM"]

_TRIPLES = 200


def _measure(bench: Bench, claim: Claim) -> Outcome:
    p, n = bench.p, np.arange(bench.p)
    fit = bench.keys_evidence.fit
    assert fit is not None
    sign = 1 if bench.task.operation == "add" else -1
    distance = (n[:, None] - sign * n) % p
    margin = margins(bench.logits, bench.task.labels)
    own = np.bincount(distance.ravel(), margin.ravel(), p) / np.bincount(distance.ravel(), minlength=p)
    envelopes = np.abs(np.cos(np.pi * np.outer(bench.ks, n) / p))
    weights = fit.alpha.sel(k=list(bench.ks)).values
    pizza = weights @ (envelopes / envelopes.mean(axis=1, keepdims=True))
    triples = bench.generator().integers(p, size=(_TRIPLES, 3))
    numbers = {"distance irrelevance": distance_irrelevance(bench.logits, bench.task)}
    if bench.acts.network is not None:
        numbers["gradient symmetricity"] = gradient_symmetricity(bench.acts, triples=triples)
    picture = Picture(
        "lines",
        n.tolist(),
        {"margin": own.tolist(), "that of a pizza": pizza.tolist()},
        "a - b" if sign == 1 else "a + b",
        "right logit minus mean logit",
    )
    return Outcome(*claim.of(own.std() / own.mean(), pizza.std() / pizza.mean()), numbers, picture)


CLAIM = Claim(
    id="distance-irrelevant",
    title="Distance a - b does not matter",
    statement="How far the right logit stands above the mean does not depend on the distance a - b.",
    unit="spread over mean",
    effect="standard deviation over the distance a - b of the mean margin (right logit minus mean logit), over its mean",
    control="the same of a pizza with the same weights of the key frequencies: sum of alpha_k |cos w_k(a - b)/2|",
    rule=Rule(holds=0.05, in_part=0.15, larger=False),
    measure=_measure,
    needs=("answer", "knowledge", "keys"),
    warning="With many frequencies the envelopes even out. Published distance irrelevance is among the numbers.",
    citations=("Zhong et al. 2023, section 4.2",),
)
