"""Which mechanism: right on networks written by hand, honest on trained ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from modscope import planted
from modscope.activations import Activations, record
from modscope.analysis.answer.clock_and_pizza import isolated_circle, turned_logits
from modscope.analysis.answer.keys import key_frequencies
from modscope.analysis.causes.mechanism import Mechanism, circle_curve, envelopes, mechanism
from modscope.analysis.causes.replacement import margins, part_of, replacements
from modscope.analysis.plane.marginals import marginals
from modscope.checkpoints import open_checkpoint
from modscope.errors import InputError
from modscope.losses import accuracies, losses
from modscope.model import PairMLP, PairMLPConfig, Transformer, TransformerConfig
from modscope.task import ModularTask, Split

KS = (1, 4, 7)


def of(built: tuple[Transformer, ModularTask]) -> Mechanism:
    return mechanism(record(*built), KS)


@given(st.sampled_from([5, 6, 9]), st.sampled_from(["add", "subtract"]), st.integers(0, 50))
def test_parts_are_those_of_the_directions(p: int, operation: str, seed: int) -> None:
    network, _ = planted.random_weights(p, seed=seed)
    acts = record(network, ModularTask(p, operation))
    found, x = marginals(acts, "resid_mid"), acts.at("resid_mid").values
    sign = 1 if operation == "add" else -1
    linear, answer = part_of(x, found, "linear"), part_of(x, found, "answer")
    for a, b in np.ndindex(3, 3):
        expected = x[a].mean(axis=0) + x[:, b].mean(axis=0) - x.mean(axis=(0, 1))
        assert np.allclose(linear[a, b], expected, atol=1e-5)
        same = [x[i, j] for i in range(p) for j in range(p) if (i + sign * j - a - sign * b) % p == 0]
        assert np.allclose(answer[a, b], np.mean(same, axis=0), atol=1e-5)
    for part in ("linear", "answer", "opposite"):
        kept, left = part_of(x, found, part), part_of(x, found, f"without {part}")
        assert np.allclose(kept + left - x.mean(axis=(0, 1)), x, atol=1e-5)


def test_margins_of_shifted_logits_are_the_same() -> None:
    logits = np.random.default_rng(0).normal(size=(4, 4, 4))
    labels = ModularTask(4).labels
    assert np.allclose(margins(logits + 7.0, labels), margins(logits, labels))
    assert margins(np.ones((4, 4, 4)), labels).tolist() == np.zeros((4, 4)).tolist()


@pytest.mark.parametrize("p", [23, 30])
def test_weights_sum_to_the_margin(p: int) -> None:
    network, task = planted.random_weights(p)
    acts = record(network, task)
    found = replacements(acts)
    logits = acts.at("logits").values
    assert found.attrs["margin"] == pytest.approx(margins(logits, task.labels).mean(), abs=1e-6)
    assert float(found.loss.sel(replacement="none")) == pytest.approx(losses(logits, task).all)


NETWORKS = {
    "with =": lambda p: planted.random_weights(p)[0],
    "without =": lambda p: planted.random_weights(p, equals=False)[0],
    "biases": lambda p: with_biases(TransformerConfig(p, d_model=12, n_heads=3, d_mlp=20, biases=BIASES)),
    "mlp": lambda p: PairMLP.initialised(PairMLPConfig(p, d_hidden=20)),
}
BIASES = ("b_Q", "b_V", "b_O", "b_in", "b_out", "b_U")


def with_biases(config: TransformerConfig) -> Transformer:
    network, generator = Transformer.initialised(config), torch.Generator().manual_seed(1)
    weights = {
        name: torch.randn(w.shape, generator=generator) if "b_" in name else w
        for name, w in network.weights.items()
    }
    return Transformer(config, weights)


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize(("p", "operation"), [(9, "add"), (10, "subtract")])
def test_replacements_are_those_of_the_resumed_pass(name: str, p: int, operation: str) -> None:
    acts = record(NETWORKS[name](p).to(torch.float64), ModularTask(p, operation))
    found = replacements(acts)
    whole = margins(acts.at("logits").values, acts.task.labels).mean()
    for which in found.replacement.values[1:]:
        hook, part = which.split(": ")
        value = part_of(acts.at(hook).values, marginals(acts, hook), part)
        logits = np.concatenate([x["logits"] for _, x in acts.resume({hook: value})])
        one = found.sel(replacement=which)
        assert float(one.margin) * found.attrs["margin"] == pytest.approx(
            margins(logits, acts.task.labels).mean(), abs=1e-9
        ), which
        assert float(one.loss) == pytest.approx(losses(logits, acts.task).all), which
        assert float(one.accuracy) == pytest.approx(accuracies(logits, acts.task).all), which
    assert found.attrs["margin"] == pytest.approx(whole, abs=1e-9)


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("p", [9, 10])
def test_a_circle_alone_is_the_isolated_network(name: str, p: int) -> None:
    network = NETWORKS[name](p).to(torch.float64)
    acts = record(network, ModularTask(p))
    for k in range(1, p // 2 + 1):
        expected = envelopes(record(isolated_circle(network, k), acts.task), [k])
        assert np.allclose(circle_curve(acts, k), expected.weight[0], atol=1e-9)
        turned = turned_logits(record(isolated_circle(network, k), acts.task).at("logits").values, acts.task)
        wave = np.cos(2 * np.pi * k * np.arange(p) / p) * (1 if 2 * k == p else 2) / p
        n = np.arange(p)
        by_distance = [(turned @ wave)[(n[:, None] - n) % p == d].mean() for d in range(p)]
        assert np.allclose(expected.weight[0], by_distance, atol=1e-9)


@pytest.mark.parametrize("operation", ["add", "subtract"])
@pytest.mark.parametrize("equals", [True, False])
@pytest.mark.parametrize("p", [23, 30])
def test_planted_mechanisms_are_named(p: int, equals: bool, operation: str) -> None:
    if not (equals and operation == "subtract"):  # no clock that reads at "=" can subtract
        clock = of(planted.clock(p, KS, equals=equals, operation=operation))
        assert clock.product > 0.98
    pizza = of(planted.pizza(p, KS, equals=equals, operation=operation))
    assert pizza.rectified > 0.98
    assert pizza.pizza > 0.98
    plain = of(planted.rectified_sum(p, KS, equals=equals, operation=operation))
    assert plain.rectified > 0.98
    assert plain.pizza < 0.02


@pytest.mark.parametrize("operation", ["add", "subtract"])
@pytest.mark.parametrize("share", [0.2, 0.5, 0.8])
def test_what_lies_between_is_divided_in_its_proportions(share: float, operation: str) -> None:
    found = of(planted.between(23, KS, share, operation=operation))
    assert found.product == pytest.approx(share, abs=0.02)
    assert found.rectified == pytest.approx(1 - share, abs=0.02)
    assert np.allclose(found.circles["product"], share, atol=0.02)


@pytest.mark.parametrize("operation", ["add", "subtract"])
def test_a_mixture_of_three_is_divided_in_its_proportions(operation: str) -> None:
    shares = {"clock": 0.2, "rectified sum": 0.5, "pizza": 0.3}
    acts = record(*planted.mixture(30, KS, shares, operation=operation, equals=False))
    found = mechanism(acts, KS)
    assert found.product == pytest.approx(0.2, abs=0.02)
    assert np.allclose(envelopes(acts, KS).pizza, 0.3, atol=0.02)
    if operation == "subtract":  # a clock that adds leans on the wave 2k, which a circle alone is without
        assert np.allclose(found.circles.pizza, 0.3, atol=0.02)


def test_causal_replacement_separates_clock_from_sum() -> None:
    clock = of(planted.clock(23, KS)).replacements.margin
    waves = of(planted.pizza(23, KS)).replacements.margin
    for name in ("pattern: mean", "resid_mid: linear", "resid_mid: without answer"):
        assert float(clock.sel(replacement=name)) < 0.01
        assert float(waves.sel(replacement=name)) == pytest.approx(1.0)
    assert float(clock.sel(replacement="resid_mid: answer")) > 0.99
    assert float(waves.sel(replacement="resid_mid: answer")) < 0.01


@pytest.mark.parametrize("fraction", [0.3, 1.0])
def test_a_lookup_table_is_memorisation(fraction: float) -> None:
    network, task = planted.memoriser(16, fraction=fraction)
    found = mechanism(record(network, task), key_frequencies(record(network, task)).frequencies)
    assert found.split_known == (fraction < 1)
    if fraction < 1:
        assert found.memorised is not None
        assert found.memorised > 0.98
        assert str(found) == "memorisation 100 %"
    else:  # nothing is left out, so nobody can say what carries over
        assert str(found) == "rectified sum 100 %; memorisation not known without a split"


def test_a_network_at_chance_has_no_mechanism() -> None:
    found = of(planted.random_weights(23))
    assert not found.applies
    assert str(found).startswith("not applicable: the accuracy over all pairs is 0.0")
    pair = PairMLP.initialised(PairMLPConfig(13))
    assert not mechanism(record(pair, ModularTask(13)), ()).applies


def test_subtraction_and_unknown_splits() -> None:
    network, task = planted.rectified_sum(23, KS, operation="subtract")
    assert mechanism(record(network, task), KS).rectified > 0.98
    unknown = ModularTask(23, "subtract", Split("none"))
    found = mechanism(record(network, unknown), KS)
    assert found.rectified > 0.9
    assert not found.split_known
    with pytest.raises(InputError, match="multiply"):
        mechanism(record(network, ModularTask(23, "multiply")), KS)


def test_evenness_cannot_tell_them_apart() -> None:
    for build in (planted.clock, planted.pizza):
        network, task = build(23, KS)
        x = record(network, task).at("logits").values
        assert np.allclose(x, x.swapaxes(0, 1), atol=1e-6 * abs(x).max())


def test_envelope_of_a_pizza_and_of_a_clock() -> None:
    network, task = planted.pizza(23, KS)
    found = envelopes(record(network, task), KS)
    expected = np.abs(np.cos(np.pi * np.outer(KS, np.arange(23)) / 23))
    curves = found.weight.values / found.weight.values.max(axis=1, keepdims=True)
    assert np.allclose(curves, expected, atol=0.02)
    assert (found.pizza > 0.99).all()
    network, task = planted.rectified_sum(23, KS)
    assert (envelopes(record(network, task), KS).pizza < 0.01).all()


def test_published_networks_are_mixtures(mainline: Activations, mainline_keys: tuple[int, ...]) -> None:
    found = mechanism(mainline, mainline_keys)
    assert found.rectified == pytest.approx(0.631, abs=0.005)
    assert found.product == pytest.approx(0.358, abs=0.005)
    assert found.memorised == pytest.approx(0.012, abs=0.005)
    # two circles are rectified sums with the pizza's envelope, by two measures that know nothing of each other
    pizza = found.circles.sel(k=[14, 41])
    assert (pizza.rectified > 0.98).all()
    assert (pizza.pizza > 0.98).all()
    others = found.circles.sel(k=[35, 42, 52])
    assert (others.rectified < 0.6).all()
    assert (others.pizza < 0.3).all()


def test_published_pizza_is_a_pizza(published: Path) -> None:
    checkpoint = open_checkpoint(published / "pizza_A")
    found = mechanism(record(checkpoint.model, checkpoint.task), (3, 15, 17))
    assert found.rectified > 0.98
    assert found.pizza > 0.98
