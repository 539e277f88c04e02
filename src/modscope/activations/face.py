"""What every record of activations can do, whatever stands behind it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
import xarray as xr
from torch import Tensor

from modscope import display
from modscope.circle import Circle, circle_of
from modscope.errors import MissingWeight, UnknownName
from modscope.model import Network, Positions
from modscope.task import ModularTask

__all__ = ["Activations"]

Kept = TypeVar("Kept")


class Activations(Mapping[str, xr.DataArray], ABC):
    """Hook name -> xarray.DataArray over the pairs (a, b): all activations on all pairs of a task.

    `acts[hook]` keeps the leading axis `pos`; `acts.at(hook)` is the picture (a, b, feature) at the read
    position. Wherever a hook is named, its short name, its name with the layer and its full TransformerLens
    name will do; in a network of several layers the short name means the last one. `blocks` streams a hook
    without keeping it. A record may have no network behind it: then `network` is None, and whoever asks
    for the `model`, a `weight` or a forward pass gets `MissingWeight`, which says what is missing.
    """

    task: ModularTask
    positions: Positions
    # (measure, hook) -> small results that several measures need, for as long as this record lives
    derived: dict[tuple[str, str], Any]

    @staticmethod
    def from_arrays(arrays: Mapping[str, object], task: ModularTask | int) -> Activations:
        """The record of activations that were computed elsewhere: hook -> array over (a, b, ...), without a network.

        arrays: numpy or torch arrays whose first two axes are a and b, p x p, or DataArrays with these axes (or with an
        axis `token`, for what depends on one token); names are free, and those that modscope knows (mlp_post, resid_post,
        logits, ...) are found by its measures. task: of which the arrays are; or a number N, for pairs of N numbers of whose
        answers nothing is said. Raises InputError for other shapes and for numbers that are not finite.

        >>> acts = Activations.from_arrays({"mlp_post": np.zeros((5, 5, 8))}, ModularTask(5))
        >>> acts.at("mlp_post").dims, acts.network is None
        (('a', 'b', 'neuron'), True)
        """
        from modscope.activations.of_arrays import ArrayRecord

        return ArrayRecord.of(arrays, task)

    def remembered(self, measure: str, hook: str, make: Callable[[], Kept]) -> Kept:
        """What a measure found of a hook, made when first asked for and kept with this record: something small."""
        if (measure, hook) not in self.derived:
            self.derived[measure, hook] = make()
        found: Kept = self.derived[measure, hook]
        return found

    # What there is

    @cached_property
    def circle(self) -> Circle:
        """The circle on which the residues of the task lie.

        >>> Activations.from_arrays({"mlp_post": np.zeros((5, 5, 8))}, ModularTask(5, "multiply")).circle.residues
        (1, 2, 4, 3)
        """
        return circle_of(self.task)

    @property
    @abstractmethod
    def hooks(self) -> tuple[str, ...]:
        """The hooks there are, in the order of the forward pass."""

    @property
    @abstractmethod
    def joint_hooks(self) -> tuple[str, ...]:
        """The hooks whose activation depends on both tokens."""

    @property
    @abstractmethod
    def input_positions(self) -> tuple[str, ...]:
        """The names of the positions of the input."""

    @property
    @abstractmethod
    def read_position(self) -> str:
        """The position where the answer is read."""

    @abstractmethod
    def hook_name(self, name: str) -> str:
        """The name in `hooks` of a hook given by any of its names; UnknownName where there is none."""

    def __contains__(self, name: object) -> bool:
        """Whether there is such a hook, by any of its names."""
        try:
            self.hook_name(str(name))
        except UnknownName:
            return False
        return True

    def __iter__(self) -> Iterator[str]:
        return iter(self.hooks)

    def __len__(self) -> int:
        return len(self.hooks)

    def is_joint(self, name: str) -> bool:
        """Whether the activation at a hook depends on both tokens."""
        return self.hook_name(name) in self.joint_hooks

    # The network behind it

    @property
    def network(self) -> Network | None:
        """The network behind the record, or None where it is one of arrays alone."""
        return None

    @property
    def model(self) -> Network:
        """The network behind the record; raises MissingWeight where there is none."""
        if self.network is None:
            raise MissingWeight(
                "not applicable: it needs weights, or another forward pass, and the record is of activations alone"
            )
        return self.network

    def has_weight(self, name: str) -> bool:
        """Whether there is a network with that weight; a bias that is absent is zero."""
        return self.network is not None and self.network.has_weight(name)

    @property
    def replaced(self) -> tuple[str, ...]:
        """The hooks whose activation is not the network's own: those of a counterfactual record."""
        return ()

    def recorded_anew(self, network: Network) -> Activations:
        """The record of another network on the same task in the same way: positions, replaced activations."""
        raise MissingWeight("not applicable: the record is of activations alone, so no other network can be")

    def reading(self, residues: Sequence[int]) -> Activations:
        """The record of the same network to which a stands for residues[a], and b for residues[b]."""
        raise MissingWeight("not applicable: tokens of this kind of record cannot be renamed")

    def weight(self, name: str) -> Tensor:
        """A weight by its full or short name; raises MissingWeight, which names it, without a network."""
        if self.network is None:
            raise MissingWeight(
                f"not applicable: the record has no weight {name}: it is of activations alone"
            )
        return self.network.weight(name)

    # The activations

    @abstractmethod
    def __getitem__(self, name: str) -> xr.DataArray:
        """The activation at a hook with the leading axis `pos`; (pos, token, ...) where one token decides."""

    @abstractmethod
    def at(self, name: str, pos: str | None = None) -> xr.DataArray:
        """The activation at one position (the read position unless named), without the axis `pos`.

        Hooks that depend on one token give (token, feature) where a residue stands, and (feature,) where a
        constant does. Others (a, b, feature).
        """

    @abstractmethod
    def load(self, *names: str) -> Activations:
        """Computes several activations (all, if none is named) in one pass and keeps them; returns itself."""

    @abstractmethod
    def forget(self, *names: str) -> None:
        """Frees the kept arrays of these hooks (of all, if none is named), where they can be had again."""

    @property
    @abstractmethod
    def kept(self) -> tuple[str, ...]:
        """The hooks of both tokens whose arrays are in memory now."""

    @property
    @abstractmethod
    def nbytes(self) -> int:
        """Bytes held at this moment."""

    @abstractmethod
    def blocks(self, *names: str) -> Iterator[dict[str, xr.DataArray]]:
        """Some rows of a at a time: hook -> (a, b, feature) at the read position, nothing kept.

        The keys are the names as given. The coordinate `a` says which rows; together the blocks are `at(hook)`.
        Raises UnknownName for hooks that depend on one token.
        """

    def array_blocks(self, *names: str) -> Iterator[tuple[range, dict[str, np.ndarray]]]:
        """`blocks` as plain arrays: (rows of a, hook -> values [row, b, feature]).

        For sums over all pairs, where names of axes would be made for each block and never read.
        """
        for block in self.blocks(*names):
            arrays = {name: x.transpose("a", "b", ...) for name, x in block.items()}
            a = next(iter(arrays.values())).a.values
            yield range(int(a[0]), int(a[-1]) + 1), {name: x.values for name, x in arrays.items()}

    @abstractmethod
    def resume(
        self, replace: Mapping[str, np.ndarray], *, keep: Iterable[str] = ("logits",)
    ) -> Iterator[tuple[range, dict[str, np.ndarray]]]:
        """The forward pass with some activations replaced: (rows of a, hook -> values [row, b, feature]).

        replace: hook -> values [a, b, feature] at the read position, for hooks that depend on both tokens.
        What comes before the first replaced hook is as recorded; what follows is computed again, some rows
        at a time; keys are the names as given. Raises InputError for another shape, or a record of every
        position, MissingWeight without a network.
        """

    def expand(self, name: str) -> xr.DataArray:
        """The activation at every recorded position as (pos, a, b, feature), token-only ones repeated.

        The repetition is a read-only view where it can be; constant positions are included.
        """
        hook = self.hook_name(name)
        if hook in self.joint_hooks:
            return self[hook]
        residues = {"a": np.arange(self.task.p), "b": np.arange(self.task.p)}
        rows = []
        for pos in self.input_positions:
            x = self.at(hook, pos)
            if "token" in x.dims:
                x = x.rename(token=self.residue_at(pos))
            rows.append(x.expand_dims({n: v for n, v in residues.items() if n not in x.dims}))
        order = ("pos", "a", "b", *(d for d in rows[0].dims if d not in ("a", "b")))
        along = xr.DataArray(list(self.input_positions), dims="pos", name="pos")
        return xr.concat(rows, dim=along).transpose(*order).assign_attrs(self.attrs(hook))

    def residue_at(self, pos: str) -> str:
        """Which residue, "a" or "b", stands at a position; the position itself where it is a constant."""
        return pos

    def attrs(self, hook: str) -> dict[str, object]:
        """What the array of a hook says of itself: hook, p, operation, and the layer where there are several."""
        return {"hook": hook, "p": self.task.p, "operation": self.task.operation}

    # What it looks like

    def axes_of(self, name: str) -> dict[str, int]:
        """The axes of a hook with their sizes, as `at` gives it for joint hooks, without computing more than it takes."""
        hook = self.hook_name(name)
        return {
            str(dim): size
            for dim, size in (self.at(hook) if self.is_joint(hook) else self[hook]).sizes.items()
        }

    def _rows(self) -> list[tuple[str, str, int, str]]:
        """For each hook: name, axes, bytes, and whether it is in memory, computed when asked for, or replaced."""
        rows, kept, item = [], set(self.kept), 4
        for hook in self.hooks:
            axes = self.axes_of(hook)
            state = "in memory" if hook in kept or not self.is_joint(hook) else "when asked for"
            size = item * int(np.prod(list(axes.values())))
            rows.append(
                (
                    hook,
                    display.shape_text(axes, axes.values()),
                    size,
                    "replaced" if hook in self.replaced else state,
                )
            )
        return rows

    def _head(self) -> str:
        return f"Activations of {self.task}, {display.bytes_text(self.nbytes)} in memory"

    def __repr__(self) -> str:
        rows = [(hook, axes, display.bytes_text(size), state) for hook, axes, size, state in self._rows()]
        across = [max(len(row[i]) for row in rows) for i in range(3)]
        lines = [
            f"  {hook.ljust(across[0])}  {axes.ljust(across[1])}  {size.rjust(across[2])}  {state}"
            for hook, axes, size, state in rows
        ]
        return "\n".join([self._head(), *lines])

    def _repr_html_(self) -> str:
        rows = self._rows()
        return display.card_html(
            self._head(), display.table_html("", ("hook", "axes", "bytes", "state"), rows)
        )
