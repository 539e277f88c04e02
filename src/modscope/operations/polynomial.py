"""Polynomials in a and b with whole coefficients: one text for each, whatever way it was written."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from modscope.boundary import public
from modscope.operations.expression import Expression

__all__ = ["Polynomial", "polynomial_of", "polynomial_text", "polynomial_values", "remainders"]

# (power of a, power of b) -> coefficient, none of them 0
Polynomial = Mapping[tuple[int, int], int]

_HIGHEST = 8  # degree to which products are multiplied out
_LARGEST = 10**12


@public
def polynomial_of(x: Expression) -> Polynomial | None:
    """The polynomial that an expression is, multiplied out; None for quotients, max, min, cases and high degrees.

    >>> from modscope.operations.expression import parsed
    >>> polynomial_of(parsed("(a + b)^2 - b^2"))
    {(2, 0): 1, (1, 1): 2}
    """
    found = _multiplied_out(x)
    if found is None:
        return None
    if any(i + j > _HIGHEST for i, j in found) or any(abs(c) > _LARGEST for c in found.values()):
        return None
    order = sorted(found, key=lambda powers: (-sum(powers), -powers[0]))
    return {powers: found[powers] for powers in order if found[powers]}


def _multiplied_out(x: Expression) -> dict[tuple[int, int], int] | None:
    if x.kind == "number":
        return {(0, 0): x.value}
    if x.kind in ("a", "b"):
        return {(1, 0) if x.kind == "a" else (0, 1): 1}
    parts = [_multiplied_out(part) for part in x.parts]
    if x.kind not in ("neg", "power", "+", "-", "*") or any(part is None for part in parts):
        return None
    first, *rest = [part for part in parts if part is not None]
    if x.kind == "neg":
        return {powers: -c for powers, c in first.items()}
    if x.kind == "power":
        if not 0 <= x.value <= _HIGHEST:
            return None
        whole = {(0, 0): 1}
        for _ in range(x.value):
            whole = _times(whole, first)
        return whole
    if x.kind == "*":
        return _times(first, rest[0])
    sign = 1 if x.kind == "+" else -1
    return {powers: first.get(powers, 0) + sign * rest[0].get(powers, 0) for powers in {**first, **rest[0]}}


def _times(x: Polynomial, y: Polynomial) -> dict[tuple[int, int], int]:
    product: dict[tuple[int, int], int] = {}
    for (i, j), c in x.items():
        for (k, m), d in y.items():
            product[i + k, j + m] = product.get((i + k, j + m), 0) + c * d
    return product


@public
def polynomial_text(polynomial: Polynomial) -> str:
    """A polynomial as text, highest degree first.

    >>> polynomial_text({(0, 0): 5, (2, 0): 1, (1, 1): -3})
    'a^2-3*a*b+5'
    """
    text = ""
    for i, j in sorted(polynomial, key=lambda powers: (-sum(powers), -powers[0])):
        c = polynomial[i, j]
        letters = [f"{name}^{n}" if n > 1 else name for name, n in (("a", i), ("b", j)) if n]
        size = [] if abs(c) == 1 and letters else [str(abs(c))]
        text += ("-" if c < 0 else "+" if text else "") + "*".join(size + letters) if c else ""
    return text or "0"


def polynomial_values(polynomial: Polynomial, p: int) -> np.ndarray:
    """The residues of a polynomial at all pairs, int64[a, b]."""
    n = np.arange(p, dtype=np.int64)
    powers = [np.ones(p, np.int64)]
    for _ in range(max((max(each) for each in polynomial), default=0)):
        powers.append(powers[-1] * n % p)
    of_b: dict[int, np.ndarray] = {}  # power of a -> the polynomial in b that it is multiplied with
    for (i, j), c in polynomial.items():
        of_b[i] = (of_b.get(i, 0) + c % p * powers[j]) % p
    values = np.zeros((p, p), np.int64)
    for i, row in of_b.items():
        values += powers[i][:, None] * row
    return remainders(values, p)


def remainders(values: np.ndarray, p: int) -> np.ndarray:
    """values mod p, in place; several times faster than `%`, which divides one number after the other.

    >>> remainders(np.array([-1, 0, 12]), 5).tolist()
    [4, 0, 2]
    """
    quotient = values // p
    quotient *= p
    values -= quotient
    return values
