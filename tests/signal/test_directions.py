"""Pictures by what they depend on, against masks on the two-dimensional DFT."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from modscope.errors import InputError, UnknownName
from modscope.signal import (
    TERMS,
    answer_amplitudes,
    answer_waves,
    direction_basis,
    energy_by_term,
    frequency_fve,
    mean_over,
    term_spectrum,
)

MODULI = st.sampled_from([3, 4, 5, 8, 9, 12, 13, 15])
SEEDS = st.integers(0, 2**32 - 1)


def pictures(p: int, seed: int, offset: float = 0.0) -> xr.DataArray:
    values = np.random.default_rng(seed).normal(size=(3, p, p, 2)) + offset
    return xr.DataArray(
        values, dims=("head", "a", "b", "d"), coords={"a": np.arange(p), "d": [5, 6]}, attrs={"p": p}
    )


def bin_energy(x: xr.DataArray) -> np.ndarray:
    """Mean square by bin of the full two-dimensional DFT, [head, u, v, d]."""
    p = x.sizes["a"]
    return np.abs(np.fft.fft2(x.values, axes=(1, 2)) / p**2) ** 2


@given(p=MODULI, seed=SEEDS)
def test_terms_are_the_bins_of_the_definition(p: int, seed: int) -> None:
    x = pictures(p, seed)
    bins = bin_energy(x)
    expected = dict.fromkeys(TERMS, np.zeros((3, 2)))
    for u, v in itertools.product(range(p), repeat=2):
        if u == v == 0:
            continue
        term = (
            "linear"
            if u == 0 or v == 0
            else "sum"
            if u == v
            else "difference"
            if (u + v) % p == 0
            else "cross"
        )
        expected[term] = expected[term] + bins[:, u, v]
    found = energy_by_term(x)
    assert found.dims == ("term", "head", "d")
    assert found.d.values.tolist() == [5, 6]
    for term in TERMS:
        np.testing.assert_allclose(found.sel(term=term), expected[term], atol=1e-12, err_msg=term)
    np.testing.assert_allclose(found.sum("term"), x.var(["a", "b"]), rtol=1e-9)


@pytest.mark.parametrize("p", [4, 6, 8, 12])
def test_the_common_nyquist_wave_is_counted_once(p: int) -> None:
    a, b = np.indices((p, p))
    picture = 2 * (-1.0) ** (a + b)
    np.testing.assert_allclose(energy_by_term(picture, (0, 1)), [0, 4, 0, 0], atol=1e-12)
    np.testing.assert_allclose(
        energy_by_term(picture, (0, 1), nyquist="difference"), [0, 0, 4, 0], atol=1e-12
    )
    lines = term_spectrum(picture, (0, 1))
    np.testing.assert_allclose(lines[:, -1], [0, 0, 4, 4], atol=1e-12)
    np.testing.assert_allclose(frequency_fve(picture, (0, 1)), np.arange(1, p // 2 + 1) == p // 2, atol=1e-12)


@given(p=MODULI, seed=SEEDS, data=st.data(), turns=st.tuples(*[st.floats(-3, 3)] * 5))
def test_planted_terms_are_found(p: int, seed: int, data: st.DataObject, turns: tuple[float, ...]) -> None:
    k = data.draw(st.integers(1, (p - 1) // 2))
    a, b = np.indices((p, p))
    w = 2 * np.pi * k / p
    picture = 7 + np.cos(w * a + turns[0]) + 2 * np.cos(w * b + turns[1])
    picture += 3 * np.cos(w * (a + b) + turns[2]) + 4 * np.cos(w * (a - b) + turns[3])
    expected = np.zeros((4, p // 2 + 1))
    expected[:, 0], expected[:, k] = 49, [0.5, 2, 4.5, 8]
    np.testing.assert_allclose(term_spectrum(picture, (0, 1)), expected, atol=1e-10)
    np.testing.assert_allclose(energy_by_term(picture, (0, 1)), [2.5, 4.5, 8, 0], atol=1e-10)
    assert frequency_fve(picture, (0, 1))[k - 1] == pytest.approx(1)


@given(p=MODULI, seed=SEEDS, direction=st.sampled_from(["sum", "difference"]))
def test_means_over_a_direction(p: int, seed: int, direction: str) -> None:
    x = pictures(p, seed)
    name = "c" if direction == "sum" else "d_"
    means = mean_over(x, direction, name=name)
    assert means.dims == (name, "head", "d")
    for c in range(p):
        pairs = [(a, (c - a) % p if direction == "sum" else (a - c) % p) for a in range(p)]
        expected = np.mean([x.values[:, a, b] for a, b in pairs], axis=0)
        np.testing.assert_allclose(means[c], expected, atol=1e-12)


@given(p=MODULI, seed=SEEDS)
def test_fve_is_the_energy_of_the_block(p: int, seed: int) -> None:
    x = pictures(p, seed)
    found = frequency_fve(x)
    assert found.dims == ("k", "head", "d")
    centred = x - x.mean(["a", "b"])
    for k in range(1, p // 2 + 1):
        rows = direction_basis(p, [k], "3x3")
        inside = (np.einsum("rab,habd->rhd", rows, centred) ** 2).sum(axis=0)
        np.testing.assert_allclose(found.sel(k=k), inside / (centred**2).sum(["a", "b"]), atol=1e-10)


def test_nothing_to_explain_is_zero() -> None:
    assert (frequency_fve(np.full((5, 5, 2), 3.3), (0, 1)) == 0).all()


@given(p=MODULI, terms=st.sampled_from(["sum", "difference", "linear", "2x2", "3x3"]))
def test_direction_bases_are_orthonormal(p: int, terms: str) -> None:
    rows = direction_basis(p, range(p // 2 + 1), terms).reshape(-1, p * p)
    np.testing.assert_allclose(rows @ rows.T, np.eye(len(rows)), atol=1e-12)


@given(p=MODULI, data=st.data())
def test_directions_are_the_published_combinations(p: int, data: st.DataObject) -> None:
    k = data.draw(st.integers(1, (p - 1) // 2))
    cos, sin = (np.sqrt(2 / p) * f(2 * np.pi * k * np.arange(p) / p) for f in (np.cos, np.sin))
    for terms, sign in (("sum", -1), ("difference", 1)):
        expected = [
            (np.outer(cos, cos) + sign * np.outer(sin, sin)) / 2**0.5,
            (np.outer(sin, cos) - sign * np.outer(cos, sin)) / 2**0.5,
        ]
        np.testing.assert_allclose(direction_basis(p, [k], terms), expected, atol=1e-12)


@given(p=MODULI, seed=SEEDS, direction=st.sampled_from(["sum", "difference"]))
def test_answer_amplitudes_are_projections_on_the_cube(p: int, seed: int, direction: str) -> None:
    logits = xr.DataArray(
        np.random.default_rng(seed).normal(size=(p, 2, p, p)), dims=("a", "seed", "b", "answer")
    )
    found = answer_amplitudes(logits, direction=direction)
    assert found.dims == ("k", "seed")
    a, b, c = np.indices((p, p, p))
    for k in range(p // 2 + 1):
        wave = np.cos(2 * np.pi * k * (a + (b if direction == "sum" else -b) - c) / p)
        expected = np.einsum("asbc,abc->s", logits, wave) / (wave**2).sum()
        np.testing.assert_allclose(found.sel(k=k), expected, atol=1e-12)
    fit = answer_waves(found.isel(seed=0).values, p, direction=direction)
    np.testing.assert_allclose(
        answer_amplitudes(fit, (0, 1), 2, direction=direction), found.isel(seed=0), atol=1e-12
    )


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_float_types_stay_and_a_large_mean_costs_nothing(dtype: type) -> None:
    x = pictures(7, 0).astype(dtype)
    for f in (energy_by_term, term_spectrum, frequency_fve):
        assert f(x).dtype == dtype
    shifted = energy_by_term(pictures(7, 0) + 1e6)
    np.testing.assert_allclose(shifted, energy_by_term(pictures(7, 0)), rtol=1e-6)


def test_numbers_for_axes_give_the_same_numbers() -> None:
    x = pictures(5, 1)
    for f in (energy_by_term, term_spectrum, frequency_fve):
        assert (f(x.values, (1, 2)) == f(x).values).all()
        assert (
            f(x.transpose("d", "b", "head", "a").values, (3, -3)) == f(x).transpose(..., "d", "head")
        ).all()


def test_bad_requests_say_what_there_is() -> None:
    x = pictures(5, 1)
    with pytest.raises(UnknownName, match="unknown axis 'c'"):
        energy_by_term(x, ("a", "c"))
    with pytest.raises(InputError, match="expected p each"):
        energy_by_term(x, ("a", "head"))
    with pytest.raises(InputError, match="expected two"):
        frequency_fve(x, ("a",))  # type: ignore[arg-type]
    with pytest.raises(InputError, match="rename the one that is there"):
        mean_over(x, "difference")
    with pytest.raises(UnknownName, match="unknown direction"):
        mean_over(x, "product")
    with pytest.raises(UnknownName, match="Nyquist"):
        energy_by_term(x, nyquist="both")
    with pytest.raises(InputError, match="expected p each"):
        answer_amplitudes(x, answer="d")
    with pytest.raises(InputError, match=r"each k = 0..2"):
        answer_waves(np.ones(5), 5)
