"""Waves before attention rebuilt from few frequencies and phases."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from modscope.activations import Activations, record
from modscope.analysis.inputs import rebuilt_from, rebuilt_waves
from modscope.errors import InputError, UnknownName
from modscope.model import Transformer, TransformerConfig
from modscope.signal import keep_frequencies
from modscope.task import ModularTask


def waves(p: int, count: int, *, shared: bool, seed: int) -> xr.DataArray:
    """Random waves over p tokens with one phase for each frequency, or with phases of their own."""
    generator, n = np.random.default_rng(seed), np.arange(p)
    x = generator.normal(size=(count, 1)) + np.zeros((count, p))
    for k in range(1, p // 2 + 1):
        size = generator.normal(size=(count, 1))
        turn = generator.uniform(0, 2 * np.pi, size=(1 if shared else count, 1))
        if 2 * k == p:
            turn = 0 * turn
        x = x + size * np.cos(2 * np.pi * k * n / p + turn)
    return xr.DataArray(x, dims=("d_head", "token"))


@given(p=st.sampled_from([5, 8, 12, 13]), seed=st.integers(0, 99))
def test_one_phase_rebuilds_exactly_the_waves_that_share_one(p: int, seed: int) -> None:
    every = range(1, p // 2 + 1)
    one, own = waves(p, 4, shared=True, seed=seed), waves(p, 4, shared=False, seed=seed)
    for phase in ("own", "one", "first"):
        np.testing.assert_allclose(rebuilt_from(one, every, phase=phase), one, atol=1e-9)
    np.testing.assert_allclose(rebuilt_from(own, every, phase="own"), own, atol=1e-9)
    error = {
        phase: float(np.square(own - rebuilt_from(own, every, phase=phase)).sum())
        for phase in ("one", "first")
    }
    assert 1e-6 < error["one"] <= error["first"] + 1e-9  # least squares


@given(p=st.sampled_from([7, 8]), seed=st.integers(0, 99))
def test_own_phases_keep_the_frequencies(p: int, seed: int) -> None:
    x = waves(p, 3, shared=False, seed=seed)
    np.testing.assert_allclose(
        rebuilt_from(x, [1, 3], phase="own"), keep_frequencies(x, "token", [0, 1, 3]), atol=1e-9
    )


def test_measured_beside_white_noise() -> None:
    network = Transformer.initialised(TransformerConfig(13, d_model=24, n_heads=2, d_mlp=8))
    acts = record(network, ModularTask(13))
    found = rebuilt_waves(acts, "q", (2, 5))
    same = found.sel(phase="own")
    assert float(same.r2.sel(waves="all")) == pytest.approx(1)
    assert float(same.r2.sel(waves="keys and harmonics")) == pytest.approx(
        float(same.r2.sel(waves="keys") + same.r2.sel(waves="harmonics"))
    )
    assert (found.r2.sel(phase="one") <= found.r2.sel(phase="own") + 1e-9).all()
    assert abs(float(found.control.sel(waves="all", phase="one")) - 0.6) < 0.15
    with pytest.raises(InputError, match="expected a wave over the token"):
        rebuilt_waves(acts, "mlp_pre", (2,))
    with pytest.raises(UnknownName, match="phase"):
        rebuilt_from(acts.at("q", "a"), [1], phase="on")  # type: ignore[arg-type]


def test_published(mainline: Activations, mainline_keys: tuple[int, ...]) -> None:
    found = rebuilt_waves(mainline, "q", mainline_keys).r2
    assert float(found.sel(waves="harmonics", phase="first")) == pytest.approx(0.1505, abs=5e-5)
    assert float(found.sel(waves="keys", phase="one")) == pytest.approx(0.7671, abs=5e-5)
    assert float(found.sel(waves="all", phase="first")) == pytest.approx(0.9999992, abs=1e-7)
    assert float(found.sel(waves="all", phase="one")) > 0.9999992
    assert float(rebuilt_waves(mainline, "v", mainline_keys).r2.sel(waves="all", phase="one")) < 0.7
