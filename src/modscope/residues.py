"""Integer arithmetic of the frequencies of a wave over the residues mod p.

A real wave of period p/k sampled at the residues 0..p-1 is the same as one of frequency p - k, so
frequencies are the integers 0..p//2: 0 is DC and, for even p, p/2 is the Nyquist frequency.
"""

from __future__ import annotations

import numbers
from collections.abc import Iterable
from math import gcd
from typing import cast

from modscope.boundary import public
from modscope.errors import InputError, shown

__all__ = [
    "alias", "frequencies", "harmonic", "intermodulation", "modulus", "residues_in", "subharmonic", "subharmonics",
]  # fmt: skip


def modulus(p: object) -> int:
    """A modulus is an integer of at least 3; returns it as a plain int.

    >>> modulus(113)
    113
    >>> modulus(2)
    Traceback (most recent call last):
    modscope.errors.InputError: modulus p = 2: expected an integer of at least 3
    """
    whole = isinstance(p, numbers.Integral) or (isinstance(p, float) and p.is_integer())
    value = int(cast(int, p)) if whole and not isinstance(p, bool) else -1
    if value < 3:
        raise InputError(f"modulus p = {shown(p)}: expected an integer of at least 3")
    return value


@public
def residues_in(values: Iterable[int], p: int) -> tuple[int, ...]:
    """Values as residues mod p; InputError where one is not a whole number from 0 to p - 1.

    >>> residues_in([2, 0], 3)
    (2, 0)
    >>> residues_in([2, -1], 3)
    Traceback (most recent call last):
    modscope.errors.InputError: residue -1 mod 3: expected a whole number from 0 to 2
    """
    found = []
    for value in values:
        if isinstance(value, bool) or value != int(value) or not 0 <= value < p:
            raise InputError(f"residue {shown(value)} mod {p}: expected a whole number from 0 to {p - 1}")
        found.append(int(value))
    return tuple(found)


def frequencies(p: int) -> range:
    """The distinct frequencies of a real wave mod p are 0..p//2.

    >>> list(frequencies(7)), list(frequencies(8))
    ([0, 1, 2, 3], [0, 1, 2, 3, 4])
    """
    return range(modulus(p) // 2 + 1)


def alias(k: int, p: int) -> int:
    """Frequencies k, -k and k + p are one real wave; its name is the one in 0..p//2.

    >>> alias(82, 113), alias(-14, 113), alias(4, 8)
    (31, 14, 4)
    """
    if not isinstance(k, numbers.Integral):
        raise InputError(f"frequency {shown(k)}: expected a whole number")
    k = int(k) % modulus(p)
    return min(k, p - k)


@public
def harmonic(k: int, n: int, p: int) -> int:
    """The n-th harmonic of frequency k is n*k, aliased.

    >>> [harmonic(k, 2, 113) for k in (14, 35, 41, 42, 52)]
    [28, 43, 31, 29, 9]
    """
    return alias(n * k, p)


@public
def subharmonic(k: int, p: int, n: int = 2) -> int:
    """The n-th subharmonic of k is the frequency whose n-th harmonic is k: k times the inverse of n mod p.

    Raises InputError where n has no inverse mod p (even p for n = 2): then no frequency or several have
    that harmonic.

    >>> [subharmonic(k, 113) for k in (14, 35, 41, 42, 52)]
    [7, 39, 36, 21, 26]
    >>> subharmonic(3, 8)
    Traceback (most recent call last):
    modscope.errors.InputError: frequency 3 has no unique subharmonic of order 2 mod 8: 2 and 8 share the factor 2
    """
    common = gcd(n, modulus(p))
    if common != 1:
        raise InputError(
            f"frequency {k} has no unique subharmonic of order {n} mod {p}: {n} and {p} share the factor {common}"
        )
    return alias(k * pow(n, -1, p), p)


@public
def subharmonics(k: int, p: int, n: int = 2) -> tuple[int, ...]:
    """The frequencies whose n-th harmonic is k: one where n has an inverse mod p, else none or several.

    >>> subharmonics(14, 113), subharmonics(2, 12), subharmonics(3, 12)
    ((7,), (1, 5), ())
    """
    wanted = alias(k, p)
    return tuple(j for j in frequencies(p) if j and alias(n * j, p) == wanted)


@public
def intermodulation(j: int, k: int, p: int) -> tuple[int, int]:
    """A product of waves of frequencies j and k holds their sum and their difference, aliased.

    cos(u) cos(v) = (cos(u + v) + cos(u - v)) / 2.

    >>> intermodulation(42, 14, 113), intermodulation(52, 35, 113)
    ((56, 28), (26, 17))
    """
    return alias(j + k, p), alias(j - k, p)
