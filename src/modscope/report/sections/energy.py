"""Where the energy lies, hook by hook."""

from __future__ import annotations

from modscope.report import figures
from modscope.report.look import Look
from modscope.report.sections.section import Section
from modscope.report.words import answer, percent

__all__ = ["energy_section"]


def energy_section(look: Look) -> Section:
    """Where the energy lies and how even it is, hook by hook."""
    energy = look.summary.energy
    acts, neurons = look.acts, "mlp_post" in look.acts
    after = next(h for h in ("mlp_out", "mlp_post", "resid_post", "logits") if h in acts)
    before = next((h for h in ("resid_mid", "mlp_pre", "attn_out") if h in acts), after)
    hook, first = acts.hook_name(after), acts.hook_name(before)
    turned = answer(look.summary)
    share = {h: e.difference if turned == "a−b" else e.sum for h, e in energy.items()}
    return Section(
        "energy",
        "Energy",
        "Where the answer appears",
        f"{'Before the MLP' if neurons else 'After attention'} {percent(share[first])} of the energy ({first}) depends on {turned} alone; in {hook} it is "
        f"{percent(share[hook])}, and in the logits {percent(share['logits'])}.",
        "Energy is not use: a small share that is read by the next layer can matter more than a large one that is not. "
        "The pattern is odd rather than even because what goes to a is taken from b; a score is a function of a alone or of b alone, and that has one half.",
        (
            "Centred activation over all pairs, all features together. a alone, b alone: the bins (±k, 0), (0, ±k) of the two-dimensional transform; a + b: (k, k); "
            "a − b: (k, −k); cross: everything else. They add up to 1. For even p the wave (−1)^(a+b) counts as a + b.",
            "Even about c/2: share of the energy, row means at fixed c removed, that stays when a is replaced by c − a. White noise has one half; nothing is shown where nothing is left.",
        ),
        figures.draw_energy(look),
        "Stacked bars of energy by kind of term, and even fractions, for every hook.",
    )
