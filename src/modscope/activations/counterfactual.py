"""What the network would have done: a record with some activations replaced and everything behind them run again."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

import numpy as np
import torch
import xarray as xr

from modscope.activations.axes import feature_axes, labelled
from modscope.activations.face import Activations
from modscope.errors import InputError, UnknownName
from modscope.model import Network
from modscope.orders import in_order

__all__ = ["NAMED", "Counterfactual", "Replacement", "named_change", "replaced_values"]

Replacement = object  # an array, a number, a function of the activation, or one of NAMED


def _mean(x: xr.DataArray) -> xr.DataArray:
    residues = [dim for dim in ("a", "b", "token") if dim in x.dims]
    return x.mean(residues, dtype=np.float64) + 0 * x


def _linear(x: xr.DataArray) -> xr.DataArray:
    if "token" in x.dims:
        raise InputError(f"the linear part of {x.name}: it depends on one token, so it is linear already")
    return (
        x.mean("a", dtype=np.float64) + x.mean("b", dtype=np.float64) - x.mean(("a", "b"), dtype=np.float64)
    ).transpose(*x.dims)


NAMED: Mapping[str, tuple[Callable[[xr.DataArray], xr.DataArray], str]] = {
    "mean": (_mean, "its mean over all pairs"),
    "linear": (_linear, "its part f(a) + g(b), the mean with it"),
    "zero": (lambda x: 0 * x, "zero"),
}


def named_change(name: str) -> Callable[[xr.DataArray], xr.DataArray]:
    """The function behind one of the names of `NAMED`.

    >>> x = xr.DataArray([[1.0, 2.0], [3.0, 8.0]], dims=("a", "b"))
    >>> named_change("linear")(x).values.tolist()
    [[0.0, 3.0], [4.0, 7.0]]
    """
    if name not in NAMED:
        raise UnknownName.of("replacement", name, [*NAMED, "an array", "a function"])
    return NAMED[name][0]


def replaced_values(x: xr.DataArray, change: Replacement) -> np.ndarray:
    """The values that stand for an activation x after a change, in the order of its axes.

    change: an array or number that broadcasts to x (a DataArray by the names of its axes; in the order (c, a) it is
    turned back), a function of x, or one of "mean", "linear", "zero". Raises InputError for another shape.
    """
    if isinstance(change, str):
        change = named_change(change)
    new = change(x) if callable(change) else change
    if isinstance(new, torch.Tensor):
        new = new.detach().cpu().numpy()
    if isinstance(new, xr.DataArray):
        new = _by_name(x, new)
    try:
        values = np.broadcast_to(np.asarray(new, dtype=x.dtype), x.shape)
    except (ValueError, TypeError):
        raise InputError(
            f"{x.name} replaced by an array of shape {np.shape(new)}: expected what broadcasts to {x.shape}, "  # type: ignore[arg-type]
            f"that is ({', '.join(map(str, x.dims))})"
        ) from None
    if not np.isfinite(values).all():
        raise InputError(f"{x.name} replaced by values that are not all finite")
    return np.array(values)  # of its own: what was given may change


def _by_name(x: xr.DataArray, new: xr.DataArray) -> xr.DataArray:
    if "c" in new.dims and "c" not in x.dims:
        new = in_order(new.assign_attrs(x.attrs), "a", "b")
    unknown = [dim for dim in new.dims if dim not in x.dims]
    if unknown:
        raise UnknownName.of(f"axis of what replaces {x.name}", unknown[0], x.dims)
    wrong = [dim for dim in new.dims if new.sizes[dim] not in (1, x.sizes[dim])]
    if wrong:
        raise InputError(
            f"{x.name} replaced by an array with {new.sizes[wrong[0]]} places along {wrong[0]}: "
            f"expected {x.sizes[wrong[0]]}"
        )
    new = new.drop_vars(list(new.coords))
    missing = {dim: 1 for dim in x.dims if dim not in new.dims}
    return new.expand_dims(missing).transpose(*x.dims)


class Counterfactual(Activations):
    """A record in which some activations of both tokens are replaced, at the read position.

    What comes before the first of them is as recorded; what follows is computed again. Replaced hooks are taken in the
    order of the forward pass, so a function sees what the replacements before it have made of its activation.
    """

    def __init__(self, base: Activations, changes: Mapping[str, Replacement]) -> None:
        self.base, self.task, self.positions = base, base.task, base.positions
        self.changes = {hook: changes[hook] for hook in base.hooks if hook in changes}
        self._values: dict[str, np.ndarray] = {}
        self._kept: dict[str, np.ndarray] = {}
        self.derived = {}
        for hook in self.changes:
            if not base.is_joint(hook):
                raise UnknownName.of("hook that depends on both tokens", hook, base.joint_hooks)
            self._values[hook] = replaced_values(self.at(hook), self.changes[hook])
            self._kept.pop(hook, None)
        self._kept.clear()

    @property
    def replaced(self) -> tuple[str, ...]:
        return (*self.base.replaced, *self.changes)

    # What there is: that of the record behind it

    @property
    def hooks(self) -> tuple[str, ...]:
        return self.base.hooks

    @property
    def joint_hooks(self) -> tuple[str, ...]:
        return self.base.joint_hooks

    @property
    def input_positions(self) -> tuple[str, ...]:
        return self.base.input_positions

    @property
    def read_position(self) -> str:
        return self.base.read_position

    @property
    def network(self) -> Network | None:
        return self.base.network

    def hook_name(self, name: str) -> str:
        return self.base.hook_name(name)

    def residue_at(self, pos: str) -> str:
        return self.base.residue_at(pos)

    def attrs(self, hook: str) -> dict[str, object]:
        return self.base.attrs(hook) | {"replaced": list(self.replaced)}

    def axes_of(self, name: str) -> dict[str, int]:
        return self.base.axes_of(name)

    def recorded_anew(self, network: Network) -> Activations:
        return Counterfactual(self.base.recorded_anew(network), self.changes)

    # The activations

    def _is_changed(self, hook: str) -> bool:
        """Whether a replacement stands at this hook or before it."""
        first = min((self.hooks.index(h) for h in self._values), default=len(self.hooks))
        return hook in self.joint_hooks and self.hooks.index(hook) >= first

    def __getitem__(self, name: str) -> xr.DataArray:
        hook = self.hook_name(name)
        if not self._is_changed(hook):
            return self.base[hook]
        return self.at(hook).expand_dims(pos=[self.read_position]).transpose("pos", "a", "b", ...)

    def at(self, name: str, pos: str | None = None) -> xr.DataArray:
        hook = self.hook_name(name)
        if not self._is_changed(hook):
            return self.base.at(hook, pos)
        if pos not in (None, self.read_position):
            if pos not in self.input_positions:
                raise UnknownName.of("position", pos, self.input_positions)
            raise InputError(f"{hook} at {pos!r}: activations are replaced at {self.read_position!r} only")
        self.load(hook)
        return self._named(hook, self._kept[hook])

    def _named(self, hook: str, values: np.ndarray, rows: range | None = None) -> xr.DataArray:
        coords: dict[str, object] = {"key_pos": list(self.input_positions)}
        if rows is not None:
            coords["a"] = np.arange(rows.start, rows.stop)
        return labelled(values, ("a", "b", *feature_axes(hook)), hook, self.attrs(hook), **coords)

    def load(self, *names: str) -> Activations:
        wanted = [self.hook_name(name) for name in names] or list(self.joint_hooks)
        self.base.load(*(hook for hook in wanted if not self._is_changed(hook)))
        missing = [hook for hook in wanted if self._is_changed(hook) and hook not in self._kept]
        self._kept |= {hook: self._values[hook] for hook in missing if hook in self._values}
        missing = [hook for hook in missing if hook not in self._kept]
        parts: dict[str, list[np.ndarray]] = {hook: [] for hook in missing}
        for _, block in self.base.resume(self._values, keep=missing) if missing else ():
            for hook in missing:
                parts[hook].append(block[hook])
        self._kept |= {hook: np.concatenate(rows) for hook, rows in parts.items()}
        return self

    def forget(self, *names: str) -> None:
        for hook in [self.hook_name(name) for name in names] or list(self._kept):
            self._kept.pop(hook, None)
        self.base.forget(*names)

    @property
    def kept(self) -> tuple[str, ...]:
        behind = [hook for hook in self.base.kept if not self._is_changed(hook)]
        return tuple(hook for hook in self.joint_hooks if hook in self._kept or hook in behind)

    @property
    def nbytes(self) -> int:
        own = {id(x): x.nbytes for x in (*self._values.values(), *self._kept.values())}
        return self.base.nbytes + sum(own.values())

    def blocks(self, *names: str) -> Iterator[dict[str, xr.DataArray]]:
        hooks = {name: self.hook_name(name) for name in names}
        for hook in hooks.values():
            if hook not in self.joint_hooks:
                raise UnknownName.of("hook that depends on both tokens", hook, self.joint_hooks)
        for rows, block in self.base.resume(self._values, keep=tuple(dict.fromkeys(hooks.values()))):
            yield {name: self._named(hook, block[hook], rows) for name, hook in hooks.items()}

    def resume(
        self, replace: Mapping[str, np.ndarray], *, keep: Iterable[str] = ("logits",)
    ) -> Iterator[tuple[range, dict[str, np.ndarray]]]:
        """As of any record; what this one replaces stays replaced, and functions see the new activation."""
        new = {self.hook_name(name): values for name, values in replace.items()}
        if not new:
            return self.base.resume(self._values, keep=keep)
        first = min(self.hooks.index(hook) for hook in new)
        earlier = {hook: x for hook, x in self._values.items() if self.hooks.index(hook) < first}
        later = {
            hook: change for hook, change in self.changes.items() if hook not in earlier and hook not in new
        }
        if not any(callable(change) or isinstance(change, str) for change in later.values()):
            return self.base.resume(self._values | new, keep=keep)
        changed = Counterfactual(self.base, earlier | new | later)
        return changed.base.resume(changed._values, keep=keep)
