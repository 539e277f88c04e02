"""The network, readable in one sitting: one attention layer, one MLP, no LayerNorm.

    embed -> resid_pre -> q k v -> attn_scores -> pattern -> z -> attn_out -> resid_mid
          -> mlp_pre -> mlp_post -> mlp_out -> resid_post -> logits

Every activation has a name (a hook) and one formula in terms of earlier ones. A run pulls the ones it
needs, so it can start from any replaced activation: "the logits if `mlp_post` were this".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Literal, Protocol, Self

import torch
from torch import Tensor

from modscope.errors import InputError, UnknownName, public, shown
from modscope.residues import modulus

__all__ = [
    "ACTIVATIONS",
    "SHORT_NAMES",
    "Config",
    "Network",
    "PairMLP",
    "PairMLPConfig",
    "Transformer",
    "TransformerConfig",
]

Positions = Literal["read", "all"]

ACTIVATIONS: Mapping[str, Callable[[Tensor], Tensor]] = {
    "relu": torch.relu,
    "gelu": torch.nn.functional.gelu,
    "quadratic": torch.square,
    "silu": torch.nn.functional.silu,
    "tanh": torch.tanh,
    "gelu_tanh": lambda x: torch.nn.functional.gelu(x, approximate="tanh"),
    "identity": lambda x: x,
}

# What everybody writes for some hooks, as TransformerLens lets them.
SHORT_NAMES = {"pre": "mlp_pre", "post": "mlp_post", "scores": "attn_scores", "attn": "pattern"}

_FULL_HOOKS = {
    "embed": "hook_embed",
    "pos_embed": "hook_pos_embed",
    "resid_pre": "blocks.0.hook_resid_pre",
    "q": "blocks.0.attn.hook_q",
    "k": "blocks.0.attn.hook_k",
    "v": "blocks.0.attn.hook_v",
    "attn_scores": "blocks.0.attn.hook_attn_scores",
    "pattern": "blocks.0.attn.hook_pattern",
    "z": "blocks.0.attn.hook_z",
    "attn_out": "blocks.0.hook_attn_out",
    "resid_mid": "blocks.0.hook_resid_mid",
    "mlp_pre": "blocks.0.mlp.hook_pre",
    "mlp_post": "blocks.0.mlp.hook_post",
    "mlp_out": "blocks.0.hook_mlp_out",
    "resid_post": "blocks.0.hook_resid_post",
    "logits": "hook_logits",
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


class _Pull(dict[str, Tensor]):
    """The activations of one run: a hook that is not there yet is computed from earlier ones."""

    def __init__(
        self, network: Network, tokens: Tensor | None, given: Mapping[str, Tensor], every: bool
    ) -> None:
        super().__init__(given)
        self.network, self.tokens, self.every_position = network, tokens, every

    def __missing__(self, hook: str) -> Tensor:
        self[hook] = value = self.network.formula(hook, self)
        return value

    def need_tokens(self) -> Tensor:
        if self.tokens is None:
            raise InputError("this run was given no tokens, and the activations given do not determine it")
        if self.tokens.is_floating_point() or self.tokens.is_complex() or int(self.tokens.min()) < 0:
            raise InputError(f"tokens of {self.tokens.dtype}: expected whole numbers from 0")
        return self.tokens


class Network:
    """What the two families share: named weights, named hooks, runs that start anywhere."""

    family: ClassVar[str]
    config: Config
    hooks: tuple[str, ...]
    # Hooks with one row per read position; all earlier ones have one per input position.
    first_joint_hook: str

    def __init__(self, config: Any, weights: Mapping[str, Tensor]) -> None:
        if not hasattr(config, "shapes"):
            raise InputError(f"config {shown(config)}: expected a config of a network")
        if not isinstance(weights, Mapping) or not all(isinstance(w, Tensor) for w in weights.values()):
            raise InputError(f"weights: a {type(weights).__name__}: expected a mapping of names to tensors")
        self.config = config
        shapes = config.shapes()
        for name in weights:
            if name not in shapes:
                raise UnknownName.of("weight", name, shapes)
        for name, shape in shapes.items():
            if name not in weights:
                raise InputError(f"weight {name} of shape {shape} is missing")
            if tuple(weights[name].shape) != shape:
                raise InputError(f"weight {name} has shape {tuple(weights[name].shape)}: expected {shape}")
        self.weights: dict[str, Tensor] = {name: weights[name] for name in shapes}

    @classmethod
    def initialised(cls, config: Any, *, seed: int = 0) -> Self:
        """A network of normal weights of standard deviation 1/sqrt(width read), biases zero, unembedding
        1/sqrt(answers) (the initialisation of Nanda et al. 2023)."""
        generator = torch.Generator().manual_seed(seed)
        weights = {}
        for name, shape in config.shapes().items():
            short = name.split(".")[-1]
            if short.startswith("b_"):
                weights[name] = torch.zeros(shape)
                continue
            weights[name] = torch.randn(shape, generator=generator) / _fan(config, short) ** 0.5
        return cls(config, weights)

    @public
    def weight(self, name: str) -> Tensor:
        """A weight by its full or short name: `weight("W_E")` is `weights["embed.W_E"]`."""
        for full in self.weights:
            if name in (full, full.split(".")[-1]):
                return self.weights[full]
        raise UnknownName.of("weight", name, [full.split(".")[-1] for full in self.weights])

    def has_weight(self, name: str) -> bool:
        """Whether the network has that weight; a bias that is absent is zero."""
        return any(name in (full, full.split(".")[-1]) for full in self.weights)

    def _plus_bias(self, x: Tensor, name: str) -> Tensor:
        return x + self.weight(name) if self.has_weight(name) else x

    @property
    def dtype(self) -> torch.dtype:
        """The number type of the weights."""
        return next(iter(self.weights.values())).dtype

    def to(self, dtype: torch.dtype) -> Self:
        """The same network with weights of another number type."""
        return type(self)(self.config, {name: w.to(dtype) for name, w in self.weights.items()})

    @public
    def hook_name(self, name: str) -> str:
        """The short name of a hook given by its short or full TransformerLens name.

        >>> network = Transformer.initialised(TransformerConfig(5))
        >>> network.hook_name("blocks.0.mlp.hook_post"), network.hook_name("post"), network.hook_name("scores")
        ('mlp_post', 'mlp_post', 'attn_scores')
        """
        name = SHORT_NAMES.get(name, name)
        for short in self.hooks:
            if name in (short, _FULL_HOOKS[short]):
                return short
        raise UnknownName.of("hook", name, self.hooks)

    def formula(self, hook: str, at: _Pull) -> Tensor:
        """The activation at a hook from the ones before it."""
        return getattr(self, f"_{hook}")(at)

    @public
    def run(
        self,
        tokens: Tensor | None = None,
        *,
        keep: Iterable[str] = ("logits",),
        replace: Mapping[str, Tensor] | None = None,
        positions: Positions = "read",
    ) -> dict[str, Tensor]:
        """Activations at the hooks in `keep`, with those in `replace` put in the place of the computed ones.

        tokens [batch, pos]; may be left out where the replaced activations determine the rest. Hooks up to
        k and v are [batch, pos, ...]; later ones are [batch, ...] at the read position, or with
        positions="all" [batch, pos, ...]; pattern and attn_scores are [batch, (pos,) head, key_pos].
        Only what is needed is computed: with `mlp_post` replaced nothing of the MLP's input is unless the
        skip path needs it.
        """
        given = {self.hook_name(name): value for name, value in (replace or {}).items()}
        at = _Pull(self, tokens, given, positions == "all")
        return {name: at[self.hook_name(name)] for name in keep}

    def __call__(self, tokens: Tensor) -> Tensor:
        """Logits [batch, answer] at the read position."""
        return self.run(tokens)["logits"]

    def pair_tokens(self, a: Tensor, b: Tensor) -> Tensor:
        """The network's input [batch, pos] for residues a [batch] and b [batch]."""
        columns = [a, b, torch.full_like(a, self.config.p)] if self.config.equals else [a, b]
        return torch.stack(columns, dim=1)

    def tokens_of_rows(self, rows: range) -> Tensor:
        """The network's input [len(rows) * p, pos] for the pairs of some rows of a."""
        p = self.config.p
        a = torch.arange(rows.start, rows.stop)
        return self.pair_tokens(a.repeat_interleave(p), torch.arange(p).repeat(len(rows)))

    def token_blocks(self, size: int = 16384) -> Iterator[Tensor]:
        """All pairs (a major) as token blocks [<= size, pos], whole rows of a at a time."""
        p = self.config.p
        rows = max(1, size // p)
        for start in range(0, p, rows):
            yield self.tokens_of_rows(range(start, min(start + rows, p)))

    @torch.no_grad()
    def all_logits(self) -> Tensor:
        """The logits of all pairs, [a, b, answer]."""
        p = self.config.p
        return torch.cat([self(tokens) for tokens in self.token_blocks()]).reshape(p, p, -1)

    def to_dict(self) -> dict[str, Any]:
        """Family and config as plain JSON values."""
        return {"family": self.family, **asdict(self.config)}  # type: ignore[call-overload]

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.config})"


class Transformer(Network):
    """The one-layer transformer of the field: attention, then an MLP, on a residual stream.

    Weights have TransformerLens names and axis orders: W_E[vocab, d_model], W_pos[pos, d_model],
    W_Q W_K W_V[head, d_model, d_head], W_O[head, d_head, d_model], W_in[d_model, d_mlp],
    W_out[d_mlp, d_model], W_U[d_model, answer].

    >>> network = Transformer.initialised(TransformerConfig(5, d_model=8, n_heads=2, d_mlp=16))
    >>> logits = network(torch.tensor([[1, 3, 5]]))
    >>> tuple(logits.shape)
    (1, 5)
    >>> silent = network.run(torch.tensor([[1, 3, 5]]), replace={"mlp_post": torch.zeros(1, 16)})["logits"]
    >>> bool((silent == logits).all())
    False
    """

    family = "transformer"
    config: TransformerConfig
    hooks = tuple(_FULL_HOOKS)
    first_joint_hook = "attn_scores"

    def _embed(self, at: _Pull) -> Tensor:
        return self.weight("W_E")[at.need_tokens()]

    def _pos_embed(self, at: _Pull) -> Tensor:
        return self.weight("W_pos").expand(len(at.need_tokens()), -1, -1)

    def _resid_pre(self, at: _Pull) -> Tensor:
        return at["embed"] + at["pos_embed"]

    def _project(self, at: _Pull, name: str) -> Tensor:
        x = torch.einsum("bpd,hdm->bphm", at["resid_pre"], self.weight(f"W_{name}"))
        return self._plus_bias(x, f"b_{name}")

    def _q(self, at: _Pull) -> Tensor:
        return self._project(at, "Q")

    def _k(self, at: _Pull) -> Tensor:
        return self._project(at, "K")

    def _v(self, at: _Pull) -> Tensor:
        return self._project(at, "V")

    def _attn_scores(self, at: _Pull) -> Tensor:
        q = at["q"] if at.every_position else at["q"][:, -1:]
        scores = torch.einsum("bqhm,bkhm->bqhk", q, at["k"]) / self.config.head_size**0.5
        if not at.every_position:
            return scores[:, 0]
        seen = self._seen(scores.shape[-1])
        return scores.masked_fill(~seen[:, None], -torch.inf)

    def _seen(self, n: int) -> Tensor:
        seen = torch.ones(n, n, dtype=torch.bool)
        return seen.tril() if self.config.causal else seen

    def _pattern(self, at: _Pull) -> Tensor:
        rate = self.config.attention_rate
        pattern = torch.softmax(at["attn_scores"], dim=-1)
        if rate == 1.0:
            return pattern
        return rate * pattern + (1.0 - rate) * torch.isfinite(at["attn_scores"]).to(pattern.dtype)

    def _z(self, at: _Pull) -> Tensor:
        ends = "bqhk,bkhm->bqhm" if at.every_position else "bhk,bkhm->bhm"
        return torch.einsum(ends, at["pattern"], at["v"])

    def _attn_out(self, at: _Pull) -> Tensor:
        z = at["z"]
        out = z.flatten(-2) @ self.weight("W_O").flatten(0, 1)
        return self._plus_bias(out, "b_O")

    def _resid_mid(self, at: _Pull) -> Tensor:
        skip = at["resid_pre"] if at.every_position else at["resid_pre"][:, -1]
        return at["attn_out"] + skip

    def _mlp_pre(self, at: _Pull) -> Tensor:
        return self._plus_bias(at["resid_mid"] @ self.weight("W_in"), "b_in")

    def _mlp_post(self, at: _Pull) -> Tensor:
        return ACTIVATIONS[self.config.activation](at["mlp_pre"])

    def _mlp_out(self, at: _Pull) -> Tensor:
        return self._plus_bias(at["mlp_post"] @ self.weight("W_out"), "b_out")

    def _resid_post(self, at: _Pull) -> Tensor:
        return at["resid_mid"] + at["mlp_out"]

    def _logits(self, at: _Pull) -> Tensor:
        return self._plus_bias(at["resid_post"] @ self.weight("W_U"), "b_U")


class PairMLP(Network):
    """The MLP-only family: logits = activation(x_a W_in_a + x_b W_in_b + b_in) W_U + b_U.

    Each x is a one-hot token, or that position's own embedding of it.

    >>> network = PairMLP.initialised(PairMLPConfig(5, d_hidden=16))
    >>> tuple(network(torch.tensor([[1, 3]])).shape), network.hooks
    ((1, 5), ('embed', 'mlp_pre', 'mlp_post', 'logits'))
    """

    family = "mlp"
    config: PairMLPConfig
    hooks = ("embed", "mlp_pre", "mlp_post", "logits")
    first_joint_hook = "mlp_pre"

    def _embed(self, at: _Pull) -> Tensor:
        tokens = at.need_tokens()
        if self.config.d_embed is None:
            return torch.nn.functional.one_hot(tokens, self.config.p).to(self.dtype)
        return torch.stack((self.weight("W_E_a")[tokens[:, 0]], self.weight("W_E_b")[tokens[:, 1]]), dim=1)

    def _mlp_pre(self, at: _Pull) -> Tensor:
        x = at["embed"]
        return self._plus_bias(x[:, 0] @ self.weight("W_in_a") + x[:, 1] @ self.weight("W_in_b"), "b_in")

    def _mlp_post(self, at: _Pull) -> Tensor:
        return ACTIVATIONS[self.config.activation](at["mlp_pre"])

    def _logits(self, at: _Pull) -> Tensor:
        return self._plus_bias(at["mlp_post"] @ self.weight("W_U"), "b_U")


def _fan(config: Any, short: str) -> int:
    if isinstance(config, PairMLPConfig):
        widths = {"W_U": config.answers, "W_E_a": config.d_embed or 1, "W_E_b": config.d_embed or 1}
        return widths.get(short, config.d_embed or config.p)
    # The published code divides every matrix by sqrt(d_model), the MLP's output too, and W_U by sqrt(vocabulary).
    return config.vocabulary if short == "W_U" else config.d_model
