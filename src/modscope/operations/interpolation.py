"""The polynomial that most entries of a table lie on, when some of them are wrong (p prime)."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from modscope.operations.polynomial import Polynomial

__all__ = ["interpolated"]

_DRAWS = 1500
_CHECKED = 256  # pairs on which every candidate is tried
_KEPT = 3
_PAIRS_A_TERM = 10


def interpolated(table: np.ndarray, degree: int, *, seed: int = 0) -> Iterator[Polynomial]:
    """The polynomials of a total degree that agree with most of a table [a, b] mod a prime, best first; entries below 0
    are wrong.

    Each candidate goes through as many random pairs as it has coefficients; half of the table right is enough for
    the third degree to be found among 1500 (Fischler & Bolles 1981).

    >>> n = np.arange(11)
    >>> table = (n[:, None] ** 2 + 3 * n) % 11
    >>> table[2, 5] = 0
    >>> next(interpolated(table, 2))
    {(2, 0): 1, (0, 1): 3}
    """
    p = len(table)
    powers = [(i, s - i) for s in range(degree, -1, -1) for i in range(s, -1, -1)]
    valid = np.flatnonzero(table.ravel() >= 0)
    # so few pairs lie on some polynomial whatever is in the table
    if len(valid) < _PAIRS_A_TERM * len(powers):
        return
    generator = np.random.default_rng(seed)
    drawn = valid[generator.integers(len(valid), size=(_DRAWS, len(powers)))]
    values = table.ravel()
    solved, ok = _solved(_terms(p, powers, drawn), values[drawn], p)
    solved = solved[ok]
    if not len(solved):
        return
    checked = valid[generator.permutation(len(valid))[:_CHECKED]]
    agree = (solved @ _terms(p, powers, checked).T % p == values[checked]).mean(axis=1)
    seen: set[tuple[int, ...]] = set()
    for place in np.argsort(-agree, kind="stable"):
        coefficients = tuple(int(c) for c in solved[place])
        if coefficients in seen:
            continue
        seen.add(coefficients)
        yield {powers[i]: c for i, c in enumerate(coefficients) if c}
        if len(seen) == _KEPT:
            return


def _terms(p: int, powers: list[tuple[int, int]], pairs: np.ndarray) -> np.ndarray:
    """a^i b^j mod p at some pairs, numbered a p + b, [..., term]."""
    table = np.array([[pow(n, i, p) for n in range(p)] for i in range(max(map(max, powers)) + 1)], np.int64)
    a, b = np.divmod(pairs, p)
    return np.stack([table[i][a] * table[j][b] % p for i, j in powers], axis=-1)


def _solved(matrices: np.ndarray, values: np.ndarray, p: int) -> tuple[np.ndarray, np.ndarray]:
    """Solutions of many square systems mod a prime, and which of them have one: Gauss-Jordan, all at once."""
    work = np.concatenate([matrices, values[..., None]], axis=2).astype(np.int64) % p
    count, size, _ = work.shape
    every = np.arange(count)
    inverse = np.array([0, *(pow(n, -1, p) for n in range(1, p))], np.int64)
    ok = np.ones(count, bool)
    for column in range(size):
        pivot = column + (work[:, column:, column] != 0).argmax(axis=1)
        ok &= work[every, pivot, column] != 0
        rows = work[every, pivot].copy()
        work[every, pivot] = work[:, column]
        rows = rows * inverse[rows[:, column]][:, None] % p
        work[:, column] = rows
        others = work[:, :, column].copy()
        others[:, column] = 0
        # columns before this one are those of the identity already
        rest = work[:, :, column:]
        rest -= others[..., None] * rows[:, None, column:]
        # numbers are divided by one and the same many times faster than their rest is taken
        rest -= rest // p * p
    return work[..., -1], ok
