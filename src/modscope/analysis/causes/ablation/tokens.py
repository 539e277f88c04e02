"""Ablations of the embedding: some tokens take each other's places."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import torch

from modscope.activations import Activations
from modscope.analysis.causes.ablation.trial import Ablation, ChangedNetwork
from modscope.model import Network
from modscope.networks.tokens import with_residue_rows

__all__ = ["permuted_embeddings", "token_ablations"]

_SAME_SIZE = "the same tokens moved as far in random directions"


def token_ablations(acts: Activations, *, seed: int = 0) -> Iterator[Ablation]:
    """The embeddings of 2, of a tenth, and of all tokens, drawn at random, passed on in a circle.

    Both positions read the permuted tokens alike, so a network that is even in a and b stays so, while the
    answer is lost.
    """
    p = acts.task.p
    for count in sorted({2, max(2, p // 10), p}):
        tokens = np.random.default_rng(seed).permutation(p)[:count]
        yield Ablation(
            f"embeddings-permuted/n={count}",
            f"the embeddings of {count} random tokens passed on in a circle",
            _SAME_SIZE,
            _start(acts, tokens),
        )


def permuted_embeddings(network: Network, tokens: np.ndarray) -> Network:
    """The network in which each of some tokens has the embedding of the next of them."""
    order = torch.as_tensor(tokens)
    return with_residue_rows(network, lambda rows: _assigned(rows, order, rows[order.roll(-1)]))


def _start(acts: Activations, tokens: np.ndarray) -> Callable[[], ChangedNetwork]:
    order = torch.as_tensor(tokens)

    def moved(generator: np.random.Generator) -> Network:
        def move(rows: torch.Tensor) -> torch.Tensor:
            far = torch.linalg.vector_norm(rows[order.roll(-1)] - rows[order], dim=-1, keepdim=True)
            way = torch.as_tensor(generator.standard_normal((len(order), rows.shape[1])), dtype=rows.dtype)
            return _assigned(rows, order, rows[order] + far * torch.nn.functional.normalize(way, dim=-1))

        return with_residue_rows(acts.model, move)

    return lambda: ChangedNetwork(acts, permuted_embeddings(acts.model, tokens), moved)


def _assigned(rows: torch.Tensor, order: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
    rows = rows.clone()
    rows[order] = values
    return rows
