"""Linear maps: the product in the frequency domain is the product; gains and coherences of planted filters."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from modscope.activations import Activations, record
from modscope.analysis.weights.maps import linear_maps, map_gains, spectral_matmul, tap_coherence
from modscope.errors import InputError, UnknownName
from modscope.model import PairMLP, PairMLPConfig, Transformer, TransformerConfig
from modscope.signal import keep_frequencies
from modscope.task import ModularTask


def acts_of(p: int, **switches: object) -> Activations:
    config = TransformerConfig(p, **{"d_model": 10, "n_heads": 3, "d_head": 4, "d_mlp": 13, **switches})  # type: ignore[arg-type]
    generator = torch.Generator().manual_seed(p)
    weights = {n: torch.randn(s, generator=generator).double() for n, s in config.shapes().items()}
    return record(Transformer(config, weights), ModularTask(p))


@given(p=st.integers(3, 12), n_in=st.integers(1, 4), n_out=st.integers(1, 5), seed=st.integers(0, 5))
def test_the_product_of_spectra_is_the_product(p: int, n_in: int, n_out: int, seed: int) -> None:
    generator = np.random.default_rng(seed)
    x = xr.DataArray(generator.standard_normal((p, p, n_in)), dims=("a", "b", "d_model"))
    W = xr.DataArray(generator.standard_normal((n_in, n_out)), dims=("d_model", "neuron"))
    plain = x.values @ W.values
    for axes in ("a", "b", ("a", "b")):
        found = spectral_matmul(x, W, axes)
        assert found.dims == ("a", "b", "neuron")
        np.testing.assert_allclose(found, plain, atol=1e-10)
    kept = spectral_matmul(x, W, ["a", "b"], frequencies=[0, 1])
    np.testing.assert_allclose(kept, keep_frequencies(plain, (0, 1), [0, 1]), atol=1e-10)


def test_every_map_writes_what_its_hook_holds() -> None:
    acts = acts_of(7, biases=())
    for m in linear_maps(acts.model).values():
        if m.reads in acts.joint_hooks:
            found, expected = spectral_matmul(acts.at(m.reads), m.weight, ["a", "b"]), acts.at(m.writes)
        else:
            found, expected = spectral_matmul(acts[m.reads], m.weight, "token"), acts[m.writes]
        np.testing.assert_allclose(found.transpose(*expected.dims), expected, atol=1e-9, err_msg=m.name)


def test_maps_that_do_not_fit_are_refused() -> None:
    x = xr.DataArray(np.ones((3, 2)), dims=("token", "d_model"))
    with pytest.raises(InputError, match="one at least in common"):
        spectral_matmul(x, xr.DataArray(np.ones((2, 2)), dims=("neuron", "answer")), "token")


@pytest.mark.parametrize("p", [11, 12])
def test_a_filter_passes_what_it_was_built_to_pass(p: int) -> None:
    acts = acts_of(p)
    net, n = acts.model, np.arange(p)
    stream = np.zeros((p, 10))
    for d, k in enumerate((1, 1, 3, 3)):
        stream[:, d] = np.cos(2 * np.pi * k * n / p + d)
    with torch.no_grad():
        net.weight("W_E")[:p] = torch.from_numpy(stream)
        net.weight("W_V")[:] = 0
        net.weight("W_V")[:, 2, :] = 2.0  # passes dimension 2: frequency 3 alone
    found = map_gains(record(net, ModularTask(p)))
    # twelve outputs (3 heads of 4) of twice one of the two waves of frequency 3
    assert float(found.gain.sel(map="W_V", line="a", k=3)) == pytest.approx(2 * np.sqrt(12 / 2))
    assert float(found.gain.sel(map="W_V", line="b", k=1)) == pytest.approx(0, abs=1e-9)
    assert np.isnan(found.gain.sel(map="W_V", line="a", k=2))
    assert np.isnan(found.gain.sel(map="W_V", line="sum")).all()
    assert float(found.flat.sel(map="W_V")) == pytest.approx(2 * np.sqrt(12 / 10))
    np.testing.assert_allclose(found.relative, found.gain / found.flat)


@pytest.mark.parametrize("equals", [True, False])
def test_gains_are_amplitudes_of_the_products(equals: bool) -> None:
    p = 9
    acts = acts_of(p, equals=equals)
    found = map_gains(acts).gain
    n = np.arange(p)
    c = (n[:, None] + n) % p
    for name, reads, writes in (
        ("W_in", "resid_mid", "mlp_pre"),
        ("W_U", "resid_post", "logits"),
        ("W_O", "z", "attn_out"),
    ):
        x, y = (acts.at(h).values.reshape(p, p, -1) for h in (reads, writes))
        for k in (1, 4):
            wave = np.exp(-2j * np.pi * k * c / p)
            size = [np.linalg.norm(np.einsum("ab,abf->f", wave, z)) for z in (x, y)]
            assert float(found.sel(map=name, line="sum", k=k)) == pytest.approx(size[1] / size[0]), name


@pytest.mark.parametrize("d_embed", [None, 5])
def test_maps_of_the_mlp_family(d_embed: int | None) -> None:
    p = 7
    acts = record(
        PairMLP.initialised(PairMLPConfig(p, d_hidden=6, d_embed=d_embed)).to(torch.float64), ModularTask(p)
    )
    found = map_gains(acts)
    assert found["map"].values.tolist() == ["W_in_a", "W_in_b", "W_U"]
    assert np.isfinite(found.gain.sel(map="W_in_a", line="a")).all()
    assert np.isnan(found.gain.sel(map="W_in_a", line="b")).all()
    if d_embed is None:  # one-hot: the gain is the amplitude of the rows of W_in themselves
        F = np.fft.fft(acts.model.weight("W_in_a").numpy(), axis=0)
        expected = np.linalg.norm(F[2]) / np.sqrt(p)
        assert float(found.gain.sel(map="W_in_a", line="a", k=2)) == pytest.approx(expected)
    assert tap_coherence(acts, "W_in_b", [1, 2], line="b").coherence.shape == (2, 6)


def test_taps_in_phase_are_coherent_and_taps_at_random_are_not() -> None:
    p = 11
    acts = acts_of(p, d_model=60)
    net = acts.model
    X = np.fft.fft(acts.at("resid_pre", "a").values, axis=0)[3]
    with torch.no_grad():
        W = net.weight("W_K")
        W[0] = torch.from_numpy(np.sign(X.real))[:, None].double()
    found = tap_coherence(record(net, ModularTask(p)), "W_K", [3, 5])
    assert found.coherence.shape == (2, 12)
    # the real parts all add up: mean |cos| of a uniform phase is 2/pi
    np.testing.assert_allclose(found.coherence.sel(k=3)[:4], 2 / np.pi, atol=0.1)
    assert float(found.control.mean()) < 0.2
    assert float(found.coherence.sel(k=5).mean()) < 0.25


def test_a_single_channel_is_coherent_with_itself() -> None:
    acts = acts_of(7)
    with torch.no_grad():
        acts.model.weight("W_in")[:] = 0
        acts.model.weight("W_in")[2, :5] = -3.0
    found = tap_coherence(record(acts.model, ModularTask(7)), "W_in", [1], line="sum").coherence.values[0]
    np.testing.assert_allclose(found[:5], 1)
    assert np.isnan(found[5:]).all()


def test_bad_questions_about_taps_are_refused() -> None:
    acts = acts_of(7)
    with pytest.raises(UnknownName, match="did you mean 'W_in'"):
        tap_coherence(acts, "W_inn", [1])
    with pytest.raises(UnknownName, match="line"):
        tap_coherence(acts, "W_in", [1], line="c")
    with pytest.raises(InputError, match="from 1 to 3"):
        tap_coherence(acts, "W_in", [0])
    with pytest.raises(InputError, match="over one token"):
        tap_coherence(acts, "W_Q", [1], line="sum")


def test_mainline_filters(mainline: Activations, mainline_keys: tuple[int, ...]) -> None:
    gains = map_gains(mainline).relative.sel(k=list(mainline_keys))
    print(gains.sel(line="a").to_pandas(), gains.sel(line="sum").to_pandas(), sep="\n")
    # W_out stops the waves in a and passes those on a + b
    assert float(gains.sel(map="W_out", line="a").max()) < 0.3
    assert float(gains.sel(map="W_out", line="sum").min()) > 6
    taps = tap_coherence(mainline, "W_out", mainline_keys, line="sum")
    print(
        "coherence of W_out on a + b",
        taps.coherence.mean("channel").values,
        taps.control.mean("channel").values,
    )
    assert float(taps.coherence.mean()) > 3 * float(taps.control.mean())
