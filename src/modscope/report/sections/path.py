"""The signal's path up to the neurons: waves before attention, attention, linear maps as filters."""

from __future__ import annotations

from modscope.analysis.inputs.attention import pattern_statistics, product_parts
from modscope.analysis.inputs.waves import head_frequencies, reversal_errors
from modscope.analysis.overview.scenes import input_waves
from modscope.analysis.weights.maps import map_gains
from modscope.report.figures.path import draw_attention, draw_gains, draw_inputs
from modscope.report.look import Look
from modscope.report.sections.section import Section, Table, chips
from modscope.report.viewers import input_viewer, pattern_viewer
from modscope.report.words import answer, percent

__all__ = ["attention_section", "inputs_section", "maps_section"]


def inputs_section(look: Look) -> Section:
    """The waves that reach attention from a and from b."""
    acts = look.adding
    waves, errors = input_waves(acts), reversal_errors(acts)
    adds = acts.task.operation == "add"
    error = float(errors.centred.sel(relation="reversed and shifted").max())
    relation = "reversed and shifted by c" if adds else "shifted by c"
    c = min(40, acts.task.p - 1)
    tables = []
    if "q" in acts:
        found = head_frequencies(acts, look.summary.keys.frequencies or None)
        rows = [
            [head, *(_heads(found.isel(head=head).sel(hook=h), look) for h in found.hook.values)]
            for head in range(found.sizes["head"])
        ]
        tables.append(
            Table(
                ("head", *map(str, found.hook.values)), rows, "The frequency that each head carries most of"
            )
        )
    return Section(
        "inputs",
        "Before attention",
        "Before attention: one wave, twice",
        f"Each position carries a wave over its own token. For a fixed answer c the wave at b is the wave at a, {relation}: "
        f"they differ by {error:.1g} of their size once each wave's mean is removed.",
        "This follows from one embedding for both positions, trained or not. The bars beside it are what the other relations would leave.",
        (
            "Relative error |X_b − relation(X_a)| / |X_a| over all c, a and features, the mean of each wave removed; the largest over the hooks before attention. "
            f"The picture is {waves.hook}, the feature whose waves vary most.",
        ),
        draw_inputs(waves, errors, c=c),
        "The wave at a and at b for one answer, and the error of four relations between them.",
        tuple(tables),
        input_viewer(look, waves, c),
    )


def _heads(at: object, look: Look) -> object:
    k, share = int(at.frequency), float(at.largest)  # type: ignore[attr-defined]
    return chips((k,), look) + f" {percent(share)}" if k else "no wave"


def attention_section(look: Look) -> Section:
    """How constant attention is, and whether it sums or multiplies."""
    acts = look.adding
    pattern = pattern_statistics(acts)
    parts = product_parts(acts, look.summary.keys.frequencies or None)
    whole = parts.sel(place="attn_out")
    products = sum(float(whole[name]) for name in ("sum", "difference", "cross"))
    spread = float(pattern.spread.max())
    constant = spread < 0.01
    first = (
        "Attention is constant: each head takes the same mixture of its values from every pair, so it can only add waves. "
        if constant
        else f"Attention is not constant: over the pairs the weight of a head on one number goes from {percent(float(pattern.lowest.min()))} "
        f"to {percent(float(pattern.highest.max()))}. Weights that are waves themselves multiply the waves of the values. "
    )
    return Section(
        "attention",
        "Attention",
        "Attention: summed or multiplied?",
        first
        + f"Of what attention writes, {percent(products)} of the variance at the key frequencies is products of a and b.",
        "A small share of products can carry the answer, and a large one need not: what is lost without them is under Findings.",
        (
            "Left: the pattern of the read position over all pairs. Right: shares of the variance of z and attn_out at the key frequencies on functions of a or b alone, "
            "on a + b, on a − b, and on products of two frequencies; what lies at other frequencies is left white.",
        ),
        draw_attention(pattern, parts),
        "Ranges of the attention by head and position; parts of what attention writes.",
        viewer=pattern_viewer(look),
    )


def maps_section(look: Look) -> Section:
    """Every linear map as a filter."""
    gains = map_gains(look.adding)
    turned = answer(look.summary)
    line = "difference" if turned == "a−b" else "sum"
    return Section(
        "maps",
        "Filters",
        "Linear maps as filters",
        "A linear map acts on each frequency by itself: it can make a wave stronger or weaker, but no new frequency. A gain of 1 (dashed) is what a random input of the same size would get.",
        "A gain says what a map does to a wave that is there, not that the wave is used.",
        (
            "Gain at k: square root of (energy written / energy read) at frequency k, energies over all channels; divided by the flat gain |W| / √channels. "
            f"Maps before attention: waves over the token at a. W_O and after: waves on {turned} where there are any.",
        ),
        draw_gains(look, gains, line),
        "Bars of the gain at every frequency for each linear map.",
    )
