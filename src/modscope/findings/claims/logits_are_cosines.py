"""The logits are sums of cosines of a + b - c."""

from __future__ import annotations

import numpy as np

from modscope.findings.claim import Claim, Outcome
from modscope.findings.evidence import Bench
from modscope.findings.finding import Picture, Rule

__all__ = ["CLAIM"]


def _measure(bench: Bench, claim: Claim) -> Outcome:
    fit = bench.keys_evidence.fit
    assert fit is not None
    others = [fit.share(ks) for ks in bench.other_frequencies(20)]
    numbers = {
        "share of variance with each pair's mean counted": fit.uncentred_share(bench.ks),
        "loss of the fit": fit.loss(bench.ks),
        "loss": bench.loss.all,
    }
    numbers |= {f"alpha at {k}": float(fit.alpha.sel(k=k)) for k in bench.ks}
    ks = np.arange(1, len(fit.fve))
    picture = Picture(
        "bars", ks.tolist(), {"share of variance": fit.fve.values[1:].tolist()},
        "frequency k", "share of the logits' variance", bench.ks,
    )  # fmt: skip
    return Outcome(*claim.of(fit.share(bench.ks), max(others, default=0.0)), numbers, picture)


CLAIM = Claim(
    id="logits-are-cosines",
    title="Logits are sums of cosines",
    statement="The logits are a sum over the key frequencies of alpha_k cos w_k(a + b - c).",
    unit="share of variance",
    effect=(
        "share of the variance of the p^3 logits, each pair's mean over the answers removed, explained by cos w_k(a + b - c) "
        "of the key frequencies, one number each"
    ),
    control="the largest of 20 random sets of as many other frequencies",
    rule=Rule(holds=0.9, in_part=0.5),
    measure=_measure,
    needs=("answer", "keys", "others"),
    warning="Published shares count what a pair adds to all its logits alike, which softmax cannot see: among the numbers.",
    citations=("Nanda et al. 2023, section 4.2",),
)
