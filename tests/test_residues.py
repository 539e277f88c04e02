"""Frequencies mod p as integers: what cosines do, without cosines."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modscope.errors import InputError
from modscope.residues import alias, frequencies, harmonic, intermodulation, subharmonic

MODULI = st.sampled_from([3, 4, 5, 8, 9, 12, 13, 15, 59, 113])


def cosine(k: int, p: int) -> np.ndarray:
    return np.cos(2 * np.pi * k * np.arange(p) / p)


@given(p=MODULI, k=st.integers(-500, 500))
def test_alias_is_the_same_cosine(p: int, k: int) -> None:
    assert alias(k, p) in frequencies(p)
    np.testing.assert_allclose(cosine(alias(k, p), p), cosine(k, p), atol=1e-9)


@given(p=MODULI, j=st.integers(0, 60), k=st.integers(0, 60))
def test_a_product_of_cosines_holds_sum_and_difference(p: int, j: int, k: int) -> None:
    total, difference = intermodulation(j, k, p)
    product = cosine(j, p) * cosine(k, p)
    np.testing.assert_allclose(product, (cosine(total, p) + cosine(difference, p)) / 2, atol=1e-9)


@given(p=MODULI, k=st.integers(0, 56), n=st.sampled_from([2, 3, 5]))
def test_subharmonic_undoes_harmonic(p: int, k: int, n: int) -> None:
    if np.gcd(n, p) != 1:
        with pytest.raises(InputError, match="share the factor"):
            subharmonic(k, p, n)
        return
    assert harmonic(subharmonic(k, p, n), n, p) == alias(k, p)
    assert subharmonic(harmonic(k, n, p), p, n) == alias(k, p)


def test_published_harmonics() -> None:
    keys = (14, 35, 41, 42, 52)
    assert [harmonic(k, 2, 113) for k in keys] == [28, 43, 31, 29, 9]
    assert [subharmonic(k, 113) for k in keys] == [7, 39, 36, 21, 26]
