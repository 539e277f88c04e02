"""Both engines against float64 differentiation of the whole network, on every switch that they claim to know."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from modscope.errors import InputError
from modscope.model import Network, PairMLP, PairMLPConfig, Transformer, TransformerConfig
from modscope.shipped import shipped_run
from modscope.task import ModularTask, Split
from modscope.training.engines import PlainEngine, engine_for
from modscope.training.fast import FastEngine
from modscope.training.tables import Pairs

BIASES = ("b_Q", "b_K", "b_V", "b_O", "b_in", "b_out", "b_U")


def shaken(config: TransformerConfig | PairMLPConfig, seed: int) -> Network:
    """A network of random weights whose biases are not zero."""
    family = Transformer if isinstance(config, TransformerConfig) else PairMLP
    network = family.initialised(config, seed=seed)
    generator = torch.Generator().manual_seed(seed)
    moved = {n: w + 0.1 * torch.randn(w.shape, generator=generator) for n, w in network.weights.items()}
    return family(config, moved)


def exact_gradients(network: Network, tokens: torch.Tensor, labels: torch.Tensor) -> dict[str, torch.Tensor]:
    """Gradients of the mean cross-entropy through the network's own forward pass, in float64."""
    weights = {name: w.double().requires_grad_() for name, w in network.weights.items()}
    logits = type(network)(network.config, weights)(tokens)
    torch.nn.functional.cross_entropy(logits, labels).backward()
    return {name: w.grad for name, w in weights.items() if w.grad is not None}


def check(engine, network: Network, task: ModularTask, tolerance: float = 1e-5) -> None:
    pairs = Pairs.of(task, task.train_mask)
    tokens = torch.from_numpy(task.tokens(equals=network.config.equals)[task.train_mask.ravel()])
    exact = exact_gradients(network, tokens, pairs.labels)
    weights = {name: w.clone().requires_grad_() for name, w in network.weights.items()}
    whole = torch.cat([g.flatten() for g in exact.values()]).norm()
    for _ in range(2):  # the second time some neurons are turned
        batch = engine.gradients(weights, pairs)
        for name, w in weights.items():
            # A gradient that is zero by symmetry (b_K) has only the scale of the others.
            scale = max(exact[name].norm(), 1e-2 * whole)
            assert (w.grad - exact[name]).norm() <= tolerance * scale, name
        scores = engine.scores(weights, pairs)
    assert (scores.loss, scores.accuracy) == pytest.approx((batch.loss, batch.accuracy), rel=1e-6, abs=1e-9)
    logits = network.to(torch.float64)(tokens)
    assert batch.loss == pytest.approx(
        torch.nn.functional.cross_entropy(logits, pairs.labels).item(), rel=1e-5
    )
    assert batch.accuracy == pytest.approx((logits.argmax(1) == pairs.labels).float().mean().item(), abs=0.02)


transformers = st.builds(
    TransformerConfig,
    p=st.sampled_from([3, 8, 11, 17, 34, 130, 150]),
    d_model=st.sampled_from([10, 24]),
    n_heads=st.sampled_from([1, 2]),
    d_head=st.sampled_from([3, 12]),
    d_mlp=st.sampled_from([5, 64, 100]),
    equals=st.booleans(),
    causal=st.booleans(),
    attention_rate=st.sampled_from([0.0, 0.3, 1.0]),
    biases=st.sets(st.sampled_from(BIASES)).map(sorted).map(tuple),
)


@pytest.mark.parametrize("engine", ["fast", "exact", "plain"])
@given(config=transformers, operation=st.sampled_from(["add", "subtract"]), seed=st.integers(0, 99))
@settings(max_examples=12)
def test_gradients_are_those_of_the_network(engine, config, operation, seed):
    task = ModularTask(config.p, operation, Split(seed=seed, fraction=0.4 if config.p < 100 else 0.03))
    chosen, _ = engine_for(config, choice=engine, threads=2)
    check(chosen, shaken(config, seed), task)


@pytest.mark.parametrize("engine", ["fast", "plain"])
@pytest.mark.parametrize("d_embed", [None, 9])
def test_gradients_of_the_mlp_family(engine, d_embed):
    config = PairMLPConfig(14, d_hidden=70, d_embed=d_embed, biases=("b_in", "b_U"))
    check(engine_for(config, choice=engine)[0], shaken(config, 1), ModularTask(14))


@pytest.mark.parametrize("activation", ["gelu", "quadratic"])
def test_other_activations_are_trained_by_the_plain_engine(activation):
    config = TransformerConfig(7, d_model=8, n_heads=2, d_mlp=10, activation=activation)
    engine, why = engine_for(config)
    assert engine.name == "plain"
    assert activation in why
    check(engine, shaken(config, 0), ModularTask(7))
    with pytest.raises(InputError, match="ReLU"):
        engine_for(config, choice="fast")


def test_number_of_threads_changes_only_rounding():
    config = TransformerConfig(13, d_model=16, n_heads=2, d_mlp=40)
    task = ModularTask(13)
    for threads in (1, 2, 3, 7):
        check(FastEngine(config, threads=threads), shaken(config, 5), task)


def test_a_small_loss_keeps_its_digits():
    """Logits that are very sure: p - 1 in float32 would be 0, and the gradient with it."""
    config = PairMLPConfig(5, d_hidden=64, biases=("b_U",))
    network = PairMLP.initialised(config, seed=0)
    weights = {name: torch.zeros_like(w) for name, w in network.weights.items()}
    weights["unembed.b_U"] = torch.tensor([0.0, 0.0, 20.0, 0.0, 0.0])
    task = ModularTask(5)
    a, b = np.nonzero(task.labels == 2)
    pairs = Pairs(*(torch.from_numpy(x) for x in (a, b, task.labels[a, b])))
    loss = float(np.log1p(4 * np.exp(-20.0)))
    for engine in (FastEngine(config), PlainEngine(config)):
        leaves = {name: w.clone().requires_grad_() for name, w in weights.items()}
        assert engine.gradients(leaves, pairs).loss == pytest.approx(loss, rel=1e-5)
        expected = torch.full((5,), np.exp(-20.0) / (1 + 4 * np.exp(-20.0)), dtype=torch.float64)
        expected[2] = -expected[:2].sum() * 2
        torch.testing.assert_close(leaves["unembed.b_U"].grad.double(), expected, rtol=1e-5, atol=0)


def test_a_lost_network_reports_a_loss_that_is_not_a_number():
    config = TransformerConfig(7, d_model=8, n_heads=2, d_mlp=10)
    weights = {
        n: (w * torch.nan).requires_grad_() for n, w in Transformer.initialised(config).weights.items()
    }
    pairs = Pairs.of(ModularTask(7), ModularTask(7).train_mask)
    for engine in (FastEngine(config), PlainEngine(config)):
        assert not np.isfinite(engine.gradients(weights, pairs).loss)


def test_huge_logits_do_not_overflow():
    config = PairMLPConfig(5, d_hidden=3, biases=("b_U",))
    weights = {name: torch.zeros(shape) for name, shape in config.shapes().items()}
    weights["unembed.b_U"] = torch.tensor([500.0, 0.0, 0.0, 0.0, 0.0])
    task = ModularTask(5)
    pairs = Pairs.of(task, task.labels == 1)
    for engine in (FastEngine(config), PlainEngine(config)):
        leaves = {name: w.clone().requires_grad_() for name, w in weights.items()}
        assert engine.gradients(leaves, pairs).loss == pytest.approx(500.0)
        np.testing.assert_allclose(leaves["unembed.b_U"].grad, [1, -1, 0, 0, 0], atol=1e-6)


@pytest.mark.parametrize("epoch", [5500, None])
def test_trained_gradients_are_near_float64_beside_plain_float32(epoch):
    """Differences of large terms: what counts is how far float32 itself is."""
    run = shipped_run()
    network, pairs = run.model(epoch), Pairs.of(run.task, run.task.train_mask)

    def gradients(engine, weights) -> dict[str, torch.Tensor]:
        leaves = {name: w.clone().requires_grad_() for name, w in weights.items()}
        for _ in range(2):
            engine.gradients(leaves, pairs)
        return {name: w.grad.double() for name, w in leaves.items()}

    double = {name: w.double() for name, w in network.weights.items()}
    true = gradients(PlainEngine(network.config), double)
    plain = gradients(PlainEngine(network.config), network.weights)
    for exact, times in ((True, 20), (False, 50)):
        found = gradients(FastEngine(network.config, exact=exact), network.weights)
        for name, grad in true.items():
            near = times * (plain[name] - grad).norm()
            if (
                not exact
            ):  # one pre-activation's sign, decided by rounding, moves a gradient by a few per cent
                near = max(near, 0.04 * grad.norm())
            assert (found[name] - grad).norm() < near, (exact, name)
