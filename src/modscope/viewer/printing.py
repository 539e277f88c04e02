"""A view as a figure for print: exact size in inches, fonts in points, text that stays text."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import numpy as np

from modscope.errors import InputError, UnknownName
from modscope.viewer.picture import COLOURS, _is_tall, _marks, _shown, _spectrum

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from modscope.viewer.view import View

__all__ = ["KINDS", "printed"]

KINDS = ("svg", "pdf", "png")
_DASHES = ("-", "--", ":", "-.")


def printed(
    view: View, kind: str, *, width: float, height: float | None, size: float, font: str, dpi: int
) -> bytes:
    """The bytes of the first view as it starts, `width` by `height` inches, text of `size` points."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    if kind not in KINDS:
        raise UnknownName.of("kind of figure", kind, KINDS)
    if len(view.views) != 1:
        raise InputError(f"{len(view.views)} views in one output: expected one, each is a figure of its own")
    for name, value in (("width", width), ("height", height or width), ("size", size), ("dpi", dpi)):
        if not 0 < value < 1e4:
            raise InputError(f"{name} = {value!r}: expected a number above 0")
    spec = view.views[0]
    tall = height or width * (0.85 if _is_tall(spec) else 0.45)
    with mpl.rc_context(_style(size, font)):
        figure = Figure(figsize=(width, tall), layout="constrained")
        _draw(view, figure)
        if spec["title"]:
            figure.suptitle(spec["title"], fontsize=size)
        out = io.BytesIO()
        date: dict[str, Any] = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}.get(kind, {})
        figure.savefig(out, format=kind, dpi=dpi, metadata=date or None)
    return out.getvalue()


def _style(size: float, font: str) -> Any:
    return {
        "font.family": [font],
        "font.size": size,
        "axes.titlesize": size,
        "axes.labelsize": size,
        "xtick.labelsize": 0.9 * size,
        "ytick.labelsize": 0.9 * size,
        "legend.fontsize": 0.9 * size,
        "axes.linewidth": 0.6,
        "xtick.major.width": 0.6,
        "ytick.major.width": 0.6,
        "lines.linewidth": 0.9,
        "svg.fonttype": "none",
        "svg.hashsalt": "modscope",
        "pdf.fonttype": 42,
    }


def _draw(view: View, figure: Figure) -> None:
    mode = view.views[0]["state"]["mode"]
    if mode in ("heatmap", "spectrum2d"):
        _heatmap(view, figure.subplots())
        return
    if mode not in ("wave", "spectrum", "both"):
        raise InputError(
            f"mode {mode!r} is none for print: expected wave, spectrum, both, heatmap or spectrum2d"
        )
    axes = figure.subplots(2 if mode == "both" else 1, 1, squeeze=False)[:, 0]
    if mode != "spectrum":
        _wave(view, axes[0])
    if mode != "wave":
        _bars(view, axes[-1])


def _wave(view: View, ax: Axes) -> None:
    spec = view.views[0]
    x = spec["state"]["x"]
    waves = _shown(view, 0, [x])
    for i, (name, wave) in enumerate(waves):
        ax.plot(wave, _DASHES[i % len(_DASHES)], color=COLOURS[i], label=name)
    ax.set_xlabel(x)
    ax.set_ylabel(spec["name"] if len(waves) == 1 else "")
    size = len(waves[0][1])
    for label, at in _marks(spec):
        if at is not None and np.isfinite(at):
            ax.axvline(at % size, color="#888888", linewidth=0.5, linestyle=(0, (2, 2)))
            ax.annotate(label, (at % size, 1), xycoords=("data", "axes fraction"), ha="center", va="bottom")
    if len(waves) > 1:
        ax.legend(frameon=False, loc="upper right")
    ax.margins(x=0.01)
    ax.spines[["top", "right"]].set_visible(False)


def _bars(view: View, ax: Axes) -> None:
    spec = view.views[0]
    state = spec["state"]
    quantity = {"cossin": "amplitude"}.get(
        state.get("quantity", "amplitude"), state.get("quantity", "amplitude")
    )
    waves = _shown(view, 0, [state["x"]])
    wide = 0.8 / len(waves)
    for i, (name, wave) in enumerate(waves):
        values = _spectrum(wave, quantity)[1:]
        k = np.arange(1, len(values) + 1)
        ax.bar(k + (i - (len(waves) - 1) / 2) * wide, values, wide, color=COLOURS[i], label=name)
    for k in spec["keys"]:
        ax.annotate(str(k), (k, 1), xycoords=("data", "axes fraction"), ha="center", va="bottom")
    ax.set(xlabel=f"frequency k of {state['x']}", ylabel=quantity)
    if len(waves) > 1:
        ax.legend(frameon=False, loc="upper right")
    ax.spines[["top", "right"]].set_visible(False)


def _heatmap(view: View, ax: Axes) -> None:
    spec = view.views[0]
    state = spec["state"]
    values, of, extent = _shown(view, 0, [state["y"], state["x"]])[0][1], "", None
    if state["mode"] == "spectrum2d":
        values = np.abs(np.fft.fftshift(np.fft.fft2(np.nan_to_num(values)))) / values.size
        rows, columns = (n // 2 for n in values.shape)
        values[rows, columns] = 0
        extent = (-columns - 0.5, values.shape[1] - columns - 0.5, values.shape[0] - rows - 0.5, -rows - 0.5)
        of = "frequency of "
    reach = float(np.nanmax(np.abs(values)))
    signed = float(np.nanmin(values)) < 0 < float(np.nanmax(values))
    limits: dict[str, Any] = (
        {"vmin": -reach, "vmax": reach, "cmap": "RdBu_r"} if signed else {"cmap": "magma_r"}
    )
    image = ax.imshow(values, interpolation="nearest", extent=extent, rasterized=True, **limits)
    ax.figure.colorbar(image, ax=ax, shrink=0.9)
    ax.set(xlabel=of + state["x"], ylabel=of + state["y"])
