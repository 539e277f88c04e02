"""An answer written as an expression of a and b, such as 2*a + 3*b or x^3 + x*y, over the residues mod p.

Parsed by the grammar below and nothing else: no text is ever evaluated.

    whole     = sum [ "if" condition "else" whole ]
    condition = sum [ "is" ] ( "odd" | "even" )  |  sum ( "=" | "==" | "!=" | "<" | "<=" | ">" | ">=" ) sum
    sum       = [ "+" | "-" ] product { ( "+" | "-" ) product }
    product   = power { [ "*" | "/" ] power }
    power     = atom [ ( "^" | "**" ) [ "-" ] number ]
    atom      = number | a | b | x | y | ( "max" | "min" ) "(" whole "," whole ")" | "(" whole ")"
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from modscope.boundary import public
from modscope.errors import InputError

__all__ = ["Expression", "parsed"]

_LONGEST = 200  # characters
_DEEPEST = 20  # brackets
_TOKEN = re.compile(r"\s*(?:(\d+)|([A-Za-z]+)|(\*\*|==|!=|<=|>=|[-+*/^(),=<>]))")
_VARIABLES = {"a": "a", "b": "b", "x": "a", "y": "b"}
_COMPARED: Mapping[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "=": np.equal,
    "!=": np.not_equal,
    "<": np.less,
    "<=": np.less_equal,
    ">": np.greater,
    ">=": np.greater_equal,
}


@dataclass(frozen=True)
class Expression:
    """One node of a parsed expression: what is done, to which parts, with which number.

    kind "number", "a", "b", "neg", "power" (value is the exponent), "+", "-", "*", "/", "max", "min",
    "if" (parts: answer, left, right, otherwise; word is the comparison).
    """

    kind: str
    parts: tuple[Expression, ...] = ()
    value: int = 0
    word: str = ""

    @public
    def labels(self, p: int) -> np.ndarray:
        """The residues at all pairs, int64[a, b]; -1 where something without an inverse divides.

        >>> parsed("a/b").labels(4).tolist()
        [[-1, 0, -1, 0], [-1, 1, -1, 3], [-1, 2, -1, 2], [-1, 3, -1, 1]]
        """
        n = np.arange(p, dtype=np.int64)
        grid = np.broadcast_to(n[:, None], (p, p)), np.broadcast_to(n, (p, p))
        values, defined = _evaluated(self, grid, p)
        return np.where(defined, values, -1)

    def __str__(self) -> str:
        return _text(self)[0]


_Values = tuple[np.ndarray, np.ndarray]


def _evaluated(x: Expression, grid: tuple[np.ndarray, np.ndarray], p: int) -> _Values:
    everywhere = np.ones((p, p), bool)
    if x.kind in ("a", "b"):
        return grid["ab".index(x.kind)], everywhere
    if x.kind == "number":
        return np.full((p, p), x.value % p, np.int64), everywhere
    parts = [_evaluated(part, grid, p) for part in x.parts]
    if x.kind == "if":
        (yes, yes_defined), (left, left_defined), (right, right_defined), (no, no_defined) = parts
        holds = _COMPARED[x.word](left, right) if x.word in _COMPARED else left % 2 == (x.word == "odd")
        sure = left_defined & right_defined
        return np.where(holds, yes, no), sure & np.where(holds, yes_defined, no_defined)
    first, defined = parts[0]
    if x.kind == "neg":
        return -first % p, defined
    if x.kind == "power":
        return _power(first, defined, x.value, p)
    second, also = parts[1]
    defined = defined & also
    if x.kind == "/":
        inverse, invertible = _power(second, defined, -1, p)
        return first * inverse % p, invertible
    work: Mapping[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
        "+": np.add, "-": np.subtract, "*": np.multiply, "max": np.maximum, "min": np.minimum,
    }  # fmt: skip
    return work[x.kind](first, second) % p, defined


def _power(base: np.ndarray, defined: np.ndarray, exponent: int, p: int) -> _Values:
    if exponent >= 0:
        table = np.array([pow(n, exponent, p) for n in range(p)], np.int64)
        return table[base], defined
    unit = np.gcd(np.arange(p), p) == 1
    table = np.array([pow(n, exponent, p) if unit[n] else 0 for n in range(p)], np.int64)
    return table[base], defined & unit[base]


_BINDS = {"if": 0, "+": 1, "-": 1, "neg": 1, "*": 2, "/": 2, "power": 3}


def _text(x: Expression) -> tuple[str, int]:
    """The text of a node and how tightly it binds."""

    def inside(part: Expression, least: int) -> str:
        text, binds = _text(part)
        return text if binds >= least else f"({text})"

    binds = _BINDS.get(x.kind, 4)
    if x.kind in ("a", "b"):
        return x.kind, 4
    if x.kind == "number":
        return str(x.value), 4
    if x.kind in ("max", "min"):
        return f"{x.kind}({_text(x.parts[0])[0]},{_text(x.parts[1])[0]})", 4
    if x.kind == "neg":
        return f"-{inside(x.parts[0], 2)}", binds
    if x.kind == "power":
        return f"{inside(x.parts[0], 4)}^{x.value}", binds
    if x.kind == "if":
        yes, left, right, no = (
            inside(part, least) for part, least in zip(x.parts, (1, 1, 1, 0), strict=True)
        )
        condition = f"{left}{x.word}{right}" if x.word in _COMPARED else f"{left} is {x.word}"
        return f"{yes} if {condition} else {no}", binds
    # a - (b + a) and a / (b * a) keep their brackets; a + b - a and a * b / a need none
    return f"{inside(x.parts[0], binds)}{x.kind}{inside(x.parts[1], binds + 1)}", binds


@public
def parsed(text: str) -> Expression:
    """The expression that a text says; a and b may be called x and y.

    Raises InputError that marks the first place that cannot be read.

    >>> str(parsed("x^3 + x y")), parsed("2a+3b").labels(7)[1, 2]
    ('a^3+a*b', np.int64(1))
    >>> parsed("a + * b")
    Traceback (most recent call last):
    modscope.errors.InputError: operation 'a + * b': expected a, b, a number or a bracket at 'a + >* b'
    """
    if len(text) > _LONGEST:
        raise InputError(f"an operation of {len(text)} characters: expected at most {_LONGEST}")
    return _read(text)


@lru_cache(maxsize=256)  # the same few operations are read again and again
def _read(text: str) -> Expression:
    return _Reader(text).whole_text()


class _Reader:
    """Recursive descent over the tokens of one text."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens: list[tuple[str, int]] = []
        at = 0
        while text[at:].strip():
            found = _TOKEN.match(text, at)
            if found is None:
                raise self.error(
                    "a sign that no operation has", at + len(text[at:]) - len(text[at:].lstrip()), bare=True
                )
            word = found[found.lastindex or 0]
            start, at = found.start(found.lastindex or 0), found.end()
            # xy is x times y
            if word.isalpha() and set(word) <= set(_VARIABLES):
                self.tokens += [(letter, start + i) for i, letter in enumerate(word)]
            else:
                self.tokens.append((word, start))
        self.i = 0
        self.depth = 0

    def error(self, expected: str, at: int | None = None, *, bare: bool = False) -> InputError:
        if at is None:
            at = self.tokens[self.i][1] if self.i < len(self.tokens) else len(self.text)
        marked = f"{self.text[:at]}>{self.text[at:]}" if at < len(self.text) else f"{self.text}>"
        return InputError(
            f"operation {self.text!r}: {expected if bare else f'expected {expected}'} at {marked!r}"
        )

    @property
    def word(self) -> str:
        return self.tokens[self.i][0] if self.i < len(self.tokens) else ""

    def take(self, *words: str) -> str:
        """The next word if it is one of these, and steps over it; else ''."""
        word = self.word
        if word and word in words:
            self.i += 1
            return word
        return ""

    def need(self, word: str) -> None:
        if not self.take(word):
            raise self.error(repr(word))

    def whole_text(self) -> Expression:
        found = self.whole()
        if self.word:
            raise self.error("the end of the operation")
        return found

    def whole(self) -> Expression:
        answer = self.sum()
        if not self.take("if"):
            return answer
        left = self.sum()
        is_ = self.take("is")
        word = self.take("odd", "even") or ("" if is_ else self.take(*_COMPARED, "=="))
        if not word:
            raise self.error("odd, even or a comparison" if not is_ else "odd or even")
        right = self.sum() if word not in ("odd", "even") else Expression("number")
        self.need("else")
        return Expression("if", (answer, left, right, self.whole()), word="=" if word == "==" else word)

    def sum(self) -> Expression:
        sign = self.take("+", "-")
        found = self.product()
        if sign == "-":
            found = Expression("neg", (found,))
        while kind := self.take("+", "-"):
            found = Expression(kind, (found, self.product()))
        return found

    def product(self) -> Expression:
        found = self.power()
        while True:
            kind = self.take("*", "/")
            if not kind and self.word not in (*_VARIABLES, "(", "max", "min"):
                return found
            found = Expression(kind or "*", (found, self.power()))

    def power(self) -> Expression:
        base = self.atom()
        if not self.take("^", "**"):
            return base
        bracket = self.take("(")
        sign = -1 if self.take("-") else 1
        if not self.word.isdigit() or len(self.word) > 9:
            raise self.error("a whole number as the exponent")
        exponent = sign * int(self.take(self.word))
        if bracket:
            self.need(")")
        return Expression("power", (base,), exponent)

    def atom(self) -> Expression:
        word = self.word
        if word.isdigit():
            if len(word) > 18:
                raise self.error("a number of at most 18 digits")
            self.i += 1
            return Expression("number", value=int(word))
        if word in _VARIABLES:
            self.i += 1
            return Expression(_VARIABLES[word])
        if word in ("max", "min"):
            self.i += 1
            self.need("(")
            first = self.bracketed()
            self.need(",")
            second = self.bracketed()
            self.need(")")
            return Expression(word, (first, second))
        if self.take("("):
            found = self.bracketed()
            self.need(")")
            return found
        if word.isalpha():
            raise self.error(f"a, b (or x, y), max or min, not {word!r},")
        raise self.error("a, b, a number or a bracket")

    def bracketed(self) -> Expression:
        self.depth += 1
        if self.depth > _DEEPEST:
            raise self.error(f"at most {_DEEPEST} brackets inside each other")
        found = self.whole()
        self.depth -= 1
        return found
