"""The switches of the two families of networks, and the shapes of their weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from modscope.errors import InputError, UnknownName, shown
from modscope.residues import modulus

__all__ = ["ACTIVATIONS", "Config", "PairMLPConfig", "TransformerConfig"]

ACTIVATIONS: Mapping[str, Callable[[Tensor], Tensor]] = {
    "relu": torch.relu,
    "gelu": torch.nn.functional.gelu,
    "quadratic": torch.square,
    "silu": torch.nn.functional.silu,
    "tanh": torch.tanh,
    "gelu_tanh": lambda x: torch.nn.functional.gelu(x, approximate="tanh"),
    "identity": lambda x: x,
}


def _check_sizes(config: object, **sizes: int) -> None:
    for name, size in sizes.items():
        if not isinstance(size, int) or isinstance(size, bool) or size < 1:
            raise InputError(f"{type(config).__name__}: {name} = {size!r}: expected a positive integer")


def _names(given: object) -> tuple[str, ...]:
    if not isinstance(given, tuple | list) or not all(isinstance(name, str) for name in given):
        raise InputError(f"biases {shown(given)}: expected names such as ('b_in', 'b_out')")
    return tuple(given)


def _check_activation(name: str) -> None:
    if not isinstance(name, str) or name not in ACTIVATIONS:
        raise UnknownName.of("activation function", name, ACTIVATIONS)


@dataclass(frozen=True)
class TransformerConfig:
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
        object.__setattr__(self, "p", modulus(self.p))
        _check_sizes(self, d_model=self.d_model, n_heads=self.n_heads, d_mlp=self.d_mlp)
        if self.d_head is None:
            if self.d_model % self.n_heads:
                raise InputError(
                    f"d_model = {self.d_model} is not divisible by n_heads = {self.n_heads}: give d_head, or change one"
                )
            object.__setattr__(self, "d_head", self.d_model // self.n_heads)
        if self.d_vocab_out is None:
            object.__setattr__(self, "d_vocab_out", self.p)
        _check_sizes(self, d_head=self.head_size, d_vocab_out=self.answers)
        if not isinstance(self.attention_rate, int | float) or not 0.0 <= self.attention_rate <= 1.0:
            raise InputError(f"attention rate {shown(self.attention_rate)}: expected a number from 0 to 1")
        _check_activation(self.activation)
        object.__setattr__(self, "biases", _names(self.biases))
        for name in self.biases:
            if name not in _BIASES:
                raise UnknownName.of("bias", name, _BIASES)

    @property
    def head_size(self) -> int:
        """d_head as an int."""
        assert self.d_head is not None
        return self.d_head

    @property
    def answers(self) -> int:
        """The number of logits."""
        assert self.d_vocab_out is not None
        return self.d_vocab_out

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
class PairMLPConfig:
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
        object.__setattr__(self, "p", modulus(self.p))
        if self.d_vocab_out is None:
            object.__setattr__(self, "d_vocab_out", self.p)
        _check_sizes(self, d_hidden=self.d_hidden, d_vocab_out=self.answers)
        if self.d_embed is not None:
            _check_sizes(self, d_embed=self.d_embed)
        _check_activation(self.activation)
        object.__setattr__(self, "biases", _names(self.biases))
        for name in self.biases:
            if name not in ("b_in", "b_U"):
                raise UnknownName.of("bias", name, ("b_in", "b_U"))

    @property
    def answers(self) -> int:
        """The number of logits."""
        assert self.d_vocab_out is not None
        return self.d_vocab_out

    @property
    def equals(self) -> bool:
        """There is no token "="."""
        return False

    @property
    def positions(self) -> tuple[str, ...]:
        """The names of the input positions."""
        return ("a", "b")

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
