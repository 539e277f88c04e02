"""Slices of what a run has to show, computed when they are asked for, and no more of them than is needed."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
import torch

from modscope.activations import record
from modscope.errors import InputError
from modscope.model import Network
from modscope.networks.kinds import has_attention
from modscope.networks.tokens import read_position
from modscope.viewer.catalogue import WEIGHTS, Catalogue, Layout, Pick
from modscope.viewer.kept import Kept

__all__ = ["BUDGET", "Slices", "Wanted", "checked", "gathered"]

BUDGET = 256 << 20  # bytes of activations that are kept
MOST_VALUES = 1 << 24  # of one answer
_RUN_AT_ONCE = 4 << 20  # bytes that the widest activation of the pairs has that are run at one time
_PAIRS_AT_ONCE = 2048
_VALUES_AT_ONCE = 1 << 20  # that are copied into an answer
_NETWORKS = 64 << 20  # bytes of weights that are kept

Wanted = tuple[int | slice, ...]


class Slices:
    """Values of any pick over some of its axes, the other axes at an index.

    A slice that needs few pairs runs the network on those pairs; one that needs many runs it on all pairs once
    and keeps the activation, so that playing along any other axis is a lookup. Of an activation that is larger than the
    budget some features are kept, those about the ones that were asked for.
    """

    def __init__(self, catalogue: Catalogue, *, budget: int = BUDGET) -> None:
        self.catalogue = catalogue
        self._kept: Kept[np.ndarray] = Kept(budget)
        self._networks: Kept[Network] = Kept(_NETWORKS)
        self._running = threading.Lock()
        self._layout: Callable[[Pick], Layout] = lru_cache(maxsize=256)(catalogue.layout)

    def read(self, pick: Pick, keep: Sequence[int], index: Sequence[int]) -> np.ndarray:
        """Little-endian float32 values over the axes `keep`, in that order, with the others at `index`.

        Raises InputError for axes or indices that are not there, or more values than an answer may have.
        """
        layout = self._layout(pick)
        checked(layout, keep, index)
        wanted: Wanted = tuple(slice(None) if axis in keep else int(at) for axis, at in enumerate(index))
        values = np.empty([layout.shape[axis] for axis in keep], "<f4")
        self._fill(values.transpose([keep.index(axis) for axis in sorted(keep)]), pick, wanted)
        return values

    def _fill(self, into: np.ndarray, pick: Pick, wanted: Wanted) -> None:
        """Writes the wanted values into an array that has the axes of the layout that are whole, in their order."""
        if "epoch" not in self._layout(pick).dims:
            self._fill_epoch(into, pick, 0, wanted)
        elif isinstance(which := wanted[0], slice):
            for epoch in range(len(into)):
                self._fill_epoch(into[epoch, ...], pick, epoch, wanted[1:])
        else:
            self._fill_epoch(into, pick, which, wanted[1:])

    def _fill_epoch(self, into: np.ndarray, pick: Pick, epoch: int, wanted: Wanted) -> None:
        if pick.order is None:
            into[...] = self._single(pick, epoch, wanted)
            return
        *features, first, second = wanted
        pairs = np.asarray(self.catalogue.pairs[pick.order].values[first, second])
        rows, places = self._rows(pick, epoch, pairs.ravel(), tuple(features))
        gathered(into, rows, places.reshape(pairs.shape))

    def _network(self, epoch: int) -> Network:
        network = self._networks.get(epoch)
        if network is None:
            network = self.catalogue.run.model(self.catalogue.epochs[epoch]).to(torch.float32)
            self._networks.put(epoch, network, sum(w.nbytes for w in network.weights.values()))
        return network

    def _single(self, pick: Pick, epoch: int, wanted: Wanted) -> np.ndarray:
        """A weight, or an activation that depends on one token or none."""
        network = self._network(epoch)
        if pick.group == WEIGHTS:
            return network.weight(pick.name).numpy()[tuple(map(slice, self._weight_shape(pick)))][wanted]
        acts = record(network, self.catalogue.task)
        if pick.position is None:
            return acts[pick.name].values[wanted]
        x = acts.at(pick.name, pick.position)
        return (x.transpose(..., "token") if "token" in x.dims else x).values[wanted]

    def _weight_shape(self, pick: Pick) -> tuple[int, ...]:
        layout = self._layout(pick)
        return layout.shape[layout.dims.index("epoch") + 1 :] if "epoch" in layout.dims else layout.shape

    def _rows(
        self, pick: Pick, epoch: int, pairs: np.ndarray, features: Wanted
    ) -> tuple[np.ndarray, np.ndarray]:
        """An activation [row, those of the features that are whole], and in which of its rows each pair is."""
        p, shape = self.catalogue.task.p, self._feature_shape(pick)
        key = (epoch, pick.name, pick.position)
        columns: np.ndarray | None = None
        cut: tuple[Any, ...] = features
        if 4 * p * p * math.prod(shape) > self._kept.budget:
            columns, cut = self._columns(shape, features)
            key = (*key, *columns.tolist())
        whole = self._kept.get(key)
        if whole is None and 4 * pairs.size <= p * p:
            return self._run(pick, epoch, pairs)[(slice(None), *features)], np.arange(pairs.size)
        if whole is None:
            with self._running:
                whole = self._kept.get(key)
                if whole is None:
                    whole = self._whole(pick, epoch, shape, columns)
                    self._kept.put(key, whole, whole.nbytes)
        return whole[(slice(None), *cut)], pairs

    def _feature_shape(self, pick: Pick) -> tuple[int, ...]:
        layout = self._layout(pick)
        return tuple(n for dim, n in zip(layout.dims[:-2], layout.shape[:-2], strict=True) if dim != "epoch")

    def _columns(self, shape: tuple[int, ...], features: Wanted) -> tuple[np.ndarray, tuple[Any, ...]]:
        """Which features to keep of an activation too large to be kept whole, and which of these are wanted."""
        asked = np.asarray(np.arange(math.prod(shape)).reshape(shape)[features])
        if asked.ndim:
            return asked.ravel(), (np.arange(asked.size).reshape(asked.shape),)
        # Two blocks of neighbours fit, so playing along the features is a lookup at most steps.
        size = max(1, self._kept.budget // (8 * self.catalogue.task.p**2))
        start = int(asked) // size * size
        return np.arange(start, min(start + size, math.prod(shape))), (int(asked) - start,)

    def _position_is_read(self, pick: Pick) -> bool:
        """Without attention there is one position of both tokens, which is read."""
        network = self.catalogue.network
        return pick.position == read_position(network) or not has_attention(network)

    def _whole(
        self, pick: Pick, epoch: int, shape: tuple[int, ...], columns: np.ndarray | None
    ) -> np.ndarray:
        """The activation of all pairs [pair, feature], or some of its features; its memory is its own."""
        p = self.catalogue.task.p
        values = np.empty((p * p, *(shape if columns is None else (len(columns),))), np.float32)
        done = 0
        for block in self._blocks(pick, epoch, narrow=columns is None):
            part = values[done : done + len(block)]
            part[...] = block if columns is None else block.reshape(len(block), -1)[:, columns]
            done += len(block)
        return values

    @torch.no_grad()
    def _blocks(self, pick: Pick, epoch: int, *, narrow: bool) -> Iterator[np.ndarray]:
        """The activation of all pairs, some at a time, [pair, feature]. narrow: whether 2048 pairs of it are not much."""
        network, task = self._network(epoch), self.catalogue.task
        if narrow and self._position_is_read(pick):
            for block in record(network, task).blocks(pick.name):
                values = block[pick.name].values
                yield values.reshape(-1, *values.shape[2:])
            return
        for tokens in network.token_blocks(self._pairs_at_once):
            yield self._at_position(network, pick, tokens).numpy()

    @cached_property
    def _pairs_at_once(self) -> int:
        widest = max(math.prod(shape) for shape in self.catalogue.feature_shapes.values())
        return max(1, min(_PAIRS_AT_ONCE, _RUN_AT_ONCE // (4 * widest)))

    def _at_position(self, network: Network, pick: Pick, tokens: torch.Tensor) -> torch.Tensor:
        if self._position_is_read(pick):
            return network.run(tokens, keep=(pick.name,))[pick.name]
        at = network.config.positions.index(str(pick.position))
        return network.run(tokens, keep=(pick.name,), positions="all")[pick.name][:, at]

    @torch.no_grad()
    def _run(self, pick: Pick, epoch: int, pairs: np.ndarray) -> np.ndarray:
        """The activation of some pairs, [pair, feature]."""
        network, p = self._network(epoch), self.catalogue.task.p
        a, b = torch.from_numpy(pairs // p), torch.from_numpy(pairs % p)
        parts = network.pair_tokens(a, b).split(self._pairs_at_once)
        return torch.cat([self._at_position(network, pick, tokens) for tokens in parts]).numpy()


def gathered(into: np.ndarray, rows: np.ndarray, places: np.ndarray) -> None:
    """Writes rows [row, feature] at places of any shape into an array [feature, place], a piece at a time.

    >>> into = np.empty((2, 3), np.float32)
    >>> gathered(into, np.array([[0, 1], [10, 11]]), np.array([1, 0, 1]))
    >>> into.tolist()
    [[10.0, 0.0, 10.0], [11.0, 1.0, 11.0]]
    """
    seen = np.moveaxis(into, range(into.ndim - places.ndim, into.ndim), range(places.ndim))
    if not places.ndim:
        seen[...] = rows[places]
        return
    size = max(1, _VALUES_AT_ONCE // max(1, math.prod(seen.shape[1:])))
    for start in range(0, len(places), size):
        seen[start : start + size] = rows[places[start : start + size]]


def checked(layout: Layout, keep: Sequence[int], index: Sequence[int]) -> None:
    """Raises InputError for axes or indices that are not there, or more values than an answer may have."""
    rank = len(layout.dims)
    if len(index) != rank:
        raise InputError(f"{len(index)} indices: expected one for each of {', '.join(layout.dims)}")
    if len(set(keep)) != len(keep) or not all(0 <= axis < rank for axis in keep):
        raise InputError(f"axes {list(keep)}: expected different numbers from 0 to {rank - 1}")
    for dim, size, at in zip(layout.dims, layout.shape, index, strict=True):
        if not 0 <= at < size:
            raise InputError(f"index {at} of axis {dim}: expected 0 to {size - 1}")
    values = int(np.prod([layout.shape[axis] for axis in keep], dtype=np.int64))
    if values > MOST_VALUES:
        raise InputError(f"{values} values in one answer: expected at most {MOST_VALUES}; keep fewer axes")
