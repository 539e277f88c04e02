"""From an array to a view, in one call."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal, overload

from modscope.boundary import public
from modscope.errors import InputError, UnknownName
from modscope.residues import modulus
from modscope.viewer.choices import CHOICES
from modscope.viewer.guide import guided
from modscope.viewer.inputs import PART, Tensor, index_of, lines_of
from modscope.viewer.layout import Roles, chosen_roles
from modscope.viewer.marks import circles, marker_specs, message_spec, symmetry_specs
from modscope.viewer.view import View, joined

if TYPE_CHECKING:
    from modscope.viewer.widget import ViewWidget

__all__ = ["grid", "heatmap", "show"]

_PAGE_NAMES = {"scale": "scope", "recentre": "centre", "symmetry_axes": "symmetry"}


@overload
def show(array: object, /, *, live: Literal[True], **options: Any) -> ViewWidget: ...


@overload
def show(array: object, /, *, live: Literal[False] = False, **options: Any) -> View: ...


@public
def show(
    array: object,
    /,
    *,
    x: str | int | None = None,
    play: str | int | None = None,
    y: str | int | None = None,
    rows: str | int | None = None,
    columns: str | int | None = None,
    play_with: str | int | None = None,
    select: Mapping[str, object] | None = None,
    overlay: object = None,
    dims: Sequence[str] | None = None,
    names: Sequence[str] | None = None,
    mode: str | None = None,
    markers: Sequence[object] | Mapping[str, object] | Callable[..., Any] | None = None,
    message: str | Callable[..., str] | None = None,
    labels: Mapping[str, Sequence[object]] | None = None,
    key_frequencies: Sequence[int] = (),
    p: int | None = None,
    operation: str | None = None,
    periodic: str | Sequence[str] | bool | None = None,
    offset: float | bool = 0.0,
    seconds_per_cycle: float = 10.0,
    title: str = "",
    bookmarks: Mapping[str, Mapping[str, Any]] | bool | None = None,
    mute: Sequence[int] = (),
    hide: Sequence[int] = (),
    controls: bool = True,
    height: int | None = None,
    theme: str = "auto",
    precision: str = "auto",
    live: bool = False,
    **options: Any,
) -> View | ViewWidget:
    """A view of a tensor that moves: the last residue axis as a wave, the one before it played.

    `array` is a numpy, torch or xarray array of any rank, or a list (or a mapping from name) of up to ten
    of one shape, which are drawn over each other. Axes are named by `.dims` (or by `dims=`): `x` is drawn along x,
    `play` is moved by Play, `select` sets the others, by position or label. `overlay` is more arrays, or an
    axis whose first ten indices become lines. `rows` (with `columns`) makes small multiples over axes.

    mode: wave, spectrum, both, heatmap, spectrum2d, multiples, ridge. Spectra are amplitude and phase of
    A cos(2 pi k n / p + phase), powers sum to the mean square; `quantity` is amplitude, power, db, phase,
    cossin or share. `markers` are expressions over axis names, p and the third of a, b, c
    (["a", "b", "c/2", "c/2 + p/2"]), or a callable of the indices; `message` a template such as
    "{a} + {b} = {c} (mod {p})" or a callable. Both are set by themselves for arrays over c and a. `bookmarks` maps a
    text to arguments (select, mode, ...): a button each; True offers what to look at first (even about c/2, its spectrum, one
    neuron, over training), by the axes. `precision="float32"` forbids the 16-bit packing that large arrays otherwise get,
    with a badge; "waves" keeps pictures as sums of waves, ten times as short, within 1/128 of their range. `live=True`
    gives a widget instead, whose index and hover Python sees and which
    fetches large tensors slice by slice from the kernel. `periodic` names the axes that close; unless told they are
    the axes a, b, c and token that hold all p residues. Only on those are there marks, mirror lines and smooth joins.
    `offset=True` stacks lines that lie upon each other (a number moves them apart by that share of the height). Complex
    arrays get an axis `part`: magnitude, phase, real, imaginary. Further options: quantity, scale (span, axis, slice,
    all), style (auto, curve, joins, dots), colours, yscale and xscale (linear, log, symlog), compare, sort, walk, loop,
    fold, recentre, trail, symmetry_axes, sticks, robust.

    Raises InputError for shapes that differ and UnknownName for an axis or option that is not there.

    >>> import numpy as np
    >>> view = show(np.zeros((3, 5, 7)), dims=("head", "c", "a"), select={"head": 1, "c": 2}, mode="spectrum")
    >>> view.state["x"], view.state["play"], view.state["select"]
    ('a', 'c', {'head': 1, 'c': 2, 'a': 0})
    """
    called = _names_of(array, overlay)
    array, over = _overlaid(array, overlay)
    tensors = lines_of(array, dims=dims, names=names)
    first = tensors[0]
    lines, split = _lines(tensors, over)
    free = [dim for dim in first.dims if dim != split]
    roles = chosen_roles(first.sizes, free, Roles(x, play, y, rows, columns, play_with), mode)
    given = _given(first, called, dims, names, p, operation, key_frequencies, periodic)
    modulus, operation = _modulus(first, p), _operation(first, operation)
    known = {dim: first.sizes[dim] for dim in free}
    # An axis labelled with words (const, cos 1, ...) holds no residues, whatever it is called.
    numbers = {dim: size for dim, size in known.items() if dim not in first.labels}
    closed = circles(known, {**first.labels, **_unshifted(first)}, modulus, periodic)
    indices = _indices(first, free, select or {})
    if (
        roles.play == "c"
        and "c" in closed
        and "c" not in (select or {})
        and symmetry_specs(numbers, modulus, operation)
    ):
        # At c = 0 all marks lie in one heap.
        indices["c"] = 40 * known["c"] // 113
    state = _state(options) | {
        "offset": _offset(offset),
        "index": indices,
        "x": roles.x,
        "play": roles.play,
        "y": roles.y,
        "grid": roles.rows,
        "with": roles.play_with,
        "mode": _known("mode", mode or roles.mode),
        "seconds": _positive("seconds_per_cycle", seconds_per_cycle),
        "mute": [int(k) for k in mute],
        "hide": [int(i) for i in hide],
    }
    if roles.play_with and "walk" not in state:
        state["walk"] = "odometer"
    symmetry = symmetry_specs(numbers, modulus, operation)
    marked = guided(first, free, bool(symmetry) and "c" in closed) if bookmarks is True else bookmarks or {}
    spec = {
        "title": str(title),
        "name": first.name if len(lines) == 1 else _common(lines),
        "lines": lines,
        "dims": free,
        "shape": [first.sizes[dim] for dim in free],
        "chosen": sorted(select or {}),
        "p": modulus,
        "operation": operation,
        "periodic": closed,
        "angles": {"dim": PART, "at": 1} if PART in free else None,
        "setup": _setup(called, first),
        "columns": roles.columns,
        "markers": marker_specs(
            markers, known if markers is not None else numbers, modulus, operation, indices
        ),
        "symmetry": symmetry,
        "message": message_spec(
            message, known if message is not None else numbers, modulus, operation, indices
        ),
        "labels": _labels(first, known, labels or {}),
        "coords": {dim: list(values) for dim, values in first.coords.items() if dim in known},
        "keys": [int(k) for k in key_frequencies],
        "full": bool(controls),
        "height": height,
        "bookmarks": [_bookmark(text, dict(change), first, free) for text, change in marked.items()],
        "call": f"ms.show({called or 'x'}{_told(given)}",
        "state": state,
    }
    _known("theme", theme)
    view = View(tuple(tensors), (spec,), theme=theme, precision=precision)
    return view.widget() if live else view


@public
def heatmap(
    array: object, /, *, y: str | int | None = None, x: str | int | None = None, **options: Any
) -> View:
    """A view that starts as a heat map of two axes, with cuts along the cross-hair; takes what `show` takes.

    >>> import numpy as np
    >>> heatmap(np.zeros((4, 5, 6)), dims=("d_model", "a", "b")).state["y"]
    'a'
    """
    return show(array, x=x, y=y, mode=options.pop("mode", "heatmap"), **options)


@public
def grid(*views: View | Sequence[View], columns: int | None = None, link: bool = True) -> View:
    """Several views in one output, `columns` side by side, with linked indices and cursors.

    Rows may be given as lists. Indices are linked between axes of one name and size.
    """
    rows = [[one] if isinstance(one, View) else list(one) for one in views]
    flat = [view for row in rows for view in row]
    if not flat or not all(isinstance(view, View) for view in flat):
        raise InputError(
            f"grid of {len(flat)} things: expected one view at least, as show and heatmap make them"
        )
    across = columns or (
        max(len(row) for row in rows) if any(len(r) > 1 for r in rows) else min(2, len(flat))
    )
    return joined(flat, across=across, link=link)


def _name_of(array: object) -> str | None:
    """What the caller calls an array: the name under which a frame outside of this package holds it."""
    frame = sys._getframe(1)
    while frame is not None:
        if not str(frame.f_globals.get("__name__", "")).startswith("modscope."):
            for held in (frame.f_locals, frame.f_globals):
                for name, value in list(held.items()):
                    if value is array and not name.startswith("_"):
                        return name
        frame = frame.f_back  # type: ignore[assignment]
    return None


def _names_of(array: object, overlay: object) -> str | None:
    """The caller's code for what is shown, where every array has a name."""
    more = [] if overlay is None or isinstance(overlay, str) else [overlay]
    if not more and (name := _name_of(array)):
        return name
    parts = [*(array if isinstance(array, (list, tuple)) else [array]), *more]
    names = [_name_of(part) for part in parts] if len(parts) > 1 else [None]
    return None if None in names else f"[{', '.join(str(name) for name in names)}]"


def _setup(called: str | None, tensor: Tensor) -> str:
    if called is not None:
        return "import modscope as ms"
    return (
        "import modscope as ms\nimport numpy as np\n\n"
        f"x = np.load({tensor.name + '.npy'!r})  # the array that is shown, {list(tensor.values.shape)}"
    )


def _given(
    tensor: Tensor,
    called: str | None,
    dims: Sequence[str] | None,
    names: Sequence[str] | None,
    p: int | None,
    operation: str | None,
    keys: Sequence[int],
    periodic: object,
) -> dict[str, object]:
    everything: dict[str, object] = {
        "dims": (list(tensor.dims) if called is None else None) if dims is None else list(dims),
        "names": None if names is None else list(names),
        "p": p if called is not None else tensor.p,
        "operation": operation,
        "key_frequencies": [int(k) for k in keys] or None,
        "periodic": periodic,
    }
    return {name: value for name, value in everything.items() if value is not None}


def _told(given: Mapping[str, object]) -> str:
    """Arguments of the call that are no part of the state."""
    return "".join(f", {name}={value!r}" for name, value in given.items())


def _overlaid(array: object, overlay: object) -> tuple[object, str | None]:
    if overlay is None or isinstance(overlay, str):
        return array, overlay
    more = list(overlay) if isinstance(overlay, (list, tuple)) else [overlay]
    base = list(array) if isinstance(array, (list, tuple)) else [array]
    return base + more, None


def _lines(tensors: list[Tensor], over: str | None) -> tuple[list[dict[str, Any]], str | None]:
    """What is drawn over each other: the tensors, or the indices of one axis of a single one."""
    if over is None:
        return [{"t": t, "name": tensor.name} for t, tensor in enumerate(tensors)], None
    first = tensors[0]
    if over not in first.dims:
        raise UnknownName.of("axis", over, first.dims)
    if len(tensors) > 1:
        raise InputError(
            f"overlay={over!r} with {len(tensors)} arrays: expected one array to split along an axis"
        )
    labels = first.labels.get(over) or tuple(str(i) for i in range(first.sizes[over]))
    return [
        {"t": 0, "fix": {over: i}, "name": f"{over} {label}"} for i, label in enumerate(labels[:10])
    ], over


def _common(lines: list[dict[str, Any]]) -> str:
    return " / ".join(line["name"] for line in lines) if len(lines) <= 3 else f"{len(lines)} lines"


def _unshifted(tensor: Tensor) -> dict[str, object]:
    """Axes whose coordinates are not residues that follow each other, such as 1 to p - 1."""
    return {
        dim: values
        for dim, values in tensor.coords.items()
        if any(b - a != 1 for a, b in pairwise(values)) or len(values) != tensor.p
    }


def _offset(given: float | bool) -> float:
    """How far lines are moved apart, as a share of the height of the tallest; True stacks them."""
    if not 0 <= float(given) < 100:
        raise InputError(f"offset = {given!r}: expected True or a number from 0 (1 stacks the lines)")
    return float(given)


def _modulus(tensor: Tensor, p: int | None) -> int | None:
    """The modulus given, or stated by the array, or else the size of axes that hold all residues; None where there is none.

    InputError for one given that the places of an axis do not lie below.
    """
    axes = [dim for dim in ("c", "a", "b", "token") if dim in tensor.dims and dim not in tensor.labels]
    if p is not None:
        for dim in axes:
            if dim != "token" and not _lie_below(tensor, dim, modulus(p)):
                raise InputError(
                    f"p = {p}: axis {dim} has places that are no residues: expected them from 0 to {p - 1}"
                )
        return modulus(p)
    if tensor.p is not None:
        return tensor.p if all(_lie_below(tensor, dim, tensor.p) for dim in axes if dim != "token") else None
    sizes = {tensor.sizes[dim] for dim in axes}
    return sizes.pop() if len(sizes) == 1 and not set(axes) & set(tensor.coords) else None


def _lie_below(tensor: Tensor, dim: str, p: int) -> bool:
    """Whether an axis has its places on the circle of p: its coordinates, or else its indices."""
    places = tensor.coords.get(dim) or (0, tensor.sizes[dim] - 1)
    return min(places) >= 0 and max(places) < p


def _operation(tensor: Tensor, given: str | None) -> str | None:
    operation = given or tensor.operation or "add"
    return operation if operation in ("add", "subtract") else None


def _indices(tensor: Tensor, free: list[str], select: Mapping[str, object]) -> dict[str, int]:
    for dim in select:
        if dim not in free:
            raise UnknownName.of("axis in select", dim, free)
    return {dim: index_of(tensor, dim, select.get(dim, 0)) for dim in free}


def _labels(
    tensor: Tensor, known: Mapping[str, int], given: Mapping[str, Sequence[object]]
) -> dict[str, list[str]]:
    labels = {dim: list(texts) for dim, texts in tensor.labels.items() if dim in known}
    for dim, texts in given.items():
        if dim not in known:
            raise UnknownName.of("axis in labels", dim, known)
        if len(texts) != known[dim]:
            raise InputError(f"{len(texts)} labels for axis {dim}: expected {known[dim]}")
        labels[dim] = [str(text) for text in texts]
    return labels


def _known(name: str, value: str) -> str:
    if value not in CHOICES[name]:
        raise UnknownName.of(name, value, CHOICES[name])
    return value


def _positive(name: str, value: float) -> float:
    if not 0 < float(value) < 1e6:
        raise InputError(f"{name} = {value!r}: expected a number of seconds above 0")
    return float(value)


_FLAGS = ("fold", "recentre", "trail", "symmetry_axes", "sticks", "robust")


def _state(options: Mapping[str, Any]) -> dict[str, Any]:
    state: dict[str, Any] = {}
    for name, value in options.items():
        if name == "cyclic":
            state["colours"] = "cyclic" if value else "auto"
        elif name in CHOICES and name not in ("mode", "theme"):
            state[_PAGE_NAMES.get(name, name)] = _known(name, value)
        elif name in _FLAGS:
            state[_PAGE_NAMES.get(name, name)] = bool(value)
        else:
            raise UnknownName.of("option of show", name, [*CHOICES, *_FLAGS, "cyclic"])
    return state


def _bookmark(text: str, change: dict[str, Any], tensor: Tensor, free: list[str]) -> dict[str, Any]:
    state: dict[str, Any] = {}
    if "select" in change:
        given = change.pop("select")
        every = _indices(tensor, free, given)
        state["index"] = {dim: every[dim] for dim in given}
    for role, page in (("x", "x"), ("play", "play"), ("y", "y"), ("rows", "grid"), ("play_with", "with")):
        if role in change:
            dim = change.pop(role)
            if dim not in free:
                raise UnknownName.of("axis", dim, free)
            state[page] = dim
    if "mode" in change:
        state["mode"] = _known("mode", change.pop("mode"))
    if "mute" in change:
        state["mute"] = [int(k) for k in change.pop("mute")]
    if "seconds_per_cycle" in change:
        state["seconds"] = _positive("seconds_per_cycle", change.pop("seconds_per_cycle"))
    return {"label": str(text), "state": state | _state(change)}
