"""The product of a group that a table with some wrong entries is, in whatever names a, b and the answer have."""

from __future__ import annotations

import numpy as np

from modscope.operations.groups import is_group

__all__ = ["repaired_product"]

_LARGEST = 256
_TRIES = 8
_ROUNDS = 3
_DISTINCT = (
    0.75  # share of different answers in a row or column that may still be a permutation with mistakes
)


def repaired_product(table: np.ndarray) -> np.ndarray | None:
    """The table [a, b] of a group's product nearest to a table of answers, int64[a, b]; None where there is none.

    With a faultless row and column as names, the product of x and y is x z times z\\y for every z: each entry is
    replaced by the majority of these, until the table is a group. Works for about nine tenths of the entries right.

    >>> from modscope.operations.groups import group_table
    >>> table = group_table("D7")
    >>> wrong = table.copy(); wrong[3, 4], wrong[9, 9] = 0, 1
    >>> bool((repaired_product(wrong) == table).all())
    True
    """
    p = len(table)
    if p > _LARGEST:
        return None
    rows, columns = (_permutations(side) for side in (table, table.T))
    for row, column in list(zip(rows, columns, strict=False))[:_TRIES]:
        x, y = table[:, column], table[row]
        product = np.empty_like(table)
        product[np.ix_(x, y)] = table
        for _ in range(_ROUNDS):
            product = _majority(product)
            if is_group(product):
                return product[np.ix_(x, y)]
    return None


def _permutations(table: np.ndarray) -> list[int]:
    """The rows in which every answer occurs once; none where the rows of a table are far from that."""
    ordered = np.sort(table, axis=1)
    distinct = 1 + (np.diff(ordered, axis=1) != 0).sum(axis=1)
    if distinct.mean() < _DISTINCT * len(table):
        return []
    return np.flatnonzero((ordered == np.arange(len(table))).all(axis=1)).tolist()


def _majority(product: np.ndarray) -> np.ndarray:
    """Each x y as what most of (x z)(z\\y) say."""
    n = len(product)
    numbers = np.arange(n)
    valid = product >= 0
    divided = np.full((n, n), -1)  # [z, y]: the v with z v = y
    z, v = np.nonzero(valid)
    divided[z, product[z, v]] = v
    voted = np.empty_like(product)
    for x in numbers:
        left = np.broadcast_to(product[x][:, None], (n, n))
        known = (left >= 0) & (divided >= 0)
        found = np.where(known, product[np.maximum(left, 0), np.maximum(divided, 0)], -1)
        keys = found + n * numbers
        count = np.bincount(keys[found >= 0], minlength=n * n).reshape(n, n)
        voted[x] = count.argmax(axis=1)
    return voted
