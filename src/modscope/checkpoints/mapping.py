"""Layouts written by the reader: a small TOML file that names tensors and the order of their axes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modscope.checkpoints.axes import Source, Take, parsed_axes
from modscope.checkpoints.layouts import CANONICAL, Family, Layout
from modscope.checkpoints.mapped import LAYER
from modscope.checkpoints.parts import AXES
from modscope.checkpoints.reading import read_table
from modscope.checkpoints.suggesting import suggested_mapping
from modscope.errors import InputError, UnknownName, shown, turned_into
from modscope.schema import whole_number

__all__ = ["Mapped", "read_mapping", "suggested_mapping"]

_TABLES = ("settings", "sizes", "weights", "states", "ignore")


@dataclass(frozen=True)
class Mapped:
    """A layout that was read from a mapping, with the settings and sizes given in it.

    states: the path of the state dict in the file, such as "ema.model"; empty to look for it.
    ignored: tensors that hold no weight of the network. layout: None where the mapping has settings alone, and names or sizes
    tell the weights.
    """

    layout: Layout | None
    settings: Mapping[str, Any]
    sizes: Mapping[str, int]
    states: str
    ignored: frozenset[str]


def read_mapping(path: Path) -> Mapped:
    """The layout described by a mapping file.

    Raises InputError that names the line's key where a table, a weight, an axis or a slice is not understood.
    """
    with turned_into(InputError, f"{path}: not understood"):
        return _mapping(path, read_table(path))


def _mapping(path: Path, table: Mapping[str, Any]) -> Mapped:
    for key in table:
        if key not in _TABLES:
            raise UnknownName.of("table in the mapping", key, _TABLES)
    layout = _layout(path, table.get("weights"), table.get("settings")) if "weights" in table else None
    if layout is None and not table:
        raise InputError(f"{path}: empty: expected a table [settings], [weights] or both")
    settings = table.get("settings", {})
    sizes = table.get("sizes", {})
    if not isinstance(settings, Mapping) or not isinstance(sizes, Mapping):
        raise InputError(f"{path}: settings and sizes: expected tables of names and values")
    for axis, size in sizes.items():
        whole_number(size, f"{path}: size of {axis}", least=1)
    states, ignored = table.get("states", ""), table.get("ignore", [])
    if not isinstance(states, str):
        raise InputError(
            f"{path}: states = {shown(states)}: expected the path of a state dict, such as 'ema.model'"
        )
    if not isinstance(ignored, list) or not all(isinstance(name, str) for name in ignored):
        raise InputError(f"{path}: ignore = {shown(ignored)}: expected a list of names of tensors")
    return Mapped(layout, settings, sizes, states, frozenset(ignored))


def _layout(path: Path, weights: Any, settings: Any) -> Layout:
    if not isinstance(weights, Mapping) or not weights:
        raise InputError(
            f"{path}: expected a table [weights] with lines like W_E = {{tensor = ..., axes = ...}}"
        )
    if _is_general(weights, settings):
        sources = {name: _source(name, entry, "general") for name, entry in weights.items()}
        _check_complete(sources, "general")
        return Layout(f"mapping {path.name}", f"mapping {path.name}", sources, "general")
    family: Family = "mlp" if any(name in weights for name in ("W_in_a", "W_in_b")) else "transformer"
    sources = {name: _source(name, entry, family) for name, entry in weights.items()}
    _check_complete(sources, family)
    return Layout(f"mapping {path.name}", f"mapping {path.name}", sources, family)


def _is_general(weights: Mapping[str, Any], settings: Any) -> bool:
    """Whether a mapping is of a network beyond one plain layer on (a, b) or (a, b, "=")."""
    stated = isinstance(settings, Mapping) and any(
        settings.get(key) not in (None, "", "none", 1) for key in ("sequence", "norm", "rotary", "n_layers")
    )
    beyond = any(name in AXES and name not in CANONICAL["transformer"] for name in weights)
    layered = any(isinstance(w, Mapping) and LAYER in str(w.get("tensor")) for w in weights.values())
    return (stated or beyond or layered) and not any(name in weights for name in ("W_in_a", "W_in_b"))


def _axes_of(family: Family) -> Mapping[str, str]:
    return AXES if family == "general" else CANONICAL[family]


def _check_complete(sources: Mapping[str, Source], family: Family) -> None:
    optional = ("W_E_a", "W_E_b") if family == "mlp" else ()
    needed = ("W_E", "W_Q", "W_K", "W_V", "W_O") if family == "general" else CANONICAL[family]
    missing = [
        name for name in needed if name not in sources and not name.startswith("b_") and name not in optional
    ]
    if missing:
        raise InputError(f"the mapping leaves out {', '.join(missing)}: give a tensor or a constant for each")


def _source(name: str, entry: Any, family: Family) -> Source:
    if name not in _axes_of(family):
        raise UnknownName.of("weight", name, _axes_of(family))
    if not isinstance(entry, Mapping):
        raise InputError(
            f"{name} = {shown(entry)}: expected {{tensor = ..., axes = ...}} or {{constant = ...}}"
        )
    for key in entry:
        if key not in ("tensor", "axes", "take", "scale", "constant"):
            raise UnknownName.of(f"key of {name}", key, ("tensor", "axes", "take", "scale", "constant"))
    if "constant" in entry:
        return Source(constant=_number(name, "constant", entry["constant"]))
    if not isinstance(entry.get("tensor"), str):
        raise InputError(f"{name}: expected tensor = the name of a tensor in the file, or a constant")
    axes, taken = entry.get("axes", _axes_of(family)[name]), entry.get("take", {})
    if not isinstance(axes, str) or not isinstance(taken, Mapping):
        raise InputError(f"{name}: expected axes as in 'd_model (head d_head)' and take as in {{qkv = 0}}")
    take = {axis: _take(name, axis, part) for axis, part in taken.items()}
    _check_axes(name, axes, take, _axes_of(family)[name])
    return Source(entry["tensor"], axes, take, _number(name, "scale", entry.get("scale", 1.0)))


def _check_axes(name: str, axes: str, take: Mapping[str, Take], wanted: str) -> None:
    there = {axis for group in parsed_axes(axes) for axis in group}
    for axis in take:
        if axis not in there:
            raise UnknownName.of(f"axis of {name} to take from", axis, sorted(there))
    if "kv_head" not in there:
        wanted = wanted.replace("kv_head", "head")
    left = there - {axis for axis, part in take.items() if isinstance(part, int)}
    if left != set(wanted.split()):
        raise InputError(
            f"{name}: axes {axes!r} leave {' '.join(sorted(left))}: expected {wanted} in any order"
        )


def _number(name: str, key: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 1e30:
        raise InputError(f"{name}: {key} = {shown(value)}: expected a finite number")
    return float(value)


def _take(name: str, axis: str, part: Any) -> Take:
    if isinstance(part, int) and not isinstance(part, bool) and abs(part) < 10**9:
        return part
    if isinstance(part, str) and part.count(":") == 1:
        ends = [end.strip() for end in part.split(":")]
        if all(re.fullmatch(r"(-?[0-9]{1,9})?", end) for end in ends):
            start, stop = (int(end) if end else None for end in ends)
            return start, stop
    raise InputError(f"{name}: take {axis} = {shown(part)}: expected an index or a slice such as '0:113'")
