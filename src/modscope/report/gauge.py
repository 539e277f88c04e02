"""A finding's effect on a small bar: where it stands, where its control stands, from where on the claim holds."""

from __future__ import annotations

import html
import math

from markupsafe import Markup

from modscope.findings import Finding

__all__ = ["gauge", "threshold_text"]

WIDTH, HEIGHT = 150, 22
_TOP, _THICK = 8, 6


def threshold_text(finding: Finding) -> str:
    """The rule of a finding in a few words: from where on its claim holds, and in which direction.

    >>> from modscope.findings import Measure, Rule
    >>> nothing = Measure(0.5, "share", "")
    >>> finding = Finding("x", "X", "x.", nothing, nothing, Rule(0.1, 0.5, larger=False), "holds in part", "")
    >>> threshold_text(finding)
    'holds from 0.1 down'
    """
    return f"holds from {finding.rule.holds:g} {'up' if finding.rule.larger else 'down'}"


def gauge(finding: Finding) -> Markup:
    """The bar as inline SVG: zones of the verdicts, a dot for the effect, a ring for the control.

    What lies beyond the ends of the bar stands at the end. Empty where the effect does not exist.
    """
    effect, control, rule = finding.effect.value, finding.control.value, finding.rule
    if not math.isfinite(effect):
        return Markup("")
    if rule.larger:
        low, high = min(0.0, effect), max(1.0, rule.holds)
    else:
        low, high = 0.0, 2 * rule.in_part

    def place(value: float) -> float:
        return 4 + (WIDTH - 8) * min(max((value - low) / (high - low), 0.0), 1.0)

    edges = [low, rule.in_part, rule.holds, high] if rule.larger else [low, rule.holds, rule.in_part, high]
    zones = ["fails", "part", "holds"] if rule.larger else ["holds", "part", "fails"]
    parts = [
        f'<rect class="{zone}" x="{place(start):.1f}" y="{_TOP}" width="{place(end) - place(start):.1f}" height="{_THICK}"/>'
        for zone, start, end in zip(zones, edges, edges[1:], strict=False)
    ]
    middle = _TOP + _THICK / 2
    if math.isfinite(control):
        parts.append(
            f'<circle class="control" cx="{place(control):.1f}" cy="{middle}" r="4"><title>control {control:.4g}</title></circle>'
        )
    said = html.escape(f"effect {effect:.4g}, {finding.effect.unit}")
    parts.append(
        f'<circle class="is" cx="{place(effect):.1f}" cy="{middle}" r="4.5"><title>{said}</title></circle>'
    )
    return Markup(
        f'<svg class="gauge" aria-hidden="true" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}">'
        f"{''.join(parts)}</svg>"
    )
