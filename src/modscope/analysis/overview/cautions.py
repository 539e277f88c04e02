"""What makes the numbers of a first look less trustworthy than they look, one sentence each."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from modscope.analysis.answer.keys import KeyFrequencies
from modscope.analysis.answer.logits import LogitFit
from modscope.analysis.answer.restriction import Restriction
from modscope.analysis.circle import Circle
from modscope.losses import Scores, is_guessing

__all__ = ["cautions"]


def cautions(
    *,
    circle: Circle,
    logits: np.ndarray,
    accuracy: Scores,
    keys: KeyFrequencies,
    rule: str,
    fit: LogitFit | None,
    restrictions: Mapping[str, Restriction],
) -> tuple[str, ...]:
    """The reasons to distrust a first look, most serious first; empty where there are none."""
    found: list[str] = []
    if not np.isfinite(logits).all():
        found.append("some logits are not finite numbers: the network is broken, and so is all that follows")
    found += _of_accuracy(accuracy, circle.p)
    if circle.sign is None:
        found.append(
            f"the labels ({circle.name}) do not turn on a circle: what is said of a + b - c does not apply"
        )
    if keys.rule not in (rule, "given"):
        found.append(f"the rule {rule} does not apply to this task; {keys.rule} was used instead")
    if not keys.frequencies:
        found.append(f"no key frequencies: none passes the rule {keys.rule} ({keys.definition})")
    main = restrictions.get("directions")
    if main is not None:
        found += _of_restriction(main, accuracy, circle.p)
    if fit is not None and keys.frequencies and (share := fit.share(keys.frequencies)) < 0.5:
        found.append(
            f"the key frequencies' cosines of a + b - c explain only {share:.1%} of the logits' variance"
        )
    return tuple(found)


def _of_accuracy(accuracy: Scores, p: int) -> list[str]:
    if is_guessing(accuracy.all, p):
        return [f"the accuracy over all pairs is {accuracy.all:.4f}, no better than guessing (1/{p})"]
    if accuracy.train is None or accuracy.test is None:
        return []
    if accuracy.train > 0.9 and accuracy.test < 0.5:
        return [
            f"the network knows its training pairs ({accuracy.train:.1%}) and not the others "
            f"({accuracy.test:.1%}): it has memorised"
        ]
    return []


def _of_restriction(main: Restriction, accuracy: Scores, p: int) -> list[str]:
    kept, removed = main.restricted_accuracy.all, main.excluded_accuracy.all
    # Wrong key frequencies show as this pair: nothing works with them alone, everything without them.
    if kept < 0.5 * accuracy.all and removed > 0.9 * accuracy.all:
        return [
            f"with these key frequencies alone the accuracy is {kept:.1%}, without them {removed:.1%}: they are "
            "not the ones that the network uses"
        ]
    return []
