"""The mechanism in sentences that somebody new to the field can read."""

from __future__ import annotations

import math
from collections.abc import Mapping

from modscope.findings import Finding

__all__ = ["mechanism_sentences", "whole_percents"]

# what each share means: the words of the field, then what they mean
_MEANS: Mapping[str, str] = {
    "rectified sum": "adding a wave of a and a wave of b and cutting off what is below zero (a rectified sum)",
    "product in attention": "multiplying a wave of a by a wave of b in attention (a clock)",
    "memorisation": "remembering single pairs it was trained on (memorisation)",
}
_PIZZA = (
    "In a pizza the two waves enter a rectified sum with equal weight, so the answer of each circle fades where a and b "
    "lie opposite each other: that is so for {share} % of the weight of its circles."
)


def whole_percents(shares: Mapping[str, float]) -> dict[str, int]:
    """Shares of a whole as whole percents that add up to 100: the largest remainders are rounded up.

    >>> whole_percents({"a": 0.626, "b": 0.367, "c": 0.007})
    {'a': 62, 'b': 37, 'c': 1}
    >>> whole_percents({"a": 1 / 3, "b": 1 / 3, "c": 1 / 3})
    {'a': 34, 'b': 33, 'c': 33}
    """
    total = sum(shares.values())
    if not math.isfinite(total) or total <= 0:
        return dict.fromkeys(shares, 0)
    exact = {name: 100 * share / total for name, share in shares.items()}
    whole = {name: math.floor(value) for name, value in exact.items()}
    short = 100 - sum(whole.values())
    for name in sorted(exact, key=lambda n: whole[n] - exact[n])[:short]:
        whole[name] += 1
    return whole


def mechanism_sentences(finding: Finding | None) -> list[str]:
    """How the answer is made, as sentences; empty where nothing was found out.

    finding: the finding "which-mechanism", whose numbers hold the shares and the pizza's part.
    """
    if finding is None:
        return []
    if finding.verdict == "not applicable" or not math.isfinite(finding.effect.value):
        return [f"How the answer is made is not said: {finding.reason}."]
    shares = {name: float(finding.numbers[name]) for name in _MEANS if name in finding.numbers}
    shares = {name: share for name, share in shares.items() if math.isfinite(share)}
    if not shares or sum(shares.values()) <= 0:
        return [f"How the answer is made is not said: {finding.reason}."]
    percents = whole_percents(shares)
    parts = [f"{n} % by {_MEANS[name]}" for name, n in sorted(percents.items(), key=lambda x: -x[1]) if n]
    said = parts[0] if len(parts) == 1 else ", ".join(parts[:-1]) + " and " + parts[-1]
    sentences = [f"What lifts the right answer above the others is made {said}."]
    pizza = finding.numbers.get("pizza, share of the circles' weight", float("nan"))
    if percents.get("rectified sum", 0) >= 10 and math.isfinite(pizza) and pizza >= 0.1:
        sentences.append(_PIZZA.format(share=round(100 * pizza)))
    return sentences
