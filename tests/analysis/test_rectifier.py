"""Harmonics of the rectifier: closed forms against integrals, planted pictures, shares that add up."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad

from modscope import planted
from modscope.activations import Activations, record
from modscope.analysis.neurons.rectifier import (
    block_energy,
    harmonic_proportion,
    harmonic_shares,
    neuron_harmonics,
    rectified_cosine,
    second_over_first,
)
from modscope.errors import InputError, UnknownName
from modscope.model import PairMLP, PairMLPConfig, Transformer, TransformerConfig
from modscope.residues import harmonic
from modscope.task import ModularTask


def small(p: int, operation: str = "add", **switches: object) -> Activations:
    config = TransformerConfig(p, d_model=10, n_heads=3, d_head=4, d_mlp=13, **switches)  # type: ignore[arg-type]
    generator = torch.Generator().manual_seed(p)
    weights = {n: torch.randn(s, generator=generator).double() / 2 for n, s in config.shapes().items()}
    return record(Transformer(config, weights), ModularTask(p, operation))


def with_picture(acts: Activations, hook: str, picture: np.ndarray) -> Activations:
    """The record with one activation replaced by a picture [a, b] times a different factor for each feature."""
    width = acts.at(hook).shape[-1]
    acts._joint[hook] = torch.as_tensor(picture[..., None] * np.arange(1.0, width + 1)).flatten(0, 1)
    return acts


@given(bias=st.floats(-1.5, 1.5), n=st.integers(0, 7))
def test_harmonics_are_those_of_the_integral(bias: float, n: int) -> None:
    edge = np.arccos(np.clip(-bias, -1, 1))
    wanted = quad(lambda t: max(np.cos(t) + bias, 0) * np.cos(n * t), 0, np.pi, points=[edge])[0]
    assert float(rectified_cosine(bias, n)) == pytest.approx(wanted * (1 if n == 0 else 2) / np.pi, abs=1e-7)


def test_harmonics_add_up_to_the_rectified_wave_and_bad_ones_are_refused() -> None:
    t, n = np.linspace(0, np.pi, 17), np.arange(400)
    for bias in (-2.0, -0.3, 0.0, 0.7, 1.0, 3.0):
        wave = rectified_cosine(bias, n) @ np.cos(n[:, None] * t)
        np.testing.assert_allclose(wave, np.maximum(np.cos(t) + bias, 0), atol=2e-3)
    with pytest.raises(InputError, match="below 0"):
        rectified_cosine(0.0, -1)


def test_the_closed_form_predicts_ideal_neurons() -> None:
    network, task = planted.rectified_sum(61, (3,))
    found = neuron_harmonics(record(network, task), [3], harmonics=3)
    assert int(found.neurons[0]) == network.config.d_mlp  # type: ignore[union-attr]
    assert float(found.fve.min()) > 0.98
    np.testing.assert_allclose(found.predicted, found.measured, rtol=0.02)


def test_a_cluster_without_neurons_is_nan_and_other_nonlinearities_are_refused() -> None:
    found = neuron_harmonics(record(*planted.rectified_sum(17, (3,))), [3, 5])
    assert found.neurons.values[1] == 0
    assert np.isnan(found.measured.sel(k=5)).all()
    with pytest.raises(InputError, match="not applicable to activation 'gelu'"):
        neuron_harmonics(small(7, activation="gelu"), [2])


@pytest.mark.parametrize("p", [7, 8])
@pytest.mark.parametrize("hook", ["mlp_post", "z"])
def test_proportions_are_sums_of_amplitudes(p: int, hook: str) -> None:
    acts = small(p)
    found = harmonic_proportion(acts, [1, 2], hooks=[hook])
    xr.testing.assert_allclose(
        second_over_first(acts, [1, 2], [hook]), found.proportion.drop_vars("harmonic"), rtol=1e-6
    )
    x = acts.at(hook).values.reshape(p, p, -1)
    for k in (1, 2):
        at = [k, harmonic(k, 2, p)]
        scale = [2.0 if 2 * f != p else 1.0 for f in at]
        along = {}
        for axis, name in ((0, "along_a"), (1, "along_b")):
            amplitudes = abs(np.fft.fft(x, axis=axis))
            first, second = (amplitudes.take(f, axis).sum() * s for f, s in zip(at, scale, strict=True))
            along[name] = second / first
            assert found[name].sel(hook=hook, k=k).item() == pytest.approx(along[name])
        assert found.proportion.sel(k=k).item() == pytest.approx(np.mean(list(along.values())))


def test_sums_and_differences_along_one_axis_are_those_of_the_waves() -> None:
    p = 13
    n = 2 * np.pi * np.arange(p) / p
    picture = (
        np.cos(2 * n)[:, None] * np.cos(5 * n)[None] + 3 * np.cos(3 * n)[None] + 0.5 * np.cos(6 * n)[:, None]
    )
    acts = with_picture(small(p), "mlp_post", picture)
    found = harmonic_proportion(acts, [2, 5], hooks=["mlp_post"]).sel(hook="mlp_post", pair="2, 5")
    scale = np.arange(1, 14).mean()
    assert found.mixed.values.tolist() == [6, 3]
    np.testing.assert_allclose(found.intermodulation.sel(axis="b").values, [0, 3 * scale], atol=1e-9)
    np.testing.assert_allclose(found.intermodulation.sel(axis="a").values, [0.5 * scale, 0], atol=1e-9)
    np.testing.assert_allclose(found.fundamental.sel(axis="b", k=5), scale * abs(np.cos(2 * n)).mean())


def test_proportions_before_attention_are_those_of_the_tokens() -> None:
    acts = small(9)
    found = harmonic_proportion(acts, [2], hooks=["blocks.0.attn.hook_q", "resid_pre"])
    x = abs(np.fft.fft(acts.at("q", "b").values, axis=0))
    assert float(found.along_b.sel(hook="q", k=2)) == pytest.approx(x[4].sum() / x[2].sum())
    assert set(harmonic_proportion(acts, [2]).hook.values) >= {"resid_pre", "v", "pattern", "logits"}
    with pytest.raises(InputError, match="expected a wave over the tokens"):
        harmonic_proportion(acts, [2], hooks=["pos_embed"])
    with pytest.raises(UnknownName):
        harmonic_proportion(acts, [2], hooks=["mlp_pots"])


def test_a_second_harmonic_that_is_dc_is_not_a_wave() -> None:
    assert np.isnan(harmonic_proportion(small(8), [4], hooks=["mlp_pre"]).proportion).all()


def test_what_lies_on_the_sum_is_kept_apart_from_what_lies_at_2f_on_one_axis() -> None:
    p, k = 11, 3
    n = 2 * np.pi * np.arange(p) / p
    a, b = n[:, None], n[None, :]
    picture = 2 * np.cos(k * (a + b) + 0.3) + np.cos(2 * k * a + 1.0) + 5 + 0 * b
    acts = with_picture(small(p), "mlp_post", picture + 3 * np.cos(k * a) * np.cos(5 * b))
    found = harmonic_shares(acts, [3, 5], hooks=["mlp_post"]).sel(hook="mlp_post")
    total = 2.0 + 0.5 + 9 / 4
    assert float(found.fundamental.sel(line="sum", k=3)) == pytest.approx(2.0 / total)
    # 2 * 3 mod 11 = 5 is a key frequency itself
    assert float(found.fundamental.sel(line="a", k=5)) == pytest.approx(0.5 / total)
    assert float(found.second.sum()) == pytest.approx(0.0)
    assert float(found.cross) == pytest.approx(9 / 4 / total)
    alone = harmonic_shares(acts, [3], hooks=["mlp_post"])
    assert alone.second.sel(line="a", k=3).item() == pytest.approx(0.5 / total)
    block = block_energy(acts, [3, 5], hook="mlp_post")
    assert float(block.sel(k_a=3, k_b=5)) == pytest.approx(9 / 4 / total)
    assert float(block.sel(k_a=3, k_b=3)) == pytest.approx(2.0 / total)
    assert float(block.sel(k_a=5, k_b=0)) == pytest.approx(0.5 / total)
    assert float(block.sum()) == pytest.approx(1.0)


@settings(max_examples=10)
@given(p=st.integers(5, 13), operation=st.sampled_from(["add", "subtract"]), seed=st.integers(0, 9))
def test_shares_add_up_to_the_whole(p: int, operation: str, seed: int) -> None:
    acts = small(p, operation)
    ks = np.random.default_rng(seed).choice(np.arange(1, p // 2 + 1), min(2, p // 2), replace=False).tolist()
    found = harmonic_shares(acts, ks)
    whole = sum(found[name].sum([d for d in found[name].dims if d != "hook"]) for name in found.data_vars)
    np.testing.assert_allclose(whole, 1.0)
    for hook in ("mlp_pre", "logits"):
        block = block_energy(acts, ks, hook=hook)
        one = found.fundamental.sel(hook=hook)
        np.testing.assert_allclose(block.sel(k_b=0, k_a=ks), one.sel(line="a", k=ks), atol=1e-12)
        both = one.sel(line=["sum", "difference"], k=ks).sum("line")
        np.testing.assert_allclose([block.sel(k_a=k, k_b=k).item() for k in ks], both, atol=1e-12)


def test_the_rectifier_puts_energy_on_the_sum() -> None:
    shares = harmonic_shares(
        record(*planted.rectified_sum(17, (1, 4))), [1, 4], hooks=["mlp_pre", "mlp_post"]
    )
    on_sum = shares.fundamental.sel(line="sum").sum("k")
    assert float(on_sum.sel(hook="mlp_pre")) < 1e-9
    assert float(on_sum.sel(hook="mlp_post")) > 0.05


def test_without_attention_there_is_still_a_rectifier() -> None:
    acts = record(PairMLP.initialised(PairMLPConfig(7, d_hidden=12)), ModularTask(7))
    assert set(harmonic_shares(acts, [2]).hook.values) == {"mlp_pre", "mlp_post", "logits"}
    # a sum of a function of a and one of b has no products
    assert float(block_energy(acts, [1, 2, 3], hook="mlp_pre").sel(k_a=[1, 2, 3], k_b=[1, 2, 3]).sum()) < 1e-9


def test_on_the_published_network_the_answer_appears_in_the_mlp(
    mainline: Activations, mainline_keys: tuple[int, ...]
) -> None:
    hooks = ("resid_mid", "mlp_pre", "mlp_post", "mlp_out", "logits")
    on_sum = harmonic_shares(mainline, mainline_keys, hooks=hooks).fundamental.sel(line="sum").sum("k")
    print(dict(zip(hooks, on_sum.values.round(4).tolist(), strict=True)))
    assert float(on_sum.sel(hook="mlp_pre")) < 0.05
    assert float(on_sum.sel(hook="mlp_post")) > 0.15
    assert float(on_sum.sel(hook="logits")) > 0.95
