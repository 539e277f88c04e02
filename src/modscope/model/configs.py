"""The switches of the two families of networks, and the shapes of their weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from modscope.model.switches import (
    ACTIVATIONS,
    TwoTokens,
    WithHeads,
    check_activation,
    check_rate,
    check_whole,
    checked_names,
    freeze,
    head_width,
)
from modscope.residues import modulus

__all__ = ["ACTIVATIONS", "Config", "PairMLPConfig", "TransformerConfig"]


@dataclass(frozen=True)
class TransformerConfig(WithHeads):
    """The switches of the one-layer transformer.

    equals: the input is (a, b, "=") and the answer is read at "="; otherwise (a, b), read at b.
    causal: a position sees itself and earlier ones; otherwise every position sees all.
    attention_rate: the pattern is rate * softmax + (1 - rate), so 0 is constant attention (Zhong et al. 2023).
    biases: which of b_Q b_K b_V b_O b_in b_out b_U the network has.

    >>> TransformerConfig(113).d_head, TransformerConfig(113).vocabulary, TransformerConfig(113).positions
    (32, 114, ('a', 'b', '='))
    """

    p: int
    d_model: int = 128
    n_heads: int = 4
    d_head: int | None = None
    d_mlp: int = 512
    equals: bool = True
    causal: bool = True
    attention_rate: float = 1.0
    activation: str = "relu"
    d_vocab_out: int | None = None
    biases: tuple[str, ...] = ("b_in", "b_out")

    def __post_init__(self) -> None:
        check_whole(self, d_model=self.d_model, n_heads=self.n_heads, d_mlp=self.d_mlp)
        freeze(
            self,
            p=modulus(self.p),
            d_head=head_width(self.d_model, self.n_heads, self.d_head),
            biases=checked_names("bias", self.biases, _BIASES),
        )
        if self.d_vocab_out is None:
            freeze(self, d_vocab_out=self.p)
        check_whole(self, d_head=self.head_size, d_vocab_out=self.answers)
        check_rate(self.attention_rate)
        check_activation(self.activation)

    @property
    def vocabulary(self) -> int:
        """The number of tokens: the residues, and "=" if the network has it."""
        return self.p + self.equals

    @property
    def positions(self) -> tuple[str, ...]:
        """The names of the input positions; the last one is where the answer is read."""
        return ("a", "b", "=") if self.equals else ("a", "b")

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of every weight, by its full name, in the order of the forward pass."""
        d, h, m, f = self.d_model, self.n_heads, self.head_size, self.d_mlp
        every = {
            "embed.W_E": (self.vocabulary, d),
            "pos_embed.W_pos": (len(self.positions), d),
            "blocks.0.attn.W_Q": (h, d, m),
            "blocks.0.attn.b_Q": (h, m),
            "blocks.0.attn.W_K": (h, d, m),
            "blocks.0.attn.b_K": (h, m),
            "blocks.0.attn.W_V": (h, d, m),
            "blocks.0.attn.b_V": (h, m),
            "blocks.0.attn.W_O": (h, m, d),
            "blocks.0.attn.b_O": (d,),
            "blocks.0.mlp.W_in": (d, f),
            "blocks.0.mlp.b_in": (f,),
            "blocks.0.mlp.W_out": (f, d),
            "blocks.0.mlp.b_out": (d,),
            "unembed.W_U": (d, self.answers),
            "unembed.b_U": (self.answers,),
        }
        return {
            name: shape
            for name, shape in every.items()
            if "b_" not in (short := name.split(".")[-1]) or short in self.biases
        }


_BIASES = ("b_Q", "b_K", "b_V", "b_O", "b_in", "b_out", "b_U")


@dataclass(frozen=True)
class PairMLPConfig(TwoTokens):
    """The switches of the MLP-only family: two tokens -> hidden -> logits, no attention.

    d_embed None: each token is one-hot, so the hidden layer reads one row of W_in per position.
    Otherwise each position has its own embedding of that width (Chughtai et al. 2023).

    >>> PairMLPConfig(59, d_hidden=64).shapes()["mlp.W_in_a"]
    (59, 64)
    """

    p: int
    d_hidden: int = 128
    d_embed: int | None = None
    activation: str = "relu"
    d_vocab_out: int | None = None
    biases: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        freeze(self, p=modulus(self.p), biases=checked_names("bias", self.biases, ("b_in", "b_U")))
        if self.d_vocab_out is None:
            freeze(self, d_vocab_out=self.p)
        check_whole(self, d_hidden=self.d_hidden, d_vocab_out=self.answers)
        if self.d_embed is not None:
            check_whole(self, d_embed=self.d_embed)
        check_activation(self.activation)

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of every weight, by its full name."""
        width = self.p if self.d_embed is None else self.d_embed
        shapes: dict[str, tuple[int, ...]] = {}
        if self.d_embed is not None:
            shapes |= {"embed.W_E_a": (self.p, width), "embed.W_E_b": (self.p, width)}
        shapes |= {"mlp.W_in_a": (width, self.d_hidden), "mlp.W_in_b": (width, self.d_hidden)}
        if "b_in" in self.biases:
            shapes["mlp.b_in"] = (self.d_hidden,)
        shapes["unembed.W_U"] = (self.d_hidden, self.answers)
        if "b_U" in self.biases:
            shapes["unembed.b_U"] = (self.answers,)
        return shapes


class Config(Protocol):
    """What the config of every network says."""

    @property
    def p(self) -> int: ...
    @property
    def answers(self) -> int: ...
    @property
    def equals(self) -> bool: ...
    @property
    def positions(self) -> tuple[str, ...]: ...
    @property
    def activation(self) -> str: ...
    def shapes(self) -> dict[str, tuple[int, ...]]: ...
