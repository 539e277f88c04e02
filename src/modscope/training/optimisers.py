"""The step after the gradient: AdamW as published, Muon, and what may be done to the gradient before."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from modscope.training.brake import Brake
from modscope.training.recipe import Optimiser, Schedule

__all__ = ["Stepper", "rates_of", "scheduled"]


def scheduled(schedule: Schedule, step: int, constant: float) -> float:
    """The value of a schedule at a step: linear between its points, constant beyond them.

    >>> scheduled(((0, 1.0), (10, 3.0)), 5, 7.0), scheduled((), 5, 7.0)
    (2.0, 7.0)
    """
    if not schedule:
        return constant
    before = [point for point in schedule if point[0] <= step]
    after = [point for point in schedule if point[0] > step]
    if not before or not after:
        return (before[-1] if before else after[0])[1]
    (start, low), (end, high) = before[-1], after[0]
    return low + (high - low) * (step - start) / (end - start)


def rates_of(how: Optimiser, step: int) -> tuple[float, float]:
    """Learning rate and weight decay of a step by the recipe alone; the first step is number 0.

    >>> rates_of(Optimiser(), 5)
    (0.0005, 1.0)
    """
    rate = scheduled(how.learning_rate_schedule, step, how.learning_rate)
    if how.warmup:
        rate *= min(step / how.warmup, 1.0)
    return rate, scheduled(how.weight_decay_schedule, step, how.weight_decay)


class Stepper:
    """Moves the weights by their gradients, as the recipe's optimiser says."""

    def __init__(
        self, weights: Mapping[str, Tensor], how: Optimiser, *, fixed: Mapping[str, float] | None = None
    ) -> None:
        self.weights = weights
        self.how = how
        matrices = {n for n, w in weights.items() if how.name == "muon" and _is_hidden_matrix(n, w)}
        self._muon = {n: torch.zeros_like(weights[n]) for n in sorted(matrices)}
        self._adamw_names = [n for n in weights if n not in matrices]
        device = next(iter(weights.values())).device
        self._adamw = torch.optim.AdamW(
            [{"params": [weights[n]]} for n in self._adamw_names],
            lr=how.learning_rate,
            weight_decay=how.weight_decay,
            betas=how.betas,
            eps=how.epsilon,
            fused=device.type in ("cpu", "cuda"),
        )
        self.fixed = {} if fixed is None else fixed  # a rate set by hand comes before recipe and schedule
        self._slow: dict[str, Tensor] = {}
        self._brake = Brake(weights)

    def rates(self, step: int) -> tuple[float, float]:
        """Learning rate and weight decay of a step; the first step is number 0."""
        rate, decay = rates_of(self.how, step)
        return self.fixed.get("learning_rate", rate), self.fixed.get("weight_decay", decay)

    def decay_time(self, step: int) -> float:
        """In how many steps weight decay alone shrinks a weight by the factor e, at the rates of a step."""
        rate, decay = self.rates(step)
        return 1.0 / (rate * decay) if rate * decay > 0 else math.inf

    @torch.no_grad()
    def step(self, number: int) -> None:
        """Take step `number` with the gradients that the weights hold."""
        if self.how.grokfast:
            self._amplify_slow_part()
        if number < self.how.orthogonal_steps:
            for weight in self.weights.values():
                _orthogonalise(weight)
        rate, decay = self.rates(number)
        rates = self._braked(rate)
        for name, group in zip(self._adamw_names, self._adamw.param_groups, strict=True):
            share = self._share_of_update(self.weights[name]) if self.how.update_clipping else 1.0
            # AdamW multiplies the decay by the rate, and the decay is not to be clipped.
            group["lr"], group["weight_decay"] = rates.get(name, rate) * share, decay / share
        self._adamw.step()
        for name, momentum in self._muon.items():
            _muon_step(self.weights[name], momentum, rates.get(name, rate), decay)

    def _braked(self, rate: float) -> dict[str, float]:
        """The rate of each tensor where the brake works; empty where it does not."""
        if rate > self.how.brake_below:
            self._brake.release()
            return {}
        return {name: rate * share for name, share in self._brake.shares().items()}

    def _share_of_update(self, weight: Tensor) -> float:
        """1 / max(1, root mean square of gradient over its running root mean square)."""
        state, grad = self._adamw.state.get(weight), weight.grad
        if not state or grad is None:
            return 1.0
        beta = self.how.betas[1]
        square = grad.square()
        running = torch.lerp(state["exp_avg_sq"], square, 1 - beta)
        running.div_(1 - beta ** (float(state["step"]) + 1)).clamp_(min=self.how.epsilon**2)
        return 1.0 / max(1.0, float(square.div_(running).mean().sqrt()))

    def _amplify_slow_part(self) -> None:
        decay = self.how.grokfast_decay
        for name, weight in self.weights.items():
            assert weight.grad is not None
            slow = self._slow.setdefault(name, weight.grad.clone())
            slow.lerp_(weight.grad, 1 - decay)
            weight.grad.add_(slow, alpha=self.how.grokfast)

    def state(self) -> dict[str, Tensor]:
        """All that has to be kept to go on bit-identically."""
        kept = {f"muon.{name}": momentum for name, momentum in self._muon.items()}
        kept |= {f"slow.{name}": slow for name, slow in self._slow.items()}
        kept |= {f"brake.{name}": value for name, value in self._brake.state().items()}
        for i, state in self._adamw.state_dict()["state"].items():
            kept |= {f"adamw.{key}.{self._adamw_names[i]}": value for key, value in state.items()}
        return {name: value.detach().clone() for name, value in kept.items()}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Take back what `state` gave."""
        moments: dict[int, dict[str, Any]] = {}
        brake: dict[str, Tensor] = {}
        for name, value in state.items():
            kind, _, rest = name.partition(".")
            if kind == "muon":
                self._muon[rest].copy_(value)
            elif kind == "slow":
                self._slow[rest] = value.to(self.weights[rest].device, copy=True)
            elif kind == "brake":
                brake[rest] = value
            else:
                key, _, weight = rest.partition(".")
                moments.setdefault(self._adamw_names.index(weight), {})[key] = value.clone()
        self._brake.restore(brake)
        whole = self._adamw.state_dict()
        self._adamw.load_state_dict({**whole, "state": moments})


def _is_hidden_matrix(name: str, weight: Tensor) -> bool:
    return name.startswith("blocks.") and weight.ndim >= 2 and ".b_" not in name


def _orthogonalise(weight: Tensor) -> None:
    """Remove the gradient's part along the weight and restore its norm (Prieto et al. 2025)."""
    grad = weight.grad
    assert grad is not None
    norm = grad.norm()
    grad.sub_(weight, alpha=float((weight * grad).sum() / (weight.square().sum() + 1e-30)))
    grad.mul_(norm / (grad.norm() + 1e-30))


def _muon_step(weight: Tensor, momentum: Tensor, rate: float, decay: float) -> None:
    """Momentum with its singular values made about equal by a quintic iteration (Jordan et al. 2024)."""
    grad = weight.grad
    assert grad is not None
    momentum.mul_(0.95).add_(grad)
    x = grad + 0.95 * momentum
    tall = x.shape[-2] > x.shape[-1]
    x = x.mT if tall else x
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(5):
        square = x @ x.mT
        x = 3.4445 * x + (-4.7750 * square + 2.0315 * square @ square) @ x
    x = x.mT if tall else x
    weight.mul_(1 - rate * decay)
    weight.add_(x, alpha=-rate * max(1.0, x.shape[-2] / x.shape[-1]) ** 0.5)
