"""What makes the numbers of a first look less trustworthy than they look, one sentence each."""

from __future__ import annotations

from collections.abc import Mapping

from modscope.analysis.answer.keys import KeyFrequencies
from modscope.analysis.answer.logits import LogitFit
from modscope.analysis.answer.restriction import Restriction
from modscope.circle import Circle
from modscope.grounds import Grounds
from modscope.losses import Scores

__all__ = ["cautions"]


def cautions(
    *,
    circle: Circle,
    grounds: Grounds,
    keys: KeyFrequencies,
    rule: str,
    fit: LogitFit | None,
    restrictions: Mapping[str, Restriction],
) -> tuple[str, ...]:
    """The reasons to distrust a first look, most serious first; empty where there are none."""
    found = [problem.says for problem in grounds.problems]
    accuracy = grounds.accuracy
    if circle.sign is None:
        found.append(
            f"the answers ({circle.name}) do not turn on a circle: what is said of a + b - c does not apply"
        )
    if keys.rule not in (rule, "given"):
        found.append(f"the rule {rule} does not apply to this task; {keys.rule} was used instead")
    if not keys.frequencies:
        found.append(f"no key frequencies: none passes the rule {keys.rule} ({keys.definition})")
    main = restrictions.get("directions")
    if main is not None:
        found += _of_restriction(main, accuracy)
    if fit is not None and keys.frequencies and (share := fit.share(keys.frequencies)) < 0.5:
        found.append(
            f"the key frequencies' cosines of a + b - c explain only {share:.1%} of the logits' variance"
        )
    return tuple(found)


def _of_restriction(main: Restriction, accuracy: Scores) -> list[str]:
    kept, removed = main.restricted_accuracy.all, main.excluded_accuracy.all
    # Wrong key frequencies show as this pair: nothing works with them alone, everything without them.
    if kept < 0.5 * accuracy.all and removed > 0.9 * accuracy.all:
        return [
            f"with these key frequencies alone the accuracy is {kept:.1%}, without them {removed:.1%}: they are "
            "not the ones that the network uses"
        ]
    return []
