"""What every network can do: named weights, named hooks, and runs that start anywhere."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from typing import Any, ClassVar, Literal, Self

import torch
from torch import Tensor

from modscope.boundary import public
from modscope.display import facts_html, facts_text
from modscope.errors import InputError, UnknownName, shown
from modscope.model.configs import Config, PairMLPConfig

__all__ = ["FULL_HOOKS", "SHORT_NAMES", "Network", "Positions", "Pull"]

Positions = Literal["read", "all"]

# What everybody writes for some hooks, as TransformerLens lets them.
SHORT_NAMES = {"pre": "mlp_pre", "post": "mlp_post", "scores": "attn_scores", "attn": "pattern"}

FULL_HOOKS = {
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


class Pull(dict[str, Tensor]):
    """The activations of one run: a hook that is not there yet is computed from earlier ones."""

    def __init__(
        self,
        network: Network,
        tokens: Tensor | None,
        given: Mapping[str, Tensor],
        every: bool,
        keep: Iterable[str] = (),
    ) -> None:
        super().__init__(given)
        self.network, self.tokens, self.every_position = network, tokens, every
        self._others = frozenset((*given, *keep))

    def __missing__(self, hook: str) -> Tensor:
        self[hook] = value = self.network.formula(hook, self)
        return value

    def let_go(self, hook: str) -> Tensor | None:
        """An activation that only one formula reads, to be written over by it; None where it is kept or was given."""
        if hook in self._others:
            return None
        value = self[hook]
        del self[hook]
        return value

    def plus(self, hook: str, x: Tensor) -> Tensor:
        """An activation and x, in the place of the activation where only this formula reads it."""
        own = self.let_go(hook)
        if own is None:
            return self[hook] + x
        return own.add_(x) if own.shape == x.shape and own.dtype == x.dtype else own + x

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
        # x is always a product made for this alone: nothing else reads it
        return x.add_(self.weight(name)) if self.has_weight(name) else x

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

        >>> from modscope.model import Transformer, TransformerConfig
        >>> network = Transformer.initialised(TransformerConfig(5))
        >>> network.hook_name("blocks.0.mlp.hook_post"), network.hook_name("post"), network.hook_name("scores")
        ('mlp_post', 'mlp_post', 'attn_scores')
        """
        name = SHORT_NAMES.get(name, name)
        for short in self.hooks:
            if name in (short, FULL_HOOKS[short]):
                return short
        raise UnknownName.of("hook", name, self.hooks)

    def formula(self, hook: str, at: Pull) -> Tensor:
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
        kept = {name: self.hook_name(name) for name in keep}
        at = Pull(self, tokens, given, positions == "all", kept.values())
        return {name: at[hook] for name, hook in kept.items()}

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
        return facts_text(f"{type(self).__name__} for p = {self.config.p}", self._told())

    def _told(self) -> dict[str, object]:
        shapes = {name: " x ".join(map(str, w.shape)) for name, w in self.weights.items()}
        count = sum(w.numel() for w in self.weights.values())
        switches = {
            k: v for k, v in vars(self.config).items() if k != "p" and isinstance(v, bool | int | float | str)
        }
        said = ", ".join(f"{name} {value}" for name, value in switches.items())
        return {"switches": said, "numbers": f"{count:,} {str(self.dtype).removeprefix('torch.')}", **shapes}

    def _repr_html_(self) -> str:
        return facts_html(f"{type(self).__name__} for p = {self.config.p}", self._told())


def _fan(config: Any, short: str) -> int:
    if isinstance(config, PairMLPConfig):
        widths = {"W_U": config.answers, "W_E_a": config.d_embed or 1, "W_E_b": config.d_embed or 1}
        return widths.get(short, config.d_embed or config.p)
    # The published code divides every matrix by sqrt(d_model), the MLP's output too, and W_U by sqrt(vocabulary).
    return config.vocabulary if short == "W_U" else config.d_model
