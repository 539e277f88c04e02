"""Any activation of a run over its epochs as one lazy array: an epoch is read and computed when its values are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import xarray as xr

from modscope.activations import record
from modscope.errors import InputError, RunError, UnknownName
from modscope.model import Network, Transformer
from modscope.orders import in_order
from modscope.task import ModularTask

__all__ = ["film", "lazy_array"]

Select = Mapping[str, object]


def film(
    network_at: Callable[[int], Network],
    task: ModularTask,
    epochs: tuple[int, ...],
    hook: str,
    *,
    position: str | None = None,
    order: tuple[str, str] | None = None,
    select: Select,
) -> xr.DataArray:
    """One activation over all epochs; `modscope.runs.Run.record` says what the arguments mean."""
    picture = _Picture(task, hook, position, order, select)
    first = picture.of(network_at(epochs[-1]))
    attrs = {**first.attrs, "p": task.p, "operation": task.operation}

    def values(epoch: int) -> np.ndarray:
        return picture.of(network_at(epoch)).values

    return lazy_array(values, epochs, first, attrs=attrs)


def lazy_array(
    values: Callable[[int], np.ndarray],
    epochs: tuple[int, ...],
    like: xr.DataArray,
    *,
    attrs: Mapping[str, Any],
) -> xr.DataArray:
    """Arrays of the shape of one, one an epoch, stacked along `epoch` and made when they are indexed."""
    stack = _Stack(values, epochs, like.shape, like.dtype, str(like.name or "array"))
    variable = xr.Variable(
        ("epoch", *like.dims), xr.core.indexing.LazilyIndexedArray(stack), attrs=dict(attrs)
    )
    coords = {name: coord for name, coord in like.coords.items() if name in like.dims}
    return xr.DataArray(variable, coords={"epoch": list(epochs), **coords}, name=like.name)


class _Picture:
    """What is taken of each network: one hook, at a position, in an order, some of its features."""

    def __init__(
        self,
        task: ModularTask,
        hook: str,
        position: str | None,
        order: tuple[str, str] | None,
        select: Select,
    ) -> None:
        self.task, self.hook, self.position, self.order, self.select = task, hook, position, order, select

    def of(self, network: Network) -> xr.DataArray:
        """The picture of one network, with nothing else of its record kept."""
        hook = network.hook_name(self.hook)
        alone = _one_neuron(network, hook, self.select.get("neuron"))
        if alone is not None:
            select = {**self.select, "neuron": 0}
            return _Picture(self.task, self.hook, self.position, self.order, select).of(alone)
        joint = network.hooks.index(hook) >= network.hooks.index(network.first_joint_hook)
        read = network.config.positions[-1]
        if joint and self.position in (None, read):
            # Copies, so that no block outlives its turn.
            parts = [self._chosen(block[hook]).copy() for block in record(network, self.task).blocks(hook)]
            x = xr.concat(parts, "a") if len(parts) > 1 else parts[0]
            x = x.transpose("a", "b", ...)
        elif joint:
            x = self._chosen(record(network, self.task, positions="all").at(hook, self.position))
        elif self.position is None:
            x = self._chosen(record(network, self.task)[hook])
        else:
            x = self._chosen(record(network, self.task).at(hook, self.position))
        x = x.copy(data=np.array(x.values, dtype=np.float32))  # its own: what it was cut from is let go
        if self.order is None:
            return x
        if not joint:
            raise InputError(f"order {self.order} of {hook}: it depends on one token, not on a and b")
        return in_order(x, *self.order, operation=self.task.operation)

    def _chosen(self, x: xr.DataArray) -> xr.DataArray:
        for name, wanted in self.select.items():
            if name not in x.dims or name in ("a", "b"):
                raise UnknownName.of("axis", name, [d for d in x.dims if d not in ("a", "b")])
            x = x.isel({name: _indices(x, name, wanted)})
        return x


def _one_neuron(network: Network, hook: str, neuron: object) -> Network | None:
    """The network with one neuron alone, where nothing else is looked at: all others would be computed for nothing."""
    if not isinstance(network, Transformer) or hook not in ("mlp_pre", "mlp_post"):
        return None
    size = network.config.d_mlp
    if type(neuron) is not int or size == 1 or not -size <= neuron < size:
        return None
    weights = dict(network.weights)
    for name, axis in (("W_in", 1), ("b_in", 0), ("W_out", 0)):
        if network.has_weight(name):
            full = f"blocks.0.mlp.{name}"
            weights[full] = weights[full].select(axis, neuron).unsqueeze(axis)
    return Transformer(replace(network.config, d_mlp=1), weights)


def _indices(x: xr.DataArray, name: str, wanted: object) -> Any:
    """Where on an axis something is: a number or a list of numbers, or names on an axis that has names."""
    if isinstance(wanted, slice):
        return wanted
    if isinstance(wanted, list | tuple | range | np.ndarray):
        return [_indices(x, name, one) for one in wanted]
    if isinstance(wanted, str):
        known = [str(one) for one in x[name].values]
        if wanted not in known:
            raise UnknownName.of(name, wanted, known)
        return known.index(wanted)
    size = x.sizes[name]
    if isinstance(wanted, bool) or not isinstance(wanted, int | np.integer) or not -size <= wanted < size:
        raise InputError(f"{name} = {wanted!r}: expected a whole number from 0 to {size - 1}")
    return int(wanted)


class _Stack(xr.backends.BackendArray):
    """Arrays of one shape, one an epoch, as one array that makes an epoch's when it is indexed."""

    def __init__(
        self,
        values: Callable[[int], np.ndarray],
        epochs: tuple[int, ...],
        shape: tuple[int, ...],
        dtype: np.dtype,
        name: str,
    ) -> None:
        self.values, self.epochs, self.name = values, epochs, name
        self.shape, self.dtype = (len(epochs), *shape), dtype

    def __getitem__(self, key: xr.core.indexing.ExplicitIndexer) -> np.typing.ArrayLike:
        return xr.core.indexing.explicit_indexing_adapter(
            key, self.shape, xr.core.indexing.IndexingSupport.BASIC, self._basic
        )

    def _basic(self, key: tuple[Any, ...]) -> np.ndarray:
        which, rest = key[0], key[1:]
        if not isinstance(which, slice):
            return np.array(self._at(self.epochs[int(which)])[rest])
        epochs = self.epochs[which]
        like = np.broadcast_to(np.zeros((), self.dtype), self.shape[1:])[rest]
        out = np.empty((len(epochs), *like.shape), self.dtype)
        for i, epoch in enumerate(epochs):
            out[i] = self._at(epoch)[rest]
        return out

    def _at(self, epoch: int) -> np.ndarray:
        values = self.values(epoch)
        if values.shape != self.shape[1:]:
            raise RunError(
                f"{self.name} at epoch {epoch} has the shape {values.shape}, and {self.shape[1:]} elsewhere in the "
                "run: its checkpoints are of different networks"
            )
        return values
