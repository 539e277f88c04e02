"""Cosines about c/2 carry the answer."""

from __future__ import annotations

from modscope.analysis.stream.scores import explained, scores_of_parts
from modscope.findings.claim import Claim, Outcome
from modscope.findings.evidence import Bench
from modscope.findings.finding import Picture, Rule

__all__ = ["CLAIM"]


def _measure(bench: Bench, claim: Claim) -> Outcome:
    model = bench.stream
    cosines, bias = model.cosines(), model.bias()
    loss, right = scores_of_parts(bench.acts, model.marginals, cosines)
    bias_loss, bias_right = scores_of_parts(bench.acts, model.marginals, bias)
    r2 = [explained(model.marginals, parts) for parts in (cosines, bias)]
    numbers = {
        "loss, cosines only": loss.all,
        "loss, bias only": bias_loss.all,
        "share of resid_post, cosines": r2[0],
        "share of resid_post, bias": r2[1],
    }
    picture = Picture(
        "bars",
        ["cosines about c/2", "bias in c"],
        {"accuracy alone": [right.all, bias_right.all], "share of resid_post": r2},
        "part of the model of resid_post",
        "share",
    )
    return Outcome(*claim.of(right.all, bias_right.all), numbers, picture)


CLAIM = Claim(
    id="cosines-carry-the-answer",
    title="Cosines about c/2 carry the answer",
    statement="Of resid_post = sum_k cos w_k(a - c/2) Re(P_k e^(i w_k c/2)) + bias(c), the cosines alone give the answer.",
    unit="accuracy",
    effect="accuracy on all pairs when resid_post is replaced by its mean and the cosines about c/2",
    control="the same with the bias in c in their place",
    rule=Rule(holds=0.9, in_part=0.5),
    measure=_measure,
    needs=("answer", "stream", "keys"),
    warning=(
        "cos w(a - c/2) cos(wc/2) = (cos wa + cos wb)/2: the cosines are f(a) + g(b), which a linear unembedding "
        "cannot turn into the answer; all that depends on a + b is in the bias."
    ),
    citations=("Transformer modular addition through a signal processing lens: residual stream",),
)
