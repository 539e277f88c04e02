"""Which operation a table of answers is: recognised from the answers alone, with its share of the pairs."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from modscope.boundary import public
from modscope.display import Shown
from modscope.errors import InputError
from modscope.operations.geometry import Geometry, geometry_of, is_prime, primitive_root
from modscope.operations.interpolation import interpolated
from modscope.operations.operation import NAMED, Operation
from modscope.operations.polynomial import Polynomial, polynomial_text, polynomial_values, remainders
from modscope.operations.repair import repaired_product
from modscope.pace import paced

__all__ = ["FITS", "Match", "Recognition", "recognise"]

FITS = 0.5  # share of the pairs from which an operation is what a table of answers is
_SURE = 0.9  # share from which nothing less simple is looked for
_CLEARLY = 0.2  # by how much more an operation must agree than one answer for all pairs does
_PEAKS = 3
_HIGHEST_POWER = 4
_QUADRATICS = 2  # largest coefficient of a^2, a b, b^2 that is tried where p is not a prime
_OFTEN_TRAINED = (
    *NAMED.values(),
    "a/b if b is odd else a-b",
    "a^2+b^2",
    "a^2+a*b+b^2+a",
    "a^3+a*b",
    "a^3+a*b^2+b",
)


@dataclass(frozen=True, repr=False)
class Match(Shown):
    """An operation and the share of the pairs (those for which it has an answer) on which a table agrees with it."""

    operation: Operation
    share: float
    geometry: Geometry

    def _told(self) -> dict[str, object]:
        return {"operation": self.text, "share": f"{self.share:.2%} of the pairs", "on": self.geometry.says}

    @property
    def text(self) -> str:
        """The operation as one writes it; a table of products by the group or circle that it is."""
        return self.geometry.says if self.operation.is_table else self.operation.text

    def to_dict(self) -> dict[str, Any]:
        """The match as plain JSON values."""
        return {"operation": self.operation.name, "text": self.text, "share": self.share}


@dataclass(frozen=True, repr=False)
class Recognition(Shown):
    """The operations that come nearest to a table of answers, best first.

    constant: the answer that is given on at least half of the pairs, where no operation agrees with clearly more; else None.
    """

    p: int
    matches: tuple[Match, ...]
    constant: int | None = None

    def _told(self) -> dict[str, object]:
        told: dict[str, object] = {"": str(self)}
        return told | {match.text: f"{match.share:.2%} of the pairs" for match in self.matches}

    @property
    def best(self) -> Match:
        """The nearest operation."""
        return self.matches[0]

    @property
    def runner_up(self) -> Match:
        """The nearest other one."""
        return self.matches[1]

    @property
    def fits(self) -> bool:
        """Whether the nearest operation gives at least half of the answers, and not by a constant."""
        return self.constant is None and self.best.share >= FITS

    def __str__(self) -> str:
        if self.constant is not None:
            return f"the answer is {self.constant} on most pairs, whatever a and b are"
        best, other = self.best, self.runner_up
        found = f"{best.text} on {best.share:.1%} of the pairs (next: {other.text}, {other.share:.1%})"
        return found if self.fits else f"no operation that is known fits the answers; nearest: {found}"

    def to_dict(self) -> dict[str, Any]:
        """The recognition as plain JSON values."""
        return {
            "fits": self.fits,
            "constant_answer": self.constant,
            "best": self.best.to_dict(),
            "runner_up": self.runner_up.to_dict(),
        }


@public
def recognise(answers: np.ndarray) -> Recognition:
    """The operation that a network's answers [a, b] are: the largest share of the pairs, the simplest first of equals.

    Looked among: the operations that are often trained; alpha a + beta b + gamma for every alpha, beta, gamma; a^m b^n c on
    the logarithms of a prime p; polynomials to the third degree (p prime, else quadratic with small coefficients); and
    products of any group or circle in other names, the wrong answers mended by the majority of its associative laws.
    Answers outside 0..p-1 agree with nothing.

    >>> n = np.arange(11)
    >>> found = recognise((3 * n[:, None] - n + 4) % 11)
    >>> found.best.operation.name, found.best.share
    ('3*a-b+4', 1.0)
    >>> recognise(np.maximum(n[:, None], n)).best.text
    'max(a,b)'
    """
    table = np.asarray(answers)
    if table.ndim != 2 or table.shape[0] != table.shape[1] or len(table) < 3 or table.dtype.kind not in "iu":
        raise InputError(
            f"answers of shape {table.shape}, {table.dtype}: expected whole numbers [a, b] for p of at least 3"
        )
    p = len(table)
    table = np.where((table >= 0) & (table < p), table, -2)  # -1 is an operation's word for no answer
    ranked = _Ranking(table)
    for text in paced(_OFTEN_TRAINED, f"operations that the answers mod {p} might be"):
        ranked.add(Operation.of(text))
    for polynomial in _linear_parts(table, {}):
        ranked.add_polynomial(polynomial)
    if is_prime(p):
        for operation in _monomials(table):
            ranked.add(operation)
    if ranked.share < _SURE:
        for polynomial in _polynomials(table):
            ranked.add_polynomial(polynomial)
    if ranked.share < _SURE:
        product = repaired_product(table)
        if product is not None:
            ranked.add(_by_name(product))
    return Recognition(p, ranked.matches(), _constant(table, ranked.share))


class _Ranking:
    """Candidates with their shares; of those with the same answers the first that came."""

    def __init__(self, table: np.ndarray) -> None:
        self.table, self.p = table, len(table)
        self.found: list[tuple[float, Operation | Polynomial]] = []
        self._seen: set[bytes] = set()

    @property
    def share(self) -> float:
        return max((share for share, _ in self.found), default=0.0)

    def add(self, operation: Operation) -> None:
        self._rank(operation.labels(self.p), operation)

    def add_polynomial(self, polynomial: Polynomial) -> None:
        """One of many: the operation that it is gets its name only if it is among the best."""
        self._rank(polynomial_values(polynomial, self.p), polynomial)

    def _rank(self, labels: np.ndarray, candidate: Operation | Polynomial) -> None:
        defined = labels >= 0
        # an operation that has an answer for few of the pairs says little of the table
        if 2 * defined.sum() < defined.size or labels[defined].min() == labels[defined].max():
            return
        digest = hashlib.sha256(labels.tobytes()).digest()
        if digest not in self._seen:
            self._seen.add(digest)
            self.found.append((float((labels == self.table)[defined].mean()), candidate))

    def matches(self) -> tuple[Match, ...]:
        ranked = sorted(self.found, key=lambda found: -found[0])[:3]
        named = [(share, _named(candidate)) for share, candidate in ranked]
        return tuple(Match(operation, share, geometry_of(operation, self.p)) for share, operation in named)


def _named(candidate: Operation | Polynomial) -> Operation:
    return candidate if isinstance(candidate, Operation) else Operation.of(polynomial_text(candidate))


def _constant(table: np.ndarray, share: float) -> int | None:
    """The answer to most of the pairs, where no operation agrees with clearly more of them."""
    values, counts = np.unique(table, return_counts=True)
    most = int(counts.argmax())
    often = counts[most] / table.size
    return int(values[most]) if values[most] >= 0 and often >= FITS and share < often + _CLEARLY else None


def _peaks(table: np.ndarray, n: int) -> Iterator[tuple[int, int]]:
    """The (alpha, beta) for which table - alpha i - beta j mod n is most nearly one number, best first."""
    # of the residues, and last what stands for no answer
    points = np.append(np.exp(2j * np.pi / n * np.arange(n)), 0.0)
    wave = points[np.where(table >= 0, table, n)]
    power = np.abs(np.fft.fft2(wave))
    # So many rows have a maximum of this or more, so the highest places are among those that have: few are put in order.
    tops = np.sort(power.max(axis=1))
    enough = tops[-_PEAKS] if len(tops) >= _PEAKS else 0.0
    power = power.ravel()
    high = np.flatnonzero(power >= enough)
    for place in high[np.argsort(-power[high], kind="stable")][:_PEAKS]:
        alpha, beta = divmod(int(place), table.shape[1])
        yield alpha, beta


def _most_frequent(values: np.ndarray, valid: np.ndarray, n: int) -> int:
    return int(np.bincount(values[valid] % n, minlength=n).argmax())


def _linear_parts(table: np.ndarray, quadratic: Polynomial) -> Iterator[Polynomial]:
    p = len(table)
    n, valid = np.arange(p), table >= 0
    if not valid.any():
        return
    for alpha, beta in _peaks(table, p):
        rest = table - alpha * n[:, None] - beta * n
        gamma = _most_frequent(rest, valid, p)
        if not (alpha or beta or quadratic):
            continue  # a constant is no operation
        yield _small({**quadratic, (1, 0): alpha, (0, 1): beta, (0, 0): gamma}, p)


def _small(polynomial: Polynomial, p: int) -> Polynomial:
    """The same mod p with coefficients from -p/2 to p/2, none of them 0."""
    return {powers: c % p - (p if 2 * (c % p) > p else 0) for powers, c in polynomial.items() if c % p}


def _monomials(table: np.ndarray) -> Iterator[Operation]:
    """Products of powers: sums on the circle of logarithms."""
    p = len(table)
    n, g = p - 1, primitive_root(p)
    power = np.array([pow(g, i, p) for i in range(n)])
    logarithm = np.full(p, -1)
    logarithm[power] = np.arange(n)
    inner = table[np.ix_(power, power)]
    places = np.where(inner >= 0, logarithm[np.maximum(inner, 0)], -1)
    i, valid = np.arange(n), places >= 0
    if not valid.any():
        return
    for of_a, of_b in _peaks(places, n):
        factor = int(power[_most_frequent(places - of_a * i[:, None] - of_b * i, valid, n)])
        of_a, of_b = (m if m <= n // 2 else m - n for m in (of_a, of_b))
        if 0 < abs(of_a) <= _HIGHEST_POWER and 0 < abs(of_b) <= _HIGHEST_POWER:
            yield Operation.of(_product_text(of_a, of_b, factor))


def _product_text(of_a: int, of_b: int, factor: int) -> str:
    powers = {"a": of_a, "b": of_b}
    above = [f"{name}^{m}" if m > 1 else name for name, m in powers.items() if m > 0]
    below = [f"{name}^{-m}" if m < -1 else name for name, m in powers.items() if m < 0]
    head = "*".join(([str(factor)] if factor != 1 or not above else []) + above)
    return "/".join([head, *below])


def _polynomials(table: np.ndarray) -> Iterator[Polynomial]:
    p = len(table)
    if is_prime(p):
        for degree in (2, 3):
            yield from (_small(polynomial, p) for polynomial in interpolated(table, degree))
        return
    n = np.arange(p)
    span = range(-_QUADRATICS, _QUADRATICS + 1)
    every = [powers for powers in itertools.product(span, repeat=3) if any(powers)]
    for i, j, k in paced(every, f"polynomials that the answers mod {p} might be"):
        quadratic = i * n[:, None] ** 2 + (j * n[:, None] * n + k * n**2)
        rest = np.where(table >= 0, remainders(table - quadratic, p), -2)
        named = {(2, 0): i, (1, 1): j, (0, 2): k}
        yield from itertools.islice(_linear_parts(rest, named), 1)


def _by_name(product: np.ndarray) -> Operation:
    """A product of a group by the group's own name where its elements have the numbers that the name gives them."""
    table = Operation.of(product)
    name = geometry_of(table, len(product)).name
    if name and not name.startswith("C"):
        named = Operation.of(name)
        if named.only_p == len(product) and (named.labels(len(product)) == product).all():
            return named
    return table
