"""Losses and gradients of many networks at once, from the same tables as the plain engine."""

from __future__ import annotations

from collections.abc import Mapping
from typing import final

import torch
from torch import Tensor

from modscope.errors import InputError
from modscope.model import TransformerConfig
from modscope.training.engine import Batch, Config, Engine
from modscope.training.many.pairs import ManyPairs, bag_rows, cell_rows
from modscope.training.recipe import Optimiser
from modscope.training.tables import Pairs, pair_tables

__all__ = ["ManyEngine", "obstacle"]

Stack = Mapping[str, Tensor]  # weights by full name, the network as first axis


def obstacle(config: Config, how: Optimiser) -> str:
    """Why networks of this kind cannot be trained many at once; empty if they can."""
    if type(config) is not TransformerConfig:
        return f"it knows the one-layer transformer, not {type(config).__name__}"
    if config.activation != "relu":
        return f"it knows ReLU, not {config.activation}"
    asked = {
        "optimiser.name": how.name != "adamw" and how.name,
        "optimiser.loss": how.loss != "cross_entropy" and how.loss,
        "optimiser.batch": how.batch,
        "optimiser.orthogonal_steps": how.orthogonal_steps,
        "optimiser.grokfast": how.grokfast,
    }
    for name, value in asked.items():
        if value:
            return f"it does not know {name} = {value}"
    return ""


@final
class ManyEngine(Engine):
    """PyTorch's own differentiation of networks in a stack; for one network it is the plain engine in other words."""

    name = "many"

    def __init__(self, config: Config) -> None:
        if why := obstacle(config, Optimiser()):
            raise InputError(f"the many engine cannot train this network: {why}; use engine plain")
        assert isinstance(config, TransformerConfig)  # `obstacle` has named what the others lack
        self.config = self._config = config

    def logits(self, stack: Stack, pairs: ManyPairs) -> Tensor:
        """Logits [network, pair, answer] relative to those of the last answer."""

        def tables(weights: dict[str, Tensor], a: Tensor, b: Tensor, labels: Tensor) -> tuple[Tensor, ...]:
            return pair_tables(weights, self._config, Pairs(a, b, labels)).tensors()

        made = torch.func.vmap(tables)(dict(stack), pairs.a, pairs.b, pairs.labels)
        base, left, right, w_left, w_right, C = made
        rows = cell_rows if pairs.cells is not None else bag_rows
        u = rows(base, left, right, w_left, w_right, pairs)
        neurons = C.shape[1]
        logits = torch.baddbmm(u[..., neurons:], torch.relu(u[..., :neurons]), C)
        return torch.nn.functional.pad(logits, (0, 1))

    def losses(self, stack: Stack, pairs: ManyPairs) -> tuple[Tensor, Tensor]:
        """Mean loss over the pairs and share answered rightly, each [network]."""
        logits = self.logits(stack, pairs)
        labels = pairs.labels[..., None]
        gap = logits - logits.gather(2, labels)
        others = gap.scatter(2, labels, -torch.inf)
        loss = torch.nn.functional.softplus(torch.logsumexp(others, 2)).mean(1)
        right = (others.detach().amax(2) < 0).float().mean(1)
        return loss, right

    def gradients_of(self, stack: Stack, pairs: ManyPairs) -> tuple[dict[str, Tensor], Tensor, Tensor]:
        """The gradient of each network's mean loss by name, the losses, and the shares answered rightly."""
        with torch.enable_grad():
            leaves = {name: weight.detach().requires_grad_() for name, weight in stack.items()}
            loss, right = self.losses(leaves, pairs)
            # A network's loss depends on its own weights alone, so the sum's gradient is each one's.
            found = torch.autograd.grad(loss.sum(), list(leaves.values()), allow_unused=True)
        grads = {
            name: torch.zeros_like(stack[name]) if grad is None else grad
            for name, grad in zip(leaves, found, strict=True)
        }
        return grads, loss.detach(), right

    def gradients(self, weights: Mapping[str, Tensor], pairs: Pairs) -> Batch:
        alone = {name: weight.detach()[None] for name, weight in weights.items()}
        grads, loss, right = self.gradients_of(alone, _alone(pairs))
        for name, weight in weights.items():
            weight.grad = grads[name][0]
        return Batch(loss.item(), right.item())

    @torch.no_grad()
    def scores(self, weights: Mapping[str, Tensor], pairs: Pairs) -> Batch:
        loss, right = self.losses({name: weight[None] for name, weight in weights.items()}, _alone(pairs))
        return Batch(loss.item(), right.item())


def _alone(pairs: Pairs) -> ManyPairs:
    return ManyPairs(pairs.a[None], pairs.b[None], pairs.labels[None])
