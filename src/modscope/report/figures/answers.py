"""Pictures of the logits, of losses, and of energy hook by hook."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from markupsafe import Markup

from modscope.analysis.answer.restriction import MASKS
from modscope.analysis.plane.energy import TERMS
from modscope.report.chart import ColourBar, chart, panels
from modscope.report.look import Look
from modscope.report.marks import Bars, Dots, Heat, Labels, Line, Mark, Rule, Steps
from modscope.report.scales import Axis, axis_over, share_tick
from modscope.report.style import TERM_COLOURS, colour_of
from modscope.report.words import answer, loss_text, number_text, percent

__all__ = ["draw_energy", "draw_leads", "draw_logits", "draw_losses", "rows_axis"]


def rows_axis(names: list[str], label: str = "") -> Axis:
    """A vertical axis of named rows, the first at the top."""
    ticks = tuple((float(i), name) for i, name in enumerate(names))
    return Axis(-0.6, len(names) - 0.4, label, ticks=ticks, downwards=True)


def draw_logits(look: Look, offsets: np.ndarray) -> Markup:
    """The mean logit at each offset, and the share of the logits that each cosine of a + b - c explains."""
    fit = look.summary.fit
    assert fit is not None
    keys = look.summary.keys.frequencies
    n, half = fit.n, fit.n // 2
    d = np.arange(-half, n - half)
    dots = Dots(d, offsets[d % n], "var(--key-1)", said=[f"offset {i}: {offsets[i % n]:.3g}" for i in d])
    marks: list[Mark] = [dots]
    legend = [("var(--key-1)", "mean logit of the network")]
    values = [offsets]
    if keys:
        curve = fit.curve(keys) + float(fit.alpha.sel(k=0))
        marks.insert(0, Line(d, curve[d % n], "var(--ink)", 1.0))
        legend.append(("var(--ink)", f"α₀ + {len(keys)} cosines α_k cos w_k d"))
        values.append(curve)
    profile = chart(
        marks,
        x=Axis(
            -half - 0.5,
            n - half - 0.5,
            f"d = {answer(look.summary)}−c, distance of the logit from the answer",
        ),
        y=axis_over(np.concatenate(values), "logit", grid=True),
        title="the logits add up at the answer",
        legend=legend,
        height=240,
    )
    return panels(profile, _cosine_shares(look))


def _cosine_shares(look: Look) -> Markup:
    fit, keys = look.summary.fit, look.summary.keys.frequencies
    assert fit is not None
    fve = fit.fve.fillna(0.0)
    shown = keys or tuple(int(k) for k in np.sort(np.argsort(-fve.values)[:5]))
    shares = [float(fve.sel(k=k)) for k in shown]
    alphas = [f"α = {number_text(float(fit.alpha.sel(k=k)))}" for k in shown]
    rows = list(range(len(shown)))
    return chart(
        [
            Bars(rows, shares, [colour_of(k, look.colours) for k in shown], across=True),
            Labels(shares, rows, alphas, anchor="start", dx=4, dy=4),
        ],
        x=axis_over(shares, "share of the logits' variance", zero=True, margin=0.32, form=share_tick),
        y=rows_axis([str(k) for k in shown], "frequency k"),
        title="what each cosine explains",
        height=80 + 26 * len(rows),
    )


def draw_losses(look: Look) -> Markup:
    """Loss with only the key frequencies kept and with them taken out, on logarithmic axes."""
    summary = look.summary
    masks = [
        (mask, {"only the part kept": r.restricted_loss.all, "without it": r.excluded_loss.all}, "var(--ink)")
        for mask in MASKS
        if (r := summary.restrictions.get(mask)) is not None
    ]
    single = [
        (f"without {k}", {"without it": scores.all}, colour_of(k, look.colours))
        for k, scores in summary.excluded_by_frequency.items()
    ]
    charts = [_loss_rows(look, masks, "all key frequencies, by mask: ● kept, ○ taken out")]
    if single:
        charts.append(_loss_rows(look, single, "one key frequency taken out"))
    return panels(*charts)


def _loss_rows(look: Look, rows: Sequence[tuple[str, Mapping[str, float | None], str]], title: str) -> Markup:
    network, guessing = look.summary.loss.all, float(np.log(look.summary.p))
    marks: list[Mark] = []
    found = [network, guessing]
    for i, (name, losses, colour) in enumerate(rows):
        shown = {what: v for what, v in losses.items() if v is not None and np.isfinite(v) and v > 0}
        if len(shown) == 2:
            marks.append(Line([*shown.values()], [i, i], "var(--grid)", 1.2))
        for what, value in shown.items():
            said = [f"{name}, {what}: loss {loss_text(value)}"]
            marks.append(Dots([value], [i], colour, 5, ring=what == "without it", said=said))
        found += shown.values()
    marks += [Rule(network, "the network"), Rule(guessing, "guessing")]
    return chart(
        marks,
        x=axis_over(found, "loss over all pairs (nats)", log=True, margin=0.08),
        y=rows_axis([name for name, *_ in rows]),
        title=title,
        height=110 + 22 * len(rows),
    )


def draw_energy(look: Look) -> Markup:
    """Hook by hook: the energy on each kind of term as stacked bars, the even fraction as dots."""
    energy, even = look.summary.energy, look.summary.even
    hooks = list(energy)
    rows = list(range(len(hooks)))
    foot, marks = np.zeros(len(hooks)), list[Mark]()
    labels = {"linear": "a alone, b alone", "sum": "a + b", "difference": "a − b", "cross": "other products"}
    for term in TERMS:
        shares = np.nan_to_num(np.array([energy[hook].shares()[term] for hook in hooks]))
        said = [
            f"{hook}, {labels[term]}: {percent(share)}"
            for hook, share in zip(hooks, shares.tolist(), strict=True)
        ]
        ends = (foot + shares).tolist()
        marks.append(Bars(rows, ends, TERM_COLOURS[term], base=foot.tolist(), across=True, said=said))
        foot = foot + shares
    height = 110 + 19 * len(hooks)
    bars = chart(
        marks,
        x=Axis(0, 1, "share of the energy over all pairs", form=share_tick),
        y=rows_axis(hooks),
        legend=[(TERM_COLOURS[term], labels[term]) for term in TERMS],
        title="what each activation depends on",
        height=height,
    )
    values = [even[hook] if even[hook] is not None else float("nan") for hook in hooks]
    dots = chart(
        [
            Rule(0.5, "white noise"),
            Dots(
                values,
                rows,
                "var(--plain)",
                4.5,
                said=[f"{h}: {percent(v)}" for h, v in zip(hooks, values, strict=True)],
            ),
        ],
        x=Axis(
            -0.03,
            1.03,
            "even about c/2",
            ticks=tuple((s, share_tick(s)) for s in (0, 0.25, 0.5, 0.75, 1)),
            grid=True,
        ),
        y=rows_axis(hooks),
        height=height - 18,
        title="how even it is",
    )
    return panels(bars, dots)


def draw_leads(look: Look) -> Markup:
    """The loss of every pair on a logarithmic scale, and how far the right logit is above the next one."""
    table = look.summary.examples
    first, second = (str(name) for name in table.loss.dims)
    with np.errstate(divide="ignore"):
        level = np.log10(np.maximum(table.loss.values, 1e-300))
    finite = level[np.isfinite(level)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
    n = level.shape[0]
    heat = chart(
        [Heat(level, low, high)],
        x=Axis(-0.5, n - 0.5, second),
        y=Axis(-0.5, n - 0.5, first, downwards=True),
        square=True,
        title="loss of every pair",
        bar=ColourBar(low, high, "log₁₀ loss"),
        name="examples",
    )
    return panels(heat, _lead_histogram(look))


def _lead_histogram(look: Look) -> Markup:
    table = look.summary.examples
    leads = table.lead.values
    finite = leads[np.isfinite(leads)]
    edges = np.histogram_bin_edges(finite if finite.size else np.zeros(1), 60)
    marks: list[Mark] = []
    legend, top = [], [0.0]
    for name, colour, label in (
        ("train", "var(--key-2)", "training pairs"),
        ("test", "var(--key-1)", "other pairs"),
        ("", "var(--key-1)", "all pairs"),
    ):
        wanted = leads[table.split.values == name]
        if wanted.size and np.isfinite(wanted).all():
            heights = np.histogram(wanted, edges, density=True)[0]
            marks.append(Steps(edges, heights, colour))
            legend.append((colour, label))
            top += heights.tolist()
    x = axis_over(edges, "lead: the answer's logit minus the largest other one", zero=True)
    return chart(
        [*marks, Rule(0.0, "wrong | right", inside=False)],
        x=x,
        y=Axis(0, max(top) * 1.05 or 1.0, "share of the pairs", ticks=()),
        title="how far right answers are from wrong ones",
        legend=legend,
        height=300,
    )
