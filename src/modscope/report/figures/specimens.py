"""Pictures of one wave and of one neuron."""

from __future__ import annotations

from math import gcd
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from modscope.analysis.overview.specimens import NeuronSpecimen, WaveSpecimen
from modscope.report.style import MUTED, PLAIN, WIDTH, svg
from modscope.signal import resample

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


__all__ = ["draw_neuron", "draw_wave"]


def draw_wave(specimen: WaveSpecimen) -> str:
    """One feature in the order (c, a), and one of its rows, turned so that c/2 is in the middle."""

    def draw(figure: Figure) -> None:
        left, right = figure.subplots(1, 2, width_ratios=(1, 1.75))
        n = len(specimen.row)
        rows = specimen.picture.values
        _heat(left, rows - rows.mean(axis=1, keepdims=True), xlabel="a", ylabel="c")
        left.set_title(f"{specimen.hook}, feature {specimen.feature}, row means removed")
        left.axhline(specimen.c, color="black", linewidth=0.9)
        _draw_row(right, specimen)
        right.set_title(f"the row c = {specimen.c}")
        right.annotate(
            f"c/2 = {specimen.fixed[0]:g}",
            (0, 1),
            (4, -4),
            xycoords=("data", "axes fraction"),
            textcoords="offset points",
            va="top",
        )
        right.annotate(
            f"c/2 + {n}/2",
            (-n / 2, 1),
            (4, -4),
            xycoords=("data", "axes fraction"),
            textcoords="offset points",
            va="top",
        )

    return svg(draw, size=(WIDTH, 3.6), name="wave")


def _draw_row(axes: Axes, specimen: WaveSpecimen) -> None:
    n, fine = len(specimen.row), 16
    middle = specimen.fixed[0]
    curve = resample(specimen.row.astype(np.float64), 0, n * fine)
    place = np.arange(n * fine) / fine

    def turned(a: np.ndarray) -> np.ndarray:
        return (a - middle + n / 2) % n - n / 2

    order = np.argsort(turned(place), kind="stable")
    axes.plot(turned(place)[order], curve[order], color=PLAIN, linewidth=0.6, label="between the residues")
    a = np.arange(n)
    axes.plot(turned(a), specimen.row, "o", color="#0a0c01", markersize=3.4, label="the row")
    axes.plot(
        turned(a),
        specimen.reflected,
        "o",
        markersize=6,
        markerfacecolor="none",
        markeredgecolor="#0a0c02",
        markeredgewidth=0.8,
        label="the row read backwards",
    )
    for fixed in (0.0, -n / 2, n / 2):
        axes.axvline(fixed, color=MUTED, linewidth=0.9, linestyle=(0, (4, 3)))
    axes.margins(y=0.16)
    axes.set(xlabel="a − c/2", ylabel="activation", xlim=(-n / 2 - 0.5, n / 2 + 0.5))
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=3)


def _heat(axes: Axes, values: np.ndarray, *, xlabel: str, ylabel: str) -> None:
    """A picture around its mean, blue below and red above."""
    centred = values - np.nanmean(values)
    top = float(np.abs(centred).max()) or 1.0
    axes.imshow(
        centred, cmap="RdBu_r", vmin=-top, vmax=top, origin="lower", interpolation="nearest", aspect="equal"
    )
    axes.set(xlabel=xlabel, ylabel=ylabel)


def _turned_picture(axes: Axes, values: np.ndarray, k: int) -> None:
    """A picture over (a, b) with both sorted by their angle at frequency k, where that tells them apart."""
    n = len(values)
    if k == 0 or gcd(k, n) != 1:
        _heat(axes, values, xlabel="b", ylabel="a")
        return
    by_angle = np.argsort(k * np.arange(n) % n)
    _heat(
        axes,
        values[np.ix_(by_angle, by_angle)],
        xlabel=f"b, by the angle {k}b",
        ylabel=f"a, by the angle {k}a",
    )
    axes.set_xticks([0, n / 2, n - 1], ["0", "π", "2π"])
    axes.set_yticks([0, n / 2, n - 1], ["0", "π", "2π"])


def draw_neuron(specimen: NeuronSpecimen) -> str:
    """One neuron before and after the activation function, over (a, b) and over (k_a, k_b)."""

    def draw(figure: Figure) -> None:
        grid = figure.subplots(2, 2, width_ratios=(1, 1.9))
        rows = (
            ("mlp_pre", specimen.pre, specimen.pre_power),
            ("mlp_post", specimen.post, specimen.post_power),
        )
        for (left, right), (hook, picture, plane) in zip(grid, rows, strict=True):
            _turned_picture(left, picture.values, specimen.frequency)
            left.set_title(hook)
            _spectrum_map(right, plane)
            right.set_title(f"strength of each wave cos 2π(k_a a + k_b b)/p in {hook}")
            _mark_terms(right, plane)

    return svg(draw, size=(WIDTH, 6.0), name="neuron")


def _spectrum_map(axes: Axes, plane: xr.DataArray) -> None:
    energy = plane.values.copy()
    energy[plane.k_a.values == 0, 0] = 0.0  # DC
    with np.errstate(divide="ignore"):
        level = 10 * np.log10(energy.T / (energy.max() or 1.0))
    k_a, k_b = plane.k_a.values, plane.k_b.values
    axes.imshow(
        np.maximum(level, -50),
        cmap="cividis",
        vmin=-50,
        vmax=0,
        origin="lower",
        interpolation="nearest",
        aspect="equal",
        extent=(k_a[0] - 0.5, k_a[-1] + 0.5, k_b[0] - 0.5, k_b[-1] + 0.5),
    )
    axes.set(xlabel="k_a", ylabel="k_b")


def _mark_terms(axes: Axes, plane: xr.DataArray, count: int = 6) -> None:
    """Names the strongest terms of a spectrum, with their shares."""
    energy = plane.values.copy()
    energy[plane.k_a.values == 0, 0] = 0.0
    total = energy.sum() or 1.0
    for index in np.argsort(-energy, axis=None)[:count]:
        i, j = np.unravel_index(index, energy.shape)
        share = energy[i, j] / total
        if share < 0.01:
            continue
        k_a, k_b = int(plane.k_a.values[i]), int(plane.k_b.values[j])
        axes.plot(k_a, k_b, "o", markersize=7, markerfacecolor="none", markeredgecolor="white", linewidth=0.8)
        side = -1 if k_a > plane.k_a.values[-1] * 0.6 else 1
        axes.annotate(
            f"{_term_name(k_a, k_b)}  {share:.1%}",
            (k_a, k_b),
            (8 * side, _above_or_below(k_a, k_b, int(plane.k_b.values[-1]))),
            textcoords="offset points",
            ha="left" if side > 0 else "right",
            va="center",
            color="white",
            fontsize=9,
            bbox={"boxstyle": "round,pad=0.15", "facecolor": "#00204c", "edgecolor": "none", "alpha": 0.85},
        )


def _above_or_below(k_a: int, k_b: int, highest: int) -> int:
    """Where a label stands so that those of a - b, b and a + b at one height do not meet."""
    high = k_b > highest / 2
    return 9 if not high or (k_a == 0 and k_b < 0.9 * highest) else -9


def _term_name(k_a: int, k_b: int) -> str:
    if k_b == 0:
        return f"{abs(k_a)}a"
    if k_a == 0:
        return f"{k_b}b"
    if abs(k_a) == k_b:
        return f"{k_b}(a+b)" if k_a > 0 else f"{k_b}(a−b)"
    return f"{k_a}a+{k_b}b".replace("-", "−")
