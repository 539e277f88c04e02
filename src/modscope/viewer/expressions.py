"""The small expression language of marks and messages, as Python reads it: checked before a page is made."""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Callable, Mapping

from modscope.errors import InputError, UnknownName, shown, turned_into

__all__ = ["evaluate", "filled", "names_in"]

_FUNCTIONS: Mapping[str, Callable[..., float]] = {
    "abs": abs,
    "min": min,
    "max": max,
    "floor": math.floor,
    "ceil": math.ceil,
    "round": round,
}
_OPERATORS = (ast.Add, ast.Sub, ast.Mult, ast.Div, ast.FloorDiv, ast.Mod, ast.Pow)
LONGEST = 500  # characters of an expression
_FORMAT = re.compile(r"[-+ ,0]?\d{0,3}(\.\d{1,2})?[defg%]?")
_BRACES = re.compile(r"\{\{|\}\}|\{([^{}:]+)(?::([^{}]*))?\}")


def _tree(text: str) -> ast.expr:
    try:
        if len(text) > LONGEST:
            raise ValueError("too long")
        tree = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise InputError(
            f"expression {shown(text)}: expected arithmetic over axis names, such as 'c/2 + p/2'"
        ) from None
    functions = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = node.func.id if isinstance(node.func, ast.Name) else ast.unparse(node.func)
            if name not in _FUNCTIONS or node.keywords:
                raise UnknownName.of("function", name, _FUNCTIONS)
            continue
        allowed = isinstance(
            node, (ast.BinOp, ast.UnaryOp, ast.Name, ast.Load, ast.UAdd, ast.USub, *_OPERATORS)
        )
        number = isinstance(node, ast.Constant) and type(node.value) in (int, float)
        if not (allowed or number or id(node) in functions):
            raise InputError(
                f"expression {shown(text)}: {type(node).__name__} is not allowed; expected + - * / // % **, "
                f"numbers, axis names, {', '.join(_FUNCTIONS)}"
            )
    return tree


def names_in(text: str) -> set[str]:
    """The names that an expression uses.

    >>> sorted(names_in("c/2 + p/2"))
    ['c', 'p']
    """
    return {n.id for n in ast.walk(_tree(text)) if isinstance(n, ast.Name)} - set(_FUNCTIONS)


def evaluate(text: str, names: Mapping[str, float]) -> float:
    """The value of an expression over named numbers; `%` and `//` floor, as in Python.

    >>> evaluate("(c - a) % p", {"c": 3, "a": 10, "p": 113})
    106
    """
    with turned_into(InputError, f"expression {shown(text)}"):
        value = _value(_tree(text), names)
        if isinstance(value, complex) or not math.isfinite(value):
            raise ArithmeticError(f"{value} is no number that can be drawn")
    return value


def _value(node: ast.expr, names: Mapping[str, float]) -> float:
    if isinstance(node, ast.Constant):
        return node.value  # type: ignore[return-value]
    if isinstance(node, ast.Name):
        if node.id not in names:
            raise UnknownName.of("name in an expression", node.id, names)
        return names[node.id]
    if isinstance(node, ast.UnaryOp):
        value = _value(node.operand, names)
        return -value if isinstance(node.op, ast.USub) else value
    if isinstance(node, ast.Call):
        assert isinstance(node.func, ast.Name)
        return _FUNCTIONS[node.func.id](*(_value(arg, names) for arg in node.args))
    assert isinstance(node, ast.BinOp)
    left, right = _value(node.left, names), _value(node.right, names)
    match node.op:
        case ast.Add():
            return left + right
        case ast.Sub():
            return left - right
        case ast.Mult():
            return left * right
        case ast.Div():
            return left / right
        case ast.FloorDiv():
            return left // right
        case ast.Mod():
            return left % right
    # The page has numbers of double precision; whole ones of any size would take for ever.
    small = abs(left) < 1e6 and abs(right) <= 64
    return left**right if small else float(left) ** float(right)


def parts(template: str) -> list[str]:
    """The expressions in the braces of a template.

    >>> parts("{a} + {b} = {c} (mod {p})")
    ['a', 'b', 'c', 'p']
    """
    return [found.group(1) for found in _BRACES.finditer(template) if found.group(1)]


def filled(template: str, names: Mapping[str, float]) -> str:
    """A template with the value of each brace in its place.

    >>> filled("c/2 = {c/2:.1f}", {"c": 7})
    'c/2 = 3.5'
    """

    def one(found: re.Match[str]) -> str:
        if found.group(1) is None:
            return found.group(0)[0]
        value = evaluate(found.group(1), names)
        if not _FORMAT.fullmatch(found.group(2) or ""):
            raise InputError(f"format {shown(found.group(2))}: expected one such as .1f, d or g")
        return format(value, found.group(2) or ("g" if isinstance(value, float) else ""))

    return _BRACES.sub(one, template)
