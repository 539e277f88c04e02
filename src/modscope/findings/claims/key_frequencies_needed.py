"""The key frequencies are necessary: excluded loss."""

from __future__ import annotations

import numpy as np

from modscope.analysis.answer.restriction import recorded_restriction
from modscope.findings.claim import Claim, Outcome
from modscope.findings.evidence import Bench
from modscope.findings.finding import Picture, Rule
from modscope.losses import cross_entropy, logits_of_pairs
from modscope.signal import basis_frequencies, fourier_basis

__all__ = ["CLAIM"]

_PAIRS = 2000


def _measure(bench: Bench, claim: Claim) -> Outcome:
    chance = np.log(bench.p)
    own = recorded_restriction(bench.acts, bench.ks).excluded_loss
    sample = _Sample(bench)
    others = [sample.loss_without(ks) for ks in bench.other_frequencies(20)]
    numbers = {f"excluded loss, {name}": v for name, v in own.to_dict().items() if v is not None}
    numbers["loss"] = bench.loss.all
    single = [sample.loss_without((k,)) for k in bench.ks]
    picture = Picture(
        "bars",
        [str(k) for k in bench.ks],
        {"excluded loss, one frequency at a time": single},
        "frequency removed",
        "loss, nats",
    )
    return Outcome(*claim.of(own.all / chance, max(others, default=float("nan")) / chance), numbers, picture)


class _Sample:
    """Some pairs, drawn once, on which many excluded losses are compared."""

    def __init__(self, bench: Bench) -> None:
        p = bench.p
        drawn = bench.generator().choice(p * p, min(_PAIRS, p * p), replace=False)
        self.labels = bench.task.labels.reshape(-1)[drawn]
        self.logits = logits_of_pairs(bench.logits, drawn).astype(np.float64)
        self.profile = bench.profile

    def loss_without(self, ks: tuple[int, ...]) -> float:
        """The loss on these pairs without cos and sin w(a + b) of some frequencies."""
        n = len(self.profile)
        rows = fourier_basis(n)[np.isin(basis_frequencies(n), ks)]
        part = rows.T @ (rows @ self.profile)
        return float(cross_entropy(self.logits - part[self.labels], self.labels).mean())


CLAIM = Claim(
    id="key-frequencies-needed",
    title="Key frequencies are necessary",
    statement="Without the part of the logits on cos and sin w(a + b) of the key frequencies the answer is lost.",
    unit="loss / ln p",
    effect="excluded loss over ln p, all pairs, all key frequencies removed together and DC kept: 1 is chance",
    control="the largest of 20 random sets of as many other frequencies, on 2000 pairs drawn from the seed",
    rule=Rule(holds=0.5, in_part=0.1),
    measure=_measure,
    needs=("answer", "keys", "others"),
    citations=("Nanda et al. 2023, section 5.1: excluded loss",),
)
