"""Pictures of the weights by frequency and of the neurons by frequency."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from modscope.analysis.neurons.clusters import EXPLAINED
from modscope.report.look import Look
from modscope.report.style import GRID, INK, MUTED, WIDTH, colour_of, percent_tick, svg

if TYPE_CHECKING:
    from matplotlib.figure import Figure


__all__ = ["draw_clusters", "draw_spectra"]


def draw_spectra(look: Look) -> str:
    """Energy by frequency of embedding, neuron-to-logit map and unembedding, as bars."""
    titles = {
        "embedding": "embedding W_E",
        "neuron_logit": "neurons to logits W_L",
        "unembedding": "unembedding W_U",
    }
    second = {n: k for k, n in look.summary.relations.harmonics.items() if n}

    def draw(figure: Figure) -> None:
        rows = figure.subplots(len(titles), 1, sharex=True)
        for axes, (name, title) in zip(rows, titles.items(), strict=True):
            shares = look.summary.shares[name]
            ks = shares.k.values
            axes.bar(
                ks,
                shares.values,
                width=0.72,
                color=[colour_of(int(k), look.colours) for k in ks],
                linewidth=0,
            )
            axes.set_title(title, pad=10)
            axes.yaxis.set_major_formatter(percent_tick)
            axes.grid(axis="y")
            axes.margins(x=0.01, y=0.12)
            for k in look.summary.keys.frequencies:
                axes.annotate(
                    str(k),
                    (k, float(shares.sel(k=k))),
                    (0, 2),
                    textcoords="offset points",
                    ha="center",
                    color=INK,
                )
            for n, k in second.items():
                if n not in look.colours and float(shares.sel(k=n)) > 0.01:
                    axes.annotate(
                        f"2·{k}",
                        (n, float(shares.sel(k=n))),
                        (0, 2),
                        textcoords="offset points",
                        ha="center",
                        color=MUTED,
                    )
        rows[-1].set_xlabel("frequency k")
        rows[1].set_ylabel("share of the energy outside DC")

    return svg(draw, size=(WIDTH, 4.6), name="spectra")


def draw_clusters(look: Look) -> str:
    """Histogram of the neurons' fve in the colours of their frequencies, and the size of each cluster."""
    found = look.summary.clusters

    def draw(figure: Figure) -> None:
        left, right = figure.subplots(1, 2, width_ratios=(1.7, 1))
        bins = np.linspace(0, 1, 41)
        counts = found.counts()
        order = [k for k in look.summary.keys.frequencies if k in counts] + [
            k for k in counts if k not in look.colours
        ]
        parts = [found.fve[found.members(k)] for k in order] + [found.fve[~found.explained]]
        left.hist(
            parts,
            bins=list(bins),
            stacked=True,
            color=[*(colour_of(k, look.colours) for k in order), GRID],
            linewidth=0,
        )
        left.axvline(EXPLAINED, color=INK, linewidth=0.9, linestyle=(0, (4, 3)))
        left.annotate(
            f"{EXPLAINED:.0%}",
            (EXPLAINED, 0.97),
            (-5, 0),
            xycoords=("data", "axes fraction"),
            textcoords="offset points",
            ha="right",
            va="top",
        )
        left.set(
            xlabel="share of the neuron's variance at its best frequency", ylabel="neurons", xlim=(0, 1.005)
        )
        left.xaxis.set_major_formatter(percent_tick)
        rows = [*order, None]
        sizes = [*(counts[k] for k in order), int((~found.explained).sum())]
        right.barh(
            range(len(rows)),
            sizes,
            color=[GRID if k is None else colour_of(k, look.colours) for k in rows],
            linewidth=0,
            height=0.72,
        )
        right.set_yticks(range(len(rows)), ["none" if k is None else str(k) for k in rows])
        right.invert_yaxis()
        right.set(xlabel="neurons", title="by frequency")
        right.margins(x=0.14)
        for i, size in enumerate(sizes):
            right.annotate(str(size), (size, i), (4, 0), textcoords="offset points", va="center", color=INK)

    return svg(draw, size=(WIDTH, 3.0), name="clusters")
