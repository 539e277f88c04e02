"""Which mechanism makes the answer?"""

from __future__ import annotations

import numpy as np

from modscope.analysis.causes.replacement import input_hook, margins
from modscope.findings.claim import Claim, Outcome
from modscope.findings.evidence import Bench
from modscope.findings.finding import Interval, Picture, Rule
from modscope.findings.resampling import interval_of_ratio

__all__ = ["CLAIM"]


def _measure(bench: Bench, claim: Claim) -> Outcome:
    found = bench.mechanism
    shares = found.shares()
    numbers = dict(shares) | {"pizza, share of the circles' weight": found.pizza}
    for k in found.circles.k.values:
        circle = found.circles.sel(k=k)
        numbers |= {
            f"{name} at {k}": float(circle[name]) for name in ("weight", "rectified", "product", "pizza")
        }
    kept = found.replacements
    for name in kept.replacement.values:
        numbers[f"margin kept, {name}"] = float(kept.margin.sel(replacement=name))
        numbers[f"loss, {name}"] = float(kept.loss.sel(replacement=name))
    picture = Picture(
        "bars",
        [f"k = {k}" for k in found.circles.k.values],
        {name: found.circles[name].values.tolist() for name in ("rectified", "product", "pizza", "weight")},
        "key frequency",
        "share",
    )
    order = bench.generator().permutation(bench.p)
    labels = np.empty_like(bench.task.labels)
    labels[np.ix_(order, order)] = bench.task.labels
    permuted = margins(bench.logits, labels).mean()
    control = abs(float(permuted)) / max(abs(kept.attrs["margin"]), 1e-9)
    return Outcome(
        *claim.of(max(shares.values()), min(control, 1.0), _interval(bench)), numbers, picture, str(found)
    )


def _interval(bench: Bench) -> Interval | None:
    """The interval of the largest share, the others' proportions to it held, over the values of a."""
    found, hook = bench.mechanism, input_hook(bench.acts)
    name, share = next(iter(found.shares().items()))
    if name in ("memorisation", "not divided"):
        return None
    names = [f"{hook}: {part}" for part in ("linear", "mean", "without linear")]
    linear, none, rest = found.replacements.by_a.sel(replacement=names).values
    whole = found.replacements.by_a.sel(replacement="none").values
    own = (linear - none + whole - rest) / 2
    if name != "rectified sum":
        own = whole - own
    general = 1 - (found.memorised or 0.0)
    over = interval_of_ratio(own * general, whole, over="values of a", seed=bench.seed)
    if over is None:
        return None
    # shares are kept between 0 and 1, and where both ends are there is no interval left
    low, high = (min(max(end, 0.0), 1.0) for end in (min(over.low, share), max(over.high, share)))
    return Interval(low, high, over.over) if high > low else None


CLAIM = Claim(
    id="which-mechanism",
    title="Which mechanism?",
    statement="One mechanism gives at least nine tenths of the answer.",
    unit="share of the margin",
    effect=(
        "the largest share of the mean margin among: rectified sum (Shapley share of the part f(a) + g(b) of the MLP's input), "
        "product in attention (that of the rest), memorisation (1 - margin on test / margin on train)"
    ),
    control="the margin that is left when the tokens are permuted, over the margin as it is: no mechanism",
    rule=Rule(holds=0.9, in_part=0.4),
    measure=_measure,
    needs=("answer",),
    of_memory=True,
    warning=(
        "A pizza is a rectified sum of equal waves, told by the envelope |cos w(a - b)/2| of each circle alone. "
        "Evenness about c/2 says nothing here: sums, clocks and pizzas all have it. "
        "Where no split is known, what is memorised is not: the shares are of the whole margin."
    ),
    citations=("Nanda et al. 2023", "Zhong et al. 2023", "Shapley 1953"),
)
