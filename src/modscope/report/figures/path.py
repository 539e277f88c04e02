"""Pictures of the signal's path: waves before attention, attention, maps as filters, the ReLU, the sum over neurons,
the stream rebuilt."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr
from markupsafe import Markup

from modscope.analysis.overview.scenes import GrowingSum, InputWaves, RebuiltFeature
from modscope.report.chart import chart, panels
from modscope.report.figures.answers import rows_axis
from modscope.report.look import Look
from modscope.report.marks import Bars, Dots, Labels, Line, Mark, Rule
from modscope.report.scales import Axis, axis_over, share_tick
from modscope.report.style import TERM_COLOURS, colour_of
from modscope.report.words import percent
from modscope.signal import resample

__all__ = [
    "draw_attention",
    "draw_gains",
    "draw_inputs",
    "draw_phases",
    "draw_rebuilt",
    "draw_rectifier",
    "draw_sum",
]

_FINE = 8  # points drawn between two residues of a band-limited wave


def _wave(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    n = len(values)
    return np.arange(n * _FINE) / _FINE, resample(values.astype(np.float64), 0, n * _FINE)


def _two_waves(
    first: np.ndarray,
    second: np.ndarray,
    names: tuple[str, str],
    *,
    title: str,
    label: str,
    rules: Sequence[Mark] = (),
) -> Markup:
    """Two waves in a as lines through their dots."""
    n, colours = len(first), ("var(--key-1)", "var(--key-6)")
    marks: list[Mark] = list(rules)
    for values, colour in zip((first, second), colours, strict=True):
        at, curve = _wave(values)
        marks += [Line(at, curve, colour, 0.9), Dots(np.arange(n), values, colour, 1.8)]
    return chart(
        marks,
        x=Axis(-0.5, n - 0.5, "a"),
        y=axis_over(np.concatenate([first, second]), label, margin=0.15, grid=True),
        title=title,
        height=250,
        legend=list(zip(colours, names, strict=True)),
    )


def draw_inputs(waves: InputWaves, errors: xr.Dataset, *, c: int) -> Markup:
    """One wave at both positions for one answer, and how far the relations are that it could have."""
    n = waves.at_a.sizes["a"]
    marks = [Rule(c / 2, "c/2"), Rule((c / 2 + n / 2) % n, "c/2 + p/2")]
    sign = waves.at_a.attrs["operation"] == "add"
    pair = _two_waves(
        waves.at_a.sel(c=c).isel(feature=0).values,
        waves.at_b.sel(c=c).isel(feature=0).values,
        ("at position a", f"at position b = {'c − a' if sign else 'a − c'}"),
        title=f"{waves.hook}, feature {int(waves.at_a.feature[0])}, at c = {c}",
        label=waves.hook,
        rules=marks if sign else (),
    )
    relations = [str(r) for r in errors.relation.values]
    worst = errors.centred.max("hook").values
    bars = chart(
        [
            Bars(list(range(len(relations))), worst.tolist(), "var(--plain)", across=True),
            Labels(
                worst.tolist(),
                list(range(len(relations))),
                [f"{v:.2g}" for v in worst],
                anchor="start",
                dx=4,
                dy=4,
            ),
        ],
        x=axis_over(worst, "relative error, DC removed", zero=True, margin=0.2),
        y=rows_axis(relations),
        title="the wave at b against the wave at a",
        height=190,
    )
    return panels(pair, bars)


def draw_attention(pattern: xr.Dataset, parts: xr.Dataset) -> Markup:
    """The range of each head's weights, and what its values become: sums of waves or products."""
    marks: list[Mark] = []
    names, row = [], 0
    for head in range(pattern.sizes["head"]):
        for pos in pattern.key_pos.values:
            at = pattern.sel(key_pos=pos).isel(head=head)
            low, high, mean, spread = (float(at[name]) for name in ("lowest", "highest", "mean", "spread"))
            said = [
                f"head {head} on {pos}: mean {mean:.3f}, spread {spread:.3f}, from {low:.3f} to {high:.3f}"
            ]
            marks += [
                Line([low, high], [row, row], "var(--plain)", 1.4),
                Line([max(mean - spread, low), min(mean + spread, high)], [row, row], "var(--key-1)", 4),
                Dots([mean], [row], "var(--ink)", 3.2, said=said),
            ]
            names.append(f"{head} → {pos}")
            row += 1
    ranges = chart(
        marks,
        x=Axis(0, 1, "attention: mean, one spread (thick), range (thin)", form=share_tick, grid=True),
        y=rows_axis(names, "head → position"),
        title="how far from constant the attention is",
        height=90 + 15 * len(names),
    )
    return panels(ranges, _parts_chart(parts, 90 + 15 * len(names)))


def _parts_chart(parts: xr.Dataset, height: float) -> Markup:
    places = [str(place) for place in parts.place.values]
    rows = list(range(len(places)))
    foot, marks = np.zeros(len(places)), list[Mark]()
    names = {"linear": "a alone, b alone", "sum": "a + b", "difference": "a − b", "cross": "two frequencies"}
    for name, words in names.items():
        shares = np.nan_to_num(parts[name].values)
        said = [f"{place}, {words}: {percent(s)}" for place, s in zip(places, shares.tolist(), strict=True)]
        marks.append(
            Bars(
                rows, (foot + shares).tolist(), TERM_COLOURS[name], base=foot.tolist(), across=True, said=said
            )
        )
        foot = foot + shares
    return chart(
        marks,
        x=Axis(0, 1, "share of the variance", form=share_tick),
        y=rows_axis(places),
        title="what attention makes at the key frequencies",
        legend=[(TERM_COLOURS[name], words) for name, words in names.items()],
        height=height,
    )


def draw_gains(look: Look, gains: xr.Dataset, line: str) -> Markup:
    """How much each linear map passes of every frequency, over what it passes of a random input."""
    charts = []
    for name in gains["map"].values:
        here = line if gains.gain.sel(map=name, line=line).notnull().any() else "a"
        relative = gains.relative.sel(map=name, line=here)
        if not relative.notnull().any():
            continue
        ks = relative.k.values
        values = np.nan_to_num(relative.values)
        colours = [colour_of(int(k), look.colours) for k in ks]
        said = [
            f"{name} at frequency {k}: {v:.2f} times its flat gain" for k, v in zip(ks, values, strict=True)
        ]
        where = {"a": "waves of a", "sum": "waves on a + b", "difference": "waves on a − b"}[here]
        charts.append(
            chart(
                [Bars(ks.tolist(), values.tolist(), colours, said=said), Rule(1.0, level=True)],
                x=Axis(0.3, int(ks[-1]) + 0.7, "frequency k"),
                y=axis_over([*values, 1.0], "gain", zero=True, grid=True),
                title=f"{name}: {where}",
                width=330,
                height=170,
            )
        )
    return panels(*charts, narrow=True)


def draw_phases(look: Look, waves: xr.Dataset, outputs: xr.Dataset | None) -> Markup:
    """The phases of the neurons of each cluster around the circle, and their output phases against twice those."""
    explained = look.summary.clusters.explained
    frequency, phase = waves.frequency.values, waves.phase.values
    ks = [k for k in look.summary.clusters.counts() if k]
    marks: list[Mark] = []
    for row, k in enumerate(ks):
        chosen = phase[explained & (frequency == k)]
        marks.append(Dots(chosen, [row] * len(chosen), colour_of(k, look.colours), 2.6, opacity=0.7))
    turns = tuple(
        (t * np.pi / 2, text) for t, text in ((-2, "−π"), (-1, "−π/2"), (0, "0"), (1, "π/2"), (2, "π"))
    )
    tiles = chart(
        marks,
        x=Axis(-np.pi, np.pi, "phase of the neuron's input wave", ticks=turns, grid=True),
        y=rows_axis([str(k) for k in ks], "frequency"),
        title="the phases of each cluster, around the circle",
        height=90 + 24 * len(ks),
    )
    if outputs is None:
        return panels(tiles)
    seen = explained & np.isfinite(outputs.expected.values) & np.isfinite(outputs.psi.values)
    colours = [colour_of(int(k), look.colours) for k in frequency[seen]]
    against = chart(
        [
            Line([-np.pi, np.pi], [-np.pi, np.pi], "var(--grid)", 1.4),
            Dots(outputs.expected.values[seen], outputs.psi.values[seen], colours, 2, opacity=0.6),
        ],
        x=Axis(-np.pi, np.pi, "twice the input phase", ticks=turns, grid=True),
        y=Axis(-np.pi, np.pi, "phase on the logits", ticks=turns, grid=True),
        title="what each neuron writes",
        height=max(250, 90 + 24 * len(ks)),
    )
    return panels(tiles, against)


def draw_rectifier(look: Look, proportion: xr.DataArray, hooks: Sequence[str]) -> Markup:
    """The second harmonic of each key frequency before and after the nonlinearity, and the kinds of term."""
    ks = [int(k) for k in proportion.k.values]
    width = 0.74 / len(hooks)
    marks: list[Mark] = []
    for i, hook in enumerate(hooks):
        values = proportion.sel(hook=hook).values
        said = [f"{hook}, {k}: {percent(float(v))}" for k, v in zip(ks, values, strict=True)]
        at = [row + (i - (len(hooks) - 1) / 2) * width for row in range(len(ks))]
        marks.append(Bars(at, values.tolist(), f"var(--key-{(1, 6)[i]})", width=width, said=said))
    harmonics = chart(
        marks,
        x=Axis(
            -0.6, len(ks) - 0.4, "key frequency", ticks=tuple((float(i), str(k)) for i, k in enumerate(ks))
        ),
        y=axis_over(
            proportion.sel(hook=list(hooks)).values,
            "second harmonic over first",
            zero=True,
            form=share_tick,
            grid=True,
        ),
        title="twice the frequency, before and after",
        legend=[(f"var(--key-{(1, 6)[i]})", hook) for i, hook in enumerate(hooks)],
    )
    return panels(harmonics, _terms_before_and_after(look, hooks))


def _terms_before_and_after(look: Look, hooks: Sequence[str]) -> Markup:
    names = {"linear": "a alone, b alone", "sum": "a + b", "difference": "a − b", "cross": "other products"}
    rows = list(range(len(hooks)))
    foot, marks = np.zeros(len(hooks)), list[Mark]()
    for term, words in names.items():
        shares = np.nan_to_num(np.array([look.summary.energy[hook].shares()[term] for hook in hooks]))
        said = [f"{hook}, {words}: {percent(s)}" for hook, s in zip(hooks, shares.tolist(), strict=True)]
        marks.append(
            Bars(
                rows, (foot + shares).tolist(), TERM_COLOURS[term], base=foot.tolist(), across=True, said=said
            )
        )
        foot = foot + shares
    return chart(
        marks,
        x=Axis(0, 1, "share of the energy", form=share_tick),
        y=rows_axis(list(hooks)),
        title="sums become products",
        legend=[(TERM_COLOURS[term], words) for term, words in names.items()],
        height=150,
    )


def draw_sum(sums: GrowingSum, turned: str) -> Markup:
    """How the sum over the neurons of a cluster comes to depend on the answer alone, with and without the rectifier."""
    number = np.arange(1, sums.number + 1)
    marks: list[Mark] = []
    colours = {"rectified": "var(--key-1)", "linear": "var(--plain)"}
    for kind, colour in colours.items():
        marks.append(Line(number, sums.share_sum.sel(kind=kind).values, colour, 1.8))
    words = [(colours["rectified"], "with the nonlinearity"), (colours["linear"], "without it")]
    return panels(
        chart(
            marks,
            x=Axis(
                1, max(sums.number, 2), f"neurons of frequency {sums.k} summed, in the order of their phases"
            ),
            y=Axis(0, 1, f"share of the variance on {turned}", form=share_tick, grid=True),
            title=f"the sum in dimension {sums.output}, neuron by neuron",
            legend=words,
            width=640,
            height=250,
        )
    )


def draw_rebuilt(feature: RebuiltFeature, judged: xr.Dataset, *, c: int) -> Markup:
    """One row of the last residual stream and the same row rebuilt, and what each rebuilt stream explains."""
    pair = _two_waves(
        feature.real.sel(c=c).isel(feature=0).values,
        feature.rebuilt.sel(c=c).isel(feature=0).values,
        ("the network's", "rebuilt from a few waves"),
        title=f"{feature.hook}, feature {int(feature.real.feature[0])}, at c = {c}",
        label=feature.hook,
    )
    names = [str(m) for m in judged.model.values if m != "whole"]
    shares = judged.r2.sel(model=names).values
    rows = list(range(len(names)))
    right = judged.accuracy.sel(model=names, split="all").values
    bars = chart(
        [
            Bars(rows, shares.tolist(), "var(--plain)", across=True),
            Labels(
                shares.tolist(),
                rows,
                [f"{percent(float(r))} right" for r in right],
                anchor="start",
                dx=4,
                dy=4,
            ),
        ],
        x=Axis(
            0,
            1.3,
            "share of the stream's variance explained",
            ticks=tuple((t, share_tick(t)) for t in (0, 0.5, 1)),
        ),
        y=rows_axis(names),
        title="what rebuilt streams explain",
        height=110 + 20 * len(names),
    )
    return panels(pair, bars)
