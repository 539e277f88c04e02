"""What the live page draws of one network: the embedding's spectrum, the neurons, one activation; packed as bytes."""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch

from modscope.activations import feature_axes, record
from modscope.errors import InputError, UnknownName
from modscope.model import Network
from modscope.orders import in_order
from modscope.progress.glance import glance
from modscope.task import ModularTask

__all__ = ["Pictures", "Wanted"]

ORDERS = ("c,a", "a,b", "c,b")
_LEAST = 1e-12


@dataclass(frozen=True)
class Wanted:
    """One activation at the read position: a feature of a hook, in an order of the pairs, one row of it or (None) all."""

    hook: str
    feature: tuple[int, ...]
    order: str
    row: int | None


class Pictures:
    """Pictures of the networks of one training, which are all of one shape."""

    def __init__(self, network: Network, task: ModularTask) -> None:
        self.network, self.task = network, task

    @cached_property
    def offers(self) -> list[dict[str, Any]]:
        """The hooks that depend on both tokens, with the names and sizes of the axes of a feature."""
        hooks = self.network.hooks
        joint = hooks[hooks.index(self.network.first_joint_hook) :]
        p, positions = self.task.p, len(self.network.config.positions)
        tokens = torch.zeros(1, positions, dtype=torch.int64)
        with torch.no_grad():
            kept = self.network.run(tokens, keep=joint)
        offers = []
        for hook in joint:
            axes = feature_axes(hook)
            sizes = kept[hook].shape[kept[hook].ndim - len(axes) :]
            offers.append({"hook": hook, "axes": list(axes), "sizes": [int(size) for size in sizes], "p": p})
        return offers

    @cached_property
    def orders(self) -> dict[str, np.ndarray]:
        """Order -> the number a * p + b of the pair at each place; those that the operation does not have are absent."""
        import xarray as xr

        p = self.task.p
        numbers = xr.DataArray(np.arange(p * p).reshape(p, p), dims=("a", "b"))
        found = {}
        for order in ORDERS:
            try:
                first, second = order.split(",")
                found[order] = in_order(numbers, first, second, operation=self.task.operation).values
            except InputError:
                continue
        return found

    def wanted(
        self, hook: str | None = None, feature: str = "", order: str | None = None, row: str | None = None
    ) -> Wanted:
        """What the words of an address mean; a neuron in the order (c, a) where they say nothing.

        Raises UnknownName and InputError for what there is not.
        """
        by_hook = {offer["hook"]: offer for offer in self.offers}
        hook = hook or ("mlp_post" if "mlp_post" in by_hook else next(iter(by_hook)))
        if hook not in by_hook:
            raise UnknownName.of("hook", hook, by_hook)
        sizes = by_hook[hook]["sizes"]
        at = _numbers("feature", feature) or [0] * len(sizes)
        if len(at) != len(sizes) or not all(0 <= i < n for i, n in zip(at, sizes, strict=True)):
            raise InputError(f"feature {feature} of {hook}: expected numbers below {sizes}")
        order = order or next(iter(self.orders))
        if order not in self.orders:
            raise UnknownName.of("order", order, self.orders)
        rows = len(self.orders[order])
        numbers = _numbers("row", row or "")
        if numbers and not 0 <= numbers[0] < rows:
            raise InputError(f"row {row}: expected 0 to {rows - 1}")
        return Wanted(hook, tuple(at), order, numbers[0] if numbers else None)

    def packed(self, network: Network, wanted: Wanted, **about: Any) -> bytes:
        """Everything that is drawn of a network: the length of a JSON head (4 bytes, little-endian), the head, float32 arrays.

        The head has `about`, and `arrays`: name and shape of each array in turn.
        """
        arrays = {**self._glance(network), "picture": self.picture(network, wanted)}
        head = {
            **about,
            "hook": wanted.hook,
            "feature": list(wanted.feature),
            "order": wanted.order,
            "row": wanted.row,
            "arrays": [[name, list(values.shape)] for name, values in arrays.items()],
        }
        text = json.dumps(head, separators=(",", ":"), allow_nan=False).encode()
        text += b" " * (-len(text) % 4)  # the arrays begin at a whole number of float32
        body = b"".join(np.ascontiguousarray(x, dtype="<f4").tobytes() for x in arrays.values())
        return struct.pack("<I", len(text)) + text + body

    def _glance(self, network: Network) -> dict[str, np.ndarray]:
        try:
            found = glance(network, self.task)
        except InputError:
            return {}
        names = ("spectrum", "frequency", "amplitude", "phase", "share")
        return {name: getattr(found, name) for name in names}

    @torch.no_grad()
    def picture(self, network: Network, wanted: Wanted) -> np.ndarray:
        """The values of what is wanted: [p] for a row, [p, p] for all of it."""
        table, p = self.orders[wanted.order], self.task.p
        if wanted.row is not None:
            pairs = torch.from_numpy(table[wanted.row])
            columns = [pairs // p, pairs % p, torch.full_like(pairs, p)][: len(network.config.positions)]
            kept = network.run(torch.stack(columns, dim=1), keep=(wanted.hook,))
            return _at(kept[wanted.hook].float().numpy(), wanted.feature)
        blocks = record(network, self.task).blocks(wanted.hook)
        # Copies, so that no block outlives its turn.
        rows = [_at(block[wanted.hook].values, wanted.feature).copy() for block in blocks]
        return np.concatenate(rows).reshape(-1)[table].astype(np.float32)


def _at(x: np.ndarray, feature: tuple[int, ...]) -> np.ndarray:
    """The values of one feature, whose axes are the last."""
    for place in reversed(feature):
        x = x[..., place]
    return x


def _numbers(word: str, text: str) -> list[int]:
    try:
        return [int(part) for part in text.split(",")] if text else []
    except ValueError:
        raise InputError(f"{word} = {text}: expected whole numbers with commas") from None
