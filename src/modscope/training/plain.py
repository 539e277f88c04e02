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

    Queries, keys and values are tables over tokens: only their softmax-weighted sum is per pair.
    """
    short = {name.split(".")[-1]: value for name, value in weights.items()}
    activation = ACTIVATIONS[config.activation]
    if isinstance(config, PairMLPConfig):
        left, right = short["W_in_a"], short["W_in_b"]
        if config.d_embed is not None:
            left, right = short["W_E_a"] @ left, short["W_E_b"] @ right
        pre = left[pairs.a] + right[pairs.b]
        return _plus(activation(_plus(pre, short, "b_in")) @ short["W_U"], short, "b_U")
    resid_mid = _resid_mid(short, config, pairs)
    post = activation(_plus(resid_mid @ short["W_in"], short, "b_in"))
    resid_post = _plus(resid_mid + post @ short["W_out"], short, "b_out")
    return _plus(resid_post @ short["W_U"], short, "b_U")


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
    z = sum(pattern[:, i, :, None] * v[i][at[i]] for i in range(len(at)))
    assert isinstance(z, Tensor)
    out = _plus(z.flatten(1) @ short["W_O"].flatten(0, 1), short, "b_O")
    return out + streams[-1][at[-1]]


def _cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Mean cross-entropy; in float64 where the device has it, for a loss of 1e-8 is a difference of logits."""
    exact = logits.float() if logits.device.type == "mps" else logits.double()
    return torch.nn.functional.cross_entropy(exact, labels)


def _stablemax(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy with s(x) = x + 1 for x >= 0, 1/(1 - x) for x < 0 in the place of exp (Prieto et al. 2025)."""
    exact = logits.float() if logits.device.type == "mps" else logits.double()
    s = torch.where(exact < 0, 1 / (1 - exact.clamp(max=0)), exact.clamp(min=0) + 1)
    return (s.sum(1).log() - s.gather(1, labels[:, None])[:, 0].log()).mean()


LOSSES: Mapping[str, Callable[[Tensor, Tensor], Tensor]] = {
    "cross_entropy": _cross_entropy,
    "stablemax": _stablemax,
}
