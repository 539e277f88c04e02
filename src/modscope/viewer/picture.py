"""Still pictures and tables of a view as it starts, drawn by matplotlib."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from modscope.viewer import expressions
from modscope.viewer.marks import environment

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from modscope.viewer.view import View

__all__ = ["drawn", "in_few_colours", "table"]

COLOURS = (
    "#0072B2",
    "#D55E00",
    "#00855F",
    "#B85C93",
    "#A06A00",
    "#2F86BF",
    "#1b1f24",
    "#857A00",
    "#5B4B9A",
    "#6B7280",
)
_MARK = "#B5179E"
_MOST_CELLS = 64


def _shown(view: View, n: int, keep: list[str]) -> list[tuple[str, np.ndarray]]:
    """Name and values over the axes `keep` of each line of a view, as it starts."""
    spec = view.views[n]
    out = []
    for i, line in enumerate(spec["lines"]):
        if i in spec["state"]["hide"]:
            continue
        tensor = view.tensors[line["t"]]
        at = {**spec["state"]["index"], **line.get("fix", {})}
        place = tuple(slice(None) if dim in keep else at[dim] for dim in tensor.dims)
        left = [dim for dim in tensor.dims if dim in keep]
        out.append((line["name"], tensor.values[place].transpose([left.index(dim) for dim in keep])))
    return out


def _spectrum(wave: np.ndarray, quantity: str) -> np.ndarray:
    """Numbers over k = 0..n//2; gaps count as the mean. Here for any length, `signal.spectrum` needs p >= 3."""
    n = len(wave)
    finite = np.isfinite(wave)
    filled = np.where(finite, wave, wave[finite].mean() if finite.any() else 0.0)
    single = np.array([k == 0 or 2 * k == n for k in range(n // 2 + 1)])
    c = np.fft.rfft(filled.astype(np.float64)) / n * np.where(single, 1, 2)
    power = np.abs(c) ** 2 * np.where(single, 1, 0.5)
    match quantity:
        case "power":
            return power
        case "db":
            return 10 * np.log10(np.maximum(power, 1e-20))
        case "phase":
            return np.angle(c)
        case "share":
            power[0] = 0
            return power / (power.sum() or 1.0)
    return np.abs(c)


def table(view: View, n: int) -> tuple[list[str], list[list[Any]]]:
    """Head and rows of the numbers that a view shows as it starts."""
    spec = view.views[n]
    state = spec["state"]
    x, mode = state["x"], state["mode"]
    if mode in ("heatmap", "spectrum2d", "multiples", "ridge"):
        y = state["y"] if mode in ("heatmap", "spectrum2d") else state["grid"]
        values = _shown(view, n, [y, x])[0][1]
        head = [f"{y}\\{x}", *(_label(spec, x, i) for i in range(values.shape[1]))]
        return head, [[_label(spec, y, i), *map(float, row)] for i, row in enumerate(values)]
    waves = _shown(view, n, [x])
    if mode == "spectrum":
        quantity = state.get("quantity", "amplitude")
        columns = [(f"{name} {quantity}", _spectrum(wave, quantity)) for name, wave in waves]
        head = ["k", *(name for name, _ in columns)]
        return head, [[k, *(float(c[k]) for _, c in columns)] for k in range(len(columns[0][1]))]
    size = len(waves[0][1])
    return [x, *(name for name, _ in waves)], [
        [_label(spec, x, i), *(float(wave[i]) for _, wave in waves)] for i in range(size)
    ]


def _label(spec: Mapping[str, Any], dim: str, at: int) -> str:
    if dim in spec["labels"]:
        return str(spec["labels"][dim][at])
    return format(spec["coords"][dim][at], "g") if dim in spec["coords"] else str(at)


def _caption(spec: Mapping[str, Any]) -> str:
    state = spec["state"]
    open_ = [state["x"]] + ([state["y"]] if state["mode"] in ("heatmap", "spectrum2d") else [])
    parts = [
        ":" if dim in open_ else f"{dim}={_label(spec, dim, state['index'][dim])}" for dim in spec["dims"]
    ]
    return f"{spec['name']}[{', '.join(parts)}]"


def _looked_up(tabulated: Mapping[str, Any], index: Mapping[str, int]) -> Any:
    at = 0
    for axis, size in zip(tabulated["axes"], tabulated["shape"], strict=True):
        at = at * size + index[axis]
    return tabulated["values"][at]


def _names(spec: Mapping[str, Any]) -> dict[str, float]:
    coords = spec["coords"]
    at = {dim: coords[dim][i] if dim in coords else i for dim, i in spec["state"]["index"].items()}
    return environment(at, spec["p"], spec["operation"])


def _message(spec: Mapping[str, Any]) -> str:
    if not spec["message"]:
        return ""
    if "table" in spec["message"]:
        return str(_looked_up(spec["message"]["table"], spec["state"]["index"]))
    return expressions.filled(spec["message"]["template"], _names(spec))


def _marks(spec: Mapping[str, Any]) -> list[tuple[str, float | None]]:
    names, index = _names(spec), spec["state"]["index"]
    return [
        (
            m["label"],
            _looked_up(m["table"], index) if "table" in m else expressions.evaluate(m["expr"], names),
        )
        for m in spec["markers"]
    ]


def in_few_colours(png: bytes) -> bytes:
    """The PNG with a palette of 64 colours: a third of the bytes, for a line drawing the same picture."""
    from PIL import Image  # matplotlib writes its own PNG with it

    out = io.BytesIO()
    Image.open(io.BytesIO(png)).convert("RGB").quantize(64).save(out, "PNG", optimize=True)
    return out.getvalue()


def drawn(view: View, *, dpi: int, kind: str) -> bytes:
    """The bytes of a picture with every view of an output as it starts."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    across = min(view.across, len(view.views))
    down = -(-len(view.views) // across)
    tall = [_is_tall(spec) for spec in view.views]
    figure = Figure(figsize=((9.0 if across == 1 else 6.2 * across), down * (6.2 if any(tall) else 3.7)))
    FigureCanvasAgg(figure)
    parts = np.atleast_1d(figure.subfigures(down, across, squeeze=False)).reshape(-1)
    for n, part in enumerate(parts[: len(view.views)]):
        _one(view, n, part)
    out = io.BytesIO()
    figure.savefig(out, format=kind, dpi=dpi, metadata={"Date": None} if kind == "svg" else None)
    return out.getvalue()


def _is_tall(spec: Mapping[str, Any]) -> bool:
    return spec["state"]["mode"] not in ("wave", "spectrum")


def _one(view: View, n: int, part: Any) -> None:
    spec = view.views[n]
    mode = spec["state"]["mode"]
    rows = 2 if mode == "both" else 1
    axes = part.subplots(rows, 1, squeeze=False, gridspec_kw={"hspace": 0.42})[:, 0]
    part.subplots_adjust(
        left=0.1, right=0.96, top=0.78 if rows == 1 else 0.86, bottom=0.14 if rows == 1 else 0.08
    )
    part.text(
        0.02, 0.97, spec["title"] or spec["name"], va="top", fontsize=12, fontweight="bold", color="#1b1f24"
    )
    part.text(0.02, 0.9, _caption(spec), va="top", fontsize=8.5, family="monospace", color="#57606a")
    part.text(0.98, 0.97, _message(spec), va="top", ha="right", fontsize=11, fontweight="bold", color=_MARK)
    if mode in ("wave", "both"):
        _wave(view, n, axes[0])
    if mode in ("spectrum", "both"):
        _bars(view, n, axes[-1])
    if mode in ("heatmap", "spectrum2d", "multiples", "ridge"):
        _picture(view, n, axes[0], part)


def _clean(ax: Axes) -> None:
    ax.spines[["top", "right", "left"]].set_visible(False)
    ax.spines["bottom"].set_color("#8b949e")
    ax.tick_params(length=3, color="#8b949e", labelcolor="#57606a", labelsize=8.5)
    ax.grid(axis="y", color="#e8ebef", linewidth=0.8)
    ax.set_axisbelow(True)


def _wave(view: View, n: int, ax: Axes) -> None:
    spec = view.views[n]
    x = spec["state"]["x"]
    waves = _shown(view, n, [x])
    for i, (name, wave) in enumerate(waves):
        ax.plot(wave, color=COLOURS[i], linewidth=1.4, marker=".", markersize=3.5, label=name)
    size = len(waves[0][1])
    if x in ("a", "b", "token"):
        names = _names(spec)
        for text in spec["symmetry"]:
            ax.axvline(
                expressions.evaluate(text, names) % size, color=_MARK, linestyle=(0, (5, 4)), linewidth=1
            )
    marks = [(label, at % size) for label, at in _marks(spec) if at is not None and np.isfinite(at)]
    for (label, place), level in zip(marks, _levels(marks, size), strict=True):
        ax.annotate(
            label,
            (place, 1),
            xytext=(0, 1 + 10 * level),
            xycoords=("data", "axes fraction"),
            textcoords="offset points",
            ha="center",
            va="bottom",
            color=_MARK,
            fontsize=8.5,
        )
        y = np.interp(place, np.arange(size), waves[0][1], period=size)
        ax.plot([place], [y], "o", markerfacecolor="white", markeredgecolor=_MARK, markersize=6)
    if len(waves) > 1:
        ax.legend(frameon=False, fontsize=8.5, loc="center left", bbox_to_anchor=(1.0, 0.5))
        ax.figure.subplots_adjust(right=0.84)
    ax.set_xlabel(x)
    ax.margins(x=0.01)
    _clean(ax)


def _levels(marks: list[tuple[str, float]], size: int) -> list[int]:
    """A level for each label so that no two on one level touch; a character takes about 1/90 of the width."""
    ends: list[float] = []
    levels = [0] * len(marks)
    for i in sorted(range(len(marks)), key=lambda i: marks[i][1] - len(marks[i][0]) * size / 180):
        label, place = marks[i]
        half = (len(label) + 1) * size / 180
        level = next((n for n, end in enumerate(ends) if place - half >= end), len(ends))
        ends[level : level + 1] = [place + half]
        levels[i] = level
    return levels


def _bars(view: View, n: int, ax: Axes) -> None:
    spec = view.views[n]
    x, quantity = spec["state"]["x"], spec["state"].get("quantity", "amplitude")
    waves = _shown(view, n, [x])
    width = 0.75 / len(waves)
    for i, (name, wave) in enumerate(waves):
        values = _spectrum(wave, "amplitude" if quantity == "cossin" else quantity)
        k = np.arange(len(values))[1:]
        ax.bar(k + (i - (len(waves) - 1) / 2) * width, values[1:], width, color=COLOURS[i], label=name)
    for k in spec["keys"]:
        ax.annotate(
            f"{k}",
            (k, 1),
            xycoords=("data", "axes fraction"),
            ha="center",
            va="bottom",
            color=_MARK,
            fontsize=8.5,
        )
    ax.set_xlabel(f"frequency k of {x}")
    ax.set_ylabel("amplitude" if quantity == "cossin" else quantity)
    _clean(ax)


def _picture(view: View, n: int, ax: Axes, part: Any) -> None:
    spec = view.views[n]
    state = spec["state"]
    mode, x = state["mode"], state["x"]
    y = state["y"] if mode in ("heatmap", "spectrum2d") else state["grid"]
    values = _shown(view, n, [y, x])[0][1]
    extent = None
    if mode == "spectrum2d":
        values = np.abs(np.fft.fftshift(np.fft.fft2(np.nan_to_num(values)))) / values.size
        rows, columns = (np.asarray(values.shape) // 2).tolist()
        values[rows, columns] = 0
        extent = (-columns - 0.5, values.shape[1] - columns - 0.5, values.shape[0] - rows - 0.5, -rows - 0.5)
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    signed = low < 0 < high
    reach = max(-low, high)
    limits = {"vmin": -reach, "vmax": reach, "cmap": "RdBu_r"} if signed else {"cmap": "magma_r"}
    square = mode in ("heatmap", "spectrum2d")
    image = ax.imshow(
        values, aspect="equal" if square else "auto", interpolation="nearest", extent=extent, **limits
    )
    bar = part.colorbar(image, ax=ax, shrink=0.85)
    bar.outline.set_visible(False)
    bar.ax.tick_params(labelsize=8.5)
    of = "frequency of " if mode == "spectrum2d" else ""
    ax.set(xlabel=f"{of}{x}", ylabel=f"{of}{y}")
    ax.tick_params(length=3, labelsize=8.5)
