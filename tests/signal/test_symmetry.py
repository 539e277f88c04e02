"""Reflections, even and odd parts, exchange of residues, circulants: their laws."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from modscope.errors import InputError, UnknownName
from modscope.signal import (
    circulant_defect,
    energy_by_term,
    even_fraction,
    even_part,
    frequency_fve,
    interpolate,
    odd_part,
    phase_distance,
    reflect,
    remove_frequencies,
    resample,
    reversed_copies,
    shift,
    spectrum,
    swap,
    swap_fraction,
    wave_defect,
)

MODULI = st.sampled_from([3, 4, 5, 8, 9, 12, 13, 15])
SEEDS = st.integers(0, 2**32 - 1)


def stack(p: int, seed: int) -> xr.DataArray:
    values = np.random.default_rng(seed).normal(size=(2, p, 7))
    return xr.DataArray(values, dims=("head", "a", "d"), coords={"a": np.arange(p)})


def pictures(p: int, seed: int) -> xr.DataArray:
    values = np.random.default_rng(seed).normal(size=(3, p, p, 2))
    return xr.DataArray(values, dims=("head", "a", "b", "d"), coords={"a": np.arange(p)})


def sheared(x: xr.DataArray) -> xr.DataArray:
    """In the order (c, a), c = a + b: y[c, a] = x[a, c - a]."""
    c, a = np.indices((x.sizes["a"],) * 2)
    values = x.values[:, a, (c - a) % x.sizes["a"]]
    return xr.DataArray(values, dims=("head", "c", "a", "d"))


@given(p=MODULI, seed=SEEDS, s=st.integers(-30, 30))
def test_a_whole_reflection_takes_samples(p: int, seed: int, s: int) -> None:
    x = stack(p, seed)
    y = reflect(x, "a", s)
    for n in range(p):
        assert (y.values[:, n] == x.values[:, (s - n) % p]).all()
    assert (reflect(y, "a", s).values == x.values).all()


@given(p=MODULI, seed=SEEDS, s=st.floats(-30, 30))
def test_any_reflection_reads_the_band_limited_curve(p: int, seed: int, s: float) -> None:
    x = stack(p, seed)
    y = reflect(x, "a", s)
    np.testing.assert_allclose(y, interpolate(x, "a", s - np.arange(p)), atol=1e-10)
    np.testing.assert_allclose(y, shift(reflect(x, "a", 0), "a", s), atol=1e-10)
    whole = x if p % 2 else remove_frequencies(x, "a", [p // 2])
    np.testing.assert_allclose(reflect(reflect(whole, "a", s), "a", s), whole, atol=1e-10)
    np.testing.assert_allclose(reflect(x, "a", s + p), y, atol=1e-10)


@given(p=MODULI, seed=SEEDS, s=st.floats(-30, 30) | st.integers(-30, 30))
def test_even_and_odd_parts(p: int, seed: int, s: float) -> None:
    x = stack(p, seed)
    even, odd = even_part(x, "a", s), odd_part(x, "a", s)
    np.testing.assert_allclose(even + odd, x, atol=1e-12)
    whole = x if p % 2 else remove_frequencies(x, "a", [p // 2])
    even, odd = even_part(whole, "a", s), odd_part(whole, "a", s)
    np.testing.assert_allclose(reflect(even, "a", s), even, atol=1e-10)
    np.testing.assert_allclose(reflect(odd, "a", s), -odd, atol=1e-10)
    np.testing.assert_allclose((even**2).sum() + (odd**2).sum(), (whole**2).sum())
    assert float(even_fraction(even, "a", s)) == pytest.approx(1)
    if float((odd**2).sum()) > 1e-9:
        assert float(even_fraction(odd - odd.mean("a"), "a", s)) == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("p", [5, 8, 9, 12])
def test_each_row_about_its_own_centre(p: int) -> None:
    y = sheared(pictures(p, 0))
    centres = np.arange(p) + np.array([0.0, 0.3])[:, None]
    for s in centres:
        given_centres = xr.DataArray(s, dims="c")
        reflected = reflect(y, "a", given_centres)
        for c in range(p):
            expected = reflect(y.isel(c=c), "a", s[c])
            np.testing.assert_allclose(reflected.isel(c=c), expected, atol=1e-12)
        positional = reflect(y.values, 2, s[None, :, None, None])
        np.testing.assert_array_equal(positional, reflected.values)
    assert (reflect(y, "a", "c").values == reflect(y, "a", xr.DataArray(np.arange(p), dims="c")).values).all()
    offset = y.assign_coords(c=(np.arange(p) + 2) % p)
    assert (reflect(offset, "a", "c").isel(c=0).values == reflect(y.isel(c=0), "a", 2).values).all()


@given(p=MODULI, seed=SEEDS)
def test_even_about_half_c_is_symmetry_under_exchange(p: int, seed: int) -> None:
    x = pictures(p, seed)
    y = sheared(x)
    np.testing.assert_allclose(reflect(y, "a", "c"), sheared(swap(x)), atol=0)
    symmetric = x + swap(x)
    assert float(even_fraction(sheared(symmetric), "a", "c")) == pytest.approx(1)
    assert float(swap_fraction(symmetric)) == pytest.approx(1)
    assert float(swap_fraction(x - swap(x))) == pytest.approx(0, abs=1e-12)
    # The fraction of a mixture is its share of energy, and the part that c alone explains is left out.
    of_c = np.random.default_rng(seed).normal(size=p)
    a, b = np.indices((p, p))
    dressed = x + of_c[(a + b) % p][None, :, :, None]
    assert float(even_fraction(sheared(dressed), "a", "c")) == pytest.approx(
        float(even_fraction(y, "a", "c"))
    )


def test_white_noise_is_half_even_and_half_symmetric() -> None:
    x = pictures(59, 0)
    assert float(swap_fraction(x)) == pytest.approx(0.5, abs=0.02)
    assert float(even_fraction(sheared(x), "a", "c")) == pytest.approx(0.5, abs=0.02)


def test_fractions_are_summed_over_all_axes_but_those_kept() -> None:
    x = pictures(7, 3) * xr.DataArray([1.0, 10.0], dims="d")
    kept = swap_fraction(x, keep=("head", "d"))
    assert kept.dims == ("head", "d")
    for h in range(3):
        for d in range(2):
            assert float(kept[h, d]) == pytest.approx(float(swap_fraction(x.isel(head=h, d=d))))
    energy = x.var(["a", "b"])
    assert float(swap_fraction(x)) == pytest.approx(float((kept * energy).sum() / energy.sum()))
    by_row = even_fraction(x, "a", 3, keep="b")
    assert by_row.dims == ("b",)


@pytest.mark.parametrize("s", [2.5, 1.25])
@pytest.mark.parametrize("p", [4, 8, 12])
def test_a_reflection_reads_the_nyquist_wave_as_a_cosine(p: int, s: float) -> None:
    wave = (-1.0) ** np.arange(p)
    np.testing.assert_allclose(reflect(wave, 0, s), np.cos(np.pi * s) * wave, atol=1e-12)
    rows = np.stack([wave, wave])
    np.testing.assert_allclose(
        reflect(rows, 1, np.array([[s], [s + 1]])), np.cos(np.pi * s) * np.stack([wave, -wave]), atol=1e-12
    )


def test_a_constant_has_no_fraction() -> None:
    assert np.isnan(even_fraction(np.ones(5), 0))
    assert np.isnan(swap_fraction(np.ones((5, 5)), (0, 1)))
    assert np.isnan(circulant_defect(np.ones((5, 5)), (0, 1)))


@given(p=MODULI, seed=SEEDS, direction=st.sampled_from(["sum", "difference"]))
def test_circulants_have_no_defect(p: int, seed: int, direction: str) -> None:
    wave = np.random.default_rng(seed).normal(size=p)
    a, b = np.indices((p, p))
    along, across = wave[(a - b) % p], wave[(a + b) % p]
    circulant, other = (along, across) if direction == "difference" else (across, along)
    assert float(circulant_defect(circulant, (0, 1), direction=direction)) == pytest.approx(0, abs=1e-9)
    if p % 2:
        assert float(circulant_defect(other, (0, 1), direction=direction)) == pytest.approx(1)


def test_the_defect_of_white_noise() -> None:
    noise = np.random.default_rng(0).normal(size=(59, 59, 40))
    assert circulant_defect(noise, (0, 1)).mean() == pytest.approx(1 - 1 / 60, abs=0.005)


@given(p=MODULI, seed=SEEDS)
def test_reversed_copies_are_a_function_of_b_seen_from_a(p: int, seed: int) -> None:
    x = stack(p, seed)
    y = reversed_copies(x, "a")
    assert y.dims == ("c", "head", "a", "d")
    for c in range(p):
        assert (y.isel(c=c).values == reflect(x, "a", c).values).all()
    assert (reversed_copies(x.values, 1) == y.values).all()


@given(u=st.floats(-20, 20), v=st.floats(-20, 20), turns=st.integers(-5, 5))
def test_phase_distance_is_a_distance_on_the_circle(u: float, v: float, turns: int) -> None:
    d = float(phase_distance(np.array(u), v))
    assert d == pytest.approx(abs(np.angle(np.exp(1j * (u - v)))), abs=1e-9)
    assert d == pytest.approx(float(phase_distance(np.array(v), u + 2 * np.pi * turns)), abs=1e-9)
    assert float(phase_distance(np.array(u), v, period=np.pi)) <= np.pi / 2 + 1e-12


def test_phases_are_never_aligned_silently() -> None:
    first = xr.DataArray([1.0, 2.0], dims="k", coords={"k": [1, 2]})
    with pytest.raises(ValueError, match="exact"):
        phase_distance(first, first.assign_coords(k=[2, 3]))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_float_types_stay(dtype: type) -> None:
    x = pictures(7, 0).astype(dtype)
    centres = xr.DataArray(np.arange(7) + 0.5, dims="b")
    for y in (reflect(x, "a", 0.5), reflect(x, "a", 1), reflect(x, "a", centres), even_part(x, "a"), swap(x)):
        assert y.dtype == dtype
        assert y.dims == x.dims


def test_bad_requests_say_what_there_is() -> None:
    x = pictures(7, 0)
    with pytest.raises(UnknownName, match="unknown axis 'c'"):
        reflect(x, "a", "c")
    with pytest.raises(InputError, match="other axes than the reflected one"):
        reflect(x, "a", "a")
    with pytest.raises(InputError, match="other axes than the reflected one"):
        reflect(x, "a", xr.DataArray(np.arange(5), dims="b"))
    with pytest.raises(InputError, match="expected finite numbers"):
        reflect(x, "a", float("inf"))
    with pytest.raises(InputError, match="1 along axis 1"):
        reflect(x.values, 1, np.zeros((1, 7, 1, 1)))
    with pytest.raises(InputError, match="two of size p"):
        swap(x, ("a", "d"))
    with pytest.raises(UnknownName, match="direction"):
        circulant_defect(x, direction="both")


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_rounding_of_a_constant_is_not_taken_for_a_wave(dtype: type) -> None:
    constant = np.full((2, 7, 7, 3), 0.1, dtype=dtype) * np.arange(1, 4, dtype=dtype)
    x = xr.DataArray(constant, dims=("head", "a", "b", "d"))
    assert np.isnan(even_fraction(x, "a", "b"))
    assert np.isnan(swap_fraction(x, keep="d")).all()
    assert np.isnan(circulant_defect(x)).all()
    assert (frequency_fve(x) == 0).all()
    assert (energy_by_term(x) == 0).all()
    assert wave_defect(x, x + 1, "a").max() == 0


@pytest.mark.parametrize("change", ["part", "permuted", "stretched"])
def test_a_part_of_a_circle_is_not_a_circle(change: str) -> None:
    """Its size would pass for the modulus; a resampled circle and an axis beside the transformed one are let through."""
    x = pictures(12, 0).assign_attrs(p=12)
    wrong = {
        "part": x.isel(a=slice(0, 10)),
        "permuted": x.isel(a=[*range(6, 12), *range(6)]),
        "stretched": x.isel(a=slice(None, None, 2)).assign_coords(a=range(6)),
    }[change]
    for f in (
        spectrum,
        lambda y, d: shift(y, d, 1),
        lambda y, d: even_part(y, d, 3),
        lambda y, d: resample(y, d, 7),
    ):
        with pytest.raises(InputError, match=r"axis a has the coordinates .*: expected all residues 0 to 11"):
            f(wrong, "a")
        f(wrong, "b")
    assert spectrum(resample(x, "a", 24), "a").sizes["k"] == 13
