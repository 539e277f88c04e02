"""What attention multiplies is not needed."""

from __future__ import annotations

from modscope.analysis.causes.replacement import input_hook
from modscope.findings.claim import Claim, Outcome
from modscope.findings.evidence import Bench
from modscope.findings.finding import ANSWERED, Condition, Picture, Rule
from modscope.findings.resampling import interval_of_ratio

__all__ = ["CLAIM"]


def _measure(bench: Bench, claim: Claim) -> Outcome:
    found, hook = bench.mechanism.replacements, input_hook(bench.acts)
    parts = ["linear", "without linear", "answer", "without answer"]
    kept = found.sel(replacement=[f"{hook}: {part}" for part in parts])
    numbers = {
        f"{what}, {part}": float(kept[what][i])
        for i, part in enumerate(parts)
        for what in ("margin", "loss", "accuracy")
    }
    picture = Picture(
        "bars",
        ["f(a) + g(b) only", "all but that", "a + b only", "all but a + b"],
        {"margin kept": kept.margin.values.tolist(), "accuracy": kept.accuracy.values.tolist()},
        f"what is left of {hook}",
        "share",
    )
    by_a = found.by_a.sel(replacement=[f"{hook}: linear", "none"]).values
    over = interval_of_ratio(*by_a, over="values of a", seed=bench.seed)
    conditions = (Condition("accuracy without the products", float(kept.accuracy[0]), ANSWERED),)
    return Outcome(
        *claim.of(float(kept.margin[0]), float(kept.margin[1]), over), numbers, picture, conditions=conditions
    )


CLAIM = Claim(
    id="products-not-needed",
    title="Product terms are not needed",
    statement="The MLP needs only functions of one token each: without all products of a and b in its input the answer stays.",
    unit="share of the margin kept",
    effect="mean margin with the MLP's input (resid_mid) replaced by its part f(a) + g(b), over the margin as it is",
    control="the same with that part removed and the products kept",
    rule=Rule(holds=0.9, in_part=0.5),
    measure=_measure,
    needs=("answer",),
    warning="A margin that is kept in part may have lost the answer: where more than half of the pairs are, the claim fails.",
    citations=("Transformer modular addition through a signal processing lens: hypothesis",),
)
