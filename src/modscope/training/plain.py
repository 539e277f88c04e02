"""Logits of pairs in plain PyTorch, differentiable, on any device, and the losses that can be trained on."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from modscope.model import ACTIVATIONS, PairMLPConfig, TransformerConfig
from modscope.training.tables import Pairs

__all__ = ["LOSSES", "pair_logits"]

Weights = Mapping[str, Tensor]


def pair_logits(weights: Weights, config: TransformerConfig | PairMLPConfig, pairs: Pairs) -> Tensor:
    """Logits [pair, answer] from the weights (full names), computed at the read position only.

    Queries, keys and values are tables over tokens: only their softmax-weighted sum is per pair, and W_out W_U
    is one matrix.
    """
    short = {name.split(".")[-1]: value for name, value in weights.items()}
    activation = ACTIVATIONS[config.activation]
    if isinstance(config, PairMLPConfig):
        left, right = short["W_in_a"], short["W_in_b"]
        if config.d_embed is not None:
            left, right = short["W_E_a"] @ left, short["W_E_b"] @ right
        pre = left[pairs.a] + right[pairs.b]
        return _plus(activation(_plus(pre, short, "b_in")) @ short["W_U"], short, "b_U")
    resid_mid, W_U = _resid_mid(short, config, pairs), short["W_U"]
    zeros = W_U.new_zeros(1)
    pre = torch.addmm(short.get("b_in", zeros), resid_mid, short["W_in"])
    # In place: an array of pairs x d_mlp less to fill.
    post = torch.relu_(pre) if config.activation == "relu" else activation(pre)
    constant = short.get("b_U", zeros) + short["b_out"] @ W_U if "b_out" in short else short.get("b_U", zeros)
    return torch.addmm(torch.addmm(constant, resid_mid, W_U), post, short["W_out"] @ W_U)


def _plus(x: Tensor, short: Weights, bias: str) -> Tensor:
    return x + short[bias] if bias in short else x


def _resid_mid(short: Weights, config: TransformerConfig, pairs: Pairs) -> Tensor:
    """The residual stream after attention, [pair, d_model]."""
    p = config.p
    position = short["W_pos"]
    streams = [short["W_E"][:p] + position[0], short["W_E"][:p] + position[1]]
    at = [pairs.a, pairs.b]
    if config.equals:
        streams.append((short["W_E"][p] + position[2])[None])
        at.append(torch.zeros_like(pairs.a))
    q, k, v = (
        [_plus(torch.einsum("td,hde->the", x, short[f"W_{n}"]), short, f"b_{n}") for x in streams]
        for n in "QKV"
    )
    tables = [torch.einsum("the,she->tsh", q[-1], keys) / config.head_size**0.5 for keys in k]
    scores = torch.stack([table[at[-1], tokens] for table, tokens in zip(tables, at, strict=True)], 1)
    pattern = config.attention_rate * torch.softmax(scores, 1) + (1 - config.attention_rate)
    z = _weighted_sums(pattern, v, at)
    out = _plus(z @ short["W_O"].flatten(0, 1), short, "b_O")
    return out + streams[-1][at[-1]]


def _weighted_sums(pattern: Tensor, values: list[Tensor], at: list[Tensor]) -> Tensor:
    """Sum over key positions of pattern [pair, position, head] times the values there, [pair, head * d_head]."""
    heads, size = values[0].shape[1:]
    sizes = torch.tensor([0, *(len(table) for table in values[:-1])])
    starts = sizes.cumsum(0).to(pattern.device)
    rows = torch.stack(at, 1) + starts
    every = (rows[:, None] * heads + torch.arange(heads, device=rows.device)[:, None]).flatten(0, 1)
    table = torch.cat(values).flatten(0, 1)
    shares = pattern.transpose(1, 2).flatten(0, 1)
    bags = torch.nn.functional.embedding_bag(every, table, mode="sum", per_sample_weights=shares)
    return bags.reshape(len(rows), heads * size)


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
