"""On which circle the residues of a task lie, and how its answer turns on it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal, TypeVar

import numpy as np
import xarray as xr

from modscope.boundary import public
from modscope.display import Shown
from modscope.errors import InputError
from modscope.operations import primitive_root
from modscope.task import ModularTask

__all__ = ["Circle", "circle_of", "primitive_root"]


Array = TypeVar("Array", np.ndarray, xr.DataArray)


@dataclass(frozen=True, repr=False)
class Circle(Shown):
    """The residues of a task as n places of a circle, and the answer's place as i + sign * j.

    add and subtract: the residues 0..p-1 themselves, sign +1 and -1. multiply and divide, p prime: the place of g**i is
    i for the smallest primitive root g, so n = p - 1, residue 0 has no place. alpha (a + b) + gamma: the place of the
    residue n is alpha n, and the answer's places are shifted by gamma (`answers`, the residues of the answers by place).
    For operations whose a and b lie on no circle, or on it in different orders, the residues lie in their natural order
    and sign is None: the answer is not i + j of anything; `name` says so.
    """

    p: int
    residues: tuple[int, ...]
    sign: int | None
    name: str
    answers: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if not self.answers:
            object.__setattr__(self, "answers", self.residues)

    def _told(self) -> dict[str, object]:
        first = " ".join(map(str, self.residues[:8]))
        answer = {1: "at i + j", -1: "at i - j", None: "on no circle with a and b"}[self.sign]
        return {
            "places": f"{self.n} of the residues mod {self.p}",
            "of": self.name,
            "in order": f"{first} ..." if self.n > 8 else first,
            "answer": answer,
        }

    def __str__(self) -> str:
        return f"{self.n} places: {self.name}"

    @property
    def n(self) -> int:
        """The number of places; frequencies are 0..n//2."""
        return len(self.residues)

    @property
    def whole(self) -> bool:
        """Whether the places are the residues in their natural order."""
        return self.residues == self.answers == tuple(range(self.p))

    @cached_property
    def _of_answers(self) -> np.ndarray:
        return np.array(self.answers)

    @cached_property
    def _index(self) -> np.ndarray:
        return np.array(self.residues)

    @public
    def rows(self, table: np.ndarray) -> np.ndarray:
        """A table [residue, ...] in the order of the circle, [place, ...]."""
        return table[: self.p] if self.whole else table[self._index]

    @public
    def answer_rows(self, table: np.ndarray) -> np.ndarray:
        """A table [answer, ...] in the order of the circle, [place, ...]."""
        return table[: self.p] if self.whole else table[self._of_answers]

    @public
    def pairs(self, x: Array) -> Array:
        """A picture (a, b, ...) with both residues in the order of the circle: axes a and b are places now.

        x: a DataArray with axes a and b, or an ndarray with these two first. Raises InputError where they are not p x p.
        """
        size = (x.sizes.get("a"), x.sizes.get("b")) if isinstance(x, xr.DataArray) else x.shape[:2]
        if size != (self.p, self.p):
            raise InputError(
                f"a picture of {' x '.join(map(str, size))} pairs: expected {self.p} x {self.p}, mod {self.p}"
            )
        if self.whole:
            return x
        if isinstance(x, xr.DataArray):
            return x.isel(a=self._index, b=self._index).drop_vars(("a", "b"), errors="ignore")
        return x[np.ix_(self._index, self._index)]

    @public
    def cube(self, logits: np.ndarray) -> np.ndarray:
        """Logits [a, b, answer] with all three in the order of the circle."""
        return self.pairs(logits)[..., : self.p] if self.whole else self.pairs(logits)[..., self._of_answers]

    @property
    def turn(self) -> int:
        """The sign; raises InputError where the answer does not turn on a circle."""
        if self.sign is None:
            raise InputError(
                f"the answers are those of {self.name}: they do not lie on a circle with a and b, as those of add and "
                "subtract, and of multiply and divide mod a prime do"
            )
        return self.sign

    @property
    def direction(self) -> Literal["sum", "difference"]:
        """What the answer's place is of the pair's: their sum or their difference."""
        return "sum" if self.turn > 0 else "difference"

    def answer_places(self) -> np.ndarray:
        """The place of the answer of each pair of places, int[i, j]."""
        i = np.arange(self.n)
        return (i[:, None] + self.turn * i) % self.n


@public
def circle_of(task: ModularTask) -> Circle:
    """The circle on which a task's residues lie.

    >>> circle_of(ModularTask(5)).residues, circle_of(ModularTask(5, "multiply")).residues
    ((0, 1, 2, 3, 4), (1, 2, 4, 3))
    >>> circle_of(ModularTask(5, "random")).sign is None
    True
    """
    p, operation = task.p, task.operation
    natural = tuple(range(p))
    if operation in ("add", "subtract"):
        return Circle(p, natural, 1 if operation == "add" else -1, operation)
    found = task.geometry
    if found.kind != "circle":
        return Circle(p, natural, None, found.says if task.what.is_table else task.what.text)
    if not found.same_places:
        return Circle(p, natural, None, f"{task.what.text} (a and b lie on the circle in different orders)")
    name = f"{operation}, {found.says.partition(': ')[2].removesuffix(', 0 apart') or found.says}"
    return Circle(p, found.a, found.sign, name, found.c)
