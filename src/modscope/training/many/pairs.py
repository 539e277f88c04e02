"""The pairs of many networks, and the rows of their tables: two ways to the same sum."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor

from modscope.errors import InputError
from modscope.training.tables import Pairs

__all__ = ["Cells", "ManyPairs", "bag_rows", "cell_rows"]


@dataclass(frozen=True)
class Cells:
    """Pairs laid out by their first number, and by their second: [network, number, place], as many places as need be.

    left and right: the pair in each place, [network, p * places], 0 where there is none. to_left and to_right: the place of
    each pair, [network, pair].
    """

    left: Tensor
    right: Tensor
    to_left: Tensor
    to_right: Tensor

    @classmethod
    def of(cls, a: Tensor, b: Tensor, p: int, places: int) -> Cells:
        """The layout of pairs [network, pair] with that many places for each number."""
        (left, to_left), (right, to_right) = _laid_out(a, p, places), _laid_out(b, p, places)
        return cls(left, right, to_left, to_right)


def most_in_a_row(pairs: Pairs, p: int) -> int:
    """How many places `Cells` needs for these pairs."""
    return int(max(torch.bincount(x.cpu(), minlength=p).max() for x in (pairs.a, pairs.b)))


def _laid_out(number: Tensor, p: int, places: int) -> tuple[Tensor, Tensor]:
    networks, count = number.shape
    order = torch.argsort(number, dim=1, stable=True)
    ordered = number.gather(1, order)
    starts = torch.searchsorted(
        ordered, torch.arange(p, device=number.device).expand(networks, p).contiguous()
    )
    place = torch.arange(count, device=number.device) - starts.gather(1, ordered)
    cell = ordered * places + place
    pair_at = torch.zeros(networks, p * places, dtype=torch.int64, device=number.device).scatter_(
        1, cell, order
    )
    return pair_at, torch.empty_like(order).scatter_(1, order, cell)


@dataclass(frozen=True)
class ManyPairs:
    """Token a, token b and label of each network's pairs, int64[network, pair]; cells where rows are made by them."""

    a: Tensor
    b: Tensor
    labels: Tensor
    cells: Cells | None = None

    @classmethod
    def of(
        cls, several: Sequence[Pairs], device: torch.device, *, cells_for: int = 0, places: int = 0
    ) -> ManyPairs:
        """The pairs of several networks, as many of each. cells_for: p, where rows are to be made by cells."""
        if len({len(pairs) for pairs in several}) > 1:
            counts = sorted({len(pairs) for pairs in several})
            raise InputError(f"networks of one batch have {counts} pairs: expected as many of each")
        a, b, labels = (
            torch.stack([getattr(pairs, name) for pairs in several]).to(device)
            for name in ("a", "b", "labels")
        )
        return cls(a, b, labels, Cells.of(a, b, cells_for, places) if cells_for else None)

    def __len__(self) -> int:
        return len(self.labels)

    def put(self, i: int, one: ManyPairs) -> None:
        """Replace the pairs of network i by those of a batch of one, in place."""
        for mine, its in ((self, one), (self.cells, one.cells)):
            for field in fields(mine) if mine is not None else ():
                value: Any = getattr(mine, field.name)
                if isinstance(value, Tensor):
                    value[i].copy_(getattr(its, field.name)[0])

    def part(self, i: int, j: int) -> ManyPairs:
        """The pairs of networks i to j, without cells."""
        return ManyPairs(self.a[i:j], self.b[i:j], self.labels[i:j])


def bag_rows(
    base: Tensor, left: Tensor, right: Tensor, w_left: Tensor, w_right: Tensor, pairs: ManyPairs
) -> Tensor:
    """Row u of every pair, base plus its weighted rows of the tables, [network, pair, column], by one look-up."""
    networks, terms, tokens, _ = left.shape
    starts = tokens * torch.arange(2 * terms, device=left.device)
    own = 2 * terms * tokens * torch.arange(networks, device=left.device)[:, None, None]
    at = torch.stack((pairs.a, pairs.b), 2).repeat_interleave(terms, 2) + starts + own
    rows = torch.cat((left, right), 1).flatten(0, 2)
    shares = torch.cat((w_left, w_right), 2)
    summed = torch.nn.functional.embedding_bag(
        at.flatten(0, 1), rows, mode="sum", per_sample_weights=shares.flatten(0, 1)
    )
    return summed.view(networks, -1, rows.shape[1]) + base[:, None]


def cell_rows(
    base: Tensor, left: Tensor, right: Tensor, w_left: Tensor, w_right: Tensor, pairs: ManyPairs
) -> Tensor:
    """The same as `bag_rows` by products: the rows of one number share a table. Same bits every time, on any device."""
    cells = pairs.cells
    assert cells is not None
    rows = [
        _Gather.apply(_side(table, weights, at), to, at)
        for table, weights, at, to in (
            (left, w_left, cells.left, cells.to_left),
            (right, w_right, cells.right, cells.to_right),
        )
    ]
    return rows[0] + rows[1] + base[:, None]


def _side(table: Tensor, weights: Tensor, at: Tensor) -> Tensor:
    """What one side's tables give in every place, [network, p * places, column]."""
    networks, terms, tokens, columns = table.shape
    shares = weights.gather(1, at[..., None].expand(-1, -1, terms)).view(networks, tokens, -1, terms)
    return (shares @ table.transpose(1, 2)).view(networks, -1, columns)


class _Gather(torch.autograd.Function):
    """Rows by number; backward gathers too, for each row is taken once at most (places without a pair: not at all)."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, to: Tensor, at: Tensor) -> Tensor:
        ctx.save_for_backward(to, at)
        return _taken(rows, to)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        to, at = ctx.saved_tensors
        places = torch.arange(at.shape[1], device=at.device)
        filled = to.gather(1, at) == places  # an empty place points to a pair that lies elsewhere
        return _taken(grads[0].contiguous(), at) * filled[..., None], None, None


def _taken(rows: Tensor, at: Tensor) -> Tensor:
    networks, count, columns = rows.shape
    own = count * torch.arange(networks, device=rows.device)[:, None]
    return rows.reshape(-1, columns).index_select(0, (at + own).flatten()).view(networks, -1, columns)
