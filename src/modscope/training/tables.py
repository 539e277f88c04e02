"""The network on pairs, as tables over tokens: the exact rewriting that makes full-batch training fast.

Logits are read at one position, and everything between the softmax and the ReLU is linear. So each head's
value of a token can be carried through W_O, W_in and the skip path to W_U once per token, not once per
pair, and the row of a pair is

    u = base + sum_t weight_left[pair, t] left[t, a] + weight_right[pair, t] right[t, b]

whose first d_mlp columns are the pre-activations and whose other columns are the logits of the skip path:

    logits = skip + relu(pre) C,    C = W_out W_U.

Two identities take more arithmetic away. Softmax does not see a constant, so logits are relative to the
last answer (one column less). relu(x) = x + relu(-x), so a neuron that is active on most pairs can be
stored with its sign turned: its linear part joins the skip path, and the rest is mostly zero.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from modscope.model import PairMLPConfig, TransformerConfig
from modscope.task import ModularTask

__all__ = ["PairTables", "Pairs", "pair_tables"]

Weights = Mapping[str, Tensor]


@dataclass(frozen=True)
class Pairs:
    """The examples: token a, token b and label of each pair, int64[pair]."""

    a: Tensor
    b: Tensor
    labels: Tensor

    @classmethod
    def of(cls, task: ModularTask, mask: np.ndarray) -> Pairs:
        """The pairs where mask[a, b] is true, a major, with the task's labels.

        >>> task = ModularTask(5)
        >>> len(Pairs.of(task, task.train_mask))
        7
        """
        a, b = np.nonzero(mask)
        return cls(torch.from_numpy(a), torch.from_numpy(b), torch.from_numpy(task.labels[mask]))

    def tiled(self, size: int = 14) -> Pairs:
        """The same pairs in tiles of size x size tokens: neighbours share rows of the tables."""
        order = torch.from_numpy(np.lexsort((self.b, self.a, self.b // size, self.a // size)))
        return Pairs(self.a[order], self.b[order], self.labels[order])

    def __len__(self) -> int:
        return len(self.labels)

    def to(self, device: torch.device) -> Pairs:
        """The same pairs on another device."""
        return Pairs(self.a.to(device), self.b.to(device), self.labels.to(device))


@dataclass(frozen=True)
class PairTables:
    """All that a pair's logits are made of, differentiable with respect to the weights.

    base [column], left and right [term, token, column], weights_left and weights_right [pair, term], C
    [neuron, answer - 1]; columns are the d_mlp pre-activations, then answers - 1 relative logits.
    """

    base: Tensor
    left: Tensor
    right: Tensor
    weights_left: Tensor
    weights_right: Tensor
    C: Tensor

    def tensors(self) -> tuple[Tensor, ...]:
        """The six arrays in the order of the fields."""
        return (self.base, self.left, self.right, self.weights_left, self.weights_right, self.C)


def pair_tables(
    weights: Weights, config: TransformerConfig | PairMLPConfig, pairs: Pairs, *, turned: Tensor | None = None
) -> PairTables:
    """Tables of a network from its weights (full names).

    turned: 0/1 for each neuron, 1 where the sign of the pre-activation is turned (ReLU networks only).
    """
    short = {name.split(".")[-1]: value for name, value in weights.items()}
    if isinstance(config, PairMLPConfig):
        return _mlp_tables(short, config, pairs, turned)
    return _transformer_tables(short, config, pairs, turned)


def _relative(W_U: Tensor) -> Tensor:
    return W_U[..., :-1] - W_U[..., -1:]


def _skip_path(short: Weights, turned: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
    """What the residual stream is multiplied with, [d_model, column], its bias [column], and C."""
    W_in, W_U = short["W_in"], _relative(short["W_U"])
    C = short["W_out"] @ W_U
    b_in = short.get("b_in", W_in.new_zeros(W_in.shape[1]))
    b_logits = _relative(short["b_U"]) if "b_U" in short else W_U.new_zeros(W_U.shape[1])
    if "b_out" in short:
        b_logits = b_logits + short["b_out"] @ W_U
    if turned is None:
        return torch.cat((W_in, W_U), 1), torch.cat((b_in, b_logits)), C
    sign = 1.0 - 2.0 * turned
    linear = turned[:, None] * C
    read = torch.cat((W_in * sign, torch.addmm(W_U, W_in, linear)), 1)
    return read, torch.cat((b_in * sign, b_logits + b_in @ linear)), C


def _transformer_tables(
    short: Weights, config: TransformerConfig, pairs: Pairs, turned: Tensor | None
) -> PairTables:
    p, heads = config.p, config.n_heads
    read, bias, C = _skip_path(short, turned)
    tokens = torch.cat((short["W_E"], short["W_pos"]))  # tokens and positions are rows of one linear map
    values = torch.einsum("td,hde->hte", tokens, short["W_V"])
    carried = values @ (short["W_O"].reshape(-1, config.d_model) @ read).reshape(heads, config.head_size, -1)
    offsets = carried[:, config.vocabulary :]
    if "b_V" in short:
        through = torch.einsum("he,hed->hd", short["b_V"], short["W_O"]) @ read
        offsets = offsets + through[:, None]
    left, right = carried[:, :p] + offsets[:, :1], carried[:, :p] + offsets[:, 1:2]
    if "b_O" in short:
        bias = bias + short["b_O"] @ read
    rate = config.attention_rate
    scores = _scores(short, config, pairs)
    if config.equals:
        last = (carried[:, p] + offsets[:, 2])[:, None]
        base = bias + (short["W_E"][p] + short["W_pos"][2]) @ read + last[:, 0].sum(0)
        pattern = rate * torch.softmax(scores, 1)
        terms = [(left - last, pattern[:, 0]), (right - last, pattern[:, 1])]
        constant = [(1 - rate) * left.sum(0), (1 - rate) * right.sum(0)] if rate != 1 else []
    else:
        base = bias
        to_a = rate * torch.sigmoid(scores[:, 0] - scores[:, 1])
        terms = [(left, to_a), (right, -to_a)]
        stream = (short["W_E"][:p] + short["W_pos"][1]) @ read
        constant = [(1 - rate) * left.sum(0), stream + right.sum(0)]
    return _joined(base, terms, constant, C)


def _joined(
    base: Tensor, terms: list[tuple[Tensor, Tensor]], constant: list[Tensor], C: Tensor
) -> PairTables:
    """Tables with the terms of weight one appended to those of the heads."""
    (left, weights_left), (right, weights_right) = terms
    if constant:
        ones = weights_left.new_ones(len(weights_left), 1)
        left, right = torch.cat((left, constant[0][None])), torch.cat((right, constant[1][None]))
        weights_left, weights_right = torch.cat((weights_left, ones), 1), torch.cat((weights_right, ones), 1)
    return PairTables(base, left, right, weights_left, weights_right, C)


def _scores(short: Weights, config: TransformerConfig, pairs: Pairs) -> Tensor:
    """Attention scores of the read position, [pair, key position, head]."""
    p, heads, size = config.p, config.n_heads, config.head_size
    W_E, W_pos = short["W_E"], short["W_pos"]
    b_Q = short.get("b_Q", W_E.new_zeros(heads, size))
    b_K = short.get("b_K", W_E.new_zeros(heads, size))
    if config.equals:
        q = torch.einsum("d,hde->he", W_E[p] + W_pos[2], short["W_Q"]) + b_Q
        key = torch.einsum("he,hde->dh", q, short["W_K"]) / size**0.5
        constant = (q * b_K).sum(1) / size**0.5
        tokens, positions = W_E @ key, W_pos @ key + constant
        last = (tokens[p] + positions[2]).expand(len(pairs), heads)
        table = torch.cat((tokens[:p] + positions[0], tokens[:p] + positions[1]), 1)
        return torch.stack((table[pairs.a, :heads], table[pairs.b, heads:], last), 1)
    q = torch.einsum("td,hde->hte", W_E + W_pos[1], short["W_Q"]) + b_Q[:, None]
    keys = [torch.einsum("td,hde->hte", W_E + W_pos[i], short["W_K"]) + b_K[:, None] for i in (0, 1)]
    to_a = (keys[0] @ q.transpose(1, 2)).permute(1, 2, 0) / size**0.5
    to_b = (keys[1] * q).sum(2).T / size**0.5
    return torch.stack((to_a[pairs.a, pairs.b], to_b[pairs.b]), 1)


def _mlp_tables(short: Weights, config: PairMLPConfig, pairs: Pairs, turned: Tensor | None) -> PairTables:
    left, right = short["W_in_a"], short["W_in_b"]
    if config.d_embed is not None:
        left, right = short["W_E_a"] @ left, short["W_E_b"] @ right
    C = _relative(short["W_U"])
    base = short.get("b_in", left.new_zeros(config.d_hidden))
    skip = _relative(short["b_U"]) if "b_U" in short else C.new_zeros(C.shape[1])
    rows = [left, right, base[None]]
    if turned is None:
        rows = [torch.cat((row, row.new_zeros(len(row), C.shape[1])), 1) for row in rows]
    else:
        rows = [torch.cat((row * (1 - 2 * turned), row @ (turned[:, None] * C)), 1) for row in rows]
    ones = left.new_ones(len(pairs), 1)
    base = rows[2][0] + torch.cat((skip.new_zeros(config.d_hidden), skip))
    return PairTables(base, rows[0][None], rows[1][None], ones, ones, C)
