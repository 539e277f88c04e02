"""The record of the one-layer transformer: what depends on one token is stored as p rows, what depends on
both is put together from these rows as far as the pattern."""

from __future__ import annotations

from collections.abc import Mapping

import torch
import xarray as xr
from torch import Tensor

from modscope.activations.axes import feature_axes
from modscope.activations.face import Activations
from modscope.activations.of_network import NetworkRecord
from modscope.model import Network, Positions, Transformer
from modscope.task import ModularTask

__all__ = ["TransformerRecord"]


class TransformerRecord(NetworkRecord):
    """The record of the one-layer transformer."""

    def __init__(
        self,
        network: Transformer,
        task: ModularTask,
        positions: Positions,
        waves: Mapping[str, Tensor] | None = None,
    ) -> None:
        """waves: hooks of one token that are replaced, each as its record has it: (pos, token, ...), embed (token, d_model)."""
        super().__init__(network, task, positions)
        self._transformer = network
        self._waves = dict(waves or {})
        self._tables = _token_tables(network, self._waves)

    @property
    def replaced(self) -> tuple[str, ...]:
        return tuple(hook for hook in self.hooks if hook in self._waves)

    def with_wave(self, hook: str, wave: Tensor) -> TransformerRecord:
        """The record with one more hook of one token replaced."""
        return TransformerRecord(self._transformer, self.task, self.positions, self._waves | {hook: wave})

    def recorded_anew(self, network: Network) -> Activations:
        if not isinstance(network, Transformer):
            return super().recorded_anew(network)
        return TransformerRecord(network, self.task, self.positions, self._waves)

    def _block(self, rows: range, wanted: tuple[str, ...], known: dict[str, Tensor]) -> dict[str, Tensor]:
        network = self._transformer
        if self.positions == "all":
            return network.run(network.tokens_of_rows(rows), keep=wanted, replace=known, positions="all")
        middle = self.hooks.index("resid_mid")
        if "resid_mid" in known and all(h in known or self.hooks.index(h) > middle for h in wanted):
            # nothing before the MLP is needed where its input is known
            return network.run(keep=wanted, replace=known)
        given = dict(known)
        given.setdefault("attn_scores", _scores(self._tables, rows, network))
        pattern = network.run(keep=("pattern",), replace=given)["pattern"]
        given["pattern"] = pattern
        if "z" not in given and any(self.hooks.index(h) >= self.hooks.index("z") for h in wanted):
            given["z"] = _mixed_values(self._tables, rows, pattern)
        given["resid_pre"] = _skip(self._tables, rows, network)
        return network.run(keep=wanted, replace=given)

    def _token_table(self, hook: str) -> xr.DataArray:
        if hook == "embed":
            return self._label(self._tables["embed"], ("token", "d_model"), hook)
        if hook == "pos_embed":
            return self._label(
                self._tables["pos_embed"], ("pos", "d_model"), hook, pos=tuple(self.input_positions)
            )
        return self._label(self._tables[hook], ("pos", "token", *feature_axes(hook)), hook, pos=("a", "b"))

    def _token_row(self, hook: str, pos: str) -> xr.DataArray:
        if hook != "pos_embed" and pos == "=":
            return self._label(self._tables[f"{hook}="], feature_axes(hook), hook)
        if hook == "embed":
            return self._token_table(hook)
        if hook == "pos_embed":
            return self._label(self._tables[hook][self.input_positions.index(pos)], ("d_model",), hook)
        table = self._tables[hook][("a", "b").index(pos)]
        return self._label(table, ("token", *feature_axes(hook)), hook)

    def _table_bytes(self) -> int:
        return sum(x.nbytes for x in self._tables.values())


@torch.no_grad()
def _token_tables(network: Transformer, waves: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """What depends on one token: hook -> (pos a and b, token, ...), and "hook=" -> the row of "="."""
    p, residues = network.config.p, torch.arange(network.config.p)
    tokens, hooks = network.pair_tokens(residues, residues), ("embed", "resid_pre", "q", "k", "v")
    own = network.run(tokens, keep=hooks) if waves else {}
    given = {hook: _with_rows(own[hook], wave) for hook, wave in waves.items()}
    kept = network.run(tokens, keep=hooks, replace=given)
    tables = {"embed": waves.get("embed", network.weight("W_E")[:p]), "pos_embed": network.weight("W_pos")}
    for hook in ("resid_pre", "q", "k", "v"):
        tables[hook] = kept[hook][:, :2].movedim(1, 0).contiguous()
    if network.config.equals:
        tables |= {f"{hook}=": kept[hook][0, 2].clone() for hook in kept}
    return tables


def _with_rows(own: Tensor, wave: Tensor) -> Tensor:
    """[token, pos, ...] with the rows of a and b taken from a wave (pos, token, ...) or (token, ...)."""
    out = own.clone()
    out[:, :2] = wave.movedim(0, 1) if wave.ndim == own.ndim else wave[:, None]
    return out


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
