"""A residual stream in named slots, and the heads and neurons that read one and write another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch

from modscope.model import Transformer, TransformerConfig

__all__ = ["Stream"]

_FAR = 60.0  # a score that softmax turns into 0


@dataclass
class Stream:
    """The residual stream as named slots, and the heads and neurons that read and write them."""

    p: int
    equals: bool
    slots: dict[str, slice] = field(default_factory=dict)
    width: int = 0
    heads: list[dict[str, np.ndarray]] = field(default_factory=list)
    neurons: list[tuple[np.ndarray, float, np.ndarray]] = field(default_factory=list)

    def add(self, name: str, size: int) -> None:
        self.slots[name] = slice(self.width, self.width + size)
        self.width += size

    def vector(self, name: str, values: np.ndarray | float) -> np.ndarray:
        v = np.zeros(self.width)
        v[self.slots[name]] = values
        return v

    def unit(self, name: str, i: int) -> np.ndarray:
        return np.eye(self.width)[self.slots[name].start + i]

    def flag(self, pos: str) -> np.ndarray:
        return self.unit("flags", ("a", "b", "=").index(pos))

    def head(
        self, score: Sequence[tuple[np.ndarray, np.ndarray]], move: Sequence[tuple[np.ndarray, np.ndarray]]
    ) -> None:
        """score: (read by the query, read by the key) pairs, summed; move: (read, written) pairs."""
        self.heads.append({"score": np.array(score).reshape(-1, 2, self.width), "move": np.array(move)})

    def only(self, pos: str, size: float = _FAR) -> tuple[np.ndarray, np.ndarray]:
        """The score that lets the reader see one position alone."""
        return size * self.reader(), self.flag(pos)

    def not_equals(self) -> tuple[np.ndarray, np.ndarray]:
        """The score that hides "=" from the reader."""
        return -_FAR * self.reader(), self.flag("=")

    def reader(self) -> np.ndarray:
        return self.flag("=" if self.equals else "b")

    def neuron(self, read: np.ndarray, bias: float, write: np.ndarray) -> None:
        self.neurons.append((read, bias, write))

    def network(self, tokens: np.ndarray, unembedding: np.ndarray) -> Transformer:
        """tokens [p, width], unembedding [width, p]."""
        positions = 3 if self.equals else 2
        d_head = max(max(len(h["score"]), len(h["move"])) for h in self.heads)
        config = TransformerConfig(
            self.p, d_model=self.width, n_heads=len(self.heads), d_head=d_head, d_mlp=max(1, len(self.neurons)),
            equals=self.equals, causal=self.equals,
        )  # fmt: skip
        w = {name: torch.zeros(shape, dtype=torch.float64) for name, shape in config.shapes().items()}
        w["embed.W_E"][: self.p] = torch.from_numpy(tokens)
        for i, pos in enumerate(("a", "b", "=")[:positions]):
            w["pos_embed.W_pos"][i] = torch.from_numpy(self.flag(pos))
        for h, head in enumerate(self.heads):
            for i, (query, key) in enumerate(head["score"]):
                w["blocks.0.attn.W_Q"][h, :, i] = torch.from_numpy(query) * d_head**0.5
                w["blocks.0.attn.W_K"][h, :, i] = torch.from_numpy(key)
            for i, (read, written) in enumerate(head["move"]):
                w["blocks.0.attn.W_V"][h, :, i] = torch.from_numpy(read)
                w["blocks.0.attn.W_O"][h, i] = torch.from_numpy(written)
        for n, (read, bias, write) in enumerate(self.neurons):
            w["blocks.0.mlp.W_in"][:, n] = torch.from_numpy(read)
            w["blocks.0.mlp.b_in"][n] = bias
            w["blocks.0.mlp.W_out"][n] = torch.from_numpy(write)
        w["unembed.W_U"] = torch.from_numpy(unembedding)
        return Transformer(config, w)
