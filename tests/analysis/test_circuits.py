"""Clock and pizza measures: laws, planted truth, independent formulas, and the published numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from modscope import planted
from modscope.activations import Activations, record
from modscope.analysis.answer.clock_and_pizza import (
    circle_fits,
    circularity,
    clock_logits,
    distance_irrelevance,
    gradient_symmetricity,
    isolated_circle,
    pizza_logits,
    turned_logits,
)
from modscope.checkpoints import open_checkpoint
from modscope.errors import InputError
from modscope.model import PairMLP, PairMLPConfig, Transformer, TransformerConfig
from modscope.task import ModularTask

moduli = st.integers(3, 20)


@given(moduli, st.integers(1, 9))
def test_pizza_logits_are_the_published_formula(p: int, k: int) -> None:
    w, n = 2 * np.pi * k / p, np.arange(p)
    a, b, c = n[:, None, None], n[None, :, None], n[None, None, :]
    x, y = np.cos(w * a) + np.cos(w * b), np.sin(w * a) + np.sin(w * b)
    cos, sin = np.cos(w * c / 2), np.sin(w * c / 2)
    assert np.allclose(pizza_logits(p, k), np.abs(cos * x + sin * y) - np.abs(sin * x - cos * y))


@given(moduli, st.integers(1, 9))
def test_clock_logits_by_a_loop(p: int, k: int) -> None:
    q = clock_logits(p, k)
    for a, b, c in np.ndindex(3, 3, 3):
        assert q[a, b, c] == pytest.approx(np.cos(2 * np.pi * k * (a + b - c) / p))


@given(moduli, st.sampled_from(["add", "subtract"]))
def test_turned_logits_by_a_loop(p: int, operation: str) -> None:
    task = ModularTask(p, operation)
    logits = np.random.default_rng(p).normal(size=(p, p, p))
    turned = turned_logits(logits, task)
    for a, b, e in np.ndindex(3, 3, 3):
        assert turned[a, b, e] == logits[a, b, (task.labels[a, b] + e) % p]


@given(moduli)
def test_distance_irrelevance_by_its_definition(p: int) -> None:
    task = ModularTask(p)
    logits = np.random.default_rng(p).normal(size=(p, p, p))
    m = np.full((p, p), np.nan)
    for a in range(p):
        for b in range(p):
            m[(a + b) % p, (a - b) % p] = logits[a, b, (a + b) % p]
    if p % 2:
        assert distance_irrelevance(logits, task) == pytest.approx(m.std(axis=0).mean() / m.std())


@pytest.mark.parametrize("p", [22, 23])
def test_distance_irrelevance_tells_a_pizza_from_a_clock(p: int) -> None:
    noise = 0.05 * np.random.default_rng(0).normal(size=(p, p, p))
    assert distance_irrelevance(clock_logits(p, 3) + noise, ModularTask(p)) > 0.9
    assert distance_irrelevance(pizza_logits(p, 3) + noise, ModularTask(p)) < 0.2
    assert np.isnan(distance_irrelevance(clock_logits(p, 3) * 0, ModularTask(p)))


@given(st.integers(9, 40), st.integers(0, 100))
def test_circularity_lies_between_noise_and_waves(p: int, seed: int) -> None:
    noise = np.random.default_rng(seed).normal(size=(p, 16))
    waves = np.stack(
        [f(2 * np.pi * k * np.arange(p) / p) * k for k in (1, 3) for f in (np.cos, np.sin)], axis=1
    )
    assert 0.0 < circularity(noise) < 0.95
    assert circularity(waves) == pytest.approx(1.0)
    turned = waves @ np.linalg.qr(np.random.default_rng(seed).normal(size=(4, 4)))[0]
    assert circularity(turned + 3.0) == pytest.approx(1.0)


def test_circularity_of_a_nyquist_wave_is_one() -> None:
    n = np.arange(8)
    waves = np.stack([np.cos(np.pi * n), *(np.eye(8, 3).T * 0)], axis=1)
    assert circularity(waves) == pytest.approx(0.25)  # one component of four exists, and it is a wave


def test_gradient_symmetricity_of_planted_networks() -> None:
    for build, low, high in ((planted.pizza, 0.999, 1.001), (planted.rectified_sum, -1.0, 0.8)):
        network, task = build(23, (1, 4, 7))
        assert low <= gradient_symmetricity(record(network, task)) <= high


def test_gradient_symmetricity_by_differences() -> None:
    config = TransformerConfig(7, d_model=6, n_heads=2, d_mlp=12, activation="gelu")
    network = Transformer.initialised(config, seed=3).to(torch.float64)
    a, b, c = 2, 5, 1
    tokens = torch.tensor([[a, b, 7]])
    embed = network.run(tokens, keep=("embed",))["embed"]
    slopes = np.zeros((2, 6))
    for position, i in np.ndindex(2, 6):
        ends = []
        for sign in (1, -1):
            moved = embed.clone()
            moved[0, position, i] += sign * 1e-5
            ends.append(float(network.run(tokens, replace={"embed": moved})["logits"][0, c]))
        slopes[position, i] = (ends[0] - ends[1]) / 2e-5
    expected = slopes[0] @ slopes[1] / np.linalg.norm(slopes[0]) / np.linalg.norm(slopes[1])
    found = gradient_symmetricity(record(network, ModularTask(7)), triples=np.array([[a, b, c]]))
    assert found == pytest.approx(expected, abs=1e-6)


def test_gradient_symmetricity_of_the_mlp_family() -> None:
    network = PairMLP.initialised(PairMLPConfig(7, d_hidden=16))
    same = dict(network.weights) | {"mlp.W_in_b": network.weights["mlp.W_in_a"]}
    acts = record(PairMLP(network.config, same), ModularTask(7))
    assert gradient_symmetricity(acts, triples=50) == pytest.approx(1.0)


@pytest.mark.parametrize("equals", [True, False])
@pytest.mark.parametrize("p", [23, 30])
def test_circle_fits_of_planted_networks(p: int, equals: bool) -> None:
    network, task = planted.pizza(p, (1, 4, 7), equals=equals)
    fits = circle_fits(record(network, task), (1, 4))
    assert (fits.pizza > 0.98).all()
    assert (fits.clock < 0.85).all()
    network, task = planted.rectified_sum(p, (1, 4, 7), equals=equals)
    fits = circle_fits(record(network, task), (1, 4))
    assert (fits.clock > 0.98).all()
    assert (fits.pizza < 0.85).all()


def test_circle_fits_of_subtraction_and_of_a_frequency_that_is_not_there() -> None:
    network, task = planted.rectified_sum(23, (1, 4), operation="subtract")
    fits = circle_fits(record(network, task), (1, 5))
    assert float(fits.clock.sel(k=1)) > 0.98
    assert float(fits.clock.sel(k=5)) < 1e-6


@given(st.sampled_from([9, 10, 13]), st.integers(1, 4))
def test_isolated_circle_keeps_one_frequency(p: int, k: int) -> None:
    network = Transformer.initialised(TransformerConfig(p, d_model=8, n_heads=2, d_mlp=8)).to(torch.float64)
    bins = np.abs(np.fft.rfft(isolated_circle(network, k).weight("W_E")[:p].numpy(), axis=0)).sum(axis=1)
    assert set(np.flatnonzero(bins > 1e-9)) == {0, k}


def test_circuit_errors_say_what_was_given() -> None:
    network, task = planted.random_weights(5)
    acts = record(network, task)
    with pytest.raises(InputError, match=r"126 triples: expected 1 to p\^3 = 125"):
        gradient_symmetricity(acts, triples=126)
    with pytest.raises(InputError, match="shape"):
        distance_irrelevance(np.zeros((5, 5)), task)
    with pytest.raises(InputError, match="multiply"):
        distance_irrelevance(np.zeros((5, 5, 5)), ModularTask(5, "multiply"))
    with pytest.raises(InputError, match="frequency 3"):
        isolated_circle(network, 3)
    with pytest.raises(InputError, match="at least 4"):
        circularity(np.zeros((3, 8)))


GOLDEN = {  # gradient symmetricity, distance irrelevance
    "pizza_A": (0.9937, 0.1717),
    "pizza_B": (0.3336, 0.848),
    "nanda_mainline": (0.370, 0.7498),
}


@pytest.mark.parametrize("name", GOLDEN)
def test_published_numbers(published: Path, mainline: Activations, name: str) -> None:
    checkpoint = open_checkpoint(published / name)
    acts = mainline if name == "nanda_mainline" else record(checkpoint.model, checkpoint.task)
    symmetric, irrelevant = GOLDEN[name]
    assert gradient_symmetricity(acts) == pytest.approx(symmetric, abs=5e-4)
    assert distance_irrelevance(acts.at("logits").values, acts.task) == pytest.approx(irrelevant, abs=5e-4)
    if name == "pizza_A":
        assert circularity(acts["embed"]) == pytest.approx(0.9978, abs=5e-5)
        fits = circle_fits(acts, (3, 15, 17))
        assert np.allclose(fits.pizza, 0.98, atol=0.01)
        assert np.allclose(fits.clock, 0.76, atol=0.02)
