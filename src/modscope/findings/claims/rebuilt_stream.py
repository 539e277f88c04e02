"""The last residual stream can be rebuilt from a few phasors."""

from __future__ import annotations

from modscope.analysis.plane.marginals import phasors_of
from modscope.analysis.stream.model import StreamModel, unembedding_waves
from modscope.analysis.stream.scores import explained, scores_of_parts
from modscope.findings.claim import Claim, Outcome
from modscope.findings.evidence import Bench
from modscope.findings.finding import Picture, Rule

__all__ = ["CLAIM"]


def _measure(bench: Bench, claim: Claim) -> Outcome:
    model = bench.stream
    found = model.marginals
    parts = model.cosines() | model.bias(key_only=True)
    effect = explained(found, parts)
    loss, right = scores_of_parts(bench.acts, found, parts)
    others = [_of_others(model, ks) for ks in bench.other_frequencies(20)]
    numbers = {
        "loss, rebuilt": loss.all,
        "accuracy, rebuilt": right.all,
        "with a bias free in c": explained(found, model.cosines() | model.bias()),
        "cosines only": explained(found, model.cosines()),
        "key bias only": explained(found, model.bias(key_only=True)),
    }
    if bench.acts.weight("W_U").shape[0] == len(found.mean):
        waves = unembedding_waves(bench.acts, found, bench.ks)
        numbers["W_U's own waves, a gain per frequency"] = explained(
            found, {"of_answer": waves["gain per frequency"]}
        )
    names = ["with a bias free in c", "cosines only", "key bias only"]
    picture = Picture(
        "bars",
        ["phasors", *names],
        {"share of resid_post": [effect, *(numbers[n] for n in names)]},
        "model of resid_post",
        "share of the variance",
    )
    return Outcome(*claim.of(effect, max(others, default=0.0)), numbers, picture)


def _of_others(model: StreamModel, ks: tuple[int, ...]) -> float:
    """What the same number of phasors at other frequencies explains."""
    found = model.marginals
    of_b = phasors_of(found.of_b, ks)
    phasors = phasors_of(found.of_a, ks) + (of_b if found.sign == 1 else of_b.conj())
    other = StreamModel(ks, phasors, found)
    return explained(found, other.cosines() | other.bias(key_only=True))


CLAIM = Claim(
    id="rebuilt-stream",
    title="resid_post rebuilt from phasors",
    statement="The last residual stream is rebuilt by two phasors for each dimension and key frequency.",
    unit="share of variance",
    effect=(
        "R^2 of mean + sum_k cos w_k(a - c/2) Re(P_k e^(i w_k c/2)) + Re(B_k e^(i w_k c)) at the key frequencies, "
        "least squares, all dimensions together"
    ),
    control="the largest of 20 random sets of as many other frequencies",
    rule=Rule(holds=0.9, in_part=0.5),
    measure=_measure,
    needs=("answer", "stream", "keys", "others"),
    citations=("Transformer modular addition through a signal processing lens: reconstruction",),
)
