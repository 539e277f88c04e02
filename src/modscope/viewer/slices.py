"""Slices of what a run has to show, computed when they are asked for, and no more of them than is needed."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from functools import lru_cache

import numpy as np
import torch

from modscope.activations import record
from modscope.errors import InputError
from modscope.model import Network
from modscope.networks.kinds import has_attention
from modscope.networks.tokens import read_position
from modscope.viewer.catalogue import WEIGHTS, Catalogue, Layout, Pick

__all__ = ["Kept", "Slices", "checked"]

MOST_VALUES = 1 << 24  # of one answer
_PAIRS_AT_ONCE = 16384
_BUDGET = 256 << 20  # bytes of whole activations
_NETWORKS = 64

Wanted = tuple[int | slice, ...]


class Kept:
    """Arrays by key up to a number of bytes; the ones used longest ago are dropped first. Safe among threads."""

    def __init__(self, budget: int) -> None:
        self.budget = budget
        self._arrays: OrderedDict[object, np.ndarray] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: object) -> np.ndarray | None:
        """The array of a key, or None."""
        with self._lock:
            if key in self._arrays:
                self._arrays.move_to_end(key)
            return self._arrays.get(key)

    def put(self, key: object, array: np.ndarray) -> None:
        """Keeps an array; one larger than the budget is kept alone."""
        with self._lock:
            self._arrays[key] = array
            self._arrays.move_to_end(key)
            while self.nbytes > self.budget and len(self._arrays) > 1:
                self._arrays.popitem(last=False)

    @property
    def nbytes(self) -> int:
        """Bytes held at this moment."""
        return sum(array.nbytes for array in self._arrays.values())


class Slices:
    """Values of any pick over some of its axes, the other axes at an index.

    A slice that needs few pairs runs the network on those pairs; one that needs many runs it on all pairs once
    and keeps the activation, so that playing along any other axis is a lookup.
    """

    def __init__(self, catalogue: Catalogue, *, budget: int = _BUDGET) -> None:
        self.catalogue = catalogue
        self._kept = Kept(budget)
        self._running = threading.Lock()
        self._network: Callable[[int], Network] = lru_cache(maxsize=_NETWORKS)(self._opened)

    def read(self, pick: Pick, keep: Sequence[int], index: Sequence[int]) -> np.ndarray:
        """Little-endian float32 values over the axes `keep`, in that order, with the others at `index`.

        Raises InputError for axes or indices that are not there, or more values than an answer may have.
        """
        layout = self.catalogue.layout(pick)
        checked(layout, keep, index)
        wanted: Wanted = tuple(slice(None) if axis in keep else int(at) for axis, at in enumerate(index))
        if "epoch" not in layout.dims:
            values = self._at(pick, 0, wanted)
        elif 0 in keep:
            values = np.stack([self._at(pick, epoch, wanted[1:]) for epoch in range(layout.shape[0])])
        else:
            values = self._at(pick, int(index[0]), wanted[1:])
        order = [sorted(keep).index(axis) for axis in keep]
        return np.ascontiguousarray(values.transpose(order), dtype="<f4")

    def _opened(self, epoch: int) -> Network:
        return self.catalogue.run.model(self.catalogue.epochs[epoch]).to(torch.float32)

    def _at(self, pick: Pick, epoch: int, wanted: Wanted) -> np.ndarray:
        if pick.order is not None:
            return self._joint(pick, epoch, wanted)
        network = self._network(epoch)
        if pick.group == WEIGHTS:
            return network.weight(pick.name).numpy()[tuple(map(slice, self._weight_shape(pick)))][wanted]
        acts = record(network, self.catalogue.task)
        if pick.position is None:
            return acts[pick.name].values[wanted]
        x = acts.at(pick.name, pick.position)
        return (x.transpose(..., "token") if "token" in x.dims else x).values[wanted]

    def _weight_shape(self, pick: Pick) -> tuple[int, ...]:
        layout = self.catalogue.layout(pick)
        return layout.shape[layout.dims.index("epoch") + 1 :] if "epoch" in layout.dims else layout.shape

    def _joint(self, pick: Pick, epoch: int, wanted: Wanted) -> np.ndarray:
        """An activation of pairs over (features, first, second), each an index or whole."""
        *features, first, second = wanted
        table = self.catalogue.pairs[pick.order or ""].values
        pairs = np.asarray(table[first, second])
        part = self._rows(pick, epoch, pairs.ravel(), tuple(features))
        part = part.reshape((*pairs.shape, *part.shape[1:]))
        return np.moveaxis(part, range(pairs.ndim), range(part.ndim - pairs.ndim, part.ndim))

    def _rows(self, pick: Pick, epoch: int, pairs: np.ndarray, features: Wanted) -> np.ndarray:
        """The activation of some pairs, [pair, those of the features that are whole]."""
        key = (epoch, pick.name, pick.position)
        whole = self._kept.get(key)
        few = 4 * pairs.size <= self.catalogue.task.p**2
        if whole is None and few and self._position_is_read(pick):
            return self._run(pick, epoch, pairs)[(slice(None), *features)]
        if whole is None:
            with self._running:
                whole = self._kept.get(key)
                if whole is None:
                    whole = self._whole(pick, epoch)
                    self._kept.put(key, whole)
        return whole[(slice(None), *features)][pairs]

    def _position_is_read(self, pick: Pick) -> bool:
        return pick.position == read_position(self.catalogue.network)

    def _whole(self, pick: Pick, epoch: int) -> np.ndarray:
        every = has_attention(self.catalogue.network) and not self._position_is_read(pick)
        acts = record(self._network(epoch), self.catalogue.task, positions="all" if every else "read")
        values = acts.at(pick.name, pick.position).values
        return values.reshape(-1, *values.shape[2:])

    @torch.no_grad()
    def _run(self, pick: Pick, epoch: int, pairs: np.ndarray) -> np.ndarray:
        network, p = self._network(epoch), self.catalogue.task.p
        a, b = torch.from_numpy(pairs // p), torch.from_numpy(pairs % p)
        tokens = network.pair_tokens(a, b)
        blocks = [network.run(part, keep=(pick.name,))[pick.name] for part in tokens.split(_PAIRS_AT_ONCE)]
        return torch.cat(blocks).numpy()


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
