"""A finding: one claim about one network, a number that could contradict it, a control, and the verdict."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from textwrap import wrap
from typing import Any, Literal

from modscope.boundary import public
from modscope.display import (
    Beside,
    bar_html,
    card_html,
    details_html,
    facts_html,
    facts_text,
    table_html,
    verdict_html,
)
from modscope.errors import InputError, UnknownName

__all__ = [
    "ANSWERED",
    "VERDICTS",
    "Condition",
    "Finding",
    "Findings",
    "Interval",
    "Measure",
    "Picture",
    "Rule",
    "Verdict",
]

Verdict = Literal["holds", "holds in part", "does not hold", "not applicable"]
VERDICTS: tuple[Verdict, ...] = ("holds", "holds in part", "does not hold", "not applicable")


@dataclass(frozen=True)
class Interval:
    """A 95 % interval of a number, by resampling what it was averaged over (seeded bootstrap)."""

    low: float
    high: float
    over: str


@dataclass(frozen=True)
class Measure:
    """A number with its unit and its definition; NaN where it does not exist."""

    value: float
    unit: str
    definition: str
    interval: Interval | None = None

    def __str__(self) -> str:
        return _number(self.value)

    def to_dict(self) -> dict[str, Any]:
        """The measure as plain JSON values; None for a number that does not exist."""
        values = {"value": _finite(self.value), "unit": self.unit, "definition": self.definition}
        if self.interval is None:
            return values | {"interval": None}
        low, high = _finite(self.interval.low), _finite(self.interval.high)
        return values | {"interval": {"low": low, "high": high, "over": self.interval.over, "level": 0.95}}


@dataclass(frozen=True)
class Rule:
    """From which effect on a claim holds, and holds in part; the control must do worse.

    >>> rule = Rule(holds=0.9, in_part=0.5)
    >>> rule.verdict(0.95, 0.2), rule.verdict(0.7, 0.2), rule.verdict(0.95, 0.94)
    ('holds', 'holds in part', 'does not hold')
    >>> Rule(holds=0.1, in_part=0.5, larger=False).verdict(0.05, 1.0)
    'holds'
    """

    holds: float
    in_part: float
    larger: bool = True

    def grade(self, value: float) -> int:
        """2 where the value meets the threshold, 1 where it does in part, else 0 (as for NaN)."""
        sign = 1.0 if self.larger else -1.0
        return int(sign * value >= sign * self.holds) + int(sign * value >= sign * self.in_part)

    def verdict(self, effect: float, control: float) -> Verdict:
        """The verdict on an effect beside its control."""
        grade = self.grade(effect)
        if grade == 0 or self.grade(control) >= grade:
            return "does not hold"
        return "holds" if grade == 2 else "holds in part"

    def reason(self, effect: float, control: float) -> str:
        """Why the verdict is what it is, in words."""
        grade, sign = self.grade(effect), "≥" if self.larger else "≤"
        if math.isnan(effect):
            return "the effect cannot be measured on this network"
        if grade and self.grade(control) >= grade:
            return f"the control does as well ({_number(control)})"
        limit = (self.in_part, self.in_part, self.holds)[grade]
        met = f"{_number(effect)} is {sign} {limit:g}"
        return met if grade else f"{_number(effect)} is not {sign} {limit:g}"

    def __str__(self) -> str:
        sign = "≥" if self.larger else "≤"
        return (
            f"holds where the effect is {sign} {self.holds:g}, in part where it is {sign} {self.in_part:g}, "
            "and does not hold where the control reaches the same grade"
        )

    def to_dict(self) -> dict[str, Any]:
        """The rule as plain JSON values."""
        return {
            "holds": self.holds,
            "in_part": self.in_part,
            "larger_is_better": self.larger,
            "text": str(self),
        }


@dataclass(frozen=True)
class Condition:
    """Another number that the same claim is judged by: the verdict is no better than its grade.

    >>> kept = Condition("accuracy", 0.45, Rule(holds=0.9, in_part=0.5))
    >>> kept.limit("holds in part", "0.6 is ≥ 0.5")
    ('does not hold', 'accuracy 0.45 is not ≥ 0.5')
    """

    name: str
    value: float
    rule: Rule

    def limit(self, verdict: Verdict, reason: str) -> tuple[Verdict, str]:
        """The verdict and its reason, where this number allows them; else its own."""
        grade = self.rule.grade(self.value)
        reached = ("does not hold", "holds in part", "holds").index(verdict)
        if reached <= grade:
            return verdict, reason
        own: Verdict = "holds in part" if grade else "does not hold"
        return own, f"{self.name} {self.rule.reason(self.value, float('nan'))}"


# An answer lost on half of the pairs is not kept, not even in part.
ANSWERED = Rule(holds=0.9, in_part=0.5)


@dataclass(frozen=True)
class Picture:
    """The data of one picture: nothing is drawn here.

    kind "bars": y over the labels or numbers x; "lines" and "points": y over x. series: name -> y, all as long
    as x. marks: values of x worth marking.
    """

    kind: Literal["bars", "lines", "points"]
    x: Sequence[float | str]
    series: Mapping[str, Sequence[float]]
    x_label: str
    y_label: str
    marks: Sequence[float | str] = ()

    def __post_init__(self) -> None:
        for name, y in self.series.items():
            if len(y) != len(self.x):
                raise InputError(
                    f"series {name!r} has {len(y)} values: expected {len(self.x)}, one for each x"
                )

    def to_dict(self) -> dict[str, Any]:
        """The picture's data as plain JSON values."""
        return {
            "kind": self.kind,
            "x": [_plain(v) for v in self.x],
            "series": {name: [_finite(float(v)) for v in y] for name, y in self.series.items()},
            "x_label": self.x_label,
            "y_label": self.y_label,
            "marks": [_plain(v) for v in self.marks],
        }


@dataclass(frozen=True, repr=False)
class Finding:
    """One claim and what a network says to it.

    statement: a sentence that the effect can contradict. effect and control: measured in the same unit; the
    control is something of which the claim must fail. rule: thresholds; verdict: what follows, and reason why.
    warning: what the number cannot tell. numbers: others worth knowing, by name. summary: the outcome in
    words, where a verdict says too little.
    """

    id: str
    title: str
    statement: str
    effect: Measure
    control: Measure
    rule: Rule
    verdict: Verdict
    reason: str
    warning: str = ""
    summary: str = ""
    numbers: Mapping[str, float] = field(default_factory=dict)
    picture: Picture | None = None
    citations: tuple[str, ...] = ()

    def __str__(self) -> str:
        """The verdict, the claim, its numbers with their definitions, and what they cannot tell."""
        head = "\n".join([f"{self.title}: {self.verdict.upper()}", *wrap(self.statement, 80)])
        facts = {
            "effect": f"{self.effect}  {self.effect.definition}",
            "control": f"{self.control}  {self.control.definition}",
            "because": self.reason + (f"; {self.summary}" if self.summary else ""),
        }
        return facts_text(head, facts | ({"but": self.warning} if self.warning else {}))

    __repr__ = __str__

    def _bar(self) -> str:
        told = f"effect {self.effect}, control {self.control}, line at {self.rule.holds:g}"
        return bar_html(self.effect.value, self.control.value, self.rule.holds, title=told)

    def _details(self) -> str:
        facts = {
            "effect": f"{self.effect} {self.effect.definition}",
            "control": f"{self.control} {self.control.definition}",
            "rule": str(self.rule),
            "because": self.reason + (f"; {self.summary}" if self.summary else ""),
        }
        if self.warning:
            facts["but"] = self.warning
        numbers = table_html("", ("number", "value"), list(self.numbers.items())) if self.numbers else ""
        return facts_html(self.statement, facts, numbers)

    def _repr_html_(self) -> str:
        head = Beside(f"{escape(self.title)} {verdict_html(self.verdict)} {self._bar()}")
        return card_html(head, self._details())

    def to_dict(self) -> dict[str, Any]:
        """The finding as plain JSON values."""
        return {
            "id": self.id,
            "title": self.title,
            "statement": self.statement,
            "effect": self.effect.to_dict(),
            "control": self.control.to_dict(),
            "rule": self.rule.to_dict(),
            "verdict": self.verdict,
            "reason": self.reason,
            "summary": self.summary,
            "warning": self.warning,
            "numbers": {name: _finite(float(value)) for name, value in self.numbers.items()},
            "picture": None if self.picture is None else self.picture.to_dict(),
            "citations": list(self.citations),
        }


class Findings(Sequence[Finding]):
    """The findings on one network, in order: by number, or by id (`found["sparse-embedding"]`).

    >>> Findings([])["sparse"]
    Traceback (most recent call last):
    modscope.errors.UnknownName: unknown finding 'sparse': expected one of ...
    """

    def __init__(self, found: Iterable[Finding]) -> None:
        self._found = tuple(found)

    def __len__(self) -> int:
        return len(self._found)

    def __iter__(self) -> Iterator[Finding]:
        return iter(self._found)

    @public
    def __getitem__(self, which: Any) -> Any:
        if not isinstance(which, str):
            return self._found[which]
        for finding in self._found:
            if finding.id == which:
                return finding
        raise UnknownName.of("finding", which, self.ids)

    @property
    def ids(self) -> tuple[str, ...]:
        """The ids, in order."""
        return tuple(finding.id for finding in self._found)

    def verdicts(self) -> dict[str, Verdict]:
        """Verdict by id."""
        return {finding.id: finding.verdict for finding in self._found}

    def to_list(self) -> list[dict[str, Any]]:
        """All findings as plain JSON values."""
        return [finding.to_dict() for finding in self._found]

    def __str__(self) -> str:
        rows = [(f.title, str(f.effect), str(f.control), f.verdict) for f in self._found]
        return "\n".join(
            f"{title:34.34}  {effect:>9}  {control:>9}  {v}" for title, effect, control, v in rows
        )

    __repr__ = __str__

    def _repr_html_(self) -> str:
        rows = [
            (
                Beside(details_html(f.title, f._details())),
                f.effect.value,
                f.control.value,
                f._bar(),
                verdict_html(f.verdict),
            )
            for f in self._found
        ]
        return card_html("Findings", table_html("", ("claim", "effect", "control", "", "verdict"), rows))


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _plain(value: Any) -> Any:
    value = value.item() if hasattr(value, "item") else value
    return _finite(value) if isinstance(value, float) else value


def _number(value: float) -> str:
    if math.isnan(value):
        return "-"
    return "0" if abs(value) < 1e-12 else f"{value:.4g}"  # rounding of float64 is no number
