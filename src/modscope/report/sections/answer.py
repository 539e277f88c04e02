"""The logits, and what is lost without the key frequencies."""

from __future__ import annotations

from math import log

from modscope.analysis.answer.logits import offset_profile, recorded_profile
from modscope.report import figures
from modscope.report.look import Look
from modscope.report.sections.section import Section, Table
from modscope.report.words import answer, loss_text, percent

__all__ = ["logits_section", "losses_section"]


def logits_section(look: Look) -> Section | None:
    """The logits as a sum of cosines."""
    fit = look.summary.fit
    if fit is None:
        return None
    circle = look.acts.circle
    offsets = offset_profile(recorded_profile(look.acts), circle)
    keys, turned = look.summary.keys.frequencies, answer(look.summary)
    seen = (
        f"Cosines of w_k({turned}−c) at the key frequencies explain {percent(look.summary.logit_fve)} of the logits' variance. They agree only where "
        f"{turned} = c: there they add up to the peak. As logits of their own they have a loss of {loss_text(look.summary.logit_fit_loss)}."
        if keys
        else f"No cosine of w_k({turned}−c) explains 1 % of the logits' variance; all together explain {percent(float(fit.fve.sum()))}."
    )
    return Section(
        "logits",
        "Logits",
        "Logits as sums of cosines",
        seen,
        "Any network that is right and treats all shifts alike has such logits. They say what is computed, not how.",
        (
            f"α_k is the projection of the p³ cube of logits on cos w_k({turned}−c); these are orthogonal, so shares add up. Share: energy of the cosine over the sum of squares "
            f"about the cube's one mean. The dots are means over all triples with the same {turned}−c.",
        ),
        figures.draw_logits(look, offsets),
        "Share of each cosine, and the mean logit by offset with the fitted curve.",
    )


def losses_section(look: Look) -> Section | None:
    """Restricted and excluded losses."""
    main = look.summary.restrictions.get("directions")
    if main is None:
        return None
    rows = [
        [
            mask,
            *(loss_text(r.restricted_loss.to_dict()[s]) for s in ("train", "test", "all")),
            *(loss_text(r.excluded_loss.to_dict()[s]) for s in ("train", "test", "all")),
        ]
        for mask, r in look.summary.restrictions.items()
    ]
    turned = answer(look.summary)
    heads = ("mask", "kept: train", "test", "all", "without: train", "test", "all")
    return Section(
        "ablation",
        "Ablation",
        "Are these frequencies enough, and are they needed?",
        f"With only the key frequencies of {turned} left in the logits the loss is {loss_text(main.restricted_loss.all)}; with them taken out it is "
        f"{loss_text(main.excluded_loss.all)} (guessing: {loss_text(log(look.summary.p))}).",
        f"This edits the logits, the last thing the network makes. It shows which functions of {turned} carry the answer, not how earlier layers made them.",
        (
            f"directions: cos w_k({turned}) and sin w_k({turned}) of every logit (Nanda et al. 2023). "
            "2x2: {cos, sin}(w_k a) × {cos, sin}(w_k b). 3x3: {1, cos, sin} × {1, cos, sin} without 1 × 1. "
            f"cube: only α_k cos w_k({turned}−c). Each logit's mean over all pairs stays in every case.",
            "Cross-entropy in float64, mean over the pairs of a split.",
        ),
        figures.draw_losses(look),
        "Losses on a logarithmic axis with key frequencies kept and removed.",
        (Table(heads, rows, "Losses by mask and split"),),
    )
