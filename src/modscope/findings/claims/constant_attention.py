"""Attention is a constant average."""

from __future__ import annotations

import numpy as np

from modscope.findings.claim import Claim, Outcome
from modscope.findings.evidence import Bench
from modscope.findings.finding import ANSWERED, Condition, Picture, Rule
from modscope.findings.resampling import interval_of_ratio

__all__ = ["CLAIM"]


def _measure(bench: Bench, claim: Claim) -> Outcome:
    found = bench.mechanism.replacements
    margin = found.margin.sel(replacement=["pattern: mean", "resid_mid: mean"]).values
    pattern = bench.acts.at("pattern").values
    mean, spread = pattern.mean(axis=(0, 1), dtype=np.float64), pattern.std(axis=(0, 1), dtype=np.float64)
    varying = float((spread / np.maximum(mean, 1e-30))[:, :2].max())
    fixed = found.sel(replacement="pattern: mean")
    numbers = {
        "loss, constant pattern": float(fixed.loss),
        "accuracy, constant pattern": float(fixed.accuracy),
        "spread over mean, largest": varying,
    }
    heads = [f"head {h}" for h in range(len(mean))]
    picture = Picture(
        "bars",
        heads,
        {
            "mean weight of a": mean[:, 0].tolist(),
            "spread of it over the pairs": spread[:, 0].tolist(),
            "mean weight of b": mean[:, 1].tolist(),
            "spread over the pairs": spread[:, 1].tolist(),
        },
        "head",
        "attention",
    )
    by_a = found.by_a.sel(replacement=["pattern: mean", "none"]).values
    over = interval_of_ratio(*by_a, over="values of a", seed=bench.seed)
    conditions = (
        Condition("accuracy with a constant pattern", float(fixed.accuracy), ANSWERED),
        Condition(
            "largest spread over mean of a weight", varying, Rule(holds=0.1, in_part=0.5, larger=False)
        ),
    )
    return Outcome(
        *claim.of(float(margin[0]), float(margin[1]), over), numbers, picture, conditions=conditions
    )


CLAIM = Claim(
    id="constant-attention",
    title="Attention is a constant average",
    statement=(
        "Attention only averages: the weights hardly vary over the pairs, and with each head's pattern set to its mean the "
        "answer stays."
    ),
    unit="share of the margin kept",
    effect="mean margin (right logit minus mean logit) with the pattern of each head at its mean, over the margin as it is",
    control="the same with all that attention writes at its mean too",
    rule=Rule(holds=0.9, in_part=0.5),
    measure=_measure,
    needs=("attention", "answer"),
    warning=(
        "The verdict is also no better than the grades of the accuracy that is left (0.9, in part 0.5) and of the largest "
        "spread over mean of a head's weight on a or b (0.1, in part 0.5): among the numbers."
    ),
    citations=("Zhong et al. 2023, constant attention of a pizza",),
)
