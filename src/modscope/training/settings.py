"""Frozen dataclasses from tables of plain values, as TOML and JSON give them; errors name the setting."""

from __future__ import annotations

import math
import typing
from collections.abc import Mapping
from dataclasses import is_dataclass
from typing import Any, Literal, TypeVar

from modscope.errors import InputError, UnknownName

__all__ = ["built"]

Described = TypeVar("Described")


def built(cls: type[Described], values: Mapping[str, Any], where: str = "") -> Described:
    """The dataclass that a table of plain values describes; what the table leaves out has its default.

    where: what stands before each name in an error. Raises InputError with the name of the setting, UnknownName.
    """
    hints = typing.get_type_hints(cls)
    arguments = {}
    for name, value in values.items():
        path = f"{where}{name}"
        if name not in hints:
            raise UnknownName.of("setting", path, [f"{where}{k}" for k in sorted(hints)])
        arguments[name] = _converted(hints[name], value, path)
    return cls(**arguments)


def _converted(hint: Any, value: Any, path: str) -> Any:
    """The value as the type that the field has; an error names the field."""
    if is_dataclass(hint):
        if not isinstance(value, Mapping):
            raise InputError(f"{path} = {value!r}: expected a table")
        return built(typing.cast(type, hint), value, f"{path}.")
    origin = typing.get_origin(hint)
    if origin is Literal:
        if value not in typing.get_args(hint):
            raise UnknownName.of(path, value, typing.get_args(hint))
        return value
    if origin is tuple:
        return _tuple(hint, value, path)
    if hint is float and isinstance(value, int | float) and not isinstance(value, bool):
        if not math.isfinite(value):
            raise InputError(f"{path} = {value!r}: expected a finite number")
        return float(value)
    if hint is int and isinstance(value, float) and value.is_integer():
        return int(value)
    if not isinstance(value, hint) or (hint is int and isinstance(value, bool)):
        raise InputError(f"{path} = {value!r}: expected {_NAMES.get(hint, hint.__name__)}")
    return value


_NAMES: Mapping[type, str] = {int: "a whole number", float: "a number", bool: "true or false", str: "a name"}


def _tuple(hint: Any, value: Any, path: str) -> tuple[Any, ...]:
    inner = typing.get_args(hint)
    if isinstance(value, str) or not isinstance(value, list | tuple):
        raise InputError(f"{path} = {value!r}: expected a list")
    if len(inner) == 2 and inner[1] is Ellipsis:
        return tuple(_converted(inner[0], item, f"{path}[{i}]") for i, item in enumerate(value))
    if len(value) != len(inner):
        raise InputError(f"{path} = {value!r}: expected {len(inner)} values")
    return tuple(
        _converted(kind, item, f"{path}[{i}]")
        for i, (kind, item) in enumerate(zip(inner, value, strict=True))
    )
