"""One claim each: statement, effect, control, verdict."""

from __future__ import annotations

from modscope.findings.finding import VERDICTS, Finding, Findings, Interval, Measure, Picture, Rule
from modscope.findings.registry import CLAIMS, findings

__all__ = [
    "CLAIMS",
    "VERDICTS",
    "Finding",
    "Findings",
    "Interval",
    "Measure",
    "Picture",
    "Rule",
    "findings",
]
