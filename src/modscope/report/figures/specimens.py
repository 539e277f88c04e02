"""Pictures of one wave and of one neuron."""

from __future__ import annotations

from math import gcd

import numpy as np
import xarray as xr
from markupsafe import Markup

from modscope.analysis.overview.specimens import NeuronSpecimen, WaveSpecimen
from modscope.report.chart import ColourBar, chart, panels
from modscope.report.marks import Dots, Heat, Labels, Line, Mark, Rule
from modscope.report.ramps import Ramp
from modscope.report.scales import Axis, axis_over, share_tick
from modscope.report.words import percent
from modscope.signal import resample

__all__ = ["draw_neuron", "draw_wave", "heat_chart"]


def heat_chart(
    values: np.ndarray,
    *,
    x: str,
    y: str,
    title: str,
    name: str,
    label: str = "",
    x_ticks: tuple[tuple[float, str], ...] | None = None,
    y_ticks: tuple[tuple[float, str], ...] | None = None,
    marks: tuple[Mark, ...] = (),
) -> Markup:
    """A matrix as a heat map, row 0 at the top: zero is white where both signs occur, else the palest colour."""
    finite = values[np.isfinite(values)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
    signed = low < 0 < high
    if signed:
        high = max(-low, high)
        low = -high
    else:
        low, high = min(low, 0.0) if low >= 0 else low, max(high, 0.0) if high <= 0 else high
    ramp: Ramp = "diverging" if signed else "sequential"
    rows, columns = values.shape
    return chart(
        [Heat(values, low, high, ramp), *marks],
        x=Axis(-0.5, columns - 0.5, x, ticks=x_ticks),
        y=Axis(-0.5, rows - 0.5, y, ticks=y_ticks, downwards=True),
        title=title,
        square=True,
        bar=ColourBar(low, high, label, ramp),
        name=name,
    )


def draw_wave(specimen: WaveSpecimen) -> Markup:
    """One row of a feature in the order (c, a), turned so that c/2 is in the middle, and the whole feature."""
    rows = specimen.picture.values
    picture = heat_chart(
        rows - rows.mean(axis=1, keepdims=True),
        x="a",
        y="c",
        title=f"{specimen.hook}, feature {specimen.feature}, in the order (c, a)",
        name="wave",
        marks=(Rule(specimen.c, f"c = {specimen.c}", level=True, colour="#111"),),
    )
    return panels(_row_chart(specimen), picture)


def _row_chart(specimen: WaveSpecimen) -> Markup:
    n, fine = len(specimen.row), 16
    middle = specimen.fixed[0]
    curve = resample(specimen.row.astype(np.float64), 0, n * fine)
    place = np.arange(n * fine) / fine

    def turned(a: np.ndarray) -> np.ndarray:
        return (a - middle + n / 2) % n - n / 2

    order = np.argsort(turned(place), kind="stable")
    a = np.arange(n)
    at = turned(a)
    said = [f"a = {i}: {v:.4g}" for i, v in zip(a, specimen.row, strict=True)]
    marks: list[Mark] = [
        Line(turned(place)[order], curve[order], "var(--plain)", 0.7),
        Dots(at, specimen.row, "var(--key-1)", 2.2, said=said),
        Dots(at, specimen.reflected, "var(--key-2)", 4, ring=True),
        Rule(0.0, f"c/2 = {specimen.fixed[0]:g}"),
        Rule(-n / 2, "c/2 + p/2"),
    ]
    return chart(
        marks,
        x=Axis(-n / 2 - 0.5, n / 2 + 0.5, "a − c/2"),
        y=axis_over(np.concatenate([curve, specimen.reflected]), "activation", grid=True),
        title=f"the row c = {specimen.c}",
        height=330,
        legend=(
            ("var(--key-1)", "the row"),
            ("var(--key-2)", "the row read backwards"),
            ("var(--plain)", "between the residues"),
        ),
    )


def draw_neuron(specimen: NeuronSpecimen) -> Markup:
    """One neuron before and after the activation function, over (a, b), and the terms that it is made of."""
    planes = {"mlp_pre": specimen.pre_power, "mlp_post": specimen.post_power}
    pictures = {"mlp_pre": specimen.pre, "mlp_post": specimen.post}
    charts = []
    for hook, picture in pictures.items():
        charts.append(_neuron_picture(picture.values, specimen.frequency, hook))
        charts.append(_terms_chart(planes[hook], hook))
    return panels(*charts)


def _neuron_picture(values: np.ndarray, k: int, hook: str) -> Markup:
    """A picture over (a, b) with both sorted by their angle at frequency k, where that tells them apart."""
    n = len(values)
    if k == 0 or gcd(k, n) != 1:
        return heat_chart(values, x="b", y="a", title=f"{hook} over all pairs", name=hook)
    by_angle = np.argsort(k * np.arange(n) % n)
    ticks = ((0.0, "0"), (n / 2, "π"), (n - 1.0, "2π"))
    return heat_chart(
        values[np.ix_(by_angle, by_angle)],
        x=f"b, by the angle {k}b",
        y=f"a, by the angle {k}a",
        title=f"{hook} over all pairs",
        name=hook,
        x_ticks=ticks,
        y_ticks=ticks,
    )


def _terms_chart(plane: xr.DataArray, hook: str, *, count: int = 8, least: float = 0.002) -> Markup:
    """The strongest waves of a picture over (a, b), as dots at (k_a, k_b) whose area is their share."""
    energy = plane.values.copy()
    energy[plane.k_a.values == 0, 0] = 0.0  # DC
    share = energy / (energy.sum() or 1.0)
    k_a, k_b = np.meshgrid(plane.k_a.values, plane.k_b.values, indexing="ij")
    seen = share > least
    xs, ys, shares = k_a[seen], k_b[seen], share[seen]
    strongest = np.argsort(-shares)
    named = [i for i in strongest[:count] if shares[i] >= 0.01]
    marks: list[Mark] = [
        Dots(
            [int(xs[i])],
            [int(ys[i])],
            "var(--key-2)" if i in named else "var(--plain)",
            float(2 + 14 * np.sqrt(shares[i])),
            opacity=0.75,
            said=[f"{_term_name(int(xs[i]), int(ys[i]))}: {percent(float(shares[i]))}"],
        )
        for i in strongest
    ]
    names = [f"{_term_name(int(xs[i]), int(ys[i]))} {percent(float(shares[i]))}" for i in named]
    marks.append(
        Labels([int(xs[i]) for i in named], [int(ys[i]) for i in named], names, dy=-12, plate="var(--card)")
    )
    rest = 1 - float(shares.sum())
    low, high = int(plane.k_a.values[0]), int(plane.k_a.values[-1])
    top = int(plane.k_b.values[-1])
    keys = sorted({abs(int(xs[i])) for i in named} | {int(ys[i]) for i in named} | {0})
    x_ticks = tuple(
        (float(s * k), f"{s * k:g}".replace("-", "−")) for s in (-1, 1) for k in keys if low <= s * k <= high
    )
    return chart(
        marks,
        x=Axis(low - 3, high + 3, "frequency along a", ticks=tuple(sorted(set(x_ticks))), grid=True),
        y=Axis(
            -3,
            top + 6,
            "frequency along b",
            ticks=tuple((float(k), str(k)) for k in keys if k <= top),
            grid=True,
        ),
        title=f"the waves in {hook}"
        + (f" (weaker ones: {share_tick(round(rest, 3))})" if rest > 0.0005 else ""),
        height=300,
    )


def _term_name(k_a: int, k_b: int) -> str:
    if k_b == 0:
        return f"{abs(k_a)}a"
    if k_a == 0:
        return f"{k_b}b"
    if abs(k_a) == k_b:
        return f"{k_b}(a+b)" if k_a > 0 else f"{k_b}(a−b)"
    return f"{k_a}a+{k_b}b".replace("-", "−")
