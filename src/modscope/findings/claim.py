"""A claim: how one finding is reached, whatever the network."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from modscope.errors import MissingHook, MissingWeight
from modscope.findings.evidence import Bench
from modscope.findings.finding import Finding, Interval, Measure, Picture, Rule, Verdict

__all__ = ["Claim", "Outcome"]


@dataclass(frozen=True)
class Outcome:
    """What measuring a claim gives: the effect, the control and what else is worth knowing."""

    effect: Measure
    control: Measure
    numbers: dict[str, float] = field(default_factory=dict)
    picture: Picture | None = None
    summary: str = ""


@dataclass(frozen=True)
class Claim:
    """A sentence about networks, what it needs to make sense, how it is measured, and by which rule it stands.

    needs: names of `NEEDS`, in the order in which they are looked at.
    effect and control: what they are, in words, with unit; measure fills in the numbers.
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

    def of(self, effect: float, control: float, interval: Interval | None = None) -> tuple[Measure, Measure]:
        """Effect, with its interval, and control as measures."""
        return (
            Measure(float(effect), self.unit, self.effect, interval),
            Measure(float(control), self.unit, self.control),
        )

    def finding(self, bench: Bench) -> Finding:
        """What this network says to the claim."""
        for need in self.needs:
            try:
                lacking = bench.lacks(need)
            except (MissingWeight, MissingHook) as missing:
                lacking = ("not applicable", str(missing).removeprefix("not applicable: "))
            if lacking is not None:
                return self._without(*lacking)
        try:
            found = self.measure(bench, self)
        except (MissingWeight, MissingHook) as missing:
            return self._without("not applicable", str(missing).removeprefix("not applicable: "))
        effect, control = found.effect.value, found.control.value
        return Finding(
            self.id,
            self.title,
            self.statement,
            found.effect,
            found.control,
            self.rule,
            self.rule.verdict(effect, control),
            self.rule.reason(effect, control),
            self.warning,
            found.summary,
            found.numbers,
            found.picture,
            self.citations,
        )

    def _without(self, verdict: Verdict, why: str) -> Finding:
        effect, control = self.of(float("nan"), float("nan"))
        return Finding(
            self.id, self.title, self.statement, effect, control, self.rule, verdict, why, self.warning,
            citations=self.citations,
        )  # fmt: skip
