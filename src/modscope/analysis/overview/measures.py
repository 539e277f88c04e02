"""The measures of waves, attention, symmetry, neurons, maps and terms as named tables to be read."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from modscope.activations import Activations
from modscope.activations.axes import without_layer
from modscope.analysis.answer.keys import given_or_found
from modscope.analysis.controls import permuted_tokens, untrained
from modscope.analysis.inputs.attention import (
    log_odds_additivity,
    pattern_statistics,
    product_parts,
    score_shares,
)
from modscope.analysis.inputs.equivalence import RELATIONS, group_defects
from modscope.analysis.inputs.rebuilt import rebuilt_waves
from modscope.analysis.inputs.waves import head_frequencies, reversal_errors, token_hooks, wave_rows
from modscope.analysis.neurons.waves import (
    cluster_summary,
    matched_filters,
    median,
    neuron_waves,
    output_phases,
    phase_tiling,
)
from modscope.analysis.plane.exponents import as_addition
from modscope.analysis.plane.marginals import checked_frequencies
from modscope.analysis.plane.periods import periods_table
from modscope.analysis.plane.quadratic import compare_hooks
from modscope.analysis.plane.symmetry import circulant_defects, even_fractions, swap_shares
from modscope.analysis.tables import Table, table_of
from modscope.analysis.weights.maps import map_gains
from modscope.boundary import public
from modscope.display import Shown
from modscope.errors import InputError, UnknownName
from modscope.signal import noise_defects

__all__ = ["MEASURES", "Measure", "measure_table"]


@dataclass(frozen=True, repr=False)
class Measure(Shown):
    """A table that can be made of any network, or refused with InputError where it does not apply."""

    name: str
    says: str
    table: Callable[[Activations, Sequence[int]], Table]


@public
def measure_table(acts: Activations, name: str, key_frequencies: Sequence[int] | None = None) -> Table:
    """The table of one measure of `MEASURES`.

    Multiplication mod a prime is measured as the addition of exponents that it is (`exponents.as_addition`).
    key_frequencies: those of the default rule (`key_frequencies`), if none are given; with an empty list the measures
    that can do without look at all. Raises UnknownName for a name that there
    is not, InputError for a frequency outside 1..p//2 and where the measure does not apply to the network.
    """
    if name not in MEASURES:
        raise UnknownName.of("measure", name, MEASURES)
    keys, title = given_or_found(acts, key_frequencies), "{}"
    circle = acts.circle
    if circle.sign is not None and not circle.whole:
        acts, title = (
            as_addition(acts),
            "{}\n(addition of exponents: residues as powers of the smallest primitive root)",
        )
    table = MEASURES[name].table(acts, checked_frequencies(keys, acts.task.p) if keys else keys)
    return replace(table, title=title.format(table.title))


def _reversal(acts: Activations, keys: Sequence[int]) -> Table:
    found = reversal_errors(acts)
    rows = [
        (
            str(hook),
            str(relation),
            *(float(found[v].sel(hook=hook, relation=relation)) for v in ("raw", "centred")),
        )
        for hook in found.hook.values
        for relation in found.relation.values
    ]
    return Table(
        "Wave at b against the wave at a, relative error", ("hook", "relation", "raw", "no DC"), tuple(rows)
    )


def _waves(acts: Activations, keys: Sequence[int]) -> Table:
    return wave_rows(
        acts, keys, hooks=[h for h in token_hooks(acts) if without_layer(h) in ("q", "k", "v", "embed")]
    )


def _heads(acts: Activations, keys: Sequence[int]) -> Table:
    found = head_frequencies(acts, keys or None)
    columns = ("head", *(f"{hook} {what}" for hook in found.hook.values for what in ("k", "share")))
    rows = []
    for head in range(found.sizes["head"]):
        at = found.isel(head=head)
        pairs = zip(at.frequency.values.tolist(), at.largest.values.tolist(), strict=True)
        rows.append((head, *(value for pair in pairs for value in pair)))
    return Table("Frequency that each head carries, and its share", columns, tuple(rows))


def _pattern(acts: Activations, keys: Sequence[int]) -> Table:
    return table_of(
        pattern_statistics(acts), "Attention from the read position", rows="head", columns="key_pos"
    )


def _scores(acts: Activations, keys: Sequence[int]) -> Table:
    shares, additive = score_shares(acts), log_odds_additivity(acts)
    rows = [
        (
            head,
            str(pos),
            *shares.share.sel(key_pos=pos, k=list(keys)).isel(head=head).values.tolist(),
            *(
                float(x.sel(key_pos=pos).isel(head=head))
                for x in (shares.mixed, shares.spread, additive["pattern"])
            ),
        )
        for head in range(shares.sizes["head"])
        for pos in shares.key_pos.values
    ]
    columns = ("head", "key", *(f"k={k}" for k in keys), "mixed", "spread", "A additive")
    return Table("Attention scores: shares of the variance by frequency", columns, tuple(rows))


def _products(acts: Activations, keys: Sequence[int]) -> Table:
    return table_of(
        product_parts(acts, keys or None),
        "What attention makes, shares of the variance at key frequencies",
        rows="place",
    )


def _symmetry(acts: Activations, keys: Sequence[int]) -> Table:
    hooks = list(acts.joint_hooks)
    even = [even_fractions(x, hooks).even.values for x in (acts, permuted_tokens(acts))]
    # activations alone cannot be had of a network before its training
    blank = acts.network is None
    even.append(np.full(len(hooks), np.nan) if blank else even_fractions(untrained(acts), hooks).even.values)
    swapped, circulant = swap_shares(acts, hooks), circulant_defects(acts, hooks)
    values = np.stack([*even, swapped.antisymmetric, circulant["sum"], circulant.difference], axis=1)
    columns = ("hook", "even", "permuted", "untrained", "antisym.", "not a+b", "not a-b")
    rows = tuple((hook, *row) for hook, row in zip(hooks, values.tolist(), strict=True))
    return Table("Even about c/2, beside controls; antisymmetric share; circulant defects", columns, rows)


def _groups(acts: Activations, keys: Sequence[int]) -> Table:
    waves = token_hooks(acts) if len(acts.joint_hooks) < len(acts.hooks) else ()
    groups = [(hook, str(d)) for hook in waves for d in acts[hook].dims if d not in ("token", "pos")]
    if acts.task.operation in ("add", "subtract"):
        groups += [
            (hook, "c") for hook in acts.joint_hooks if without_layer(hook) not in ("attn_scores", "pattern")
        ]
    rows: list[tuple[object, ...]] = []
    for hook, across in groups:
        found = group_defects(acts, hook, across, control=False).defect
        rows.append((hook, across, *found.sel(dc="removed", scale="removed").values.tolist()))
    p = acts.task.p
    noise = (
        float(noise_defects(p, up_to=(*allowed, "mean", "scale")).mean()) for allowed in RELATIONS.values()
    )
    rows.append(("white noise", "", *noise))
    return Table("Waves equal up to scale, DC and ...: defects", ("hook", "across", *RELATIONS), tuple(rows))


def _clusters(acts: Activations, keys: Sequence[int]) -> Table:
    found = cluster_summary(neuron_waves(acts))
    return table_of(found, "Neurons by frequency: shared-phase model, medians", rows="k")


def _tiling(acts: Activations, keys: Sequence[int]) -> Table:
    found = phase_tiling(neuron_waves(acts))
    names = ("largest_gap", "kuiper", "control_largest_gap", "control_kuiper")
    columns = [found.neurons.values.tolist(), *(found[name].values.tolist() for name in names)]
    for order in (1, 2):
        columns += [
            found[name].sel(order=order).values.tolist() for name in ("resultant", "control_resultant")
        ]
    heads = ("k", "n", "gap", "Kuiper", "c. gap", "c. Kuiper", "|e1|", "c. |e1|", "|e2|", "c. |e2|")
    rows = tuple(zip(found.k.values.tolist(), *columns, strict=True))
    return Table("How evenly phases tile the circle; c.: random phases", heads, rows)


def _outputs(acts: Activations, keys: Sequence[int]) -> Table:
    waves = neuron_waves(acts)
    out = output_phases(acts, waves)
    columns = {name: out[name] for name in ("distance", "control", "measured_distance", "share")}
    if "resid_mid" in acts:
        filters = matched_filters(acts, waves)
        columns |= {"filter": filters.correlation, "c. filter": filters.control}
    ks = np.unique(waves.frequency.values[waves.frequency.values > 0])
    rows = [(int(k), *(median(x.values[waves.frequency.values == k]) for x in columns.values())) for k in ks]
    return Table(
        "Output phase from 2 phi (radians) and matched filters, medians", ("k", *columns), tuple(rows)
    )


def _gains(acts: Activations, keys: Sequence[int]) -> Table:
    found = map_gains(acts)
    rows = [
        (
            name,
            line,
            float(found.flat.sel(map=name)),
            *found.relative.sel(map=name, line=line, k=list(keys)).values,
        )
        for name in found["map"].values.tolist()
        for line in ("a", "sum")
        if found.gain.sel(map=name, line=line).notnull().any()
    ]
    columns = ("map", "line", "flat gain", *(f"k={k}" for k in keys))
    return Table("Gain of each map at the key frequencies, over its flat gain", columns, tuple(rows))


def _terms(acts: Activations, keys: Sequence[int]) -> Table:
    return table_of(
        compare_hooks(acts, "mlp_pre", "mlp_post"),
        "Linear and quadratic terms of mlp_pre and mlp_post",
        rows="k",
    )


def _rebuilt(acts: Activations, keys: Sequence[int]) -> Table:
    if not keys:
        raise InputError("the waves are rebuilt from key frequencies, and there are none")
    token_hooks(acts)  # of a record without any it says so
    found = {
        hook: rebuilt_waves(acts, hook, keys)
        for hook in ("embed", "q", "k", "v")
        if hook in acts and "token" in acts[hook].dims
    }
    rows: list[tuple[object, ...]] = []
    for hook, x in found.items():
        for waves in x.waves.values.tolist():
            one = x.sel(waves=waves)
            own, shared = one.sel(phase="own"), one.sel(phase="one")
            rows.append(
                (
                    hook,
                    waves,
                    *(float(v) for v in (own.r2, shared.r2, shared.control, shared.largest, shared.worst)),
                    float(shared.worst_r2),
                )
            )
    columns = ("hook", "frequencies", "R2", "one phase", "noise", "error", "worst", "its R2")
    return Table(
        "Waves before attention rebuilt; one phase: for each frequency, all dimensions", columns, tuple(rows)
    )


def _periods(acts: Activations, keys: Sequence[int]) -> Table:
    return periods_table(acts)


MEASURES: Mapping[str, Measure] = {
    name: Measure(name, says, table)
    for name, says, table in (
        ("reversal", "the wave at b against the reversed, shifted wave at a", _reversal),
        ("heads", "which frequency the q, k and v of each head carry", _heads),
        ("pattern", "mean, spread and range of the attention, and its correlation", _pattern),
        ("scores", "shares of the attention score by frequency, additivity of the pattern", _scores),
        ("products", "parts of z and attn_out that are 1-D, on a + b, on a - b", _products),
        ("symmetry", "evenness about c/2 with controls, antisymmetry, circulant defects", _symmetry),
        ("groups", "groups of waves equal up to sign, shift, reversal or phases", _groups),
        ("clusters", "neurons of each frequency and their shared-phase model", _clusters),
        ("tiling", "how evenly the phases of the neurons tile the circle", _tiling),
        ("outputs", "output phases against twice the input phases, matched filters", _outputs),
        ("gains", "gain of every linear map at the key frequencies", _gains),
        ("terms", "linear and quadratic terms before and after the nonlinearity", _terms),
        ("rebuilt", "q, k, v and the embedding rebuilt from few frequencies and phases", _rebuilt),
        ("periods", "numbers on a line and not residues: trend, and shares by period", _periods),
        ("waves", "amplitude, phase and DC of every wave before attention (long)", _waves),
    )
}
