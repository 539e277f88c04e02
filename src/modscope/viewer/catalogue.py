"""What a run has to show: every activation and every weight, with its axes, none of them computed yet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from urllib.parse import quote

import numpy as np
import torch
import xarray as xr

from modscope.activations import feature_axes
from modscope.errors import InputError, UnknownName
from modscope.model import Network
from modscope.networks.kinds import has_attention, has_hook
from modscope.networks.tokens import is_residue, read_position
from modscope.orders import in_order
from modscope.runs import Run

__all__ = ["Catalogue", "Layout", "Offer", "Pick"]

ACTIVATIONS, WEIGHTS = "activations", "weights"
_ORDERS = (("c", "a"), ("a", "b"), ("c", "b"))


@dataclass(frozen=True)
class Offer:
    """One thing that can be shown: its positions, and the orders of its pairs; empty where it has none."""

    group: str
    name: str
    positions: tuple[str, ...] = ()
    orders: tuple[str, ...] = ()


@dataclass(frozen=True)
class Pick:
    """An offer at one position, in one order of its pairs ("c,a"); None where there is none to choose."""

    group: str
    name: str
    position: str | None = None
    order: str | None = None

    @property
    def id(self) -> str:
        """The name of its tensor in an address.

        >>> Pick("activations", "mlp_post", "=", "c,a").id
        'activations/mlp_post/%3D/c%2Ca'
        """
        return "/".join(
            quote(part or "-", safe="") for part in (self.group, self.name, self.position, self.order)
        )


@dataclass(frozen=True)
class Layout:
    """Axes of a pick; labels of those that do not count 0, 1, 2, ..."""

    dims: tuple[str, ...]
    shape: tuple[int, ...]
    coords: Mapping[str, list[Any]]


class Catalogue:
    """The offers of a run, its epochs, and the layout of each pick."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.network: Network = run.model()
        self.task = run.task

    @property
    def epochs(self) -> tuple[int, ...]:
        """The epochs that can be shown; with more than one every layout has the axis `epoch`."""
        return self.run.epochs

    @cached_property
    def offers(self) -> tuple[Offer, ...]:
        """Activations in the order of the forward pass, then weights by their short names."""
        acts = [
            Offer(ACTIVATIONS, hook, self._positions(hook), self._orders(hook)) for hook in self.network.hooks
        ]
        shorts = [name.split(".")[-1] for name in self.network.weights]
        names = [
            s if shorts.count(s) == 1 else full for s, full in zip(shorts, self.network.weights, strict=True)
        ]
        return (*acts, *(Offer(WEIGHTS, name) for name in names))

    def is_joint(self, hook: str) -> bool:
        """Whether an activation depends on both tokens."""
        hooks = self.network.hooks
        return hooks.index(hook) >= hooks.index(self.network.first_joint_hook)

    def _positions(self, hook: str) -> tuple[str, ...]:
        every = self.network.config.positions
        if hook == "pos_embed":
            return ()
        if not self.is_joint(hook):
            return every
        read = read_position(self.network)
        # Without attention there is one joint position only.
        others = tuple(pos for pos in reversed(every) if pos != read) if has_attention(self.network) else ()
        return (read, *others)

    def _orders(self, hook: str) -> tuple[str, ...]:
        return tuple(self.pairs) if self.is_joint(hook) else ()

    @cached_property
    def pairs(self) -> Mapping[str, xr.DataArray]:
        """Order -> the number a * p + b of the pair at each place; orders that the operation does not have are absent."""
        p = self.task.p
        numbers = xr.DataArray(
            np.arange(p * p).reshape(p, p), dims=("a", "b"), attrs={"operation": self.task.operation}
        )
        tables = {}
        for first, second in _ORDERS:
            try:
                tables[f"{first},{second}"] = in_order(numbers, first, second)
            except InputError:
                continue
        return tables

    def pick(
        self,
        group: str | None = None,
        name: str | None = None,
        position: str | None = None,
        order: str | None = None,
    ) -> Pick:
        """The pick that these words mean; resid_post at the read position where they say nothing.

        Raises UnknownName for a name, position or order that is not on offer.
        """
        group = group or ACTIVATIONS
        if group not in (ACTIVATIONS, WEIGHTS):
            raise UnknownName.of("group", group, (ACTIVATIONS, WEIGHTS))
        among = {offer.name: offer for offer in self.offers if offer.group == group}
        if name is None:
            usual = self._usual() if group == ACTIVATIONS else ()
            name = next(n for n in (*usual, *among) if n in among)
        if name not in among:
            raise UnknownName.of("hook" if group == ACTIVATIONS else "weight", name, among)
        offer = among[name]
        return Pick(
            group, name, _one_of("position", position, offer.positions), _one_of("order", order, offer.orders)
        )

    def _usual(self) -> tuple[str, ...]:
        """The activations that are looked at first, by their full names."""
        return tuple(
            self.network.hook_name(n) for n in ("resid_post", "mlp_post") if has_hook(self.network, n)
        )

    @cached_property
    def feature_shapes(self) -> Mapping[str, tuple[int, ...]]:
        """Hook -> the sizes of its features."""
        config = self.network.config
        tokens = torch.zeros(1, len(config.positions), dtype=torch.int64)
        with torch.no_grad():
            kept = self.network.run(tokens, keep=self.network.hooks)
        return {hook: tuple(kept[hook].shape[-len(feature_axes(hook)) :]) for hook in self.network.hooks}

    def layout(self, pick: Pick) -> Layout:
        """The axes of a pick: epoch (where there are several), features, then what the features are functions of."""
        sizes: dict[str, int] = {}
        coords: dict[str, list[Any]] = {}
        if len(self.epochs) > 1:
            sizes["epoch"], coords["epoch"] = len(self.epochs), list(self.epochs)
        if pick.group == WEIGHTS:
            sizes |= self._weight_sizes(pick.name)
        else:
            if pick.name == "pos_embed":
                sizes["pos"] = len(self.network.config.positions)
            sizes |= dict(zip(feature_axes(pick.name), self.feature_shapes[pick.name], strict=True))
            if pick.order is not None:
                table = self.pairs[pick.order]
                sizes |= {str(dim): size for dim, size in table.sizes.items()}
                coords |= {str(dim): table[dim].values.tolist() for dim in table.dims if dim in table.coords}
            elif pick.position is not None and is_residue(self.network, pick.position):
                sizes["token"] = self.task.p
        for axis in ("pos", "key_pos"):
            if axis in sizes:
                coords[axis] = list(self.network.config.positions)
        return Layout(tuple(sizes), tuple(sizes.values()), coords)

    @cached_property
    def _known_sizes(self) -> dict[str, dict[str, int]]:
        return {}

    def _weight_sizes(self, name: str) -> dict[str, int]:
        if name not in self._known_sizes:  # a file is read for them
            self._known_sizes[name] = self._read_sizes(name)
        return self._known_sizes[name]

    def _read_sizes(self, name: str) -> dict[str, int]:
        sizes = {str(dim): size for dim, size in self.run.weights(name).sizes.items() if dim != "epoch"}
        # The row of "=" is no residue: with it a transform over the tokens would have length p + 1.
        if "token" in sizes:
            sizes["token"] = self.task.p
        return sizes


def _one_of(kind: str, given: str | None, choices: tuple[str, ...]) -> str | None:
    if not choices:
        if given is not None:
            raise InputError(f"{kind} {given!r}: this has no {kind} to choose")
        return None
    if given is None:
        return choices[0]
    if given not in choices:
        raise UnknownName.of(kind, given, choices)
    return given
