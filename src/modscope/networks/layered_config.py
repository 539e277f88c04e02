"""The switches of layered transformers."""

from __future__ import annotations

from dataclasses import dataclass

from modscope.errors import InputError, UnknownName
from modscope.model.switches import (
    WithHeads,
    check_activation,
    check_rate,
    check_whole,
    checked_names,
    freeze,
    head_width,
)
from modscope.networks.parts import NORMS
from modscope.networks.templates import checked_sequence, position_names
from modscope.residues import modulus

__all__ = ["LayeredConfig"]

_BIASES = ("b_Q", "b_K", "b_V", "b_O", "b_gate", "b_in", "b_out", "b_U")
_MOST_LAYERS = 16


@dataclass(frozen=True)
class LayeredConfig(WithHeads):
    """The switches of a transformer of any depth, norm and sequence of tokens.

    sequence: what the network reads: "a", "b" and names of constants, such as ("a", "+", "b", "="); read: the
    position where the answer is read, the last if empty. constants: the tokens after the residues, in the order
    of their rows in W_E. separate: b has p rows of its own, after those of a. table: positions are rows of
    W_pos that are added; rotary: "" for none, "halves" or "neighbours", how features are paired; rotary_width: how many
    of each head's features turn (0: all).
    n_kv_heads: keys and values are shared by groups of heads. d_mlp 0: attention only. gated: the MLP multiplies
    activation(x W_gate) with x W_in. norm: "" for none, "layer" or "rms"; norm_after: after each sum with the
    stream, else before each part; norm_final: once more before the unembedding; norm_weights: "w", "b" where they
    are learned. tied: W_U is W_E transposed.

    >>> config = LayeredConfig(5, n_layers=2, sequence=("a", "+", "b", "="), constants=("+", "="), d_model=8)
    >>> config.vocabulary, config.positions, config.equals
    (7, ('a', '+', 'b', '='), True)
    """

    p: int
    n_layers: int = 2
    d_model: int = 128
    n_heads: int = 4
    d_head: int | None = None
    n_kv_heads: int | None = None
    d_mlp: int = 512
    sequence: tuple[str, ...] = ("a", "b", "=")
    constants: tuple[str, ...] = ("=",)
    read: str = ""
    separate: bool = False
    table: bool = True
    rotary: str = ""
    rotary_base: float = 10000.0
    rotary_width: int = 0
    causal: bool = True
    attention_rate: float = 1.0
    activation: str = "relu"
    gated: bool = False
    norm: str = ""
    norm_after: bool = False
    norm_final: bool = True
    norm_weights: tuple[str, ...] = ()
    norm_epsilon: float = 1e-5
    tied: bool = False
    d_vocab_out: int | None = None
    biases: tuple[str, ...] = ("b_in", "b_out")

    def __post_init__(self) -> None:
        freeze(
            self,
            p=modulus(self.p),
            constants=tuple(map(str, self.constants)),
            biases=checked_names("bias", self.biases, _BIASES),
            norm_weights=checked_names("weight of norms", self.norm_weights, ("w", "b")),
        )
        freeze(self, sequence=checked_sequence(self.sequence, self.constants))
        freeze(self, read=self.read or self.positions[-1])
        if self.read not in self.positions:
            raise UnknownName.of("position to read the answer at", self.read, self.positions)
        self._check_sizes()
        check_rate(self.attention_rate)
        check_activation(self.activation)
        for kind, name, choices in (
            ("norm", self.norm or NORMS[0], NORMS),
            ("way of pairing rotary features", self.rotary or "halves", ("halves", "neighbours")),
        ):
            if name not in choices:
                raise UnknownName.of(kind, name, choices)

    def _check_sizes(self) -> None:
        check_whole(self, n_layers=self.n_layers, d_model=self.d_model, n_heads=self.n_heads)
        check_whole(self, 0, d_mlp=self.d_mlp)
        if self.n_layers > _MOST_LAYERS:
            raise InputError(f"n_layers = {self.n_layers}: expected at most {_MOST_LAYERS}")
        freeze(self, d_head=head_width(self.d_model, self.n_heads, self.d_head))
        if self.n_kv_heads is None:
            freeze(self, n_kv_heads=self.n_heads)
        if self.d_vocab_out is None:
            freeze(self, d_vocab_out=self.p)
        check_whole(self, d_head=self.d_head, n_kv_heads=self.n_kv_heads, d_vocab_out=self.d_vocab_out)
        if self.n_heads % self.kv_heads:
            raise InputError(f"n_heads = {self.n_heads} is not divisible by n_kv_heads = {self.kv_heads}")
        if self.rotary:
            freeze(self, rotary_width=self.rotary_width or self.head_size)
            if self.rotary_width % 2 or not 0 < self.rotary_width <= self.head_size:
                raise InputError(
                    f"rotary positions turn {self.rotary_width} of d_head = {self.head_size} features: "
                    "expected an even number of them"
                )
        if self.tied and self.answers > self.vocabulary:
            raise InputError(f"{self.answers} answers of {self.vocabulary} tokens: tied, there are no more")

    @property
    def kv_heads(self) -> int:
        """n_kv_heads as an int."""
        assert self.n_kv_heads is not None
        return self.n_kv_heads

    @property
    def equals(self) -> bool:
        """Whether the answer is read at a constant token, such as "="."""
        return self.sequence[self.read_index] not in ("a", "b")

    @property
    def positions(self) -> tuple[str, ...]:
        """The names of the input positions."""
        return position_names(self.sequence)

    @property
    def read_index(self) -> int:
        """The number of the position where the answer is read."""
        return self.positions.index(self.read)

    @property
    def token_numbers(self) -> dict[str, int]:
        """The row of W_E of every constant, and the first row of a and of b."""
        residues = self.p * (1 + self.separate)
        numbers = {"a": 0, "b": self.p if self.separate else 0}
        return numbers | {name: residues + i for i, name in enumerate(self.constants)}

    @property
    def vocabulary(self) -> int:
        """The number of tokens."""
        return self.p * (1 + self.separate) + len(self.constants)

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of every weight, by its full name, in the order of the forward pass."""
        d = self.d_model
        shapes: dict[str, tuple[int, ...]] = {"embed.W_E": (self.vocabulary, d)}
        if self.table:
            shapes["pos_embed.W_pos"] = (len(self.sequence), d)
        for layer in range(self.n_layers):
            shapes |= {f"blocks.{layer}.{name}": shape for name, shape in self._layer_shapes().items()}
        if self.norm and self.norm_final:
            shapes |= {f"ln_final.{name}": (d,) for name in self.norm_weights}
        if not self.tied:
            shapes["unembed.W_U"] = (d, self.answers)
        shapes["unembed.b_U"] = (self.answers,)
        return {
            name: shape
            for name, shape in shapes.items()
            if not (short := name.split(".")[-1]).startswith("b_") or short in self.biases
        }

    def _layer_shapes(self) -> dict[str, tuple[int, ...]]:
        d, h, g, m, f = self.d_model, self.n_heads, self.kv_heads, self.head_size, self.d_mlp
        norms = self.norm_weights if self.norm else ()
        shapes: dict[str, tuple[int, ...]] = {f"ln1.{name}": (d,) for name in norms}
        for name, heads in (("Q", h), ("K", g), ("V", g)):
            shapes |= {f"attn.W_{name}": (heads, d, m), f"attn.b_{name}": (heads, m)}
        shapes |= {"attn.W_O": (h, m, d), "attn.b_O": (d,)}
        if not f:
            return shapes
        shapes |= {f"ln2.{name}": (d,) for name in norms}
        if self.gated:
            shapes |= {"mlp.W_gate": (d, f), "mlp.b_gate": (f,)}
        return shapes | {"mlp.W_in": (d, f), "mlp.b_in": (f,), "mlp.W_out": (f, d), "mlp.b_out": (d,)}
