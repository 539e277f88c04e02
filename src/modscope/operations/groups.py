"""Finite groups as tables of products, and the name of a group from its table."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from functools import lru_cache
from itertools import permutations
from math import factorial

import numpy as np

from modscope.boundary import public
from modscope.errors import InputError

__all__ = ["element_orders", "group_order", "group_table", "is_group", "named_group", "orders_in_words"]

_LARGEST = 1024  # elements
_FACTOR = re.compile(r"(Dic|[CZDSAQ])_?(\d+)")


@public
def group_order(name: str) -> int | None:
    """The number of elements of a group by its name; None where the text names no group.

    C5 cyclic, D7 the 14 symmetries of a 7-gon, S4 and A4 permutations, Dic3 dicyclic (order 12), Q8, and direct
    products such as C2xC14.

    >>> group_order("D14"), group_order("C2xC14"), group_order("S4"), group_order("a+b")
    (28, 28, 24, None)
    """
    factors = _factors(name)
    return None if factors is None else int(np.prod([_size(kind, n) for kind, n in factors], dtype=object))


def _factors(name: str) -> list[tuple[str, int]] | None:
    found = []
    for part in re.split(r"\s*[x×]\s*", name.strip()):
        match = _FACTOR.fullmatch(part)
        if match is None or len(match[2]) > 6:
            return None
        kind, n = match[1], int(match[2])
        if (
            n < 1
            or (kind == "Q" and (n < 8 or n % 4))
            or (kind == "Dic" and n < 2)
            or (kind in "SA" and n > 6)
        ):
            return None
        found.append(("Dic", n // 4) if kind == "Q" else ("C" if kind == "Z" else kind, n))
    return found


def _size(kind: str, n: int) -> int:
    return {"C": n, "D": 2 * n, "Dic": 4 * n}.get(kind) or max(1, factorial(n) // (2 if kind == "A" else 1))


@lru_cache(maxsize=8)
def _table_of(name: str) -> np.ndarray:
    factors = _factors(name)
    order = group_order(name)
    if factors is None or order is None:
        raise InputError(f"group {name!r}: expected a name such as C28, D14, S4, A4, Dic7, Q8 or C2xC14")
    if order > _LARGEST:
        raise InputError(f"group {name!r} has {order} elements: expected at most {_LARGEST}")
    table = np.zeros((1, 1), np.int64)
    for kind, n in factors:
        other = _factor_table(kind, n)
        size = len(table)
        product = table[:, None, :, None] + size * other[None, :, None, :]
        # element g + |G| h of the product stands for (g, h)
        table = product.transpose(1, 0, 3, 2).reshape(size * len(other), -1)
    table.setflags(write=False)
    return table


@public
def group_table(name: str) -> np.ndarray:
    """The product of elements g and h of a named group, int64[g, h]; element 0 is the identity.

    C_n: i. D_n: r^i s^j is i + n j. Dic_n: r^i s^j is i + 2n j, s^2 = r^n. S_n and A_n: (even) permutations in
    lexicographic order, gh is g after h. Products: (g, h) is g + |G| h.
    Raises InputError for a name that there is not and for more than 1024 elements.

    >>> group_table("D3")[3, 1], group_table("C4")[3, 2]
    (np.int64(5), np.int64(1))
    """
    return _table_of(name).copy()


def _factor_table(kind: str, n: int) -> np.ndarray:
    if kind in ("S", "A"):
        return _permutations_table(n, even=kind == "A")
    turns = {"C": n, "D": n, "Dic": 2 * n}[kind]
    g = np.arange(turns if kind == "C" else 2 * turns)
    i, j = g % turns, g // turns
    turn = i[:, None] + np.where(j == 1, -1, 1)[:, None] * i
    flips = j[:, None] + j
    if kind == "Dic":
        turn = turn + n * (flips == 2)
    return turn % turns + turns * (flips % 2)


def _permutations_table(n: int, *, even: bool) -> np.ndarray:
    elements = np.array(
        [g for g in permutations(range(n)) if not even or _inversions(g) % 2 == 0], np.int64
    ).reshape(-1, n)
    number = {tuple(g): i for i, g in enumerate(elements.tolist())}
    after = elements[:, elements].reshape(-1, n)
    return np.array([number[tuple(g)] for g in after.tolist()]).reshape(len(elements), -1)


def _inversions(g: tuple[int, ...]) -> int:
    return sum(g[i] > g[j] for i in range(len(g)) for j in range(i + 1, len(g)))


@public
def is_group(table: np.ndarray) -> bool:
    """Whether a table of products is a group: a Latin square, with an identity, associative.

    >>> is_group(group_table("D4")), is_group((np.arange(5)[:, None] - np.arange(5)) % 5)
    (True, False)
    """
    n = len(table)
    numbers = np.arange(n)
    if table.min() < 0 or table.max() >= n:
        return False
    latin = (np.sort(table, axis=0) == numbers[:, None]).all() and (np.sort(table, axis=1) == numbers).all()
    if not latin or not ((table == numbers).all(axis=1) & (numbers == table.T).all(axis=1)).any():
        return False
    # associative: (g h) k = g (h k), one g at a time
    return all((table[table[g]] == table[g][table]).all() for g in numbers)


@public
def element_orders(table: np.ndarray) -> np.ndarray:
    """The order of each element of a group, int64[g]: how often it is multiplied with itself until the identity.

    >>> element_orders(group_table("D3")).tolist()
    [1, 3, 3, 2, 2, 2]
    """
    n = len(table)
    identity = int(np.flatnonzero((table == np.arange(n)).all(axis=1))[0])
    orders, power = np.ones(n, np.int64), np.arange(n)
    while (going := power != identity).any():
        orders[going] += 1
        power = np.where(going, table[power, np.arange(n)], power)
    return orders


@public
def orders_in_words(table: np.ndarray) -> str:
    """How many elements of each order a group has, as text: 1 of order 1, 15 of order 2, ...

    >>> orders_in_words(group_table("D3"))
    '1 of order 1, 3 of order 2, 2 of order 3'
    """
    count = Counter(element_orders(table).tolist())
    return ", ".join(f"{count[order]} of order {order}" for order in sorted(count))


@public
def named_group(table: np.ndarray) -> str | None:
    """The name of the group that a table is, element numbers aside; None where no named one of its size is it.

    Candidates are those with as many elements of each order; which of them it is, is decided by an isomorphism.

    >>> scrambled = np.random.default_rng(0).permutation(12)
    >>> table = np.argsort(scrambled)[group_table("Dic3")[np.ix_(scrambled, scrambled)]]
    >>> named_group(table)
    'Dic3'
    """
    wanted = Counter(element_orders(table).tolist())
    for name in _names(len(table)):
        candidate = _table_of(name)
        if Counter(element_orders(candidate).tolist()) == wanted and _isomorphic(candidate, table):
            return name
    return None


def _names(order: int) -> Iterator[str]:
    """Names of groups of an order: cyclic, dihedral, dicyclic, permutations, then products."""
    yield f"C{order}"
    simple = list(_indecomposable(order))
    yield from simple
    for factor in _abelian_types(order):
        if len(factor) > 1:
            yield "x".join(f"C{n}" for n in factor)
    for size in range(6, order // 2 + 1):
        if order % size == 0:
            for name in _indecomposable(size):
                for factor in _abelian_types(order // size):
                    yield "x".join([*(f"C{n}" for n in factor), name])


def _indecomposable(order: int) -> Iterator[str]:
    if order % 2 == 0 and order >= 6:
        yield f"D{order // 2}"
    if order % 4 == 0 and order >= 8:
        yield "Q8" if order == 8 else f"Dic{order // 4}"
    for n in (4, 5, 6):
        if factorial(n) == order:
            yield f"S{n}"
        if factorial(n) // 2 == order:
            yield f"A{n}"


def _abelian_types(order: int, divides: int = 0) -> Iterator[tuple[int, ...]]:
    """Invariant factors n1, n2, ... with n1 | n2 | ... and product order."""
    if order == 1:
        yield ()
        return
    for last in range(order, 1, -1):
        if order % last == 0 and (not divides or divides % last == 0):
            for rest in _abelian_types(order // last, last):
                yield (*rest, last)


def _isomorphic(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether two groups with as many elements of each order are the same up to the numbers of their elements."""
    n = len(one)
    orders, others = element_orders(one), element_orders(other)
    generators = _generators(one, orders)
    images: list[list[int]] = [np.flatnonzero(others == orders[g]).tolist() for g in generators]
    words = _words(one, generators)
    identity = int(np.flatnonzero((other == np.arange(n)).all(axis=1))[0])

    def tried(chosen: list[int]) -> bool:
        if len(chosen) == len(generators):
            image = np.full(n, identity)
            for element, before, generator in words:
                image[element] = other[image[before], chosen[generator]]
            return len(set(image.tolist())) == n and bool((image[one] == other[np.ix_(image, image)]).all())
        return any(tried([*chosen, g]) for g in images[len(chosen)])

    return tried([])


def _generators(table: np.ndarray, orders: np.ndarray) -> list[int]:
    """A few elements whose products are all elements, those of high order first."""
    found: list[int] = []
    reached: set[int] = {int(np.flatnonzero(orders == 1)[0])}
    for g in np.argsort(-orders, kind="stable").tolist():
        if g in reached:
            continue
        found.append(g)
        reached = {element for element, *_ in _words(table, found)} | reached
        if len(reached) == len(table):
            break
    return found


def _words(table: np.ndarray, generators: list[int]) -> list[tuple[int, int, int]]:
    """Every element but the identity as (element, an earlier one, the generator that it was multiplied with)."""
    identity = int(np.flatnonzero((table == np.arange(len(table))).all(axis=1))[0])
    seen, queue, words = {identity}, [identity], []
    for element in queue:
        for i, g in enumerate(generators):
            product = int(table[element, g])
            if product not in seen:
                seen.add(product)
                queue.append(product)
                words.append((product, element, i))
    return words
