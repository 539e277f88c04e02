"""Waves by hand: symmetry without any sinusoid, and marks that stand where they should."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modscope.analysis.inputs.ideal_waves import hand_made_wave, ideal_stream, places, reversed_sums
from modscope.errors import InputError
from modscope.signal import even_fraction, power


@given(p=st.integers(5, 40))
def test_any_wave_plus_its_reversed_copy_is_even_about_half_the_shift(p: int) -> None:
    sums = reversed_sums(hand_made_wave(p))
    for shift in (0, 1, p - 2):
        row = sums.sel(part="sum", shift=shift).values
        for s in (shift, shift + p):
            assert float(even_fraction(row, 0, s)) == pytest.approx(1.0)
        assert float(even_fraction(sums.sel(part="wave", shift=shift).values, 0, shift)) < 0.999


def test_the_hand_made_wave_is_no_sinusoid() -> None:
    shares = power(hand_made_wave(113), 0)[1:]
    assert shares.max() / shares.sum() < 0.7
    assert (shares > 1e-4 * shares.sum()).sum() > 20


@given(p=st.integers(4, 15), c=st.integers(0, 14), a=st.integers(0, 14))
def test_a_and_b_stand_at_equal_heights(p: int, c: int, a: int) -> None:
    ks = [1, p // 2]
    stream = ideal_stream(p, ks)
    c, a = c % p, a % p
    marks = places(c, a, p)
    row = stream.sel(c=c, a=a)
    np.testing.assert_allclose(row.sel(b=int(marks["a"])), row.sel(b=int(marks["b"])), atol=1e-9)
    # as far from c/2 to one side as to the other, on the circle
    centre = marks["c/2"]
    assert (marks["a"] - centre + marks["b"] - centre) % p == pytest.approx(0.0)
    assert (marks["c/2 + p/2"] - centre) % p == pytest.approx(p / 2)


def test_the_stream_is_cosines_about_half_c_and_repeats_without_a_copy() -> None:
    p, stream = 11, ideal_stream(11, [2, 5])
    n = np.arange(p)
    np.testing.assert_allclose(
        stream.sel(frequency=5, c=3, a=7), np.cos(2 * np.pi * 5 * (n - 1.5) / p), atol=1e-12
    )
    total = stream.sel(frequency=[2, 5]).sum("frequency")
    scale = float(stream.sel(frequency=0, c=3, a=0)[0] / total.sel(c=3, a=0)[0])
    np.testing.assert_allclose(stream.sel(frequency=0), total * scale)
    assert float(abs(stream.sel(frequency=0)).max()) == pytest.approx(1.0)
    assert stream.values.strides[2] == 0
    with pytest.raises(InputError, match="key frequency 6"):
        ideal_stream(11, [6])
