"""Pair by pair."""

from __future__ import annotations

from modscope.analysis.overview.examples import worst_examples
from modscope.report import figures
from modscope.report.look import Look
from modscope.report.sections.section import Section, Table
from modscope.report.words import count, loss_text, number_text

__all__ = ["examples_section"]


def examples_section(look: Look) -> Section:
    """The examples with the largest loss."""
    table = look.summary.examples
    wrong = int((table.guess.values != table.label.values).sum())
    worst = worst_examples(table, 8)
    rows = [
        [
            w["a"],
            w["b"],
            w["label"],
            w["guess"],
            w["split"] or "–",
            number_text(w["lead"]),
            loss_text(w["loss"]),
        ]
        for w in worst
    ]
    return Section(
        "examples",
        "Examples",
        "Pair by pair",
        f"{count(wrong, 'pair').capitalize()} of {table.loss.size:,} {'is' if wrong == 1 else 'are'} answered wrongly. "
        + (
            "Rows and columns that stand out are single numbers that the network finds hard."
            if wrong
            else "Even right answers differ in how safe they are."
        ),
        "A mean loss is mostly the loss of its few worst pairs.",
        ("Cross-entropy of each pair in float64; lead: the answer's logit minus the largest other one.",),
        figures.draw_leads(look),
        "Loss of every pair as a heat map, and histograms of leads.",
        (Table(("a", "b", "answer", "guess", "split", "lead", "loss"), rows, "The largest losses"),),
    )
