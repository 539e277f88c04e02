"""Frozen dataclasses from tables of plain values, as TOML and JSON give them; errors name the setting.

A file's whole content is held against the dataclass that it describes, once: what lies behind need not ask again.
"""

from __future__ import annotations

import functools
import json
import numbers
import types
import typing
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from typing import Any, Literal, TypeVar

from modscope.errors import InputError, UnknownName, shown

__all__ = ["INTEGERS", "built", "json_in", "whole_number"]

Described = TypeVar("Described")
INTEGERS = range(-(2**63), 2**63)  # what fits into the integers of arrays and files


def built(
    cls: type[Described], values: Mapping[str, Any], where: str = "", *, strangers: bool = False
) -> Described:
    """The dataclass that a table of plain values describes; what the table leaves out has its default.

    where: what stands before each name in an error. strangers: names that the dataclass has not are passed over, as a
    later version may write them. Raises InputError with the name of the setting, UnknownName.
    """
    if not isinstance(values, Mapping):
        raise InputError(f"{where.rstrip('.') or 'values'} = {shown(values)}: expected a table")
    hints = _hints(typing.cast(Any, cls))
    arguments = {}
    for name, value in values.items():
        path = f"{where}{name}" if isinstance(name, str) else f"{where}{shown(name)}"
        if name not in hints:
            if strangers:
                continue
            raise UnknownName.of("setting", path, [f"{where}{k}" for k in sorted(hints)])
        arguments[name] = _converted(hints[name], value, path, strangers)
    for one in fields(typing.cast(Any, cls)):
        if one.default is MISSING and one.default_factory is MISSING and one.name not in arguments:
            raise InputError(f"{where}{one.name} is missing")
    return cls(**arguments)


def json_in(text: str | bytes) -> Any:
    """What a JSON text says. Raises ValueError where it is none, or where half a character stands for one.

    JSON can write "\\ud800", which no file, table or terminal takes.

    >>> json_in(b'{"p": 7}')
    {'p': 7}
    """
    text = text if isinstance(text, str) else text.decode("utf-8")
    found = json.loads(text)
    if "\\ud" in text.lower():
        json.dumps(found, ensure_ascii=False).encode("utf-8")
    return found


@functools.cache
def _hints(cls: type) -> Mapping[str, Any]:
    return typing.get_type_hints(cls)


def whole_number(value: object, name: str, *, least: int = INTEGERS[0], most: int = INTEGERS[-1]) -> int:
    """A value as an integer between two bounds; a float without a fraction is one. Raises InputError.

    >>> whole_number(3.0, "epoch")
    3
    """
    whole = isinstance(value, numbers.Integral) or (isinstance(value, float) and value.is_integer())
    number = int(typing.cast(int, value)) if whole and not isinstance(value, bool) else None
    if number is None or not least <= number <= most:
        bounds = "" if (least, most) == (INTEGERS[0], INTEGERS[-1]) else f" from {least} to {most}"
        raise InputError(f"{name} = {shown(value)}: expected a whole number{bounds}")
    return number


def _converted(hint: Any, value: Any, path: str, strangers: bool) -> Any:
    """The value as the type that the field has; an error names the field."""
    origin = typing.get_origin(hint)
    if hint is Any:
        return value
    if origin in (typing.Union, types.UnionType):
        kinds = [kind for kind in typing.get_args(hint) if kind is not type(None)]
        if value is None and len(kinds) < len(typing.get_args(hint)):
            return None
        return _converted(kinds[0], value, path, strangers)
    if is_dataclass(hint):
        return built(typing.cast(type, hint), value, f"{path}.", strangers=strangers)
    if origin is Literal:
        if value not in typing.get_args(hint):
            raise UnknownName.of(path, value, typing.get_args(hint))
        return value
    if origin is tuple:
        return _tuple(hint, value, path, strangers)
    if hint is float and isinstance(value, int | float) and not isinstance(value, bool):
        if not abs(value) < 1e300:
            raise InputError(f"{path} = {shown(value)}: expected a finite number")
        return float(value)
    if hint is int and isinstance(value, int | float) and not isinstance(value, bool):
        return whole_number(value, path)
    kind = origin or hint
    if not isinstance(value, kind) or (hint is int and isinstance(value, bool)):
        raise InputError(f"{path} = {shown(value)}: expected {_NAMES.get(kind, kind.__name__)}")
    return value


_NAMES: Mapping[type, str] = {
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    str: "a name",
    dict: "a table",
    list: "a list",
}


def _tuple(hint: Any, value: Any, path: str, strangers: bool) -> tuple[Any, ...]:
    inner = typing.get_args(hint)
    if isinstance(value, str) or not isinstance(value, list | tuple):
        raise InputError(f"{path} = {shown(value)}: expected a list")
    if len(inner) == 2 and inner[1] is Ellipsis:
        return tuple(_converted(inner[0], item, f"{path}[{i}]", strangers) for i, item in enumerate(value))
    if len(value) != len(inner):
        raise InputError(f"{path} = {shown(value)}: expected {len(inner)} values")
    return tuple(
        _converted(kind, item, f"{path}[{i}]", strangers)
        for i, (kind, item) in enumerate(zip(inner, value, strict=True))
    )
