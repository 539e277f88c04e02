"""Laws of the spectrum, and agreement with numpy's FFT."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from modscope.errors import InputError, UnknownName
from modscope.signal import (
    _dft,
    amplitude,
    basis_frequencies,
    basis_labels,
    fourier_basis,
    from_fourier,
    phase,
    power,
    spectrum,
    spectrum_at,
    synthesise,
    to_fourier,
)

MODULI = st.sampled_from([3, 4, 5, 8, 9, 12, 13, 15, 59, 113])
SEEDS = st.integers(0, 2**32 - 1)


def stack(p: int, seed: int, dtype: type = np.float64) -> xr.DataArray:
    """Three axes, all of different size; the wave in the middle."""
    values = np.random.default_rng(seed).normal(size=(2, p, 7)).astype(dtype)
    return xr.DataArray(values, dims=("a", "b", "neuron"), coords={"b": np.arange(p)}, attrs={"p": p})


@given(p=MODULI)
def test_the_basis_is_orthonormal_and_named(p: int) -> None:
    basis = fourier_basis(p)
    np.testing.assert_allclose(basis @ basis.T, np.eye(p), atol=1e-12)
    assert len(basis_labels(p)) == p
    n = np.arange(p)
    for row, k, label in zip(basis, basis_frequencies(p), basis_labels(p), strict=True):
        wave = np.ones(p) if k == 0 else (np.sin if label[:3] == "sin" else np.cos)(2 * np.pi * k * n / p)
        np.testing.assert_allclose(row, wave / np.linalg.norm(wave), atol=1e-12)
        assert label == "const" if k == 0 else label[4:] == str(k)


@given(
    p=MODULI, seed=SEEDS, axis=st.sampled_from(["b", "neuron", "a", ("b", "neuron"), ("neuron", "a", "b")])
)
def test_fourier_round_trip_and_parseval(p: int, seed: int, axis: str | tuple[str, ...]) -> None:
    x = stack(p, seed)
    coefficients = to_fourier(x, axis)
    assert coefficients.dims == x.dims
    np.testing.assert_allclose((coefficients**2).sum(), (x**2).sum())
    back = from_fourier(coefficients, axis)
    np.testing.assert_allclose(back, x, atol=1e-12)
    if "b" in axis:
        assert (back.b == x.b).all()


@given(p=MODULI, seed=SEEDS)
def test_phasors_agree_with_numpy(p: int, seed: int) -> None:
    x = stack(p, seed)
    phasors = spectrum(x, "b")
    assert phasors.dims == ("a", "k", "neuron")
    assert phasors.k.values.tolist() == list(range(p // 2 + 1))
    weight = np.full(p // 2 + 1, 2.0)
    weight[0] = 1
    if p % 2 == 0:
        weight[-1] = 1
    expected = np.fft.rfft(x.values, axis=1) / p * weight[:, None]
    np.testing.assert_allclose(phasors, expected, atol=1e-12)


@given(p=MODULI, seed=SEEDS, axis=st.sampled_from(["a", "b", "neuron"]))
def test_spectrum_round_trip_and_power(p: int, seed: int, axis: str) -> None:
    x = stack(p, seed)
    back = synthesise(spectrum(x, axis), x.sizes[axis], name=axis)
    np.testing.assert_allclose(back, x, atol=1e-12)
    assert back.dims == x.dims
    np.testing.assert_allclose(power(x, axis).sum("k"), (x**2).mean(axis), rtol=1e-10)
    np.testing.assert_allclose(power(x, axis).sel(k=slice(1, None)).sum("k"), x.var(axis), rtol=1e-10)


@given(p=MODULI, data=st.data(), level=st.floats(0.1, 5), turn=st.floats(-3, 3))
def test_a_cosine_has_its_amplitude_and_phase(p: int, data: st.DataObject, level: float, turn: float) -> None:
    k = data.draw(st.integers(1, (p - 1) // 2))
    wave = level * np.cos(2 * np.pi * k * np.arange(p) / p + turn)
    expected = np.zeros(p // 2 + 1)
    expected[k] = level
    np.testing.assert_allclose(amplitude(wave, 0), expected, atol=1e-12)
    assert phase(wave, 0)[k] == pytest.approx(turn, abs=1e-9)
    expected[k] = level**2 / 2
    np.testing.assert_allclose(power(wave, 0), expected, atol=1e-12)


@pytest.mark.parametrize("p", [4, 8, 12, 114])
def test_the_nyquist_wave_has_one_component(p: int) -> None:
    wave = -3.0 * (-1.0) ** np.arange(p)
    assert spectrum(wave, 0)[p // 2] == pytest.approx(-3)
    assert power(wave, 0)[p // 2] == pytest.approx(9)
    assert to_fourier(wave, 0)[-1] == pytest.approx(-3 * p**0.5)


def pictures(p: int, q: int, seed: int) -> xr.DataArray:
    values = np.random.default_rng(seed).normal(size=(3, p, q, 2))
    return xr.DataArray(values, dims=("head", "a", "b", "d"))


@given(p=MODULI.filter(lambda p: p < 50), seed=SEEDS, axes=st.permutations(["a", "b"]))
def test_two_axes_round_trip_and_parseval(p: int, seed: int, axes: list[str]) -> None:
    x = pictures(p, p, seed)
    phasors = spectrum(x, axes)
    assert phasors.dims == ("head", "k_a", "k_b", "d")
    np.testing.assert_allclose(synthesise(phasors, p, axis=[f"k_{n}" for n in axes]), x, atol=1e-11)
    np.testing.assert_allclose(power(x, axes).sum(["k_a", "k_b"]), (x**2).mean(["a", "b"]), rtol=1e-9)


@pytest.mark.parametrize(("p", "q"), [(5, 8), (8, 5), (6, 4), (7, 3)])
def test_two_axes_agree_with_numpy_bin_by_bin(p: int, q: int) -> None:
    x = pictures(p, q, 0)
    phasors = spectrum(x, ("a", "b"))
    full = np.fft.fft2(x.values, axes=(1, 2)) / (p * q)
    for k_a in phasors.k_a.values:
        for k_b in phasors.k_b.values:
            found = phasors.sel(k_a=k_a, k_b=k_b).values
            mirrored = (k_b == 0 or 2 * k_b == q) and k_a < 0
            alone = (k_b == 0 or 2 * k_b == q) and (k_a == 0 or 2 * k_a == p)
            expected = full[:, k_a, k_b] * (0 if mirrored else 1 if alone else 2)
            np.testing.assert_allclose(found, expected, atol=1e-12)
    np.testing.assert_allclose(synthesise(phasors, (p, q), axis=("k_a", "k_b")), x, atol=1e-12)


@given(p=MODULI, data=st.data(), turn=st.floats(-3, 3))
def test_waves_on_sum_and_difference_have_one_bin(p: int, data: st.DataObject, turn: float) -> None:
    k = data.draw(st.integers(1, (p - 1) // 2))
    a, b = np.indices((p, p))
    for sign in (1, -1):
        picture = xr.DataArray(2 * np.cos(2 * np.pi * k * (sign * a + b) / p + turn), dims=("a", "b"))
        phasors = spectrum(picture, ("a", "b"))
        assert phasors.sel(k_a=sign * k, k_b=k).item() == pytest.approx(2 * np.exp(1j * turn))
        assert int((abs(phasors) > 1e-9).sum()) == 1


@given(p=MODULI, seed=SEEDS, data=st.data())
def test_any_frequency_is_the_defining_sum(p: int, seed: int, data: st.DataObject) -> None:
    x = stack(p, seed)
    f = data.draw(st.floats(0.01, p / 2 - 0.01))
    n = np.arange(p)[:, None]
    expected = 2 / p * (x.values * np.exp(-2j * np.pi * f * n / p)).sum(axis=1)
    np.testing.assert_allclose(spectrum_at(x, "b", [f]).isel(k=0), expected, atol=1e-10)
    whole = np.arange(p // 2 + 1)
    np.testing.assert_allclose(spectrum_at(x, "b", whole), spectrum(x, "b"), atol=1e-12)
    np.testing.assert_allclose(spectrum_at(x, "b", whole.astype(float)), spectrum(x, "b"), atol=1e-10)


def test_synthesis_takes_some_of_the_bins() -> None:
    x = stack(13, 0)
    some = synthesise(spectrum(x, "b").sel(k=[2, 5]), 13, name="b")
    basis = fourier_basis(13)[[3, 4, 9, 10]]
    np.testing.assert_allclose(
        some,
        np.einsum(
            "ib,aibn->abn", basis, np.einsum("ib,abn->ain", basis, x)[:, :, None] * np.ones((1, 1, 13, 1))
        ),
        atol=1e-12,
    )


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("axis", ["a", "b", "neuron"])
def test_float_types_stay(dtype: type, axis: str) -> None:
    x = stack(9, 1, dtype)
    assert to_fourier(x, axis).dtype == dtype
    assert power(x, axis).dtype == dtype
    assert phase(x, axis).dtype == dtype
    phasors = spectrum(x, axis)
    assert phasors.dtype == np.result_type(dtype, np.complex64)
    assert synthesise(phasors, x.sizes[axis], name=axis).dtype == dtype
    assert spectrum(x, ("a", "b")).dtype == phasors.dtype
    np.testing.assert_allclose(phasors, spectrum(x.astype(float), axis), atol=1e-6)


def test_numbers_for_axes_give_the_same_numbers() -> None:
    x = stack(9, 1)
    for axis, i in (("a", 0), ("b", 1), ("neuron", 2), ("neuron", -1)):
        assert (spectrum(x.values, i) == spectrum(x, axis).values).all()
        assert (to_fourier(x.values, i) == to_fourier(x, axis).values).all()
    assert (spectrum(x.values, (0, 1)) == spectrum(x, ("a", "b")).values).all()
    assert (x.values == stack(9, 1).values).all()


@pytest.mark.parametrize("p", [113, 127, 128, 130, 169, 256, 401, 409, 499, 502])
def test_products_and_ffts_agree(p: int, monkeypatch: pytest.MonkeyPatch) -> None:
    x = stack(p, 3)
    functions = (spectrum, power, to_fourier, from_fourier)
    answers = []
    for fft in (False, True):
        monkeypatch.setattr(_dft, "fft_is_faster", lambda p, fft=fft: fft)
        answers.append(
            [f(x, axis).values for f in functions for axis in ("a", "b", "neuron", ("neuron", "b"))]
        )
    for by_product, by_fft in zip(*answers, strict=True):
        np.testing.assert_allclose(by_product, by_fft, atol=1e-11)


def test_the_fft_serves_long_waves_and_the_product_long_primes() -> None:
    chosen = {p: _dft.fft_is_faster(p) for p in (59, 113, 128, 199, 256, 331, 499, 512)}
    assert [p for p, fft in chosen.items() if fft] == [256, 499, 512]


def test_strided_input_gives_the_same_numbers() -> None:
    x = stack(9, 1)
    turned = x.transpose("neuron", "a", "b")[::2]
    np.testing.assert_allclose(
        spectrum(turned, "b"), spectrum(turned.copy(data=turned.values.copy()), "b"), atol=1e-12
    )


def test_read_only_and_backward_memory_gives_the_same_numbers() -> None:
    values = np.random.default_rng(0).normal(size=(113, 640))
    frozen = values.copy()
    frozen.flags.writeable = False
    wide = np.broadcast_to(values, (2, 113, 640))
    for f in (spectrum, power, to_fourier, from_fourier):
        expected = f(values, 0)
        np.testing.assert_allclose(f(frozen, 0), expected, atol=1e-12)
        np.testing.assert_allclose(f(wide, 1)[1], expected, atol=1e-12)
        np.testing.assert_allclose(f(values[:, ::-1], 0), expected[:, ::-1], atol=1e-12)
        np.testing.assert_allclose(f(values.T, 1), expected.T, atol=1e-12)


def test_no_waves_have_no_spectrum() -> None:
    assert spectrum(np.ones((0, 5)), 1).shape == (0, 3)
    assert to_fourier(np.ones((5, 0)), 0).shape == (5, 0)


def test_coordinates_off_the_axis_stay() -> None:
    x = stack(5, 1).assign_coords(neuron=np.arange(7) * 10, twice=("b", np.arange(5) * 2))
    phasors = spectrum(x, "b")
    assert (phasors.neuron == x.neuron).all()
    assert "b" not in phasors.coords
    assert "twice" not in phasors.coords
    assert phasors.attrs == x.attrs
    assert to_fourier(x, "b").b.values.tolist() == ["const", "cos 1", "sin 1", "cos 2", "sin 2"]


def test_bad_requests_say_what_there_is() -> None:
    x = stack(5, 1)
    with pytest.raises(
        UnknownName, match=r"unknown axis 'neurons' \(did you mean 'neuron'\?\): expected one of a, b, neuron"
    ):
        spectrum(x, "neurons")
    with pytest.raises(InputError, match="expected a number from 0 to 2"):
        spectrum(x.values, "b")
    with pytest.raises(InputError, match="expected 0 to 2"):
        power(x.values, 3)
    with pytest.raises(InputError, match="all different"):
        to_fourier(x, ("b", "b"))
    with pytest.raises(InputError, match="one or two"):
        spectrum(x, ("a", "b", "neuron"))
    with pytest.raises(InputError, match="expected real numbers"):
        spectrum(x + 0j, "b")
    with pytest.raises(InputError, match=r"expected an xarray.DataArray or a numpy array"):
        spectrum([1.0, 2.0, 3.0], 0)  # type: ignore[type-var]
    with pytest.raises(InputError, match="a wave of 1 sample"):
        spectrum(np.ones((1, 3)), 0)
    with pytest.raises(InputError, match="finite numbers"):
        spectrum_at(x, "b", [np.nan])
    with pytest.raises(InputError, match="p for each"):
        synthesise(np.ones(3), (5, 5), axis=0)
    with pytest.raises(InputError, match="expected 3"):
        synthesise(np.ones(4), 5, axis=0)
    with pytest.raises(InputError, match="rename"):
        spectrum(x.rename(a="k"), "b")
    with pytest.raises(InputError, match="at least 3"):
        fourier_basis(2)
