"""The key frequencies suffice: restricted loss."""

from __future__ import annotations

import numpy as np

from modscope.analysis.answer.restriction import recorded_restriction
from modscope.findings.claim import Claim, Outcome
from modscope.findings.evidence import Bench
from modscope.findings.finding import ANSWERED, Condition, Picture, Rule
from modscope.losses import cross_entropy
from modscope.signal import basis_frequencies, fourier_basis

__all__ = ["CLAIM"]


def _measure(bench: Bench, claim: Claim) -> Outcome:
    chance = np.log(bench.p)
    profile = bench.profile
    kept = recorded_restriction(bench.acts, bench.ks)
    own = kept.restricted_loss
    others = [_loss(profile, ks) for ks in bench.other_frequencies(20)]
    numbers = {f"restricted loss, {name}": v for name, v in own.to_dict().items() if v is not None}
    numbers |= {
        f"restricted accuracy, {name}": v
        for name, v in kept.restricted_accuracy.to_dict().items()
        if v is not None
    }
    numbers["loss"] = bench.loss.all
    growing = [_loss(profile, bench.ks[:n]) for n in range(len(bench.ks) + 1)]
    picture = Picture(
        "lines",
        ["none", *(f"+{k}" for k in bench.ks)],
        {"restricted loss": growing},
        "frequencies kept, one more at a time",
        "loss, nats",
    )
    control = min(others, default=float(chance))
    conditions = (Condition("restricted accuracy", kept.restricted_accuracy.all, ANSWERED),)
    return Outcome(
        *claim.of(1 - own.all / chance, 1 - control / chance), numbers, picture, conditions=conditions
    )


def _loss(profile: np.ndarray, ks: tuple[int, ...]) -> float:
    """Loss over all pairs of logits that depend on the answer's place alone, [place, answer]."""
    n = len(profile)
    rows = fourier_basis(n)[np.isin(basis_frequencies(n), [0, *ks])]
    return float(cross_entropy(rows.T @ (rows @ profile), np.arange(n)).mean())


CLAIM = Claim(
    id="key-frequencies-suffice",
    title="Key frequencies suffice",
    statement="The part of the logits on cos and sin w(a + b) of the key frequencies, with DC, gives the answer.",
    unit="1 - loss / ln p",
    effect="1 minus the restricted loss over ln p, all pairs: 1 is no loss, 0 is chance",
    control="the largest of 20 random sets of as many other frequencies",
    rule=Rule(holds=0.95, in_part=0.5),
    measure=_measure,
    needs=("answer", "keys", "others"),
    citations=("Nanda et al. 2023, section 5.1: restricted loss",),
)
