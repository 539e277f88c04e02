"""Transformers of several layers, with norms, gated MLPs, rotary positions and any sequence of tokens.

Each layer i has the hooks of the one-layer transformer, named `blocks.i.resid_pre` and so on (without
`blocks.i.` where there is one layer), and where the network has them

    ln1    what attention reads, after the norm        rot_q rot_k   q and k turned by position
    ln2    what the MLP reads, after the norm          mlp_pre_linear   the factor of a gated MLP
    ln_final   what the unembedding reads

A short name means the last layer: `mlp_post` is that of the neurons whose output is read out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace as with_changes
from typing import Self

import torch
from torch import Tensor

from modscope.errors import InputError, MissingHook, UnknownName
from modscope.model import ACTIVATIONS, SHORT_NAMES, Network, Positions
from modscope.networks.layered_config import LayeredConfig
from modscope.networks.parts import normalised, rotated
from modscope.networks.templates import sequence_tokens

__all__ = ["LayeredTransformer"]

# The full TransformerLens name of each hook of a layer, without "blocks.i.".
_FULL = {
    "resid_pre": "hook_resid_pre",
    "ln1": "ln1.hook_normalized",
    "q": "attn.hook_q",
    "k": "attn.hook_k",
    "v": "attn.hook_v",
    "rot_q": "attn.hook_rot_q",
    "rot_k": "attn.hook_rot_k",
    "attn_scores": "attn.hook_attn_scores",
    "pattern": "attn.hook_pattern",
    "z": "attn.hook_z",
    "attn_out": "hook_attn_out",
    "resid_mid": "hook_resid_mid",
    "ln2": "ln2.hook_normalized",
    "mlp_pre": "mlp.hook_pre",
    "mlp_pre_linear": "mlp.hook_pre_linear",
    "mlp_post": "mlp.hook_post",
    "mlp_out": "hook_mlp_out",
    "resid_post": "hook_resid_post",
}
_OUTER = {
    "embed": "hook_embed",
    "pos_embed": "hook_pos_embed",
    "ln_final": "ln_final.hook_normalized",
    "logits": "hook_logits",
}
_OF_ONE_TOKEN = ("resid_pre", "ln1", "q", "k", "v", "rot_q", "rot_k")


class LayeredTransformer(Network):
    """A transformer of one or more layers; see `LayeredConfig` for its switches.

    Weights have TransformerLens names and axis orders, with W_K and W_V [kv head, d_model, d_head]; `weight("W_in")`
    is that of the last layer.

    >>> config = LayeredConfig(5, n_layers=2, d_model=8, n_heads=2, d_mlp=16, norm="layer")
    >>> network = LayeredTransformer.initialised(config)
    >>> tuple(network(torch.tensor([[1, 3, 5]])).shape), network.hook_name("mlp_post")
    ((1, 5), 'blocks.1.mlp_post')
    >>> network.hook_name("blocks.0.mlp.hook_post")
    'blocks.0.mlp_post'
    """

    family = "layered"
    config: LayeredConfig

    def __init__(self, config: LayeredConfig, weights: Mapping[str, Tensor]) -> None:
        super().__init__(config, weights)
        self._layer_hooks = _layer_hooks(config)
        self.hooks = self._hooks()
        self.first_joint_hook = self._name(0, "attn_scores")

    @classmethod
    def initialised(cls, config: LayeredConfig, *, seed: int = 0) -> Self:
        """A network of normal weights of standard deviation 1/sqrt(d_model), biases zero, norms one, unembedding
        1/sqrt(vocabulary), as the one-layer transformer starts."""
        generator = torch.Generator().manual_seed(seed)
        weights = {}
        for name, shape in config.shapes().items():
            short = name.split(".")[-1]
            if short == "w":
                weights[name] = torch.ones(shape)
            elif short == "b" or short.startswith("b_"):
                weights[name] = torch.zeros(shape)
            else:
                fan = config.vocabulary if short == "W_U" else config.d_model
                weights[name] = torch.randn(shape, generator=generator) / fan**0.5
        return cls(config, weights)

    def reading(self, sequence: Iterable[str]) -> Self:
        """The same weights reading another sequence of as many tokens, such as another operator's.

        >>> config = LayeredConfig(5, sequence=("a", "+", "b"), constants=("+", "-"), d_model=8, n_heads=2)
        >>> LayeredTransformer.initialised(config).reading(("a", "-", "b")).config.positions
        ('a', '-', 'b')
        """
        names = tuple(sequence)
        if len(names) != len(self.config.sequence):
            raise InputError(
                f"sequence {' '.join(names)}: expected {len(self.config.sequence)} tokens, as many as positions"
            )
        changed = with_changes(self.config, sequence=names, read="")
        at = changed.positions[self.config.read_index]
        return type(self)(with_changes(changed, read=at), self.weights)

    # Names

    def _name(self, layer: int, short: str) -> str:
        return short if self.config.n_layers == 1 else f"blocks.{layer}.{short}"

    def _hooks(self) -> tuple[str, ...]:
        config = self.config
        inner = [self._name(i, short) for i in range(config.n_layers) for short in self._layer_hooks]
        first = ["embed", "pos_embed"] if config.table else ["embed"]
        return (*first, *inner, *(["ln_final"] if _has_final_norm(config) else []), "logits")

    def hook_name(self, name: str) -> str:
        """The name in `hooks` of a hook given by its name there, its short name (of the last layer), or its
        full TransformerLens name."""
        last = self.config.n_layers - 1
        name = SHORT_NAMES.get(name, name)
        for hook in self.hooks:
            if name == hook or name == _OUTER.get(hook):
                return hook
        if name in self._layer_hooks:
            return self._name(last, name)
        for layer in range(self.config.n_layers):
            for short in self._layer_hooks:
                if name in (f"blocks.{layer}.{short}", f"blocks.{layer}.{_FULL[short]}"):
                    return self._name(layer, short)
        if (short := name.rpartition(".")[2]) in _FULL or short in _OUTER:
            raise MissingHook(f"not applicable: this network has no {short}: it has {self._lacks(short)}")
        raise UnknownName.of("hook", name, self.hooks)

    def _lacks(self, short: str) -> str:
        if short.startswith("mlp") or short in ("resid_mid", "ln2"):
            return "no gated MLP" if short == "mlp_pre_linear" and self.config.d_mlp else "no MLP"
        reasons = {
            "pos_embed": "no table of positions",
            "rot_q": "no rotary positions",
            "rot_k": "no rotary positions",
        }
        return reasons.get(short, "no norm there")

    def place(self, hook: str) -> tuple[int, str]:
        """The layer of a hook of `hooks` and its name in the layer; -1 before the first and n_layers after the last."""
        if hook in _OUTER:
            return (-1 if hook in ("embed", "pos_embed") else self.config.n_layers), hook
        if self.config.n_layers == 1:
            return 0, hook
        _, layer, short = hook.split(".")
        return int(layer), short

    def of_one_token(self, hook: str) -> bool:
        """Whether a hook depends on one token."""
        return self.hooks.index(hook) < self.hooks.index(self.first_joint_hook)

    def weight(self, name: str) -> Tensor:
        """A weight by its full name, or by its short one, which means the last layer."""
        if name in self.weights:
            return self.weights[name]
        last = f"blocks.{self.config.n_layers - 1}."
        for full in self.weights:
            if full.split(".")[-1] == name and (full.startswith(last) or not full.startswith("blocks.")):
                return self.weights[full]
        if self.config.tied and name in ("W_U", "unembed.W_U"):
            return self.weights["embed.W_E"][: self.config.answers].T
        raise UnknownName.of("weight", name, [full.split(".")[-1] for full in self.weights])

    def has_weight(self, name: str) -> bool:
        try:
            self.weight(name)
        except UnknownName:
            return False
        return True

    # The input

    def pair_tokens(self, a: Tensor, b: Tensor) -> Tensor:
        return sequence_tokens(self.config.sequence, self.config.token_numbers, a, b)

    # The forward pass

    def run(
        self,
        tokens: Tensor | None = None,
        *,
        keep: Iterable[str] = ("logits",),
        replace: Mapping[str, Tensor] | None = None,
        positions: Positions = "read",
    ) -> dict[str, Tensor]:
        """Activations at the hooks in `keep`, with those in `replace` put in the place of the computed ones.

        Hooks of one token (those before the first layer's attention) are [batch, pos, ...]. Later ones are
        [batch, ...] at the read position: there they are replaced too, and the other positions are as the tokens
        make them. With positions="all" later ones are [batch, pos, ...].
        """
        given = {self.hook_name(name): value for name, value in (replace or {}).items()}
        work = _Pass(self, tokens, given, positions == "all")
        return {name: work.kept(self.hook_name(name)) for name in keep}


class _Pass(dict[str, Tensor]):
    """One forward pass: each hook is computed when first asked for.

    Before the last layer's attention, and everywhere if every position is wanted, values have an axis of
    positions; after it they are those of the read position alone.
    """

    def __init__(
        self, network: LayeredTransformer, tokens: Tensor | None, given: Mapping[str, Tensor], every: bool
    ) -> None:
        super().__init__()
        self.network, self.config, self.tokens = network, network.config, tokens
        self.given, self.every = given, every

    def kept(self, hook: str) -> Tensor:
        """The value of a hook as a run gives it."""
        x = self[hook]
        if self.every or self.network.of_one_token(hook) or self._is_read_alone(hook):
            return x
        return x[:, self.config.read_index]

    def _is_read_alone(self, hook: str) -> bool:
        layer, short = self.network.place(hook)
        last = self.config.n_layers - 1
        return not self.every and (layer > last or (layer == last and short not in _OF_ONE_TOKEN))

    def __missing__(self, hook: str) -> Tensor:
        given = self.given.get(hook)
        one = self.network.of_one_token(hook)
        if given is not None and (self.every or one or self._is_read_alone(hook)):
            value = given
        else:
            layer, short = self.network.place(hook)
            value = getattr(self, f"_{short}")(layer)
            if given is not None:
                value = value.clone()
                value[:, self.config.read_index] = given
        self[hook] = value
        return value

    def _at(self, layer: int, short: str) -> Tensor:
        return self[self.network._name(layer, short)]

    def _need_tokens(self) -> Tensor:
        if self.tokens is None:
            raise InputError("this run was given no tokens, and the activations given do not determine it")
        return self.tokens

    def _weight(self, layer: int, name: str) -> Tensor:
        return self.network.weights[f"blocks.{layer}.{name}"]

    def _plus(self, x: Tensor, name: str) -> Tensor:
        bias = self.network.weights.get(name)
        return x if bias is None else x + bias

    def _norm(self, x: Tensor, name: str) -> Tensor:
        x = normalised(x, self.config.norm, self.config.norm_epsilon)
        gain = self.network.weights.get(f"{name}.w")
        return self._plus(x if gain is None else x * gain, f"{name}.b")

    # One method for each hook

    def _embed(self, _: int) -> Tensor:
        return self.network.weights["embed.W_E"][self._need_tokens()]

    def _pos_embed(self, _: int) -> Tensor:
        return self.network.weights["pos_embed.W_pos"].expand(len(self._need_tokens()), -1, -1)

    def _resid_pre(self, layer: int) -> Tensor:
        if layer:
            return self._at(layer - 1, "resid_post")
        return self["embed"] + self["pos_embed"] if self.config.table else self["embed"]

    def _ln1(self, layer: int) -> Tensor:
        return self._norm(self._at(layer, "resid_pre"), f"blocks.{layer}.ln1")

    def _project(self, layer: int, name: str) -> Tensor:
        x = self._at(layer, "ln1" if _norm_before(self.config) else "resid_pre")
        y = torch.einsum("bpd,hdm->bphm", x, self._weight(layer, f"attn.W_{name}"))
        y = self._plus(y, f"blocks.{layer}.attn.b_{name}")
        groups = self.config.n_heads // y.shape[2]
        return y if groups == 1 else y.repeat_interleave(groups, dim=2)

    def _q(self, layer: int) -> Tensor:
        return self._project(layer, "Q")

    def _k(self, layer: int) -> Tensor:
        return self._project(layer, "K")

    def _v(self, layer: int) -> Tensor:
        return self._project(layer, "V")

    def _turn(self, x: Tensor) -> Tensor:
        config = self.config
        neighbours = config.rotary == "neighbours"
        return rotated(x, base=config.rotary_base, width=config.rotary_width, neighbours=neighbours)

    def _rot_q(self, layer: int) -> Tensor:
        return self._turn(self._at(layer, "q"))

    def _rot_k(self, layer: int) -> Tensor:
        return self._turn(self._at(layer, "k"))

    def _attn_scores(self, layer: int) -> Tensor:
        q, k = (self._at(layer, f"rot_{n}" if self.config.rotary else n) for n in "qk")
        alone = self._is_read_alone(self.network._name(layer, "attn_scores"))
        if alone:
            q = q[:, self.config.read_index, None]
        scores = torch.einsum("bqhm,bkhm->bqhk", q, k) / self.config.head_size**0.5
        if self.config.causal:
            seen = torch.ones(k.shape[1], k.shape[1], dtype=torch.bool, device=k.device).tril()
            seen = seen[self.config.read_index, None] if alone else seen
            scores = scores.masked_fill(~seen[:, None], -torch.inf)
        return scores[:, 0] if alone else scores

    def _pattern(self, layer: int) -> Tensor:
        rate, scores = self.config.attention_rate, self._at(layer, "attn_scores")
        pattern = torch.softmax(scores, dim=-1)
        return pattern if rate == 1.0 else rate * pattern + (1.0 - rate) * torch.isfinite(scores).to(pattern)

    def _z(self, layer: int) -> Tensor:
        pattern = self._at(layer, "pattern")
        ends = "bhk,bkhm->bhm" if pattern.ndim == 3 else "bqhk,bkhm->bqhm"
        return torch.einsum(ends, pattern, self._at(layer, "v"))

    def _attn_out(self, layer: int) -> Tensor:
        out = self._at(layer, "z").flatten(-2) @ self._weight(layer, "attn.W_O").flatten(0, 1)
        return self._plus(out, f"blocks.{layer}.attn.b_O")

    def _after_attention(self, layer: int) -> Tensor:
        out, skip = self._at(layer, "attn_out"), self._at(layer, "resid_pre")
        return out + (skip if out.ndim == skip.ndim else skip[:, self.config.read_index])

    def _resid_mid(self, layer: int) -> Tensor:
        x = self._after_attention(layer)
        return self._norm(x, f"blocks.{layer}.ln1") if _norm_after(self.config) else x

    def _ln2(self, layer: int) -> Tensor:
        return self._norm(self._at(layer, "resid_mid"), f"blocks.{layer}.ln2")

    def _mlp_in(self, layer: int, name: str) -> Tensor:
        x = self._at(layer, "ln2" if _norm_before(self.config) else "resid_mid")
        return self._plus(x @ self._weight(layer, f"mlp.W_{name}"), f"blocks.{layer}.mlp.b_{name}")

    def _mlp_pre(self, layer: int) -> Tensor:
        return self._mlp_in(layer, "gate" if self.config.gated else "in")

    def _mlp_pre_linear(self, layer: int) -> Tensor:
        return self._mlp_in(layer, "in")

    def _mlp_post(self, layer: int) -> Tensor:
        post = ACTIVATIONS[self.config.activation](self._at(layer, "mlp_pre"))
        return post * self._at(layer, "mlp_pre_linear") if self.config.gated else post

    def _mlp_out(self, layer: int) -> Tensor:
        out = self._at(layer, "mlp_post") @ self._weight(layer, "mlp.W_out")
        return self._plus(out, f"blocks.{layer}.mlp.b_out")

    def _resid_post(self, layer: int) -> Tensor:
        if not self.config.d_mlp:
            x = self._after_attention(layer)
            return self._norm(x, f"blocks.{layer}.ln1") if _norm_after(self.config) else x
        x = self._at(layer, "resid_mid") + self._at(layer, "mlp_out")
        return self._norm(x, f"blocks.{layer}.ln2") if _norm_after(self.config) else x

    def _ln_final(self, _: int) -> Tensor:
        return self._norm(self._at(self.config.n_layers - 1, "resid_post"), "ln_final")

    def _logits(self, _: int) -> Tensor:
        last = self.config.n_layers - 1
        x = self["ln_final"] if _has_final_norm(self.config) else self._at(last, "resid_post")
        return self._plus(x @ self.network.weight("W_U"), "unembed.b_U")


def _norm_before(config: LayeredConfig) -> bool:
    return bool(config.norm) and not config.norm_after


def _norm_after(config: LayeredConfig) -> bool:
    return bool(config.norm) and config.norm_after


def _has_final_norm(config: LayeredConfig) -> bool:
    return bool(config.norm) and config.norm_final


def _layer_hooks(config: LayeredConfig) -> tuple[str, ...]:
    """The hooks of each layer, in the order of the forward pass."""
    there: Mapping[str, Callable[[], bool]] = {
        "ln1": lambda: _norm_before(config),
        "ln2": lambda: _norm_before(config) and config.d_mlp > 0,
        "rot_q": lambda: bool(config.rotary),
        "rot_k": lambda: bool(config.rotary),
        "resid_mid": lambda: config.d_mlp > 0,
        "mlp_pre": lambda: config.d_mlp > 0,
        "mlp_pre_linear": lambda: config.d_mlp > 0 and config.gated,
        "mlp_post": lambda: config.d_mlp > 0,
        "mlp_out": lambda: config.d_mlp > 0,
    }
    return tuple(short for short in _FULL if short not in there or there[short]())
