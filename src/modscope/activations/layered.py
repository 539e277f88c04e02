"""The record of layered transformers: rows of single tokens before the first attention, then runs on the pairs."""

from __future__ import annotations

import torch
import xarray as xr
from torch import Tensor

from modscope.activations.axes import feature_axes
from modscope.activations.of_network import NetworkRecord
from modscope.model import Positions
from modscope.networks.layered import LayeredTransformer
from modscope.task import ModularTask

__all__ = ["LayeredRecord"]


class LayeredRecord(NetworkRecord):
    """The record of a transformer of any depth and sequence of tokens."""

    @torch.no_grad()
    def __init__(self, network: LayeredTransformer, task: ModularTask, positions: Positions) -> None:
        super().__init__(network, task, positions)
        self._layered, residues = network, torch.arange(task.p)
        hooks = tuple(hook for hook in network.hooks if network.of_one_token(hook))
        tokens = network.pair_tokens(residues, residues)
        # hook -> [token, pos, ...], where constants have the same row for every token
        self._tables = network.run(tokens, keep=hooks)
        self._values: Tensor | None = None

    @property
    def read_position(self) -> str:
        return self._layered.config.read

    def residue_at(self, pos: str) -> str:
        name = self._layered.config.sequence[self.input_positions.index(pos)]
        return name if name in ("a", "b") else pos

    @property
    def _residue_positions(self) -> list[str]:
        return [pos for pos in self.input_positions if self.residue_at(pos) in ("a", "b")]

    def _rows_at_once(self) -> int:
        return max(1, super()._rows_at_once() // len(self.input_positions))

    def _block(self, rows: range, wanted: tuple[str, ...], known: dict[str, Tensor]) -> dict[str, Tensor]:
        tokens = self._layered.tokens_of_rows(rows)
        pattern = self.hook_name("pattern")
        z = self.hook_name("z")
        if self._resumes_in_last_layer(wanted, known):
            part = slice(rows.start * self.task.p, rows.stop * self.task.p)
            skip = self.hook_name("resid_pre")
            known = {skip: self._joint[skip][part], **known}
            known.setdefault(z, torch.einsum("bhk,bkhm->bhm", known[pattern], self._last_values()[part]))
        return self._layered.run(tokens, keep=wanted, replace=known, positions=self.positions)

    def _resumes_in_last_layer(self, wanted: tuple[str, ...], known: dict[str, Tensor]) -> bool:
        """Whether only what follows the last pattern is wanted of a network of several layers, and the rest is kept."""
        pattern = self.hook_name("pattern")
        after = all(self.hooks.index(hook) > self.hooks.index(pattern) for hook in wanted)
        several = self._layered.config.n_layers > 1 and self.positions == "read"
        return several and after and pattern in known and self.hook_name("resid_pre") in self._joint

    def _last_values(self) -> Tensor:
        """The values of the last layer at every position, [pair, pos, head, d_head], kept once asked for."""
        if self._values is None:
            name, parts = self.hook_name("v"), []
            for start in range(0, self.task.p, self._rows_at_once()):
                rows = range(start, min(start + self._rows_at_once(), self.task.p))
                tokens = self._layered.tokens_of_rows(rows)
                parts.append(self._layered.run(tokens, keep=(name,), positions="all")[name])
            self._values = torch.cat(parts)
        return self._values

    def _token_table(self, hook: str) -> xr.DataArray:
        if hook == "pos_embed":
            return self._label(
                self._tables[hook][0], ("pos", "d_model"), hook, pos=tuple(self.input_positions)
            )
        if hook == "embed" and not self._layered.config.separate:
            return self._token_row(hook, "a")
        places = [self.input_positions.index(pos) for pos in self._residue_positions]
        table = self._tables[hook][:, places].movedim(1, 0)
        places_of = tuple(self._residue_positions)
        return self._label(table, ("pos", "token", *feature_axes(hook)), hook, pos=places_of)

    def _token_row(self, hook: str, pos: str) -> xr.DataArray:
        row = self._tables[hook][:, self.input_positions.index(pos)]
        if hook == "pos_embed" or pos not in self._residue_positions:
            return self._label(row[0], feature_axes(hook), hook)
        return self._label(row, ("token", *feature_axes(hook)), hook)

    def _table_bytes(self) -> int:
        kept = 0 if self._values is None else self._values.nbytes
        return kept + sum(x.nbytes for x in self._tables.values())
