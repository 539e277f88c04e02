"""Sums over neurons: the closed forms by brute-force integration, and where running sums end."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modscope import planted
from modscope.activations import Activations, record
from modscope.analysis.neurons.quadrature import (
    cluster_running_sum,
    even_phases,
    ideal_neurons,
    ideal_running_sum,
    quadrature_error,
    quadrature_errors,
    rectified_mean,
    running_sum,
)
from modscope.errors import InputError


@given(p=st.integers(3, 20), k=st.integers(1, 10), weighted=st.booleans())
def test_the_closed_forms_are_the_means_over_phases(p: int, k: int, weighted: bool) -> None:
    k = min(k, p // 2)
    phases = even_phases(3001)
    pre = ideal_neurons(p, k, phases).values
    weight = np.cos(2 * phases) if weighted else np.ones(3001)
    mean = np.einsum("n,nab->ab", weight, np.maximum(pre, 0)) / 3001
    np.testing.assert_allclose(rectified_mean(p, k, weighted=weighted), mean, atol=1e-6)


def test_weighted_at_twice_the_phase_the_sum_knows_the_answer_and_unweighted_the_difference() -> None:
    p, k = 23, 3
    n = np.arange(p)
    weighted = ideal_running_sum(p, k, number=40).rectified[-1].values
    wave = np.cos(2 * np.pi * k * (n[:, None] + n) / p)
    assert np.corrcoef(weighted.ravel(), wave.ravel())[0, 1] > 0.89
    shares = ideal_running_sum(p, k, number=40).share.sel(kind="rectified")[-1]
    # 8/pi^2 for infinitely many pairs
    assert float(shares.sel(term="sum")) == pytest.approx(8 / np.pi**2, abs=0.01)
    plain = ideal_running_sum(p, k, number=40, weighted=False)
    assert float(plain.share.sel(kind="rectified", term="difference")[-1]) > 0.9999
    last = plain.rectified[-1].values
    np.testing.assert_allclose(last, np.roll(last, (1, 1), (0, 1)), rtol=2e-3)
    # without the rectifier the phases cancel
    assert np.abs(plain.linear[-1]).max() < 1e-9


@given(seed=st.integers(0, 10), number=st.integers(1, 6))
def test_a_running_sum_ends_at_the_sum(seed: int, number: int) -> None:
    generator = np.random.default_rng(seed)
    pre = ideal_neurons(7, 2, generator.uniform(0, 6, number))
    weights = generator.standard_normal(number)
    found = running_sum(pre, weights)
    np.testing.assert_allclose(found.linear[-1], (pre * weights[:, None, None]).sum("neuron"))
    np.testing.assert_allclose(found.rectified[0], weights[0] * np.maximum(pre[0], 0))
    np.testing.assert_allclose(found.share.sum("term"), 1.0)
    assert float(found.share.sel(kind="linear", term="sum").max()) < 1e-9


def test_error_falls_with_number_and_with_spread() -> None:
    found = quadrature_errors(23, 3, numbers=(8, 16, 32, 64), arcs=(1.0, 0.6), draws=5)
    whole = found.even.sel(arc=1.0).values
    assert (whole[:-1] / whole[1:] > 3).all()
    assert (found.even.sel(arc=0.6) > 10 * found.even.sel(arc=1.0)).all()
    assert (found.random.mean("draw") > found.even.sel(arc=1.0)).all()
    again = quadrature_errors(23, 3, numbers=(8, 16, 32, 64), arcs=(1.0, 0.6), draws=5)
    assert found.equals(again)
    assert quadrature_error(23, 3, even_phases(200), weighted=False) < 1e-3


def test_real_neurons_are_summed_in_the_order_of_their_phases() -> None:
    network, task = planted.rectified_sum(17, (1, 4))
    acts = record(network, task)
    found = cluster_running_sum(acts, 4, output=3)
    assert (np.diff(found.phase) >= 0).all()
    members = found.number.values
    weights = network.weight("W_out").numpy()[:, 3]
    post = acts.at("mlp_post").values[..., members]
    np.testing.assert_allclose(found.rectified[-1], post @ weights[members], atol=1e-4)
    np.testing.assert_allclose(found.weight, weights[members])
    assert (cluster_running_sum(acts, 4).weight == 1).all()


def test_what_cannot_be_summed_is_refused() -> None:
    acts = record(*planted.rectified_sum(17, (1, 4)))
    with pytest.raises(InputError, match="no neuron has frequency 2"):
        cluster_running_sum(acts, 2)
    with pytest.raises(InputError, match="output 999 of W_out"):
        cluster_running_sum(acts, 4, output=999)
    with pytest.raises(InputError, match=r"weights of shape \(2,\)"):
        running_sum(ideal_neurons(5, 1, [0.0]), np.ones(2))
    with pytest.raises(InputError, match="arc in"):
        even_phases(3, arc=1.5)


def test_a_published_cluster_sums_to_a_function_of_a_plus_b(mainline: Activations) -> None:
    on_sum = {}
    for output in (0, 5):
        share = cluster_running_sum(mainline, 14, output=output).share[:, -1]
        on_sum[output] = share.sel(term="sum").values.round(3).tolist()
        assert float(share.sel(kind="rectified", term="sum")) > 0.8
        assert float(share.sel(kind="linear", term="sum")) < 0.15
    print("share on a + b [rectified, linear] by output:", on_sum)
