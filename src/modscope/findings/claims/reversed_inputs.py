"""Before attention the wave of position b is the wave of position a, reversed and shifted by c."""

from __future__ import annotations

from modscope.analysis.inputs.waves import reversal_errors
from modscope.findings.claim import Claim, Outcome
from modscope.findings.evidence import Bench
from modscope.findings.finding import Picture, Rule

__all__ = ["CLAIM"]


def _measure(bench: Bench, claim: Claim) -> Outcome:
    errors = reversal_errors(bench.acts, seed=bench.seed)
    right = errors.centred.sel(relation="reversed and shifted")
    others = errors.centred.sel(relation=[r for r in errors.relation.values if r != "reversed and shifted"])
    numbers = {
        f"{hook}, raw": float(errors.raw.sel(hook=hook, relation="reversed and shifted"))
        for hook in errors.hook.values
    }
    picture = Picture(
        "bars",
        [str(hook) for hook in errors.hook.values],
        {str(r): errors.centred.sel(relation=r).values.tolist() for r in errors.relation.values},
        "hook",
        "relative error, DC removed",
    )
    return Outcome(*claim.of(float(right.max()), float(others.min())), numbers, picture)


CLAIM = Claim(
    id="reversed-inputs",
    title="Reversed, shifted inputs",
    statement=(
        "In the order (c, a) the waves q, k and v of position b are those of position a, reversed and shifted by c."
    ),
    unit="relative error",
    effect="|X_b[c, a] - X_a[c, c - a]| / |X_a|, DC of each wave removed, the largest over the hooks before attention",
    control="the smallest error of the other relations: not reversed, not shifted, tokens of b permuted",
    rule=Rule(holds=0.01, in_part=0.1, larger=False),
    measure=_measure,
    needs=("answer",),
    warning="It follows from one embedding for both positions, so an untrained network has it too.",
    citations=("Transformer modular addition through a signal processing lens: q, k, v",),
)
