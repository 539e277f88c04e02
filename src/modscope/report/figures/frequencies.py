"""Pictures of the weights by frequency and of the neurons by frequency."""

from __future__ import annotations

import numpy as np
from markupsafe import Markup

from modscope.analysis.neurons.clusters import EXPLAINED
from modscope.report.chart import chart, panels
from modscope.report.look import Look
from modscope.report.marks import Bars, Labels, Mark, Rule
from modscope.report.scales import Axis, axis_over, share_tick
from modscope.report.style import colour_of

__all__ = ["draw_clusters", "draw_spectra"]

_TITLES = {
    "embedding": "embedding W_E",
    "neuron_logit": "neurons to logits W_L",
    "unembedding": "unembedding W_U",
}


def draw_spectra(look: Look) -> Markup:
    """Energy by frequency of embedding, neuron-to-logit map and unembedding, as bars."""
    return panels(
        *(_spectrum(look, name, title) for name, title in _TITLES.items() if name in look.summary.shares),
        narrow=True,
    )


def _spectrum(look: Look, name: str, title: str) -> Markup:
    shares = look.summary.shares[name]
    ks, values = shares.k.values.tolist(), shares.values.tolist()
    at = dict(zip(ks, values, strict=True))
    named = [(k, str(k), "var(--ink)") for k in look.summary.keys.frequencies]
    named += [
        (n, f"2·{k}", "var(--muted)")
        for k, n in look.summary.relations.harmonics.items()
        if n and n not in look.colours and at[n] > 0.01
    ]
    return chart(
        [
            Bars(
                ks,
                values,
                [colour_of(k, look.colours) for k in ks],
                said=[f"frequency {k}: {100 * v:.2f} %" for k, v in at.items()],
            ),
            Labels(
                [k for k, _, _ in named],
                [at[k] for k, _, _ in named],
                [text for _, text, _ in named],
                [colour for *_, colour in named],
            ),
        ],
        x=Axis(0.3, ks[-1] + 0.7, "frequency k"),
        y=axis_over(values, "share of the energy", zero=True, form=share_tick, grid=True),
        title=title,
        width=330,
        height=210,
    )


def draw_clusters(look: Look) -> Markup:
    """The size of each cluster, and the histogram of the neurons' fve in the colours of their frequencies."""
    found = look.summary.clusters
    counts = found.counts()
    order = [k for k in look.summary.keys.frequencies if k in counts]
    order += [k for k in counts if k not in look.colours]
    return panels(_cluster_sizes(look, order), _fve_histogram(look, order))


def _cluster_sizes(look: Look, order: list[int]) -> Markup:
    found = look.summary.clusters
    counts = found.counts()
    sizes = [*(counts[k] for k in order), int((~found.explained).sum())]
    rows = list(range(len(sizes)))
    names = [*map(str, order), "none"]
    colours = [*(colour_of(k, look.colours) for k in order), "var(--grid)"]
    return chart(
        [
            Bars(rows, sizes, colours, across=True),
            Labels(sizes, rows, [str(size) for size in sizes], anchor="start", dx=4, dy=4),
        ],
        x=axis_over(sizes, "neurons", zero=True, margin=0.14),
        y=Axis(
            -0.6,
            len(rows) - 0.4,
            "frequency",
            ticks=tuple(zip(map(float, rows), names, strict=True)),
            downwards=True,
        ),
        title="neurons explained by one frequency",
        height=80 + 22 * len(rows),
    )


def _fve_histogram(look: Look, order: list[int]) -> Markup:
    found = look.summary.clusters
    edges = np.linspace(0, 1, 41)
    parts = [(colour_of(k, look.colours), found.fve[found.members(k)]) for k in order]
    parts.append(("var(--grid)", found.fve[~found.explained]))
    foot, marks = np.zeros(40), list[Mark]()
    middles = ((edges[1:] + edges[:-1]) / 2).tolist()
    for colour, values in parts:
        heights = foot + np.histogram(values, edges)[0]
        marks.append(Bars(middles, heights.tolist(), colour, width=0.025, base=foot.tolist()))
        foot = heights
    marks.append(Rule(EXPLAINED, f"explained: above {EXPLAINED:.0%}", inside=True))
    return chart(
        marks,
        x=Axis(0, 1, "share of the neuron's variance at its best frequency", form=share_tick),
        y=axis_over([*foot], "neurons", zero=True, grid=True),
        title="how well one frequency explains each neuron",
        height=80 + 22 * (len(order) + 1) if len(order) > 5 else 212,
    )
