"""The order (c, a): each row a wave in a, even about c/2."""

from __future__ import annotations

from modscope.analysis.overview.specimens import wave_specimen
from modscope.report import figures
from modscope.report.look import Look
from modscope.report.sections.section import Section
from modscope.report.viewers import wave_viewer
from modscope.report.words import percent

__all__ = ["wave_section"]


def wave_section(look: Look) -> Section | None:
    """One feature of the residual stream in the order (c, a)."""
    if look.summary.circle.sign is None:
        return None
    hook = look.acts.hook_name("resid_post" if "resid_post" in look.acts else "mlp_post")
    specimen = wave_specimen(look.acts, hook)
    share = look.summary.even[hook]
    mirrored, whose = "f(b, a)", "Every network that treats its inputs alike"
    if look.summary.circle.sign == -1:
        mirrored, whose = "f(−b, −a)", "Every subtraction that treats a and −b alike"
    return Section(
        "symmetry",
        "Symmetry",
        "Waves, even about c/2" if share > 0.9 else "Waves and their mirror images about c/2",
        f"Sort the pairs by their answer c, and each feature becomes a stack of waves in a. In {hook} {percent(share)} of their "
        f"energy is even: read backwards about c/2 (rings), a row {_likeness(share)} (dots).",
        f"Evenness about c/2 is the same statement as f(a, b) = {mirrored}. {whose} has it, whatever its mechanism; it may tell "
        "when a network generalises, not how.",
        (
            "Row c holds the pairs with answer c, column a the first number. The thin line is the band-limited wave through the dots. Even part about c/2: (x(c, a) + x(c, c − a))/2 after the mean of each row is taken away. "
            f"The feature shown changes most with a at fixed c; the row shown is its strongest of those not near c = 0 ({hook}, feature {specimen.feature}, c = {specimen.c}).",
        ),
        figures.draw_wave(specimen),
        "Heat map of a feature over c and a; one of its rows with its mirror image.",
        viewer=wave_viewer(look, specimen),
    )


def _likeness(share: float) -> str:
    """How like its mirror image a row is, by the share of energy that is even (white noise: one half)."""
    if share > 0.99:
        return "is itself"
    return "is nearly itself" if share > 0.9 else "is not itself"
