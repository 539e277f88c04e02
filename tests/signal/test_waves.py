"""Waves that are the same but for a change have no defect; others have one."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from modscope.errors import InputError, UnknownName
from modscope.signal import (
    SAMENESS,
    amplitude,
    cosine_wave,
    noise_defects,
    phase,
    remove_frequencies,
    shift,
    wave_defect,
    wave_defects,
    wave_groups,
)
from modscope.signal.waves import defects_with_and_without_scale

MODULI = st.sampled_from([5, 8, 9, 12, 13, 59])
SEEDS = st.integers(0, 2**32 - 1)


def changed(x: np.ndarray, change: str, rng: np.random.Generator) -> np.ndarray:
    if change == "mean":
        return x + 1.7
    if change == "scale":
        return 3 * x
    if change == "sign":
        return -x
    if change == "reversal":
        return np.roll(x[::-1], 1)
    if change == "shift":
        return shift(x, 0, 1.37)
    bins = np.fft.rfft(x)
    bins[1 : (len(x) + 1) // 2] *= np.exp(1j * rng.uniform(0, 6, (len(x) - 1) // 2))
    return np.fft.irfft(bins, n=len(x))


@given(p=MODULI, seed=SEEDS, changes=st.sets(st.sampled_from(SAMENESS)))
def test_a_permitted_change_leaves_no_defect(p: int, seed: int, changes: set[str]) -> None:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=p)
    if p % 2 == 0:
        x = remove_frequencies(x, 0, [p // 2])  # a shift cannot keep the Nyquist wave
    y = x
    for change in sorted(changes):
        y = changed(y, change, rng)
    assert float(wave_defect(x, y, 0, up_to=sorted(changes))) == pytest.approx(0, abs=1e-9)
    assert float(wave_defect(y, x, 0, up_to=sorted(changes))) == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("change", SAMENESS)
def test_a_change_that_is_not_permitted_leaves_one(change: str) -> None:
    rng = np.random.default_rng(1)
    x = rng.normal(size=59) + 0.5
    y = changed(x, change, rng)
    # Phases contain sign, reversal and shift.
    allowed = [c for c in SAMENESS if c != change and c != "phases"]
    if change in ("sign", "reversal", "shift"):
        allowed = [c for c in allowed if c in ("mean", "scale")]
    assert float(wave_defect(x, y, 0, up_to=allowed)) > 0.1


@given(p=MODULI, seed=SEEDS, changes=st.sets(st.sampled_from(SAMENESS)), more=st.sampled_from(SAMENESS))
def test_defects_are_symmetric_and_fall_with_more_changes(
    p: int, seed: int, changes: set[str], more: str
) -> None:
    x, y = np.random.default_rng(seed).normal(size=(2, p))
    defect = float(wave_defect(x, y, 0, up_to=sorted(changes)))
    assert 0 <= defect <= 1
    if "shift" not in changes or p % 2:
        assert float(wave_defect(y, x, 0, up_to=sorted(changes))) == pytest.approx(defect, abs=1e-9)
    if more in ("sign", "reversal", "shift", "phases"):
        assert float(wave_defect(x, y, 0, up_to=[*changes, more])) <= defect + 1e-9


@given(p=MODULI, seed=SEEDS, changes=st.sets(st.sampled_from(SAMENESS)))
def test_both_scales_at_one_price_are_the_two_defects(p: int, seed: int, changes: set[str]) -> None:
    x, y = np.random.default_rng(seed).normal(size=(2, 3, p))
    rest = sorted(changes - {"scale"})
    kept, removed = defects_with_and_without_scale(x, y, up_to=rest)
    np.testing.assert_array_equal(kept, wave_defect(x, y, 1, up_to=rest))
    np.testing.assert_array_equal(removed, wave_defect(x, y, 1, up_to=[*rest, "scale"]))


@given(p=MODULI, seed=SEEDS)
def test_the_best_shift_is_no_worse_than_any_on_a_finer_grid(p: int, seed: int) -> None:
    x, y = np.random.default_rng(seed).normal(size=(2, p))
    found = float(wave_defect(x, y, 0, up_to=["scale", "shift"]))
    products = [x @ shift(y, 0, s) for s in np.arange(0, p, 1 / 31)]
    by_hand = 1 - max(0.0, max(products) / np.linalg.norm(x) / np.linalg.norm(y)) ** 2
    assert found <= by_hand + 1e-9
    assert found == pytest.approx(by_hand, abs=0.02)


def test_plain_defects_by_hand() -> None:
    assert float(wave_defect(np.array([1.0, 0.0]), np.array([0.0, 1.0]), 0, up_to=())) == 1
    assert float(wave_defect(np.array([2.0, 0.0]), np.array([1.0, 0.0]), 0, up_to=())) == pytest.approx(
        1 - (4 / 5) ** 2
    )
    assert float(wave_defect(np.zeros(4), np.zeros(4), 0)) == 0
    assert float(wave_defect(np.zeros(4), np.arange(4.0), 0)) == 1


def test_all_pairs_agree_with_one_by_one() -> None:
    values = np.random.default_rng(0).normal(size=(9, 5)).astype(np.float32)
    x = xr.DataArray(values, dims=("a", "d"), coords={"d": np.arange(5) * 2})
    for changes in (["scale"], ["mean", "scale", "shift", "reversal", "sign"]):
        found = wave_defects(x, "a", "d", up_to=changes)
        assert found.dims == ("d", "other")
        assert found.dtype == np.float32
        one = xr.DataArray(values, dims=("a", "d"))
        expected = wave_defect(one, one.rename(d="other"), "a", up_to=changes)
        np.testing.assert_allclose(found, expected.transpose("d", "other"), atol=1e-5)
    assert (wave_defects(values, 0, 1, up_to=["scale"]) == wave_defects(x, "a", "d", up_to=["scale"])).all()


def test_planted_groups_are_found() -> None:
    rng = np.random.default_rng(3)
    families = rng.normal(size=(4, 31))
    member = np.array([0, 1, 0, 2, 3, 1, 1, 0, 3])
    waves = np.stack([changed(changed(families[m], "shift", rng), "scale", rng) for m in member])
    waves += 0.01 * rng.normal(size=waves.shape)
    groups = wave_groups(wave_defects(waves, 1, 0, up_to=["mean", "scale", "shift"]), 0.2)
    assert groups.tolist() == member.tolist()
    assert wave_groups(wave_defects(waves, 1, 0, up_to=["mean", "scale", "shift"]), 1e-6).tolist() == list(
        range(9)
    )


def test_the_control_says_what_noise_looks_like() -> None:
    plain = noise_defects(113, pairs=400)
    # r^2 is 1/112 on average, and nothing where r is negative: half the time.
    assert plain.mean() == pytest.approx(1 - 1 / 224, abs=0.002)
    shifted = noise_defects(113, up_to=["mean", "scale", "shift", "sign", "reversal"])
    assert 0.8 < shifted.mean() < 0.95
    assert (noise_defects(31, seed=5) == noise_defects(31, seed=5)).all()


@given(p=MODULI, data=st.data(), level=st.floats(0.1, 5), turn=st.floats(-3, 3))
def test_an_ideal_wave_has_one_line(p: int, data: st.DataObject, level: float, turn: float) -> None:
    k = data.draw(st.integers(1, (p - 1) // 2))
    wave = cosine_wave(p, k, phase=turn, amplitude=level)
    expected = np.zeros(p // 2 + 1)
    expected[k] = level
    np.testing.assert_allclose(amplitude(wave, 0), expected, atol=1e-12)
    assert phase(wave, 0)[k] == pytest.approx(turn, abs=1e-9)


def test_ideal_waves_broadcast() -> None:
    waves = cosine_wave(11, np.array([1, 2]), phase=np.zeros((3, 1)), amplitude=2.0)
    assert waves.shape == (3, 2, 11)
    np.testing.assert_allclose(waves[1, 1], 2 * np.cos(4 * np.pi * np.arange(11) / 11), atol=1e-12)


def test_bad_requests_say_what_there_is() -> None:
    x = xr.DataArray(np.ones((5, 3)), dims=("a", "d"), coords={"a": np.arange(5)})
    with pytest.raises(UnknownName, match="did you mean 'scale'"):
        wave_defect(x, x, "a", up_to=["scales"])
    with pytest.raises(InputError, match="different coordinates"):
        wave_defect(x, x.assign_coords(a=np.arange(5) + 1), "a")
    with pytest.raises(InputError, match="equally many"):
        wave_defect(np.ones(4), np.ones(5), 0)
    with pytest.raises(InputError, match="expected two, the items"):
        wave_defects(x.expand_dims("head"), "a", "d")
    with pytest.raises(InputError, match="square"):
        wave_groups(np.ones((2, 3)), 0.5)
