"""Filters are orthogonal projections; shifts and resampling read one periodic curve."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.signal
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from modscope.errors import InputError, UnknownName
from modscope.signal import (
    interpolate,
    keep_frequencies,
    remove_frequencies,
    resample,
    shift,
    spectrum,
    split_frequencies,
)

MODULI = st.sampled_from([3, 4, 5, 8, 9, 12, 13, 15])
SEEDS = st.integers(0, 2**32 - 1)
TERMS = ["every", "any", "sum", "difference", "linear", "2x2", "3x3"]


def pictures(p: int, seed: int) -> xr.DataArray:
    values = np.random.default_rng(seed).normal(size=(3, p, p, 2))
    return xr.DataArray(values, dims=("head", "a", "b", "d"), coords={"a": np.arange(p)})


def frequencies(p: int) -> st.SearchStrategy[set[int]]:
    return st.sets(st.integers(0, p // 2))


def wanted_bins(p: int, ks: set[int], terms: str) -> np.ndarray:
    """Which bins of the two-dimensional DFT a choice of terms keeps, from the definitions."""
    mask = np.zeros((p, p), dtype=bool)
    for u in range(p):
        for v in range(p):
            k, l = min(u, p - u), min(v, p - v)
            on_sum, on_difference = u == v, (u + v) % p == 0
            inside = {
                "every": k in ks and l in ks,
                "any": k in ks or l in ks,
                "sum": on_sum and k in ks,
                "difference": on_difference and k in ks,
                "linear": (k in ks and l == 0) or (l in ks and k == 0),
                "2x2": k == l and k in ks,
            }
            inside["3x3"] = inside["2x2"] or (k == 0 and l in ks) or (l == 0 and k in ks) or k == l == 0
            if k == 0 or l == 0:
                inside["linear"] = (k in ks if l == 0 else l in ks) and (k + l > 0 or 0 in ks)
            mask[u, v] = inside[terms]
    return mask


@given(p=MODULI, seed=SEEDS, terms=st.sampled_from(TERMS), data=st.data())
def test_two_axes_keep_exactly_the_bins_of_the_definition(
    p: int, seed: int, terms: str, data: st.DataObject
) -> None:
    ks, x = data.draw(frequencies(p)), pictures(p, seed)
    bins = np.fft.fft2(x.values, axes=(1, 2)) * wanted_bins(p, ks, terms)[None, :, :, None]
    expected = np.fft.ifft2(bins, axes=(1, 2)).real
    kept = keep_frequencies(x, ("a", "b"), sorted(ks), terms=terms)
    np.testing.assert_allclose(kept, expected, atol=1e-11)


@given(p=MODULI, seed=SEEDS, terms=st.sampled_from(TERMS), data=st.data())
def test_projections(p: int, seed: int, terms: str, data: st.DataObject) -> None:
    ks, x = sorted(data.draw(frequencies(p))), pictures(p, seed)
    kept, removed = split_frequencies(x, ("a", "b"), ks, terms=terms)
    np.testing.assert_allclose(kept + removed, x, atol=1e-12)
    np.testing.assert_allclose((kept**2).sum() + (removed**2).sum(), (x**2).sum(), rtol=1e-9)
    again = keep_frequencies(kept, ("a", "b"), ks, terms=terms)
    np.testing.assert_allclose(again, kept, atol=1e-11)
    np.testing.assert_allclose(keep_frequencies(removed, ("a", "b"), ks, terms=terms), 0 * x, atol=1e-11)
    np.testing.assert_allclose(remove_frequencies(x, ("a", "b"), ks, terms=terms), removed, atol=1e-12)
    assert kept.dims == x.dims
    assert (kept.a == x.a).all()


@given(p=MODULI, seed=SEEDS, data=st.data(), axis=st.sampled_from(["a", "b"]))
def test_one_axis_keeps_exactly_the_frequencies(p: int, seed: int, data: st.DataObject, axis: str) -> None:
    ks, x = data.draw(frequencies(p)), pictures(p, seed)
    i = x.get_axis_num(axis)
    bins = np.fft.rfft(x.values, axis=i)
    mask = np.array([k in ks for k in range(p // 2 + 1)]).reshape([-1 if j == i else 1 for j in range(4)])
    expected = np.fft.irfft(bins * mask, n=p, axis=i)
    np.testing.assert_allclose(keep_frequencies(x, axis, sorted(ks)), expected, atol=1e-12)
    everything = keep_frequencies(x, axis, range(p // 2 + 1))
    np.testing.assert_allclose(everything, x, atol=1e-12)


@given(p=MODULI, seed=SEEDS, s=st.floats(-20, 20), t=st.floats(-20, 20))
def test_shifts_add_up_and_turn_phases(p: int, seed: int, s: float, t: float) -> None:
    x = pictures(p, seed)
    x = x if p % 2 else remove_frequencies(x, "b", [p // 2])
    moved = shift(shift(x, "b", s), "b", t)
    np.testing.assert_allclose(moved, shift(x, "b", s + t), atol=1e-10)
    np.testing.assert_allclose(shift(shift(x, "b", s), "b", -s), x, atol=1e-10)
    turn = np.exp(-2j * np.pi * s * np.arange(p // 2 + 1) / p)[:, None]
    np.testing.assert_allclose(spectrum(shift(x, "b", s), "b"), spectrum(x, "b") * turn, atol=1e-10)


@given(p=MODULI, seed=SEEDS, s=st.integers(-20, 20))
def test_whole_shifts_are_exact(p: int, seed: int, s: int) -> None:
    x = pictures(p, seed)
    assert (shift(x, "b", s).values == np.roll(x.values, s, axis=2)).all()
    np.testing.assert_allclose(shift(x, "b", s + 1e-9), shift(x, "b", s), atol=1e-7)


@pytest.mark.parametrize("p", [4, 8, 12])
def test_a_shift_reads_the_nyquist_wave_as_a_cosine(p: int) -> None:
    wave = (-1.0) ** np.arange(p)
    for s in (0.25, 0.5, 3.3):
        np.testing.assert_allclose(shift(wave, 0, s), np.cos(np.pi * s) * wave, atol=1e-12)


@pytest.mark.parametrize("p", [5, 8, 9, 12])
@pytest.mark.parametrize("n", [3, 4, 5, 7, 8, 12, 24, 27])
def test_resampling_agrees_with_scipy(p: int, n: int) -> None:
    x = pictures(p, n)
    np.testing.assert_allclose(resample(x, "b", n), scipy.signal.resample(x.values, n, axis=2), atol=1e-12)
    np.testing.assert_allclose(resample(x, "b", n).b, np.arange(n) * p / n)


@given(p=MODULI, seed=SEEDS, n=st.integers(1, 40))
def test_resampling_up_and_down_again_changes_nothing(p: int, seed: int, n: int) -> None:
    x = pictures(p, seed)
    np.testing.assert_allclose(resample(resample(x, "b", p + n), "b", p), x, atol=1e-11)
    np.testing.assert_allclose(interpolate(x, "b", np.arange(p)), x, atol=1e-12)


def test_the_curve_is_the_cosine_itself() -> None:
    places = np.linspace(-3, 17, 41)
    wave = np.cos(2 * np.pi * 3 * np.arange(11) / 11 + 0.7) + 2
    expected = np.cos(2 * np.pi * 3 * places / 11 + 0.7) + 2
    np.testing.assert_allclose(interpolate(wave, 0, places), expected, atol=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_float_types_stay(dtype: type) -> None:
    x = pictures(7, 0).astype(dtype)
    for terms in TERMS:
        assert keep_frequencies(x, ("a", "b"), [1, 3], terms=terms).dtype == dtype
    assert shift(x, "a", 0.5).dtype == resample(x, "a", 9).dtype == dtype


def test_an_fft_along_one_axis_does_not_double_a_product() -> None:
    a, b = np.indices((13, 13))
    product = np.cos(2 * np.pi * 2 * (a + b) / 13)
    np.testing.assert_allclose(remove_frequencies(product, 1, [4]), product, atol=1e-12)
    np.testing.assert_allclose(remove_frequencies(product, 1, [2]), 0 * product, atol=1e-12)


def test_bad_requests_say_what_there_is() -> None:
    x = pictures(7, 0)
    with pytest.raises(UnknownName, match="unknown axis 'c'"):
        keep_frequencies(x, "c", [1])
    with pytest.raises(InputError, match=r"from 0 to 3 \(p = 7\)"):
        keep_frequencies(x, "a", [4])
    with pytest.raises(InputError, match="whole numbers"):
        keep_frequencies(x, "a", [1.5])  # type: ignore[list-item]
    with pytest.raises(UnknownName, match="did you mean 'sum'"):
        keep_frequencies(x, ("a", "b"), [1], terms="sums")
    with pytest.raises(InputError, match="two axes of size p"):
        keep_frequencies(x, ("a", "d"), [1], terms="sum")
    with pytest.raises(InputError, match="two axes of size p"):
        keep_frequencies(x, "a", [1], terms="sum")
    with pytest.raises(InputError, match="finite"):
        shift(x, "a", float("nan"))
    with pytest.raises(InputError, match="at least 1"):
        resample(x, "a", 0)
    with pytest.raises(InputError, match="finite"):
        interpolate(x, "a", [np.inf])
