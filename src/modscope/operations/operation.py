"""What the answer is, as a function of the pair (a, b)."""

from __future__ import annotations

import base64
import hashlib
import math
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from modscope.boundary import public
from modscope.errors import InputError, UnknownName, shown, turned_into
from modscope.operations.expression import Expression, parsed
from modscope.operations.groups import group_order, group_table
from modscope.operations.polynomial import Polynomial, polynomial_of, polynomial_text, polynomial_values

__all__ = ["MOST_RESIDUES", "NAMED", "Operation"]

# Names that operations have beside their expressions.
NAMED: Mapping[str, str] = {
    "add": "a+b",
    "subtract": "a-b",
    "multiply": "a*b",
    "divide": "a/b",
    "max": "max(a,b)",
    "min": "min(a,b)",
    "x^2+xy+y^2": "a^2+a*b+b^2",
}
_BY_TEXT = {text: name for name, text in NAMED.items()}
RANDOM = "random"
MOST_RESIDUES = 4096  # of a table of answers
_LARGEST = 2 * MOST_RESIDUES**2  # bytes of a table


@dataclass(frozen=True)
class Operation:
    """The answer to each pair of residues, by its one name.

    name: one of `NAMED`, an expression in a and b ("2*a+3*b", "a^2+b^2", "a/b if b is odd else a-b"), a group by its
    name ("D14", "C2xC14"), "random" (drawn from a seed), or "table 3f2a91c0", whose answers are in `packed`. Make one
    with `Operation.of`, which gives the same name to the same polynomial however it is written.

    >>> Operation.of("x + y").name, Operation.of("b^2 + a^2").name, Operation.of("a/b").name
    ('add', 'a^2+b^2', 'divide')
    """

    name: str
    packed: str = field(default="", repr=False)

    @classmethod
    @public
    def of(cls, given: str | Operation | np.ndarray) -> Operation:
        """The operation that a name, an expression, or a table of answers [a, b] says.

        Raises InputError for an expression that cannot be parsed (its position is marked) and for a table that is
        not p x p residues, with -1 where a pair has no answer; UnknownName for a word that is no operation.
        """
        if isinstance(given, Operation):
            return given
        if not isinstance(given, str):
            with turned_into(
                InputError, f"operation {shown(given)}: expected a name, an expression or a table"
            ):
                return cls._of_table(np.asarray(given))
        text = " ".join(given.split())
        if text.lower() in NAMED or text.lower() == RANDOM:
            return cls(text.lower())
        if group_order(text) is not None:
            group_table(text)
            return cls(text)
        if text.replace("_", "").isalpha() and not set(text.lower()) <= set("abxy"):
            raise UnknownName.of("operation", given, [*NAMED, RANDOM, "an expression such as 2*a+3*b"])
        expression = parsed(text)
        polynomial = polynomial_of(expression)
        canonical = str(expression) if polynomial is None else polynomial_text(polynomial)
        return cls(_BY_TEXT.get(canonical, canonical))

    @classmethod
    def _of_table(cls, table: np.ndarray) -> Operation:
        if table.ndim != 2 or table.shape[0] != table.shape[1] or table.dtype.kind not in "iu":
            raise InputError(
                f"a table of answers of shape {table.shape}, {table.dtype}: expected whole numbers of shape (p, p)"
            )
        p = len(table)
        if p < 3 or p > 2**15:
            raise InputError(f"a table of answers for p = {p}: expected p from 3 to {2**15}")
        if table.min() < -1 or table.max() >= p:
            a, b = np.argwhere((table < -1) | (table >= p))[0]
            raise InputError(
                f"a table of answers has {table[a, b]} at a = {a}, b = {b}: expected residues 0 to {p - 1}, "
                "and -1 where a pair has no answer"
            )
        plain = np.ascontiguousarray(table, "<i2").tobytes()
        digest = hashlib.sha256(plain).hexdigest()[:8]
        return cls(f"table {digest}", base64.b64encode(zlib.compress(plain, 9)).decode())

    @property
    def is_table(self) -> bool:
        """Whether the answers are a table and nothing else."""
        return self.name.startswith("table ")

    @property
    def is_random(self) -> bool:
        """Whether the answers are drawn from a seed."""
        return self.name == RANDOM

    @property
    def expression(self) -> Expression | None:
        """The expression in a and b; None for groups, tables and random answers."""
        if self.is_table or self.is_random or self.group is not None:
            return None
        return parsed(NAMED.get(self.name, self.name))

    @property
    def polynomial(self) -> Polynomial | None:
        """The polynomial in a and b, where it is one."""
        expression = self.expression
        return None if expression is None else polynomial_of(expression)

    @property
    def group(self) -> str | None:
        """The name of the group whose product it is, where it was given as one."""
        return self.name if group_order(self.name) is not None else None

    @property
    def only_p(self) -> int | None:
        """The one p that a group or a table is for; None for what has a meaning mod any p."""
        if self.is_table:
            return math.isqrt(len(self._unpacked()) // 2)
        return group_order(self.name)

    @property
    def text(self) -> str:
        """How the answer is written: a+b, a^2+b^2, product in D14, random labels, table 3f2a91c0."""
        if self.group is not None:
            return f"product in {self.name}"
        return "random labels" if self.is_random else NAMED.get(self.name, self.name)

    @public
    def labels(self, p: int, *, seed: int = 0) -> np.ndarray:
        """The answers mod p, int64[a, b]; -1 where there is none, as where something without an inverse divides.

        seed: of random answers. Raises InputError for a group or a table of another size than p.

        >>> Operation.of("divide").labels(3).tolist()
        [[-1, 0, 0], [-1, 1, 2], [-1, 2, 1]]
        """
        if self.is_random:
            return np.random.default_rng(seed).integers(p, size=(p, p))
        if self.is_table:
            return self._table(p)
        size = group_order(self.name)
        if size is not None:
            if size != p:
                raise InputError(f"operation {self.name}: the group has {size} elements, and p = {p}")
            return group_table(self.name)
        polynomial = self.polynomial
        if polynomial is not None:
            return polynomial_values(polynomial, p)
        return parsed(NAMED.get(self.name, self.name)).labels(p)

    def _table(self, p: int) -> np.ndarray:
        plain = self._unpacked(2 * p * p + 1)
        if len(plain) != 2 * p * p:
            size = math.isqrt(len(plain) // 2)
            raise InputError(f"operation {self.name!r}: its table is {size} x {size}, and p = {p}")
        return np.frombuffer(plain, "<i2").astype(np.int64).reshape(p, p)

    def _unpacked(self, most: int = _LARGEST) -> bytes:
        """The table, or the first `most` bytes of it: a few of what is packed may announce gigabytes."""
        unpacking = zlib.decompressobj()
        try:
            plain = unpacking.decompress(base64.b64decode(self.packed, validate=True), min(most, _LARGEST))
        except (ValueError, zlib.error):
            plain = b""
        if not unpacking.eof and len(plain) == most:
            return plain  # longer than it may be, which is all that is asked
        if hashlib.sha256(plain).hexdigest()[:8] != self.name.removeprefix("table "):
            raise InputError(f"operation {self.name!r}: its table is missing or damaged")
        return plain
