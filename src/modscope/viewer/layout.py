"""Which axis of an array has which role, where the reader does not say."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from modscope.errors import InputError, UnknownName

__all__ = ["Roles", "chosen_roles"]

_RESIDUES = ("a", "b", "token", "c")


@dataclass(frozen=True)
class Roles:
    """Names of the axes drawn and played; before choosing, any may be None or a position."""

    x: str | int | None = None
    play: str | int | None = None
    y: str | int | None = None
    rows: str | int | None = None
    columns: str | int | None = None
    play_with: str | int | None = None


@dataclass(frozen=True)
class Chosen:
    x: str
    play: str | None
    y: str | None
    rows: str | None
    columns: str | None
    play_with: str | None
    mode: str


def axis_named(given: str | int | None, role: str, dims: list[str]) -> str | None:
    """The name of an axis given by name or by position."""
    if given is None:
        return None
    if isinstance(given, int) and not isinstance(given, bool):
        if not -len(dims) <= given < len(dims):
            raise InputError(
                f"{role}={given}: expected an axis from 0 to {len(dims) - 1} or one of {', '.join(dims)}"
            )
        return dims[given]
    if given not in dims:
        raise UnknownName.of(f"axis for {role}=", given, dims)
    return given


def chosen_roles(sizes: Mapping[str, int], dims: list[str], given: Roles, mode: str | None) -> Chosen:
    """Fills in the roles: x is the last residue axis (a, b, token, then c; else the last axis), play the next."""
    if not dims:
        raise InputError("no axis is left to draw: expected one besides the overlaid one")
    named = {role: axis_named(getattr(given, role), role, dims) for role in Roles.__dataclass_fields__}
    taken = {named[role] for role in ("play", "y", "rows", "columns") if named[role]}
    x = named["x"] or _wave_axis([dim for dim in dims if dim not in taken] or dims)
    others = [dim for dim in dims if dim != x]
    for role in ("play", "y", "rows"):
        if named[role] == x:
            raise InputError(f"{role}={x!r} and x={x!r}: expected two different axes")
    rows, pictures = named["rows"], mode in ("heatmap", "spectrum2d")
    free = [dim for dim in others if dim not in (rows, named["columns"])]
    residues = [dim for dim in free if dim in _RESIDUES]
    y = named["y"] or _first([named["play"] if not pictures else None, *reversed(residues), *reversed(free)])
    if pictures:
        play = named["play"] or _first([dim for dim in reversed(others) if dim != y] or [y])
    else:
        play = named["play"] or _first([*reversed(residues), *reversed(free), *others])
    if mode is None:
        mode = "multiples" if rows else "wave"
    if mode in ("multiples", "ridge") and rows is None:
        rows = _first([dim for dim in others if dim != play] or others)
    elif rows is None:
        largest = sorted((dim for dim in others if dim != play), key=lambda dim: -sizes[dim])
        rows = _first(largest or others)
    return Chosen(x, play, y or play, rows, named["columns"], named["play_with"], mode)


def _wave_axis(dims: list[str]) -> str:
    for group in (("a", "b", "token"), ("c",)):
        residues = [dim for dim in dims if dim in group]
        if residues:
            return residues[-1]
    return dims[-1]


def _first(candidates: Iterable[str | None]) -> str | None:
    return next((dim for dim in candidates if dim is not None), None)
