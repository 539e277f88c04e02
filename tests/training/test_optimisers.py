"""What the options do to a step, against their definitions."""

from __future__ import annotations

import math

import pytest
import torch

from modscope.training.engine import Batch
from modscope.training.optimisers import Stepper
from modscope.training.recipe import Optimiser
from modscope.training.stopping import Settling


def matrices(seed: int = 0) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    shapes = {"embed.W_E": (7, 4), "blocks.0.mlp.W_in": (4, 6), "blocks.0.attn.W_Q": (2, 4, 3)}
    weights = {n: torch.randn(s, generator=generator).requires_grad_() for n, s in shapes.items()}
    for weight in weights.values():
        weight.grad = torch.randn(weight.shape, generator=generator)
    return weights


def test_the_first_published_step_moves_nothing_and_the_eleventh_is_whole():
    stepper = Stepper(matrices(), Optimiser())
    assert [stepper.rates(step)[0] for step in (0, 5, 10, 500)] == [0.0, 5e-4, 1e-3, 1e-3]


def test_adamw_is_the_formula():
    weights = matrices()
    weight = weights["embed.W_E"]
    before, grad = weight.detach().clone(), weight.grad.clone()
    how = Optimiser(learning_rate=0.01, weight_decay=0.5, warmup=0)
    Stepper(weights, how).step(0)
    # The first moments, corrected for their bias, are the gradient and its square.
    expected = before * (1 - 0.01 * 0.5) - 0.01 * grad / (grad.abs() + 1e-8)
    torch.testing.assert_close(weight.detach(), expected)


def test_orthogonal_gradient_is_orthogonal_and_as_long_as_before():
    weights = matrices()
    lengths = {name: weight.grad.norm() for name, weight in weights.items()}
    Stepper(weights, Optimiser(orthogonal_steps=1)).step(0)
    for name, weight in matrices().items():
        grad = weights[name].grad
        assert float((grad * weight.detach()).sum()) == pytest.approx(0, abs=1e-5)
        torch.testing.assert_close(grad.norm(), lengths[name])


def test_orthogonal_gradient_ends_when_it_should():
    weights, plain = matrices(), matrices()
    Stepper(weights, Optimiser(orthogonal_steps=5)).step(5)
    for name, weight in plain.items():
        assert torch.equal(weights[name].grad, weight.grad)


def test_grokfast_adds_the_moving_average():
    weights, plain = matrices(), matrices()
    stepper = Stepper(weights, Optimiser(grokfast=2.0, grokfast_decay=0.9))
    stepper.step(0)
    for name, weight in plain.items():
        torch.testing.assert_close(weights[name].grad, 3 * weight.grad)
        weights[name].grad = torch.zeros_like(weight)
    stepper.step(1)
    for name, weight in plain.items():
        torch.testing.assert_close(weights[name].grad, 2 * 0.9 * weight.grad)


def test_muon_moves_matrices_by_about_equal_singular_values():
    weights, before = matrices(), matrices()
    Stepper(weights, Optimiser(name="muon", learning_rate=0.1, weight_decay=0.0, warmup=0)).step(0)
    name = "blocks.0.mlp.W_in"
    values = torch.linalg.svdvals((weights[name] - before[name]).detach()) / 0.1
    assert 0.5 < float(values.min()) <= float(values.max()) < 1.4
    # The embedding is a table of rows, not a map, and moves by AdamW: by the rate in every number.
    moved = (weights["embed.W_E"] - before["embed.W_E"]).detach().abs()
    torch.testing.assert_close(moved, torch.full_like(moved, 0.1), rtol=1e-3, atol=0)


def test_update_clipping_shrinks_a_sudden_step_and_leaves_the_decay():
    clipped, free = matrices(), matrices()
    steppers = [
        Stepper(weights, Optimiser(update_clipping=on, warmup=0, weight_decay=0.0))
        for weights, on in ((clipped, True), (free, False))
    ]
    for step in range(3):
        for stepper in steppers:
            stepper.step(step)
    for name in clipped:
        assert torch.equal(clipped[name], free[name]), "a steady gradient is not clipped"
    before = free["embed.W_E"].detach().clone()
    for weights, stepper in zip((clipped, free), steppers, strict=True):
        for weight in weights.values():
            weight.grad.mul_(100)
        stepper.step(3)
    moved = [float((weights["embed.W_E"].detach() - before).norm()) for weights in (clipped, free)]
    assert moved[0] < 0.6 * moved[1]
    assert steppers[0].decay_time(0) == math.inf


def alternating(stepper: Stepper, weights: dict[str, torch.Tensor], steps: int) -> list[float]:
    """How far W_E moves in each of some steps whose gradient of W_E turns round every time."""
    grad, moved = torch.ones_like(weights["embed.W_E"]), []
    for step in range(steps):
        before = weights["embed.W_E"].detach().clone()
        weights["embed.W_E"].grad = grad if step % 2 else -grad
        stepper.step(step)
        moved.append(float((weights["embed.W_E"].detach() - before).norm()))
    return moved


def test_the_brake_slows_the_tensor_that_turns_round_and_no_other():
    braked, free = matrices(), matrices()
    how = {"warmup": 0, "weight_decay": 0.0, "learning_rate": 0.01}
    slow = alternating(Stepper(braked, Optimiser(**how, brake_below=0.01)), braked, 9)
    fast = alternating(Stepper(free, Optimiser(**how)), free, 9)
    shares = [a / b for a, b in zip(slow, fast, strict=True)]
    assert shares == pytest.approx([1, 1 / 2, 1 / 4, 1 / 8, 1 / 16, *[1 / 20] * 4], rel=1e-3)
    for name in ("blocks.0.mlp.W_in", "blocks.0.attn.W_Q"):
        assert torch.equal(braked[name], free[name])


def test_the_brake_sleeps_above_its_rate():
    braked, free = matrices(), matrices()
    how = {"warmup": 0, "learning_rate": 0.01}
    alternating(Stepper(braked, Optimiser(**how, brake_below=0.009)), braked, 5)
    alternating(Stepper(free, Optimiser(**how)), free, 5)
    assert torch.equal(braked["embed.W_E"], free["embed.W_E"])


def measured(losses: list[float], norms: list[float], accuracy: float = 1.0) -> Settling:
    settling = Settling()
    for i, (loss, norm) in enumerate(zip(losses, norms, strict=True)):
        settling.add(50 * i, Batch(loss, accuracy), weight_norm=norm, decay_time=200.0)
    return settling


def test_settled_needs_answers_a_still_norm_and_a_still_loss_over_a_decay_time():
    still, norms = [1e-7] * 6, [30.0] * 6
    assert measured(still, norms).settled
    assert not measured(still, norms, accuracy=0.999).settled
    assert not measured(still, [33.0, 32.0, 31.0, 30.5, 30.2, 30.0]).settled
    assert not measured([8e-7, 6e-7, 4e-7, 2e-7, 1.5e-7, 1e-7], norms).settled
    assert not measured(still[:4], norms[:4]).settled, "less than a decay time has passed"


def test_nothing_is_settled_while_the_rate_moves_or_by_two_evaluations():
    moving, rare = Settling(), Settling()
    for i in range(20):
        moving.add(50 * i, Batch(1e-7, 1.0), weight_norm=30.0, decay_time=200.0 + i)
        rare.add(100 * i, Batch(1e-7, 1.0), weight_norm=30.0, decay_time=50.0)
    assert not moving.settled
    assert not rare.settled
