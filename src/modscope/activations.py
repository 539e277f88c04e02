"""Every activation on all p*p inputs, as named arrays, each stored once and computed when asked for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from modscope.errors import InputError, UnknownName
from modscope.model import Network, Positions, Transformer
from modscope.task import ModularTask

__all__ = ["Activations", "feature_axes", "record"]

_PAIRS_AT_ONCE = 16384

_FEATURES: Mapping[str, tuple[str, ...]] = {
    "embed": ("d_model",),
    "pos_embed": ("d_model",),
    "resid_pre": ("d_model",),
    "q": ("head", "d_head"),
    "k": ("head", "d_head"),
    "v": ("head", "d_head"),
    "attn_scores": ("head", "key_pos"),
    "pattern": ("head", "key_pos"),
    "z": ("head", "d_head"),
    "attn_out": ("d_model",),
    "resid_mid": ("d_model",),
    "mlp_pre": ("neuron",),
    "mlp_post": ("neuron",),
    "mlp_out": ("d_model",),
    "resid_post": ("d_model",),
    "logits": ("answer",),
}


def feature_axes(hook: str) -> tuple[str, ...]:
    """The names of the axes that a hook has beside position, tokens and residues.

    >>> feature_axes("pattern")
    ('head', 'key_pos')
    """
    if hook not in _FEATURES:
        raise UnknownName.of("hook", hook, _FEATURES)
    return _FEATURES[hook]


def record(network: Network, task: ModularTask, *, positions: Positions = "read") -> Activations:
    """All activations of a network on all pairs of a task: a mapping from hook to named array.

    What depends on one token is stored as p rows; what depends on both is (pos, a, b, feature) with the
    read position only ("=", or b where there is no "="), or every position with positions="all".
    Raises InputError where network and task differ in p.

    >>> from modscope.model import TransformerConfig
    >>> network = Transformer.initialised(TransformerConfig(5, d_model=8, n_heads=2, d_mlp=16))
    >>> acts = record(network, ModularTask(5))
    >>> acts["q"].dims, acts["resid_post"].dims
    (('pos', 'token', 'head', 'd_head'), ('pos', 'a', 'b', 'd_model'))
    """
    if network.config.p != task.p:
        raise InputError(f"the network has p = {network.config.p}, the task p = {task.p}: they must agree")
    if positions not in ("read", "all"):
        raise UnknownName.of("choice of positions", positions, ("read", "all"))
    if positions == "all" and not isinstance(network, Transformer):
        positions = "read"  # without attention there is one joint position only
    return Activations(network, task, positions)


class Activations(Mapping[str, xr.DataArray]):
    """Hook name -> xarray.DataArray over the pairs (a, b), float type of the network's weights.

    `acts[hook]` keeps the leading axis `pos`; `acts.at(hook)` is the picture (a, b, feature) at the read
    position. Arrays are computed when first asked for and kept; `blocks` streams one without keeping it.
    """

    def __init__(self, network: Network, task: ModularTask, positions: Positions) -> None:
        self.model = network
        self.task = task
        self.positions = positions
        self._tables = _token_tables(network)
        self._joint: dict[str, Tensor] = {}
        # (measure, hook) -> small results that several measures need, for as long as this record lives
        self.derived: dict[tuple[str, str], xr.Dataset] = {}

    @property
    def read_position(self) -> str:
        """The position where the answer is read: "=" or "b"."""
        return self.model.config.positions[-1]

    @property
    def hooks(self) -> tuple[str, ...]:
        """The hooks of the network, in the order of the forward pass."""
        return self.model.hooks

    @property
    def joint_hooks(self) -> tuple[str, ...]:
        """The hooks whose activation depends on both tokens."""
        return self.hooks[self.hooks.index(self.model.first_joint_hook) :]

    def __iter__(self) -> Iterator[str]:
        return iter(self.hooks)

    def __len__(self) -> int:
        return len(self.hooks)

    def __getitem__(self, name: str) -> xr.DataArray:
        hook = self.model.hook_name(name)
        if hook not in self.joint_hooks:
            return self._named_table(hook)
        if hook not in self._joint:
            self.load(hook)
        return self._named(hook, self._joint[hook])

    def load(self, *names: str) -> Activations:
        """Computes several activations (all, if none is named) in one pass and keeps them; returns itself."""
        wanted = [self.model.hook_name(name) for name in names] or list(self.joint_hooks)
        wanted = [hook for hook in wanted if hook in self.joint_hooks and hook not in self._joint]
        if not wanted:
            return self
        p = self.task.p
        parts: dict[str, Tensor] = {}
        for rows, block in self._run(wanted):
            for hook, x in block.items():
                if len(rows) == p:
                    parts[hook] = x
                    continue
                if hook not in parts:
                    parts[hook] = torch.empty((p * p, *x.shape[1:]), dtype=x.dtype)
                parts[hook][rows.start * p : rows.stop * p] = x
        self._joint |= parts
        return self

    def forget(self, *names: str) -> None:
        """Frees the kept arrays of these hooks (of all, if none is named)."""
        for hook in [self.model.hook_name(name) for name in names] or list(self._joint):
            self._joint.pop(hook, None)

    def blocks(self, *names: str) -> Iterator[dict[str, xr.DataArray]]:
        """Some rows of a at a time: hook -> (a, b, feature) at the read position, nothing kept.

        The coordinate `a` says which rows; together the blocks are `at(hook)`.
        """
        wanted = [self.model.hook_name(name) for name in names]
        for hook in wanted:
            if hook not in self.joint_hooks:
                raise UnknownName.of("hook that depends on both tokens", hook, self.joint_hooks)
        for rows, block in self._run(wanted):
            named = {hook: self._named(hook, x, rows) for hook, x in block.items()}
            yield {hook: x.sel(pos=self.read_position, drop=True) for hook, x in named.items()}

    @torch.no_grad()
    def resume(
        self, replace: Mapping[str, np.ndarray], *, keep: Iterable[str] = ("logits",)
    ) -> Iterator[tuple[range, dict[str, np.ndarray]]]:
        """The forward pass with some activations replaced: (rows of a, hook -> values [row, b, feature]).

        replace: hook -> values [a, b, feature] at the read position, for hooks that depend on both tokens.
        What comes before the first replaced hook is as recorded; what follows is computed again, some rows
        at a time. Raises InputError for another shape, or a record of every position.
        """
        if self.positions == "all":
            raise InputError('a record of every position cannot be resumed: record with positions="read"')
        given = {}
        for name, values in replace.items():
            hook = self.model.hook_name(name)
            given[hook] = self._as_pairs(hook, values)
        wanted = tuple(self.model.hook_name(name) for name in keep)
        first = min((self.hooks.index(hook) for hook in given), default=len(self.hooks))
        p, size = self.task.p, max(1, _PAIRS_AT_ONCE // self.task.p)
        known = {h: x for h, x in self._joint.items() if self.hooks.index(h) < first} | given
        for start in range(0, p, size):
            rows = range(start, min(start + size, p))
            part = {h: x[rows.start * p : rows.stop * p] for h, x in known.items()}
            # nothing before the MLP is needed where its input is known
            short = "resid_mid" in part and all(self.hooks.index(h) > self.hooks.index("z") for h in wanted)
            block = self.model.run(keep=wanted, replace=part) if short else self._block(rows, wanted, part)
            yield rows, {h: x.numpy().reshape(len(rows), p, *x.shape[1:]) for h, x in block.items()}

    def _as_pairs(self, hook: str, values: np.ndarray) -> Tensor:
        if hook not in self.joint_hooks:
            raise UnknownName.of("hook that depends on both tokens", hook, self.joint_hooks)
        p = self.task.p
        x = torch.as_tensor(np.ascontiguousarray(values), dtype=self.model.dtype)
        if x.shape[:2] != (p, p):
            raise InputError(f"{hook} of shape {tuple(x.shape)}: expected ({p}, {p}, feature)")
        return x.flatten(0, 1)

    def at(self, name: str, pos: str | None = None) -> xr.DataArray:
        """The activation at one position (the read position unless named), without the axis `pos`.

        Token-only hooks give (token, feature) at a and b, and (feature,) at "=". Others (a, b, feature).
        """
        hook = self.model.hook_name(name)
        pos = self.read_position if pos is None else pos
        if pos not in self.model.config.positions:
            raise UnknownName.of("position", pos, self.model.config.positions)
        if hook in self.joint_hooks:
            x = self[hook]
            if pos not in x.pos.values:
                raise InputError(
                    f"{hook} was recorded at {', '.join(map(str, x.pos.values))} only, not at {pos!r}: "
                    'record with positions="all"'
                )
            return x.sel(pos=pos, drop=True)
        if hook == "embed" and isinstance(self.model, Transformer):
            return self[hook] if pos != "=" else self._label(self._tables["embed="], ("d_model",), hook)
        if hook != "pos_embed" and pos == "=":
            return self._label(self._tables[f"{hook}="], _FEATURES[hook], hook)
        return self[hook].sel(pos=pos, drop=True)

    def expand(self, name: str) -> xr.DataArray:
        """The activation at every recorded position as (pos, a, b, feature), token-only ones repeated.

        The repetition is a read-only view where it can be; "=" is included.
        """
        hook = self.model.hook_name(name)
        if hook in self.joint_hooks:
            return self[hook]
        p, positions = self.task.p, self.model.config.positions
        residues = {"a": np.arange(p), "b": np.arange(p)}
        rows = []
        for pos in positions:
            x = self.at(hook, pos)
            if "token" in x.dims:
                x = x.rename(token=pos)
            rows.append(x.expand_dims({n: v for n, v in residues.items() if n not in x.dims}))
        order = ("pos", "a", "b", *(d for d in rows[0].dims if d not in ("a", "b")))
        whole = xr.concat(rows, dim=xr.DataArray(list(positions), dims="pos", name="pos")).transpose(*order)
        return whole.assign_attrs(self._attrs(hook))

    @property
    def kept(self) -> tuple[str, ...]:
        """The hooks of both tokens whose arrays are in memory now."""
        return tuple(hook for hook in self.joint_hooks if hook in self._joint)

    @property
    def nbytes(self) -> int:
        """Bytes held at this moment."""
        return sum(x.nbytes for x in (*self._tables.values(), *self._joint.values()))

    # How the arrays are made

    @torch.no_grad()
    def _run(self, hooks: Iterable[str]) -> Iterator[tuple[range, dict[str, Tensor]]]:
        p, wanted = self.task.p, tuple(hooks)
        size = max(1, _PAIRS_AT_ONCE // p)
        for start in range(0, p, size):
            rows = range(start, min(start + size, p))
            known = {h: x[rows.start * p : rows.stop * p] for h, x in self._joint.items()}
            yield rows, self._block(rows, wanted, known)

    def _block(self, rows: range, wanted: tuple[str, ...], known: dict[str, Tensor]) -> dict[str, Tensor]:
        if self.positions == "all" or not isinstance(self.model, Transformer):
            tokens = _tokens_of(rows, self.model)
            return self.model.run(tokens, keep=wanted, replace=known, positions=self.positions)
        given = dict(known)
        given.setdefault("attn_scores", _scores(self._tables, rows, self.model))
        pattern = self.model.run(keep=("pattern",), replace=given)["pattern"]
        given["pattern"] = pattern
        if "z" not in given and any(self.hooks.index(h) >= self.hooks.index("z") for h in wanted):
            given["z"] = _mixed_values(self._tables, rows, pattern)
        given["resid_pre"] = _skip(self._tables, rows, self.model)
        return self.model.run(keep=wanted, replace=given)

    # How they are named

    def _attrs(self, hook: str) -> dict[str, object]:
        return {"hook": hook, "p": self.task.p, "operation": self.task.operation}

    def _label(self, x: Tensor, dims: tuple[str, ...], hook: str, rows: range | None = None) -> xr.DataArray:
        coords: dict[str, object] = {}
        for dim, size in zip(dims, x.shape, strict=True):
            if dim == "a" and rows is not None:
                coords[dim] = np.arange(rows.start, rows.stop)
            elif dim in ("a", "b", "token"):
                coords[dim] = np.arange(size)
            elif dim == "key_pos":
                coords[dim] = list(self.model.config.positions)
        return xr.DataArray(x.detach().numpy(), dims=dims, coords=coords, name=hook, attrs=self._attrs(hook))

    def _named(self, hook: str, x: Tensor, rows: range | None = None) -> xr.DataArray:
        p = self.task.p
        count = p if rows is None else len(rows)
        if self.positions == "all":
            x = x.reshape(count, p, *x.shape[1:]).movedim(2, 0)
            positions = self.model.config.positions
        else:
            x = x.reshape(1, count, p, *x.shape[1:])
            positions = (self.read_position,)
        named = self._label(x, ("pos", "a", "b", *_FEATURES[hook]), hook, rows)
        return named.assign_coords(pos=list(positions))

    def _named_table(self, hook: str) -> xr.DataArray:
        if hook == "embed" and isinstance(self.model, Transformer):
            return self._label(self._tables["embed"], ("token", "d_model"), hook)
        if hook == "pos_embed":
            named = self._label(self._tables["pos_embed"], ("pos", "d_model"), hook)
            return named.assign_coords(pos=list(self.model.config.positions))
        return self._label(self._tables[hook], ("pos", "token", *_FEATURES[hook]), hook).assign_coords(
            pos=["a", "b"]
        )


def _tokens_of(rows: range, network: Network) -> Tensor:
    p = network.config.p
    columns = [torch.arange(rows.start, rows.stop).repeat_interleave(p), torch.arange(p).repeat(len(rows))]
    if network.config.equals:
        columns.append(torch.full((len(rows) * p,), p))
    return torch.stack(columns, dim=1)


@torch.no_grad()
def _token_tables(network: Network) -> dict[str, Tensor]:
    """What depends on one token: hook -> (pos a and b, token, ...), and "hook=" -> the row of "="."""
    p = network.config.p
    tokens = torch.arange(p)[:, None].repeat(1, len(network.config.positions))
    if not isinstance(network, Transformer):
        return {"embed": network.run(tokens, keep=("embed",))["embed"].movedim(1, 0)}
    if network.config.equals:
        tokens[:, 2] = p
    kept = network.run(tokens, keep=("embed", "resid_pre", "q", "k", "v"))
    tables = {"embed": network.weight("W_E")[:p], "pos_embed": network.weight("W_pos")}
    for hook in ("resid_pre", "q", "k", "v"):
        tables[hook] = kept[hook][:, :2].movedim(1, 0).contiguous()
    if network.config.equals:
        tables |= {f"{hook}=": kept[hook][0, 2].clone() for hook in kept}
    return tables


def _scores(tables: Mapping[str, Tensor], rows: range, network: Transformer) -> Tensor:
    """Scores of the read position's query with every key, [pair, head, key_pos]."""
    p, scale = network.config.p, network.config.head_size**0.5
    k_a, k_b = tables["k"][0, rows.start : rows.stop], tables["k"][1]
    if network.config.equals:
        q = tables["q="]
        parts = [
            torch.einsum("hm,ahm->ah", q, k_a)[:, None],
            torch.einsum("hm,bhm->bh", q, k_b)[None],
            torch.einsum("hm,hm->h", q, tables["k="])[None, None],
        ]
    else:
        q = tables["q"][1]
        parts = [torch.einsum("bhm,ahm->abh", q, k_a), torch.einsum("bhm,bhm->bh", q, k_b)[None]]
    shape = (len(rows), p, network.config.n_heads)
    return (torch.stack([part.expand(shape) for part in parts], dim=-1) / scale).flatten(0, 1)


def _mixed_values(tables: Mapping[str, Tensor], rows: range, pattern: Tensor) -> Tensor:
    """z [pair, head, d_head]: the values of a, b and "=" weighted by the pattern."""
    p = tables["v"].shape[1]
    pattern = pattern.reshape(len(rows), p, *pattern.shape[1:])
    z = pattern[..., 0:1] * tables["v"][0, rows.start : rows.stop, None]
    z.addcmul_(pattern[..., 1:2], tables["v"][1])
    if "v=" in tables:
        z.addcmul_(pattern[..., 2:3], tables["v="])
    return z.flatten(0, 1)


def _skip(tables: Mapping[str, Tensor], rows: range, network: Transformer) -> Tensor:
    """The residual stream before attention at the read position, [pair, 1, d_model], as a view."""
    count, p = len(rows), network.config.p
    if network.config.equals:
        return tables["resid_pre="].expand(count * p, 1, -1)
    return tables["resid_pre"][1].repeat(count, 1)[:, None]
