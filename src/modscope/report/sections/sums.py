"""From the neurons to the last residual stream: phases, the rectifier, the sum over neurons, the stream rebuilt."""

from __future__ import annotations

from modscope.analysis.neurons.rectifier import second_over_first
from modscope.analysis.neurons.waves import neuron_waves, output_phases, phase_tiling
from modscope.analysis.overview.scenes import growing_sum, rebuilt_features
from modscope.analysis.stream.model import rebuilt_stream
from modscope.errors import InputError
from modscope.report.figures.path import draw_phases, draw_rebuilt, draw_rectifier, draw_sum
from modscope.report.look import Look
from modscope.report.sections.section import Section, Table
from modscope.report.viewers import rebuilt_viewer, sum_viewer
from modscope.report.words import answer, count, loss_text, percent

__all__ = ["phases_section", "rebuilt_section", "rectifier_section", "sum_section"]


def phases_section(look: Look) -> Section:
    """How the phases of a cluster tile the circle, and what the neurons write."""
    if not look.summary.clusters.counts():
        raise InputError("no neuron is explained by one frequency")
    waves = neuron_waves(look.adding)
    try:
        outputs = output_phases(look.adding, waves)
    except InputError:
        outputs = None
    tiling = phase_tiling(waves)
    gaps = [
        [
            int(k),
            int(tiling.neurons.sel(k=k)),
            f"{float(tiling.largest_gap.sel(k=k)):.1f}",
            f"{float(tiling.control_largest_gap.sel(k=k)):.1f}",
        ]
        for k in tiling.k.values
    ]
    return Section(
        "phases",
        "Phases",
        "Phases around the circle",
        "Each neuron of a cluster reads the same frequency at a phase of its own. If the phases are spread around the circle, the sum over the neurons cancels what the answer does not need.",
        "Random phases are spread too: the table sets the largest gap beside theirs.",
        (
            "Phase φ of mlp_pre in r cos(wa + φ) + r cos(wb + φ). Right: phase of the neuron's row of W_out W_U over the answers against 2φ; on the line, a neuron writes cos(wc + 2φ). "
            "Gap: largest distance between neighbouring phases over the mean distance.",
        ),
        draw_phases(look, waves, outputs),
        "Phases of the neurons by cluster, and output phases against twice the input phases.",
        (Table(("k", "neurons", "largest gap", "of random phases"), gaps, "How evenly the phases lie"),),
    )


def rectifier_section(look: Look) -> Section:
    """What the nonlinearity adds."""
    keys = look.summary.keys.frequencies
    if not keys:
        raise InputError("no key frequencies: there are no harmonics to look for")
    hooks = [look.acts.hook_name(hook) for hook in ("mlp_pre", "mlp_post")]
    proportion = second_over_first(look.adding, keys, hooks)
    energy = look.summary.energy
    turned = answer(look.summary)
    kind = "difference" if turned == "a−b" else "sum"
    before, after = (energy[hook].shares()[kind] for hook in hooks)
    mean = [float(proportion.sel(hook=hook).mean()) for hook in hooks]
    name = (
        getattr(look.acts.model.config, "activation", "the activation function")
        if look.acts.model
        else "the nonlinearity"
    )
    return Section(
        "rectifier",
        "Nonlinearity",
        "What the nonlinearity makes",
        f"The nonlinearity ({name}) is where waves of a and waves of b meet: {percent(before)} of the energy depends on {turned} alone before it, {percent(after)} after it. "
        f"The second harmonics go from {percent(mean[0])} to {percent(mean[1])} of the amplitude at the key frequencies.",
        "A second harmonic along one axis is not a term on a + b: a rectifier makes both.",
        (
            "Proportion: sum of amplitudes at 2k over sum of amplitudes at k, means over rows and neurons, averaged over the two axes. Energies are those of the section on energy.",
        ),
        draw_rectifier(look, proportion, hooks),
        "Second harmonics and kinds of term before and after the activation function.",
    )


def sum_section(look: Look) -> Section:
    """The sum over the neurons of a cluster, one by one."""
    sums = growing_sum(look.adding, look.summary.clusters)
    turned = answer(look.summary)
    last = {kind: float(sums.share_sum.sel(kind=kind)[-1]) for kind in ("rectified", "linear")}
    return Section(
        "sum",
        "Running sum",
        "The sum over neurons, one by one",
        f"{count(sums.number, 'neuron').capitalize()} of frequency {sums.k}, weighed as dimension {sums.output} of the stream weighs them: with the nonlinearity the sum ends with "
        f"{percent(last['rectified'])} of its variance on {turned}; the same sum of their inputs ends with {percent(last['linear'])}.",
        "It is one cluster and one dimension, the one that the cluster writes most to.",
        (
            "Neurons are ordered by the phase of mlp_pre. Share: energy of the centred sum on the terms that depend on the answer alone, over all its energy.",
        ),
        draw_sum(sums, turned),
        "Share of the running sum's variance that depends on the answer, with and without the nonlinearity.",
        viewer=sum_viewer(look, sums),
    )


def rebuilt_section(look: Look) -> Section:
    """The last residual stream beside the same from a few waves."""
    keys = look.summary.keys.frequencies
    feature = rebuilt_features(look.adding, keys)
    judged = rebuilt_stream(look.adding, keys)
    few, whole = judged.sel(model="cosines + key bias"), judged.sel(model="whole")
    rows = [
        [
            str(m),
            f"{int(at.numbers):,}",
            percent(float(at.r2)),
            loss_text(float(at.loss.sel(split="all"))),
            percent(float(at.accuracy.sel(split="all"))),
        ]
        for m in judged.model.values
        for at in [judged.sel(model=m)]
    ]
    c = min(40, look.adding.task.p - 1)
    return Section(
        "stream",
        "Stream rebuilt",
        "The residual stream, rebuilt from a few waves",
        f"Cosines about c/2 and a bias in c, both at the key frequencies only, explain {percent(float(few.r2))} of the last residual stream; "
        f"put in its place they give a loss of {loss_text(float(few.loss.sel(split='all')))} (the network: {loss_text(float(whole.loss.sel(split='all')))}).",
        "The cosines about c/2 are functions of a plus functions of b: alone they cannot answer. What depends on the answer is in the bias.",
        (
            "resid_post[d, c, a] = Σ_k cos w_k(a − c/2) Re(P_dk e^{i w_k c/2}) + bias_d(c), by least squares. Each line of the table is put in place of the stream and unembedded; "
            "numbers: how many real numbers it has beside the means.",
        ),
        draw_rebuilt(feature, judged, c=c),
        "One row of the stream and the same rebuilt; variance explained by each rebuilt stream.",
        (
            Table(
                ("model", "numbers", "explained", "loss", "right"),
                rows,
                "Rebuilt streams in place of the real one",
            ),
        ),
        rebuilt_viewer(look, feature, c),
    )
