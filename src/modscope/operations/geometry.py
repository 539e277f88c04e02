"""On which circle, axis or group an operation becomes a rotation, a comparison or a product."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import gcd
from typing import Literal

import numpy as np

from modscope.boundary import public
from modscope.display import Shown
from modscope.errors import InputError
from modscope.operations.expression import Expression
from modscope.operations.groups import element_orders, is_group, named_group, orders_in_words
from modscope.operations.operation import Operation

__all__ = ["Geometry", "geometry_of", "is_prime", "primitive_root"]

Kind = Literal["circle", "axis", "group", "none"]


@dataclass(frozen=True, repr=False)
class Geometry(Shown):
    """Where the residues of a, of b and of the answer lie, so that the answer is simple there.

    kind "circle": labels[a[i], b[j]] = c[(i + sign * j) % n] for all places i and j; residues that are not among a
    (0, for multiplication) have no place. "axis": the order of the residues is what counts (max, min). "group": the
    answer is a product in a group of n elements, once a, b and the answer are renamed. "none": no such thing is known.
    says: that in words. name: of the group, where it has one here.
    """

    kind: Kind
    says: str
    a: tuple[int, ...] = ()
    b: tuple[int, ...] = ()
    c: tuple[int, ...] = ()
    sign: int = 1
    name: str = ""

    def _told(self) -> dict[str, object]:
        told: dict[str, object] = {"kind": self.kind, "says": self.says}
        if self.a:
            told["places"] = f"{self.n}" + ("" if self.same_places else "; a and b lie in different orders")
        if self.kind == "circle":
            told["answer at"] = "i + j" if self.sign > 0 else "i - j"
        return told

    @property
    def n(self) -> int:
        """The number of places."""
        return len(self.a)

    @property
    def same_places(self) -> bool:
        """Whether a and b lie on the circle in the same order, so that one turn of the tokens' table serves both."""
        return self.a == self.b

    @property
    def whole(self) -> bool:
        """Whether the places are the residues in their natural order, for a, b and the answer."""
        natural = tuple(range(self.n))
        return self.a == natural and self.b == natural and self.c == natural


@public
def is_prime(n: int) -> bool:
    """Whether n is a prime.

    >>> [n for n in range(20) if is_prime(n)]
    [2, 3, 5, 7, 11, 13, 17, 19]
    """
    return n > 1 and all(n % q for q in range(2, int(n**0.5) + 1))


@public
def primitive_root(p: int) -> int:
    """The smallest g whose powers are all residues 1..p-1 of a prime p.

    >>> primitive_root(113), primitive_root(7)
    (3, 3)
    """
    if not is_prime(p):
        raise InputError(f"p = {p}: expected a prime, whose nonzero residues are the powers of one of them")
    factors = [q for q in range(2, p) if (p - 1) % q == 0 and is_prime(q)]
    return next(g for g in range(1, p) if all(pow(g, (p - 1) // q, p) != 1 for q in factors))


@public
def geometry_of(operation: Operation, p: int, *, seed: int = 0) -> Geometry:
    """The circle, axis or group of an operation mod p.

    Sums alpha a + beta b + gamma with invertible alpha and beta lie on the circle of the residues; products and
    quotients c a^m b^n of a prime p on the circle of logarithms, 0 apart; any other table that is a group once a, b and
    the answer are renamed, on that group, and on its circle where it is cyclic.

    >>> geometry_of(Operation.of("a/b"), 5)
    Geometry
      kind       circle
      says       the circle of logarithms: residues as powers of 2, 0 apart
      places     4
      answer at  i - j
    >>> geometry_of(Operation.of("2a+3b"), 7).b, geometry_of(Operation.of("max"), 7).kind
    ((0, 5, 3, 1, 6, 4, 2), 'axis')
    >>> geometry_of(Operation.of("D3"), 6).says
    'the group D3: 1 of order 1, 3 of order 2, 2 of order 3'
    """
    for found in (_linear(operation, p), _monomial(operation, p), _ordered(operation)):
        if found is not None:
            return found
    if operation.is_random:
        return Geometry("none", "random labels lie on no circle, axis or group")
    return _renamed(operation.labels(p, seed=seed)) or Geometry(
        "none", f"{operation.text} lies on no circle, axis or group that is known"
    )


def _linear(operation: Operation, p: int) -> Geometry | None:
    polynomial = operation.polynomial
    if polynomial is None or not set(polynomial) <= {(1, 0), (0, 1), (0, 0)}:
        return None
    alpha, beta, gamma = (polynomial.get(powers, 0) % p for powers in ((1, 0), (0, 1), (0, 0)))
    if gcd(alpha, p) != 1 or gcd(beta, p) != 1:
        return None
    places = _steps(pow(alpha, -1, p), p)
    c = tuple((s + gamma) % p for s in range(p))
    says = "the circle of the residues"
    if places != tuple(range(p)) or gamma:
        says += f", renamed so that {operation.text} is a sum of places"
    if (alpha + beta) % p == 0:
        return Geometry("circle", says, places, places, c, -1, f"C{p}")
    return Geometry("circle", says, places, _steps(pow(beta, -1, p), p), c, 1, f"C{p}")


def _steps(step: int, n: int) -> tuple[int, ...]:
    return tuple(i * step % n for i in range(n))


def _monomial(operation: Operation, p: int) -> Geometry | None:
    expression = operation.expression
    found = None if expression is None or not is_prime(p) else _product(expression, p)
    if found is None:
        return None
    of_a, of_b, factor = found
    if gcd(of_a, p - 1) != 1 or gcd(of_b, p - 1) != 1 or factor % p == 0:
        return None
    g, n = primitive_root(p), p - 1
    power = [pow(g, i, p) for i in range(n)]
    places = tuple(power[i] for i in _steps(pow(of_a, -1, n), n))
    c = tuple(power[s] * factor % p for s in range(n))
    says = f"the circle of logarithms: residues as powers of {g}, 0 apart"
    if (of_a + of_b) % n == 0:
        return Geometry("circle", says, places, places, c, -1, f"C{n}")
    others = tuple(power[i] for i in _steps(pow(of_b, -1, n), n))
    return Geometry("circle", says, places, others, c, 1, f"C{n}")


def _product(x: Expression, p: int) -> tuple[int, int, int] | None:
    """The powers of a and b, and the factor mod p, of a product of powers; None where it is not one."""
    if x.kind in ("a", "b"):
        return int(x.kind == "a"), int(x.kind == "b"), 1
    if x.kind == "number":
        return 0, 0, x.value % p
    if x.kind not in ("neg", "power", "*", "/"):
        return None
    parts = [_product(part, p) for part in x.parts]
    factors = [part for part in parts if part is not None and part[2]]
    if len(factors) < len(parts):
        return None
    (i, j, c), *rest = factors
    if x.kind == "neg":
        return i, j, -c % p
    if x.kind == "power":
        return i * x.value, j * x.value, pow(c, x.value, p)
    sign = 1 if x.kind == "*" else -1
    ((k, m, d),) = rest
    return i + sign * k, j + sign * m, c * pow(d, sign, p) % p


def _ordered(operation: Operation) -> Geometry | None:
    if operation.name not in ("max", "min"):
        return None
    return Geometry("axis", "the axis 0 to p - 1: the residues are compared, nothing turns")


def _renamed(labels: np.ndarray) -> Geometry | None:
    """The group or circle of a table that is a product once a, b and the answer are renamed."""
    rows, columns = (np.flatnonzero(~_degenerate(table)) for table in (labels, labels.T))
    if len(rows) != len(columns) or len(rows) < 3:
        return None
    inner = labels[np.ix_(rows, columns)]
    answers = np.unique(inner)
    if len(answers) != len(rows) or answers[0] < 0:
        return None
    # a loop with identity at the first row and column: a group, if the table is one in other names
    x, y = inner[:, 0], inner[0]
    if len(set(x.tolist())) != len(x) or len(set(y.tolist())) != len(y):
        return None
    number = np.searchsorted(answers, inner)
    row_of, column_of = np.argsort(x), np.argsort(y)
    product = number[np.ix_(row_of, column_of)]
    if not is_group(product):
        return None
    orders = element_orders(product)
    n = len(orders)
    if orders.max() < n:
        name = named_group(product) or ""
        says = f"the group {name}" if name else f"a group of {n} elements without a name here"
        return Geometry("group", f"{says}: {orders_in_words(product)}", name=name)
    powers = list(_powers_of(product, int(np.flatnonzero(orders == n)[0])))
    a, b = rows[row_of[powers]].tolist(), columns[column_of[powers]].tolist()
    says = f"a circle of {n} places, once a, b and the answer are renamed"
    return Geometry("circle", says, tuple(a), tuple(b), tuple(answers[powers].tolist()), 1, f"C{n}")


def _degenerate(labels: np.ndarray) -> np.ndarray:
    """Rows with one answer alone, or with none: those of 0 in a product."""
    return (labels == labels[:, :1]).all(axis=1) | (labels < 0).all(axis=1)


def _powers_of(product: np.ndarray, g: int) -> Iterator[int]:
    identity = int(np.flatnonzero((product == np.arange(len(product))).all(axis=1))[0])
    element = identity
    for _ in range(len(product)):
        yield element
        element = int(product[element, g])
