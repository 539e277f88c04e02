"""Somebody's own network: two layers with LayerNorm in torch.nn modules, trained here, and the same weights in modscope's."""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor, nn

from modscope.networks.layered import LayeredTransformer
from modscope.networks.layered_config import LayeredConfig
from modscope.task import ModularTask

P, D_MODEL, HEADS, D_HEAD, D_MLP = 11, 16, 2, 8, 32


class Block(nn.Module):
    """Attention with heads, then an MLP, each behind a LayerNorm."""

    def __init__(self) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(D_MODEL), nn.LayerNorm(D_MODEL)
        self.query, self.key, self.value = (nn.Linear(D_MODEL, HEADS * D_HEAD, bias=False) for _ in range(3))
        self.mix = nn.Identity()
        self.out = nn.Linear(HEADS * D_HEAD, D_MODEL, bias=False)
        self.up, self.act, self.down = nn.Linear(D_MODEL, D_MLP), nn.ReLU(), nn.Linear(D_MLP, D_MODEL)
        self.end = nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        batch, length, _ = x.shape
        y = self.norm1(x)
        q, k, v = (
            f(y).reshape(batch, length, HEADS, D_HEAD).transpose(1, 2)
            for f in (self.query, self.key, self.value)
        )
        scores = (q @ k.transpose(-1, -2) / D_HEAD**0.5).masked_fill(
            torch.ones(length, length).triu(1).bool(), float("-inf")
        )
        mixed = self.mix(scores.softmax(-1)) @ v
        x = x + self.out(mixed.transpose(1, 2).reshape(batch, length, -1))
        return self.end(x + self.down(self.act(self.up(self.norm2(x)))))


class OwnNetwork(nn.Module):
    """Reads (a, b, "="), "=" being token p, and gives logits at every position."""

    def __init__(self) -> None:
        super().__init__()
        self.tokens, self.places = nn.Embedding(P + 1, D_MODEL), nn.Embedding(3, D_MODEL)
        self.blocks = nn.ModuleList([Block(), Block()])
        self.norm, self.head = nn.LayerNorm(D_MODEL), nn.Linear(D_MODEL, P, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        y = self.tokens(x) + self.places.weight
        for block in self.blocks:
            y = block(y)
        return self.head(self.norm(y))


@cache
def trained() -> OwnNetwork:
    """The network after some hundred steps on all pairs: seconds."""
    torch.manual_seed(0)
    net, task = OwnNetwork(), ModularTask(P)
    with torch.no_grad():
        for parameter in net.parameters():
            if parameter.ndim > 1:
                parameter.mul_(0.5)
    tokens, labels = torch.from_numpy(task.tokens()), torch.from_numpy(task.labels.reshape(-1))
    optimiser = torch.optim.AdamW(net.parameters(), lr=1e-2, weight_decay=0.5)
    for _ in range(STEPS):
        optimiser.zero_grad()
        nn.functional.cross_entropy(net(tokens)[:, -1], labels).backward()
        optimiser.step()
    return net


STEPS = 120


def in_own_words(net: OwnNetwork) -> LayeredTransformer:
    """The same weights as a network of modscope's."""
    weights: dict[str, Tensor] = {
        "embed.W_E": net.tokens.weight, "pos_embed.W_pos": net.places.weight, "unembed.W_U": net.head.weight.T,
        "ln_final.w": net.norm.weight, "ln_final.b": net.norm.bias,
    }  # fmt: skip
    for i, block in enumerate(net.blocks):
        for name, linear in (("Q", block.query), ("K", block.key), ("V", block.value)):
            weights[f"blocks.{i}.attn.W_{name}"] = linear.weight.reshape(HEADS, D_HEAD, D_MODEL).transpose(
                1, 2
            )
        weights |= {
            f"blocks.{i}.attn.W_O": block.out.weight.T.reshape(HEADS, D_HEAD, D_MODEL),
            f"blocks.{i}.mlp.W_in": block.up.weight.T, f"blocks.{i}.mlp.b_in": block.up.bias,
            f"blocks.{i}.mlp.W_out": block.down.weight.T, f"blocks.{i}.mlp.b_out": block.down.bias,
            f"blocks.{i}.ln1.w": block.norm1.weight, f"blocks.{i}.ln1.b": block.norm1.bias,
            f"blocks.{i}.ln2.w": block.norm2.weight, f"blocks.{i}.ln2.b": block.norm2.bias,
        }  # fmt: skip
    config = LayeredConfig(
        P,
        n_layers=2,
        d_model=D_MODEL,
        n_heads=HEADS,
        d_head=D_HEAD,
        d_mlp=D_MLP,
        norm="layer",
        norm_weights=("w", "b"),
    )
    return LayeredTransformer(config, {name: weight.detach().clone() for name, weight in weights.items()})
