"""Pictures of the logits, of losses, and of energy hook by hook."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from modscope.analysis.answer.restriction import MASKS
from modscope.analysis.plane.energy import TERMS
from modscope.report.look import Look
from modscope.report.style import GRID, INK, MUTED, PLAIN, TERM_COLOURS, WIDTH, colour_of, percent_tick, svg
from modscope.report.words import answer, number_text

if TYPE_CHECKING:
    from matplotlib.figure import Figure


__all__ = ["draw_energy", "draw_logits", "draw_losses", "draw_margins"]


def draw_logits(look: Look, offsets: np.ndarray) -> str:
    """The share of the logits that each cosine of a + b - c explains, and the mean logit at each offset."""
    fit = look.summary.fit
    assert fit is not None
    keys = look.summary.keys.frequencies

    def draw(figure: Figure) -> None:
        left, right = figure.subplots(1, 2, width_ratios=(1, 1.75))
        fve = fit.fve.fillna(0.0)
        shown = keys or tuple(int(k) for k in np.sort(np.argsort(-fve.values)[:5]))
        shares = [float(fve.sel(k=k)) for k in shown]
        left.barh(
            range(len(shown)),
            shares,
            color=[colour_of(k, look.colours) for k in shown],
            linewidth=0,
            height=0.72,
        )
        left.set_yticks(range(len(shown)), [str(k) for k in shown])
        left.invert_yaxis()
        left.set(xlabel="share of the logits' variance", ylabel="frequency k")
        left.xaxis.set_major_formatter(percent_tick)
        left.margins(x=0.3)
        for i, (k, share) in enumerate(zip(shown, shares, strict=True)):
            alpha = float(fit.alpha.sel(k=k))
            left.annotate(
                f"α = {number_text(alpha)}", (share, i), (4, 0), textcoords="offset points", va="center"
            )
        n, half = fit.n, fit.n // 2
        d = np.arange(-half, n - half)
        right.plot(d, offsets[d % n], "o", color="#0a0c01", markersize=3, label="mean logit of the network")
        curve = fit.curve(keys) + float(fit.alpha.sel(k=0)) if keys else np.full(n, np.nan)
        if keys:
            right.plot(
                d, curve[d % n], color=INK, linewidth=1.1, label=f"α₀ + {len(keys)} cosines, α_k cos w_k d"
            )
        right.set(
            xlabel=f"d = {answer(look.summary)}−c, how far the logit's number is from the answer",
            ylabel="logit",
        )
        right.grid(axis="y")
        right.legend(loc="upper right")

    return svg(draw, size=(WIDTH, 3.1), name="logits")


def draw_losses(look: Look) -> str:
    """Loss with only the key frequencies kept and with them taken out, on one logarithmic axis."""
    summary = look.summary
    height = 1.5 + 0.27 * (len(summary.restrictions) + len(summary.excluded_by_frequency))

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        rows: list[tuple[str, float | None, float | None, str]] = [
            (f"all keys, mask {mask}", r.restricted_loss.all, r.excluded_loss.all, INK)
            for mask in MASKS
            if (r := summary.restrictions.get(mask)) is not None
        ]
        rows += [
            (f"without {k}", None, s.all, colour_of(k, look.colours))
            for k, s in summary.excluded_by_frequency.items()
        ]
        for i, (_, kept, removed, colour) in enumerate(rows):
            if kept is not None and removed is not None:
                axes.plot([kept, removed], [i, i], color=GRID, linewidth=1.2, zorder=1)
            if kept is not None:
                axes.plot(kept, i, "o", color=colour, markersize=6.5, label="only the part kept" * (i == 0))
            if removed is not None:
                axes.plot(
                    removed,
                    i,
                    "o",
                    markerfacecolor="none",
                    markeredgecolor=colour,
                    markeredgewidth=1.6,
                    markersize=6.5,
                    label="without it" * (i == 0),
                )
        for x, text in ((summary.loss.all, "the network"), (float(np.log(summary.p)), "guessing")):
            axes.axvline(x, color=MUTED, linewidth=0.9, linestyle=(0, (4, 3)), zorder=0)
            axes.annotate(
                text,
                (x, 1.0),
                (0, 3),
                xycoords=("data", "axes fraction"),
                textcoords="offset points",
                ha="center",
                color=MUTED,
            )
        axes.set_yticks(range(len(rows)), [row[0] for row in rows])
        axes.invert_yaxis()
        axes.set_xscale("log")
        axes.set(xlabel="loss over all pairs (nats)")
        axes.legend(loc="upper center", bbox_to_anchor=(0.45, -0.75 / height), ncols=2)

    return svg(draw, size=(WIDTH, height), name="losses")


def draw_energy(look: Look) -> str:
    """Hook by hook: the energy on each kind of term as stacked bars, the even fraction as dots."""
    energy, even = look.summary.energy, look.summary.even
    hooks = list(energy)

    def draw(figure: Figure) -> None:
        left, right = figure.subplots(1, 2, sharey=True, width_ratios=(2.1, 1))
        start = np.zeros(len(hooks))
        labels = {"linear": "a alone, b alone", "sum": "a + b", "difference": "a − b", "cross": "cross"}
        for term in TERMS:
            shares = np.nan_to_num(np.array([energy[hook].shares()[term] for hook in hooks]))
            left.barh(
                range(len(hooks)),
                shares,
                left=start,
                color=TERM_COLOURS[term],
                label=labels[term],
                linewidth=0,
                height=0.74,
            )
            start += shares
        left.set_yticks(range(len(hooks)), hooks)
        left.invert_yaxis()
        left.set(xlim=(0, 1), xlabel="share of the energy over all pairs")
        left.xaxis.set_major_formatter(percent_tick)
        left.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=4)
        right.axvline(0.5, color=MUTED, linewidth=0.9, linestyle=(0, (4, 3)))
        right.annotate(
            "white noise",
            (0.5, 1.0),
            (0, 3),
            xycoords=("data", "axes fraction"),
            textcoords="offset points",
            ha="center",
            color=MUTED,
        )
        right.plot([even[hook] for hook in hooks], range(len(hooks)), "o", color=PLAIN, markersize=7)
        right.set(xlim=(-0.03, 1.03), xlabel="even about c/2")
        right.tick_params(left=False, labelleft=False)
        right.xaxis.set_major_formatter(percent_tick)
        right.grid(axis="x")

    return svg(draw, size=(WIDTH, 1.4 + 0.26 * len(hooks)), name="energy")


def draw_margins(look: Look) -> str:
    """The loss of every pair on a logarithmic scale, and how far the right logit is above the next one."""
    table = look.summary.examples
    first, second = (str(name) for name in table.loss.dims)

    def draw(figure: Figure) -> None:
        left, right = figure.subplots(1, 2, width_ratios=(1, 1.75))
        with np.errstate(divide="ignore"):
            level = np.log10(np.maximum(table.loss.values, 1e-300))
        shown = left.imshow(level, cmap="cividis", origin="lower", interpolation="nearest", aspect="equal")
        left.set(xlabel=second, ylabel=first, title="loss of every pair, log10")
        figure.colorbar(shown, ax=left, shrink=0.8).outline.set_visible(False)
        margins = table.margin.values
        for name, colour, label in (
            ("train", "#0a0c02", "training pairs"),
            ("test", "#0a0c01", "other pairs"),
            ("", "#0a0c01", "all pairs"),
        ):
            wanted = table.split.values == name
            if wanted.any() and np.isfinite(margins).all():
                right.hist(
                    margins[wanted],
                    bins=np.histogram_bin_edges(margins, 60),
                    density=True,
                    histtype="step",
                    color=colour,
                    linewidth=1.6,
                    label=label,
                )
        right.axvline(0, color=MUTED, linewidth=0.9, linestyle=(0, (4, 3)))
        right.set(
            xlabel="margin: logit of the answer minus the largest other one; below 0 the guess is wrong",
            yticks=[],
        )
        right.set_ylabel("density")
        if right.patches:
            right.legend()

    return svg(draw, size=(WIDTH, 3.2), name="margins")
