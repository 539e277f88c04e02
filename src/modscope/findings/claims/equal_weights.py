"""Attention weighs a and b alike."""

from __future__ import annotations

import numpy as np

from modscope.analysis.causes.ablation.attention import equalised_pattern
from modscope.analysis.causes.replacement import margins
from modscope.findings.claim import Claim, Outcome
from modscope.findings.evidence import Bench
from modscope.findings.finding import ANSWERED, Condition, Picture, Rule
from modscope.findings.resampling import interval_of_ratio
from modscope.losses import right_answers

__all__ = ["CLAIM"]


def _judged_with(bench: Bench, pattern: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The margin of each pair with another pattern, and whether its answer is right; the logits pass block by block."""
    labels = bench.task.labels
    kept, right = np.empty(labels.shape), np.empty(labels.shape, bool)
    for rows, block in bench.acts.resume({"pattern": pattern}):
        some = slice(rows.start, rows.stop)
        kept[some] = margins(block["logits"], labels[some])
        right[some] = right_answers(block["logits"], labels[some])
    return kept, right


def _measure(bench: Bench, claim: Claim) -> Outcome:
    pattern = bench.acts.at("pattern").values
    whole = bench.margin
    kept, right = _judged_with(bench, equalised_pattern(pattern))
    one_sided = pattern.copy()
    one_sided[..., 0] = pattern[..., :2].sum(axis=-1)
    one_sided[..., 1] = 0.0
    control = _judged_with(bench, one_sided)[0].mean() / whole.mean()
    mean = pattern.mean(axis=(0, 1), dtype=np.float64)
    apart = np.abs(pattern[..., 0] - pattern[..., 1]).astype(np.float64)
    imbalance = apart.mean(axis=(0, 1)) / mean[:, :2].sum(axis=1)
    # a head whose weights do not vary has no correlation
    varying = [
        x for x in np.moveaxis(pattern[..., :2], 2, 0) if x.std(axis=(0, 1), dtype=np.float64).min() > 1e-6
    ]
    correlations = [float(np.corrcoef(x.reshape(-1, 2).T)[0, 1]) for x in varying]
    numbers = {
        "accuracy, equalised": float(right.mean()),
        "largest imbalance of a head's means": float(
            (np.abs(mean[:, 0] - mean[:, 1]) / mean[:, :2].sum(axis=1)).max()
        ),
        "mean imbalance pair by pair": float(imbalance.mean()),
        "mean |A_a - A_b|": float(apart.mean()),
        "largest correlation of A_a and A_b": max(correlations, default=float("nan")),
    }
    picture = Picture(
        "bars",
        [f"head {h}" for h in range(len(mean))],
        {"mean weight of a": mean[:, 0].tolist(), "mean weight of b": mean[:, 1].tolist()},
        "head",
        "attention",
    )
    over = interval_of_ratio(kept.mean(axis=1), whole.mean(axis=1), over="values of a", seed=bench.seed)
    conditions = (
        Condition("accuracy with equal weights", float(right.mean()), ANSWERED),
        Condition(
            "mean imbalance pair by pair", float(imbalance.mean()), Rule(holds=0.1, in_part=0.3, larger=False)
        ),
    )
    return Outcome(
        *claim.of(kept.mean() / whole.mean(), control, over), numbers, picture, conditions=conditions
    )


CLAIM = Claim(
    id="equal-weights",
    title="Equal weights on a and b",
    statement=(
        "Attention weighs a and b alike, pair by pair: A_a and A_b are nearly equal, and with both set to their mean the "
        "answer stays."
    ),
    unit="share of the margin kept",
    effect="mean margin (right logit minus mean logit) with A_a and A_b both (A_a + A_b)/2 in every head, over the margin as it is",
    control="the same with all of A_a + A_b on a",
    rule=Rule(holds=0.9, in_part=0.5),
    measure=_measure,
    needs=("attention", "answer"),
    warning=(
        "Weights that are alike on average may differ pair by pair. The verdict is also no better than the grades of the "
        "accuracy that is left (0.9, in part 0.5) and of the mean over pairs and heads of |A_a - A_b| / (A_a + A_b) "
        "(0.1, in part 0.3): among the numbers."
    ),
    citations=("Zhong et al. 2023, attention rate",),
)
