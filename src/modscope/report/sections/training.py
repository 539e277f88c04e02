"""Over training: measures with the phases of training, what still moves, two films."""

from __future__ import annotations

from modscope.progress.story import TrainingStory
from modscope.report.figures.training import draw_training
from modscope.report.look import Look
from modscope.report.sections.section import Section, Table
from modscope.report.viewers import training_viewers
from modscope.report.words import count, loss_text, percent

__all__ = ["training_section"]

# name in the table -> the number's name among the movements, and whether it is a loss
_WATCHED = (
    ("loss, test pairs", "loss.test"),
    ("loss, all pairs", "loss.all"),
    ("restricted loss, all pairs", "restricted_loss.directions.all"),
    ("excluded loss, all pairs", "excluded_loss.directions.all"),
    ("Gini of the embedding", "gini.embedding"),
    ("neurons explained", "neurons_explained"),
    ("even about c/2, mlp_post", "even.mlp_post"),
    ("rectified sum", "mechanism.rectified"),
    ("sum of squared weights", "squared_weights"),
)


def training_section(look: Look) -> Section | None:
    """How the network came to be as it is."""
    story = look.training
    if story is None:
        return None
    rows = [
        [
            name,
            loss_text(moved.last) if "loss" in key else f"{moved.last:.4g}",
            moved.verdict,
            percent(moved.share),
        ]
        for name, key in _WATCHED
        if (moved := story.movements.get(key)) is not None and moved.last == moved.last
    ]
    phases = [[phase.name, f"{phase.start:,} to {phase.end:,}", phase.rule] for phase in story.phases.phases]
    return Section(
        "training",
        "Over training",
        "Over training",
        _seen(story),
        "Phases are dated from the curves by the stated rules; a phase says when, not why. Key frequencies are those of the "
        f"{'last epoch that answers' if story.measures.attrs.get('key_epoch', -1) >= 0 else 'network above'}, at every epoch: before a circuit exists they are only numbers.",
        (
            "Restricted and excluded losses: mask directions. Gini coefficient of the energies by frequency. A number has settled if over the last tenth "
            "of the run it moved by less than 2 % of its range over the run (of logarithms, for losses).",
        ),
        draw_training(look, story),
        "Curves of losses, sparsity, clusters, symmetry and mechanism over the steps of training, phases shaded.",
        tuple(
            table
            for table in (
                Table(("phase", "steps", "it lasts"), phases, "Phases of training"),
                Table(("number", "at the end", "", "moved, of its range"), rows, "What still moves"),
            )
            if table.rows
        ),
        training_viewers(look, story),
    )


def _seen(story: TrainingStory) -> str:
    of = f"{count(len(story.told), 'checkpoint')}" + (
        f" of the {story.kept} that were kept" if story.kept > len(story.told) else ""
    )
    dated = str(story.phases)
    still = [name for name, key in _WATCHED if (m := story.movements.get(key)) and m.verdict == "still moves"]
    moving = f" At the end still moving: {', '.join(still)}." if still else ""
    phases = "; ".join(f"{p.name} to step {p.end:,}" for p in story.phases.phases)
    return (
        f"Measured at {of}. "
        + (f"{phases[0].upper()}{phases[1:]}." if phases else f"{dated}.")
        + (f" {story.phases.why[0].upper()}{story.phases.why[1:]}." if phases and story.phases.why else "")
        + moving
    )
