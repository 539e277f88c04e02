"""The record of a network with weights: what can be computed is computed when asked for, in blocks of rows."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from modscope import memory
from modscope.activations.axes import coordinates, feature_axes, layer_of
from modscope.activations.face import Activations
from modscope.errors import InputError, UnknownName
from modscope.model import Network, Positions
from modscope.pace import paced
from modscope.task import ModularTask

__all__ = ["NetworkRecord"]

_LARGE = 256  # a modulus from which on a record is weighed before it is made
_PAIRS_AT_ONCE = 16384  # of what is kept
_ROWS_IN_PASSING = 16  # at least: sums over a take as many at a time
_PAIRS_IN_PASSING = (
    2048  # of what is looked at and let go: it stays in the caches, and its memory is used again
)


class NetworkRecord(Activations):
    """A record that can run its network: arrays of both tokens are computed when first asked for and kept.

    What the kinds of networks differ in is how they fill a block of pairs (`_block`) and what they know of
    single tokens (`_token_table`, `_token_row`).
    """

    def __init__(self, network: Network, task: ModularTask, positions: Positions) -> None:
        self._network = network
        self.task = task
        self.positions = positions
        self._joint: dict[str, Tensor] = {}
        self._axes: dict[str, dict[str, int]] = {}
        self._coordinates: dict[object, xr.Coordinates] = {}
        self.derived = {}

    @abstractmethod
    def _block(self, rows: range, wanted: tuple[str, ...], known: dict[str, Tensor]) -> dict[str, Tensor]:
        """The wanted hooks on the pairs of some rows, [pair, (pos,) feature], given what is known of them."""

    @abstractmethod
    def _token_table(self, hook: str) -> xr.DataArray:
        """A hook that depends on one token, with the axes pos (where it has one) and token."""

    @abstractmethod
    def _token_row(self, hook: str, pos: str) -> xr.DataArray:
        """A hook that depends on one token, at one position: (token, feature), or (feature,) of a constant."""

    @abstractmethod
    def _table_bytes(self) -> int: ...

    def recorded_anew(self, network: Network) -> Activations:
        return type(self)(network, self.task, self.positions)

    @property
    def network(self) -> Network:
        return self._network

    @property
    def input_positions(self) -> tuple[str, ...]:
        return self._network.config.positions

    @property
    def read_position(self) -> str:
        return self._network.config.positions[-1]

    @property
    def hooks(self) -> tuple[str, ...]:
        return self._network.hooks

    @property
    def joint_hooks(self) -> tuple[str, ...]:
        return self.hooks[self.hooks.index(self._network.first_joint_hook) :]

    def hook_name(self, name: str) -> str:
        return self._network.hook_name(name)

    def __getitem__(self, name: str) -> xr.DataArray:
        hook = self.hook_name(name)
        if hook not in self.joint_hooks:
            return self._token_table(hook)
        if hook not in self._joint:
            self.load(hook)
        return self._named(hook, self._joint[hook])

    def at(self, name: str, pos: str | None = None) -> xr.DataArray:
        hook = self.hook_name(name)
        pos = self.read_position if pos is None else pos
        if not isinstance(pos, str) or pos not in self.input_positions:
            raise UnknownName.of("position", pos, self.input_positions)
        if hook not in self.joint_hooks:
            return self._token_row(hook, pos)
        if pos not in self._recorded_positions:
            raise InputError(
                f"{hook} was recorded at {', '.join(self._recorded_positions)} only, not at {pos!r}: "
                'record with positions="all"'
            )
        if hook not in self._joint:
            self.load(hook)
        return self._named_at(hook, self._joint[hook], pos)

    @torch.no_grad()
    def axes_of(self, name: str) -> dict[str, int]:
        hook, p = self.hook_name(name), self.task.p
        if not self.is_joint(hook) or hook in self._joint:
            return super().axes_of(name)
        if hook not in self._axes:  # the pairs of one row tell the axes of all hooks
            known = {h: x[:p] for h, x in self._joint.items()}
            block = self._block(range(1), self.joint_hooks, known)
            for h, x in block.items():
                sizes = self._named_at(h, x, self._recorded_positions[0], range(1)).sizes
                self._axes[h] = {str(dim): size for dim, size in sizes.items()} | {"a": p}
        return dict(self._axes[hook])

    def load(self, *names: str) -> Activations:
        wanted = [self.hook_name(name) for name in names] or list(self.joint_hooks)
        wanted = [hook for hook in wanted if hook in self.joint_hooks and hook not in self._joint]
        if not wanted:
            return self
        p = self.task.p
        self._require_room(wanted)
        parts: dict[str, Tensor] = {}
        for rows, block in self._run(wanted, self._rows_at_once()):
            for hook, x in block.items():
                if len(rows) == p:
                    parts[hook] = x
                    continue
                if hook not in parts:
                    parts[hook] = torch.empty((p * p, *x.shape[1:]), dtype=x.dtype)
                parts[hook][rows.start * p : rows.stop * p] = x
        self._joint |= parts
        return self

    def _require_room(self, hooks: Iterable[str]) -> None:
        """InputError, with how much they would take, where these hooks of all pairs do not fit into the memory that is free."""
        if self.task.p < _LARGE:
            return
        numbers = sum(math.prod(self.axes_of(hook).values()) for hook in hooks)
        positions = len(self.input_positions) if self.positions == "all" else 1
        size = torch.finfo(self._network.dtype).bits // 8
        memory.require(
            numbers * positions * size, f"{', '.join(hooks)} of all {self.task.p} * {self.task.p} pairs"
        )

    def forget(self, *names: str) -> None:
        for hook in [self.hook_name(name) for name in names] or list(self._joint):
            self._joint.pop(hook, None)

    @property
    def kept(self) -> tuple[str, ...]:
        return tuple(hook for hook in self.joint_hooks if hook in self._joint)

    @property
    def nbytes(self) -> int:
        return self._table_bytes() + sum(x.nbytes for x in self._joint.values())

    def blocks(self, *names: str) -> Iterator[dict[str, xr.DataArray]]:
        wanted = {name: self._joint_hook(name) for name in names}
        for rows, block in self._run(wanted.values(), self._rows_in_passing()):
            pos = self.read_position
            yield {name: self._named_at(hook, block[hook], pos, rows) for name, hook in wanted.items()}

    def array_blocks(self, *names: str) -> Iterator[tuple[range, dict[str, np.ndarray]]]:
        wanted = {name: self._joint_hook(name) for name in names}
        for rows, block in self._run(wanted.values(), self._rows_in_passing()):
            at_read = {
                name: self._pairs_at(block[hook], self.read_position, len(rows))
                for name, hook in wanted.items()
            }
            yield rows, {name: x.detach().numpy() for name, x in at_read.items()}

    @torch.no_grad()
    def resume(
        self, replace: Mapping[str, np.ndarray], *, keep: Iterable[str] = ("logits",)
    ) -> Iterator[tuple[range, dict[str, np.ndarray]]]:
        if self.positions == "all":
            raise InputError('a record of every position cannot be resumed: record with positions="read"')
        given = {}
        for name, values in replace.items():
            hook = self._joint_hook(name)
            given[hook] = self._as_pairs(hook, values)
        wanted = {name: self.hook_name(name) for name in keep}
        first = min((self.hooks.index(hook) for hook in given), default=len(self.hooks))
        p, size = self.task.p, self._rows_in_passing()
        known = {h: x for h, x in self._joint.items() if self.hooks.index(h) < first} | given
        for rows in self._in_turn(size, tuple(wanted.values())):
            part = {h: x[rows.start * p : rows.stop * p] for h, x in known.items()}
            block = self._block(rows, tuple(dict.fromkeys(wanted.values())), part)
            yield (
                rows,
                {n: block[h].numpy().reshape(len(rows), p, *block[h].shape[1:]) for n, h in wanted.items()},
            )

    def _in_turn(self, size: int, hooks: tuple[str, ...]) -> Iterator[range]:
        """All rows of a, some at a time."""
        p = self.task.p
        every = [range(start, min(start + size, p)) for start in range(0, p, size)]
        named = hooks[0] if len(hooks) == 1 else f"{len(hooks)} hooks"
        return paced(every, f"{named} of all {p} * {p} pairs", p, size=len)

    def _rows_at_once(self) -> int:
        return max(1, _PAIRS_AT_ONCE // self.task.p)

    def _rows_in_passing(self) -> int:
        return min(self._rows_at_once(), max(_ROWS_IN_PASSING, _PAIRS_IN_PASSING // self.task.p))

    def _joint_hook(self, name: str) -> str:
        hook = self.hook_name(name)
        if hook not in self.joint_hooks:
            raise UnknownName.of("hook that depends on both tokens", hook, self.joint_hooks)
        return hook

    def _as_pairs(self, hook: str, values: np.ndarray) -> Tensor:
        p = self.task.p
        x = torch.as_tensor(np.ascontiguousarray(values), dtype=self._network.dtype)
        if x.shape[:2] != (p, p):
            raise InputError(f"{hook} of shape {tuple(x.shape)}: expected ({p}, {p}, feature)")
        return x.flatten(0, 1)

    @torch.no_grad()
    def _run(self, hooks: Iterable[str], size: int) -> Iterator[tuple[range, dict[str, Tensor]]]:
        p, wanted = self.task.p, tuple(dict.fromkeys(hooks))
        for rows in self._in_turn(size, wanted):
            known = {h: x[rows.start * p : rows.stop * p] for h, x in self._joint.items()}
            yield rows, self._block(rows, wanted, known)

    def attrs(self, hook: str) -> dict[str, object]:
        layer = layer_of(hook)
        return super().attrs(hook) | ({} if layer is None else {"layer": layer})

    @property
    def _recorded_positions(self) -> tuple[str, ...]:
        """The positions at which hooks of both tokens are kept."""
        return self.input_positions if self.positions == "all" else (self.read_position,)

    def _label(
        self,
        x: Tensor,
        dims: tuple[str, ...],
        hook: str,
        rows: range | None = None,
        pos: tuple[str, ...] = (),
    ) -> xr.DataArray:
        """A tensor with its names; coordinates are made once for all arrays of the same axes."""
        key = (dims, tuple(x.shape), rows, pos)
        if key not in self._coordinates:
            own: dict[str, object] = {"key_pos": list(self.input_positions)}
            if rows is not None:
                own["a"] = np.arange(rows.start, rows.stop)
            self._coordinates[key] = coordinates(dims, tuple(x.shape), **own, pos=list(pos))
        values, coords = x.detach().numpy(), self._coordinates[key]
        return xr.DataArray(values, dims=dims, coords=coords, name=hook, attrs=self.attrs(hook))

    def _named(self, hook: str, x: Tensor) -> xr.DataArray:
        p = self.task.p
        if self.positions == "all":
            x = x.reshape(p, p, *x.shape[1:]).movedim(2, 0)
        else:
            x = x.reshape(1, p, p, *x.shape[1:])
        dims = ("pos", "a", "b", *feature_axes(hook))
        return self._label(x, dims, hook, pos=self._recorded_positions)

    def _named_at(self, hook: str, x: Tensor, pos: str, rows: range | None = None) -> xr.DataArray:
        """The pairs of all rows, or of some, at one of the recorded positions: (a, b, feature)."""
        x = self._pairs_at(x, pos, self.task.p if rows is None else len(rows))
        return self._label(x, ("a", "b", *feature_axes(hook)), hook, rows)

    def _pairs_at(self, x: Tensor, pos: str, count: int) -> Tensor:
        """The pairs of so many rows at one of the recorded positions, [row, b, feature]."""
        x = x.reshape(count, self.task.p, *x.shape[1:])
        return x[:, :, self.input_positions.index(pos)] if self.positions == "all" else x
