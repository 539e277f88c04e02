"""Findings as Markdown: one table for several networks, and each claim with its definition and rule."""

from __future__ import annotations

from collections.abc import Mapping

from modscope.findings.finding import Finding, Findings

__all__ = ["findings_markdown"]

_SIGNS = {"holds": "holds", "holds in part": "in part", "does not hold": "**no**", "not applicable": "—"}


def findings_markdown(found: Mapping[str, Findings]) -> str:
    """One or several networks' findings by name, as Markdown: verdicts side by side, then claim by claim.

    The claims are those of the first network. An empty mapping gives an empty text.
    """
    if not found:
        return ""
    claims = next(iter(found.values()))
    names = list(found)
    lines = ["| finding | " + " | ".join(names) + " |", "|---" * (len(names) + 1) + "|"]
    for claim in claims:
        cells = [_cell(each[claim.id]) for each in found.values()]
        lines.append(f"| {claim.title} | " + " | ".join(cells) + " |")
    lines += ["", "In each cell: effect (control), verdict.", ""]
    for claim in claims:
        lines += _about(claim, {name: each[claim.id] for name, each in found.items()})
    return "\n".join(lines)


def _cell(finding: Finding) -> str:
    if finding.verdict == "not applicable" or finding.effect.value != finding.effect.value:
        return _SIGNS[finding.verdict]
    return f"{finding.effect} ({finding.control}) {_SIGNS[finding.verdict]}"


def _about(claim: Finding, on: Mapping[str, Finding]) -> list[str]:
    lines = [
        f"## {claim.title} (`{claim.id}`)",
        "",
        claim.statement,
        "",
        f"- Effect: {claim.effect.definition} ({claim.effect.unit}).",
        f"- Control: {claim.control.definition}.",
        f"- Rule: {claim.rule}.",
    ]
    if claim.warning:
        lines.append(f"- What it cannot tell: {claim.warning}")
    if claim.citations:
        lines.append(f"- Sources: {'; '.join(claim.citations)}.")
    lines += [
        "",
        "| network | effect | 95 % interval | control | verdict | because |",
        "|---|---|---|---|---|---|",
    ]
    for name, finding in on.items():
        around = finding.effect.interval
        interval = f"{around.low:.4g} to {around.high:.4g}, over {around.over}" if around else ""
        because = finding.reason + (f"; {finding.summary}" if finding.summary else "")
        lines.append(
            f"| {name} | {finding.effect} | {interval} | {finding.control} | {finding.verdict} | {because} |"
        )
    return [*lines, ""]
