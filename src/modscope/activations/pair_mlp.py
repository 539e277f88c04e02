"""The record of a network without attention: the embedding of each token, then what depends on both."""

from __future__ import annotations

import torch
import xarray as xr
from torch import Tensor

from modscope.activations.axes import feature_axes
from modscope.activations.of_network import NetworkRecord
from modscope.model import Network, Positions
from modscope.task import ModularTask

__all__ = ["PairRecord"]


class PairRecord(NetworkRecord):
    """The record of an MLP on two tokens."""

    @torch.no_grad()
    def __init__(self, network: Network, task: ModularTask, positions: Positions) -> None:
        super().__init__(network, task, positions)
        residues = torch.arange(task.p)
        tokens = network.pair_tokens(residues, residues)
        self._embed = network.run(tokens, keep=("embed",))["embed"].movedim(1, 0)

    def _block(self, rows: range, wanted: tuple[str, ...], known: dict[str, Tensor]) -> dict[str, Tensor]:
        return self._network.run(self._network.tokens_of_rows(rows), keep=wanted, replace=known)

    def _token_table(self, hook: str) -> xr.DataArray:
        dims, pos = ("pos", "token", *feature_axes(hook)), tuple(self.input_positions)
        return self._label(self._embed, dims, hook, pos=pos)

    def _token_row(self, hook: str, pos: str) -> xr.DataArray:
        table = self._embed[self.input_positions.index(pos)]
        return self._label(table, ("token", *feature_axes(hook)), hook)

    def _table_bytes(self) -> int:
        return self._embed.nbytes
