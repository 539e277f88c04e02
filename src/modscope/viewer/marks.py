"""Marks and messages: expressions are checked, callables tabulated over the axes that they depend on."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import product
from typing import Any

from modscope.errors import InputError, UnknownName
from modscope.viewer import expressions

__all__ = ["circles", "environment", "marker_specs", "message_spec", "symmetry_specs"]

MOST_CALLS = 50_000
_USUAL = ("a", "b", "c/2", "c/2 + p/2")


def environment(indices: Mapping[str, float], p: int | None, operation: str | None) -> dict[str, float]:
    """The numbers that expressions see: the axes, p, and the third of a, b, c.

    >>> environment({"c": 8, "a": 10}, 113, "add")["b"]
    111
    """
    names = dict(indices)
    if p is None:
        return names
    names["p"] = p
    sign = {"add": 1, "subtract": -1}.get(operation or "")
    missing = {"a", "b", "c"} - names.keys()
    if sign is None or len(missing) != 1:
        return names
    match missing.pop():
        case "c":
            names["c"] = (names["a"] + sign * names["b"]) % p
        case "b":
            names["b"] = sign * (names["c"] - names["a"]) % p
        case _:
            names["a"] = (names["c"] - sign * names["b"]) % p
    return names


def circles(
    sizes: Mapping[str, int],
    named: Mapping[str, object],
    p: int | None,
    told: str | Sequence[str] | bool | None,
) -> list[str]:
    """The axes that close: those told, else the axes of residues, which hold all p of them and are named so.

    `named` are axes with labels or coordinates of their own, which hold no residues 0, 1, 2, ...
    """
    if isinstance(told, bool):
        return list(sizes) if told else []
    if told is not None:
        names = [told] if isinstance(told, str) else list(told)
        for name in names:
            if name not in sizes:
                raise UnknownName.of("axis in periodic", name, sizes)
        return names
    return [d for d in ("a", "b", "c", "token") if d in sizes and d not in named and sizes[d] == p]


def symmetry_specs(sizes: Mapping[str, int], p: int | None, operation: str | None) -> list[str]:
    """The symmetry axes of waves over a (or b) in rows c."""
    return (
        ["c/2", "c/2 + p/2"] if p and operation == "add" and "c" in sizes and {"a", "b"} & set(sizes) else []
    )


def marker_specs(
    markers: Sequence[object] | Mapping[str, object] | Callable[..., Any] | None,
    sizes: Mapping[str, int],
    p: int | None,
    operation: str | None,
    indices: Mapping[str, int],
) -> list[dict[str, Any]]:
    """Marks for the page: a label with an expression or a table."""
    if markers is None:
        return [{"label": e, "expr": e} for e in _USUAL] if symmetry_specs(sizes, p, operation) else []
    if callable(markers):
        return _tabulated_marks(markers, sizes, indices)
    items = markers.items() if isinstance(markers, Mapping) else [(None, one) for one in markers]
    known = environment(dict.fromkeys(sizes, 0), p, operation)
    specs = []
    for label, mark in items:
        if isinstance(mark, (tuple, list)) and len(mark) == 2:
            label, mark = mark
        text = str(mark)
        _check(text, known)
        specs.append({"label": text if label is None else str(label), "expr": text})
    return specs


def _check(text: str, known: Mapping[str, float]) -> None:
    for name in sorted(expressions.names_in(text)):
        if name not in known:
            raise UnknownName.of(f"name in {text!r}", name, known)


def message_spec(
    message: str | Callable[..., str] | None,
    sizes: Mapping[str, int],
    p: int | None,
    operation: str | None,
    indices: Mapping[str, int],
) -> dict[str, Any] | None:
    """The message line for the page: a template or a table of texts."""
    known = environment(dict.fromkeys(sizes, 0), p, operation)
    if message is None:
        sign = {"add": "+", "subtract": "-"}.get(operation or "")
        if not sign or not {"a", "b", "c", "p"} <= set(known):
            return None
        # Where a, b and c are three axes, it holds only where their indices fit together: the page looks.
        return {"template": f"{{a}} {sign} {{b}} = {{c}} (mod {{p}})".replace("-", "−"), "auto": True}
    if callable(message):
        return {"table": _table(_called(message, list(sizes)), sizes, indices, str)}
    for text in expressions.parts(message):
        _check(text, known)
    return {"template": message}


def _called(function: Callable[..., Any], dims: list[str]) -> Callable[[dict[str, int]], Any]:
    """A callable of the list of indices, as the original had it, or of axis names."""
    try:
        names = list(inspect.signature(function).parameters)
    except (TypeError, ValueError):
        names = []
    if names and set(names) <= set(dims):
        return lambda at: function(**{name: at[name] for name in names})
    return lambda at: function([at[dim] for dim in dims])


def _probes(size: int, at: int) -> Iterator[int]:
    for by in (1, size // 2, size - 1, 2):
        if (at + by) % size != at:
            yield (at + by) % size


def _depends(
    call: Callable[[dict[str, int]], Any], sizes: Mapping[str, int], indices: Mapping[str, int]
) -> list[str]:
    """Axes whose index changes what a callable gives, seen from two places."""
    starts = [dict(indices), {dim: size // 3 for dim, size in sizes.items()}]
    found = []
    for dim, size in sizes.items():
        for start in starts:
            here = call(start)
            if any(call({**start, dim: to}) != here for to in _probes(size, start[dim])):
                found.append(dim)
                break
    return found


def _table(
    call: Callable[[dict[str, int]], Any],
    sizes: Mapping[str, int],
    indices: Mapping[str, int],
    kind: Callable[[Any], Any],
) -> dict[str, Any]:
    axes = _depends(call, sizes, indices)
    shape = [sizes[dim] for dim in axes]
    count = 1
    for size in shape:
        count *= size
    if count > MOST_CALLS:
        raise InputError(
            f"a callable that depends on {', '.join(axes)} would be called {count} times: expected at most "
            f"{MOST_CALLS}; write it as an expression, such as 'c/2 + p/2'"
        )
    places = product(*(range(size) for size in shape))
    values = [kind(call({**indices, **dict(zip(axes, place, strict=True))})) for place in places]
    return {"axes": axes, "shape": shape, "values": values}


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _tabulated_marks(
    function: Callable[..., Any], sizes: Mapping[str, int], indices: Mapping[str, int]
) -> list[dict[str, Any]]:
    call = _called(function, list(sizes))

    def points(at: dict[str, int]) -> tuple[tuple[float, ...], tuple[str, ...]]:
        given = call(at)
        if isinstance(given, Mapping):
            return tuple(float(v) for v in given.values()), tuple(str(k) for k in given)
        if isinstance(given, tuple) and len(given) == 2 and not isinstance(given[0], (int, float)):
            places, texts = given
            return tuple(float(v) for v in places), tuple(str(t) for t in texts)
        places = list(given)
        return tuple(float(v) for v in places), tuple(str(i) for i in range(len(places)))

    table = _table(points, sizes, indices, lambda value: value)
    texts = table["values"][0][1]
    if any(len(places) != len(texts) for places, _ in table["values"]):
        raise InputError(
            "a callable for markers gave different numbers of points: expected the same labels throughout"
        )
    return [
        {"label": text, "table": {**table, "values": [_finite(places[i]) for places, _ in table["values"]]}}
        for i, text in enumerate(texts)
    ]
