"""A claim: how one finding is reached, whatever the network."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from modscope.errors import NotApplicable
from modscope.findings.evidence import Bench
from modscope.findings.finding import Condition, Finding, Interval, Measure, Picture, Rule, Verdict
from modscope.networks.kinds import layer_count

__all__ = ["Claim", "Outcome"]


@dataclass(frozen=True)
class Outcome:
    """What measuring a claim gives: the effect, the control and what else is worth knowing."""

    effect: Measure
    control: Measure
    numbers: dict[str, float] = field(default_factory=dict)
    picture: Picture | None = None
    summary: str = ""
    conditions: tuple[Condition, ...] = ()


@dataclass(frozen=True)
class Claim:
    """A sentence about networks, what it needs to make sense, how it is measured, and by which rule it stands.

    needs: names of `NEEDS`, in the order in which they are looked at.
    effect and control: what they are, in words, with unit; measure fills in the numbers. of_memory: whether it can also be
    judged of a network that knows its training pairs by heart.
    """

    id: str
    title: str
    statement: str
    unit: str
    effect: str
    control: str
    rule: Rule
    measure: Callable[[Bench, Claim], Outcome]
    needs: tuple[str, ...] = ()
    warning: str = ""
    citations: tuple[str, ...] = ()
    of_memory: bool = False

    def of(self, effect: float, control: float, interval: Interval | None = None) -> tuple[Measure, Measure]:
        """Effect, with its interval, and control as measures."""
        return (
            Measure(float(effect), self.unit, self.effect, interval),
            Measure(float(control), self.unit, self.control),
        )

    def finding(self, bench: Bench) -> Finding:
        """What this network says to the claim; not applicable where there is nothing to judge (`Grounds`)."""
        grounds = bench.grounds
        if grounds is not None and grounds.problems:
            by_heart = grounds.memorised and grounds.split_known
            if not (self.of_memory and by_heart):
                return self._without("not applicable", grounds.why_not)
        try:
            for need in self.needs:
                if (lacking := bench.lacks(need)) is not None:
                    return self._without(*lacking)
            found = self.measure(bench, self)
        except NotApplicable as error:
            return self._without("not applicable", str(error).removeprefix("not applicable: "))
        effect, control = found.effect.value, found.control.value
        verdict, reason = self.rule.verdict(effect, control), self.rule.reason(effect, control)
        for condition in found.conditions:
            verdict, reason = condition.limit(verdict, reason)
        return Finding(
            self.id,
            self.title,
            self.statement,
            found.effect,
            found.control,
            self.rule,
            verdict,
            reason,
            self._warning(bench),
            found.summary,
            found.numbers,
            found.picture,
            self.citations,
        )

    def _warning(self, bench: Bench) -> str:
        """The warning, and in a network of several layers which of them the claim was asked of."""
        network = bench.acts.network
        layers = 1 if network is None else layer_count(network)
        about = f"Attention and neurons are those of the last of {layers} layers." if layers > 1 else ""
        return " ".join(text for text in (self.warning, about) if text)

    def _without(self, verdict: Verdict, why: str) -> Finding:
        effect, control = self.of(float("nan"), float("nan"))
        return Finding(
            self.id, self.title, self.statement, effect, control, self.rule, verdict, why, self.warning,
            citations=self.citations,
        )  # fmt: skip
