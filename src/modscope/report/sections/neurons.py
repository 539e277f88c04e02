"""The neurons by frequency, and one of them before and after the activation function."""

from __future__ import annotations

from modscope.analysis.overview.specimens import neuron_specimen
from modscope.report import figures
from modscope.report.look import Look
from modscope.report.sections.section import Section
from modscope.report.viewers import neuron_viewer
from modscope.report.words import answer, count, percent

__all__ = ["clusters_section", "neuron_section"]


def clusters_section(look: Look) -> Section:
    """How many neurons follow one frequency each."""
    found = look.summary.clusters
    explained, neurons = int(found.explained.sum()), len(found.fve)
    return Section(
        "neurons",
        "Neurons",
        "Neurons by frequency",
        f"{explained} of {neurons} neurons are explained to more than 85 % by one frequency each"
        + (f", in {count(len(found.counts()), 'cluster')}." if explained else "."),
        "A neuron counts as explained by a frequency k whether it follows a + b, a − b, or a and b separately: this says which frequency, not which mechanism.",
        (
            "For each neuron of mlp_post and each k from 1 to p//2 (the last one included): energy of the centred activation over all pairs in "
            "{1, cos w_k a, sin w_k a} × {1, cos w_k b, sin w_k b}, over its whole energy. The best k names the cluster.",
        ),
        figures.draw_clusters(look),
        "Histogram of explained variance by neuron, and sizes of the clusters.",
    )


def neuron_section(look: Look) -> Section:
    """One neuron before and after the activation function."""
    specimen = neuron_specimen(look.acts, look.summary.clusters)
    side = "left" if look.summary.circle.sign == -1 else "right"
    known = (
        f"frequency {specimen.frequency} explains {percent(specimen.fve)} of it"
        if specimen.frequency
        else "it follows no frequency"
    )
    return Section(
        "one-neuron",
        "One neuron",
        "One neuron, before and after",
        f"Neuron {specimen.neuron}: {known}. Left: the neuron over all pairs, with a and b sorted by their angle at its frequency. Right: what lies on the lines k_b = 0 and k_a = 0 depends on one number alone; what lies on the {side} diagonal "
        f"depends on {answer(look.summary)}. What the lower row has and the upper one has not, the activation function has made.",
        "It is one neuron, the median of its cluster: look at others before believing it.",
        (
            "Pictures over all pairs, their means removed; sorted by k·a mod p and k·b mod p where k has no factor in common with p. Spectra: power of each real wave cos(2π(k_a a + k_b b)/p + phase), DC left out, on a scale of 50 dB; "
            "a + b lies at (k, k), a − b at (−k, k). The six strongest are named with their share of the variance.",
        ),
        figures.draw_neuron(specimen),
        "Heat maps of one neuron over a and b, before and after its activation function, and their spectra.",
        viewer=neuron_viewer(look),
    )
