"""The data set: every pair (a, b) of residues mod p, its label, and which pairs are trained on."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any, Literal, cast

import numpy as np

from modscope import memory
from modscope.boundary import public
from modscope.display import facts_html
from modscope.errors import InputError, UnknownName, shown
from modscope.operations import Geometry, Operation, geometry_of
from modscope.residues import modulus
from modscope.schema import built, whole_number

__all__ = ["OPERATIONS", "ModularTask", "Split"]

_LARGE = 256  # a modulus from which on a table of all pairs is weighed before it is made

SplitKind = Literal["python", "torch", "mask", "none"]
SPLIT_KINDS: tuple[SplitKind, ...] = ("python", "torch", "mask", "none")


# The operations that published networks and the presets are named after; `Operation.of` knows many more.
OPERATIONS: tuple[str, ...] = (
    "add", "subtract", "multiply", "divide", "x^2+xy+y^2", "max", "min", "random",
)  # fmt: skip


@dataclass(frozen=True, repr=False)
class Split:
    """Which of the p*p pairs (a major) are trained on, exactly reproducible.

    kind "python": the first int(fraction * p * p) of the list of pairs after `random.seed(seed)` and
    `random.shuffle` (Nanda et al. 2023). kind "torch": the first ones of `torch.randperm` after
    `torch.manual_seed(seed)` (TransformerLens demo, Chughtai et al. 2023). kind "mask": any explicit mask,
    made by `Split.of_mask`. kind "none": nobody knows; only the loss over all pairs can be given.

    >>> Split("python", 0.3, 0).train_mask(113).sum()
    np.int64(3830)
    """

    kind: SplitKind = "python"
    fraction: float = 0.3
    seed: int = 0
    packed_mask: bytes = field(default=b"", repr=False)

    def __post_init__(self) -> None:
        if not isinstance(self.kind, str) or self.kind not in SPLIT_KINDS:
            raise UnknownName.of("kind of split", self.kind, SPLIT_KINDS)
        if isinstance(self.fraction, bool) or not isinstance(self.fraction, int | float | np.floating):
            raise InputError(f"train fraction {shown(self.fraction)}: expected a number from 0 to 1")
        if not 0.0 <= self.fraction <= 1.0:
            raise InputError(f"train fraction {shown(self.fraction)}: expected a number from 0 to 1")
        object.__setattr__(self, "seed", whole_number(self.seed, "seed of the split"))
        if not isinstance(self.packed_mask, bytes):
            raise InputError(f"packed mask {shown(self.packed_mask)}: expected bytes")

    @classmethod
    @public
    def of_mask(cls, mask: np.ndarray) -> Split:
        """The split whose training pairs are those where mask[a, b] is true.

        >>> Split.of_mask(np.eye(3, dtype=bool)).train_mask(3).sum()
        np.int64(3)
        """
        mask = np.asarray(mask)
        if mask.dtype != bool or mask.ndim != 2 or mask.shape[0] != mask.shape[1]:
            raise InputError(
                f"training mask of shape {mask.shape}, dtype {mask.dtype}: expected booleans of shape (p, p)"
            )
        return cls("mask", float(mask.mean()), 0, np.packbits(mask).tobytes())

    def __repr__(self) -> str:
        if self.kind == "none":
            return "Split('none')"
        if self.kind == "mask":
            return f"Split of a mask, {self.fraction:.4g} of the pairs"
        return f"Split({self.kind!r}, {self.fraction!r}, {self.seed!r})"

    def train_mask(self, p: int) -> np.ndarray:
        """Training pairs as bool[a, b]."""
        size = p * p
        if self.kind == "mask":
            if len(self.packed_mask) != (size + 7) // 8:
                raise InputError(f"the mask of this split has another size than p = {p} needs ({p} x {p})")
            bits = np.unpackbits(np.frombuffer(self.packed_mask, np.uint8), count=size)
            return bits.astype(bool).reshape(p, p)
        mask = np.zeros(size, bool)
        if self.kind != "none":
            mask[self.order(p)[: int(self.fraction * size)]] = True
        return mask.reshape(p, p)

    def order(self, p: int) -> np.ndarray:
        """The numbers a * p + b of all pairs in the order that was drawn, training pairs first: int64[p*p].

        Raises InputError for a mask or an unknown split, which have no order.

        >>> Split("python", seed=0).order(3).tolist()
        [7, 5, 1, 3, 4, 2, 0, 8, 6]
        """
        size = p * p
        if self.kind == "python":
            order = list(range(size))
            random.Random(self.seed).shuffle(order)
            return np.array(order)
        if self.kind != "torch":
            raise InputError(f"a split of kind {self.kind!r} has no order: expected 'python' or 'torch'")
        import torch

        return torch.randperm(size, generator=torch.Generator().manual_seed(self.seed)).numpy()

    def to_dict(self) -> dict[str, Any]:
        """The split as plain JSON values."""
        values = asdict(self)
        values["packed_mask"] = self.packed_mask.hex()
        return values

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Split:
        """The split that `to_dict` described."""
        stored = built(_Stored, values, "split.")
        try:
            return cls(
                cast(SplitKind, stored.kind), stored.fraction, stored.seed, bytes.fromhex(stored.packed_mask)
            )
        except ValueError as error:
            raise InputError(f"split.packed_mask = {shown(stored.packed_mask)}: {error}") from error


@dataclass(frozen=True)
class _Stored:
    """A split as files have it."""

    kind: str = "python"
    fraction: float = 0.3
    seed: int = 0
    packed_mask: str = ""


@dataclass(frozen=True)
class _StoredTask:
    """A task as files have it."""

    p: int
    operation: str = "add"
    split: dict[str, Any] = field(default_factory=dict)
    label_seed: int = 0
    table: str = ""


@dataclass(frozen=True, repr=False)
class ModularTask:
    """All p*p pairs of residues with the label c of an operation, and a split of them.

    p is any integer of at least 3, odd or even, prime or not. Pairs are in a-major order: pair number
    a * p + b. operation: whatever `Operation.of` takes, kept as its canonical name (a table beside it, in `table`).
    `random` labels are the control: nothing can generalise on them. Pairs without an answer (a / 0) have the label -1
    and are in no mask.

    >>> task = ModularTask(5, "subtract")
    >>> task.labels[1, 3], task.tokens()[8].tolist(), task.tokens(equals=False)[8].tolist()
    (np.int64(3), [1, 3, 5], [1, 3])
    >>> ModularTask(5, "x/y").masks()["train"].sum(), ModularTask(5, "x/y").operation
    (np.int64(5), 'divide')
    """

    p: int
    operation: str = "add"
    split: Split = Split()
    label_seed: int = 0
    table: str = field(default="", repr=False)

    def __init__(
        self,
        p: int,
        operation: str | Operation | np.ndarray = "add",
        split: Split = Split(),
        label_seed: int = 0,
        table: str = "",
    ) -> None:
        if table and isinstance(operation, str):
            operation = Operation(operation, table)
        if not isinstance(split, Split):
            raise InputError(f"split {shown(split)}: expected a Split")
        chosen = Operation.of(operation)
        for name, value in (
            ("p", modulus(p)),
            ("operation", chosen.name),
            ("split", split),
            ("label_seed", whole_number(label_seed, "label_seed", least=0)),
            ("table", chosen.packed),
        ):
            object.__setattr__(self, name, value)
        if chosen.is_table or chosen.group is not None:
            self.labels  # noqa: B018 - raises where the table is of another size than p

    def __str__(self) -> str:
        """The task in words.

        >>> print(ModularTask(113), ModularTask(5, "random"), sep="; ")
        a + b mod 113; random mod 5
        """
        formula = {"add": "a + b", "subtract": "a - b", "multiply": "a * b", "divide": "a / b"}
        return f"{formula.get(self.operation, self.operation)} mod {self.p}"

    def __repr__(self) -> str:
        """The call that makes it, what is left out being as usual.

        >>> ModularTask(113), ModularTask(7, "subtract", Split("none"))
        (ModularTask(113, 'add'), ModularTask(7, 'subtract', Split('none')))
        """
        told = [repr(self.p), repr(self.operation)]
        told += [repr(self.split)] if self.split != Split() else []
        told += [f"label_seed={self.label_seed}"] if self.label_seed else []
        told += ["table=..."] if self.table else []
        return f"ModularTask({', '.join(told)})"

    def _repr_html_(self) -> str:
        train = f"{self.split.fraction:.0%} of the pairs" if self.split.kind != "none" else "not known"
        facts = {"pairs": f"{self.p**2:,}", "trained on": train, "split": self.split.kind}
        return facts_html(str(self), facts)

    @property
    def what(self) -> Operation:
        """The operation itself."""
        return Operation(self.operation, self.table)

    @property
    def pairs(self) -> np.ndarray:
        """The pairs as int64[p*p, 2], a major."""
        a, b = np.divmod(np.arange(self.p * self.p, dtype=np.int64), self.p)
        return np.stack((a, b), axis=1)

    @cached_property
    def _labels(self) -> np.ndarray:
        if self.p > _LARGE:
            memory.require(24 * self.p**2, f"p = {self.p}: the answers of all {self.p} * {self.p} pairs")
        return self.what.labels(self.p, seed=self.label_seed)

    @property
    def labels(self) -> np.ndarray:
        """The labels as int64[a, b]; -1 where the pair has no answer."""
        return self._labels.copy()

    @property
    def defined(self) -> np.ndarray:
        """The pairs that have an answer, bool[a, b]."""
        return self._labels >= 0

    @cached_property
    def geometry(self) -> Geometry:
        """The circle, axis or group on which the operation becomes simple."""
        return geometry_of(self.what, self.p, seed=self.label_seed)

    def tokens(self, *, equals: bool = True) -> np.ndarray:
        """The network's input as int64[p*p, 3], or [p*p, 2] without the token "=" (whose number is p)."""
        if not equals:
            return self.pairs
        return np.column_stack((self.pairs, np.full(self.p * self.p, self.p, dtype=np.int64)))

    @cached_property
    def _train_mask(self) -> np.ndarray:
        # Python's shuffle of all pairs takes longer than a forward pass.
        return self.split.train_mask(self.p) & self.defined

    @property
    def train_mask(self) -> np.ndarray:
        """Training pairs as bool[a, b]: those of the split that have an answer."""
        return self._train_mask.copy()

    def masks(self) -> dict[str, np.ndarray]:
        """The named sets of pairs, each bool[a, b]: train, test and all; only all where no split is known.

        all: every pair that has an answer.
        """
        whole = self.defined
        if self.split.kind == "none":
            return {"all": whole}
        train = self.train_mask
        return {"train": train, "test": whole & ~train, "all": whole}

    def to_dict(self) -> dict[str, Any]:
        """The task as plain JSON values."""
        values = {
            "p": self.p,
            "operation": self.operation,
            "split": self.split.to_dict(),
            "label_seed": self.label_seed,
        }
        return {**values, "table": self.table} if self.table else values

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> ModularTask:
        """The task that `to_dict` described."""
        stored = built(_StoredTask, values, "task.")
        return cls(stored.p, stored.operation, Split.from_dict(stored.split), stored.label_seed, stored.table)
