"""Logits of pairs in plain PyTorch, differentiable, on any device, and the losses that can be trained on."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from modscope.model import ACTIVATIONS, PairMLPConfig, TransformerConfig
from modscope.training.shapes import Config, module_logits
from modscope.training.tables import Pairs, PairTables, pair_tables

__all__ = ["LOSSES", "pair_logits"]

Weights = Mapping[str, Tensor]


def pair_logits(weights: Weights, config: Config, pairs: Pairs) -> Tensor:
    """Logits [pair, answer] from the weights (full names), up to a number for each pair.

    For one plain layer the same tables as the fast engine's, whole: no neuron is turned and none is passed over.
    Other networks run their own forward pass.
    """
    if not isinstance(config, TransformerConfig | PairMLPConfig):
        return module_logits(config, dict(weights), pairs.a, pairs.b)
    tables = pair_tables(weights, config, pairs)
    u = _rows(tables, pairs)
    pre, skip = u[:, : len(tables.C)], u[:, len(tables.C) :]
    logits = torch.addmm(skip, ACTIVATIONS[config.activation](pre), tables.C)
    return torch.nn.functional.pad(logits, (0, 1))


def _rows(tables: PairTables, pairs: Pairs) -> Tensor:
    """Row u of every pair: base plus its weighted rows of the tables, [pair, column]."""
    terms, tokens, _ = tables.left.shape
    starts = tokens * torch.arange(2 * terms, device=pairs.a.device)
    at = torch.stack((pairs.a, pairs.b), 1).repeat_interleave(terms, 1) + starts
    rows = torch.cat((tables.left, tables.right)).flatten(0, 1)
    shares = torch.cat((tables.weights_left, tables.weights_right), 1)
    summed = torch.nn.functional.embedding_bag(at, rows, mode="sum", per_sample_weights=shares)
    return summed + tables.base


def _cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Mean of log(1 + sum over j != y of exp(l_j - l_y)): in this form float32 keeps what float64 would.

    The usual form subtracts two numbers that agree in all digits when the loss is 1e-8.
    """
    gap = logits - logits.gather(1, labels[:, None])
    others = gap.scatter(1, labels[:, None], -torch.inf)
    return torch.nn.functional.softplus(torch.logsumexp(others, 1)).mean()


def _stablemax(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy with s(x) = x + 1 for x >= 0, 1/(1 - x) for x < 0 in the place of exp (Prieto et al. 2025)."""
    exact = logits.float() if logits.device.type == "mps" else logits.double()
    s = torch.where(exact < 0, 1 / (1 - exact.clamp(max=0)), exact.clamp(min=0) + 1)
    return (s.sum(1).log() - s.gather(1, labels[:, None])[:, 0].log()).mean()


LOSSES: Mapping[str, Callable[[Tensor, Tensor], Tensor]] = {
    "cross_entropy": _cross_entropy,
    "stablemax": _stablemax,
}
