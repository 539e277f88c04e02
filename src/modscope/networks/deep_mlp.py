"""MLPs of no to three hidden layers on the embeddings of a and b, side by side or summed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from modscope.errors import InputError, MissingHook, UnknownName
from modscope.model import ACTIVATIONS, SHORT_NAMES, Network
from modscope.model.network import Pull
from modscope.model.switches import TwoTokens, check_activation, check_whole, checked_names, freeze
from modscope.residues import modulus

__all__ = ["DeepMLP", "DeepMLPConfig"]


_OF_TRANSFORMERS = (
    "pos_embed", "resid_pre", "q", "k", "v", "attn_scores", "pattern", "z", "attn_out", "resid_mid", "mlp_out", "resid_post",
)  # fmt: skip


@dataclass(frozen=True)
class DeepMLPConfig(TwoTokens):
    """The switches of MLPs of several hidden layers.

    hidden: the widths of the hidden layers, one to three, or none for a linear map. d_embed None: tokens are
    one-hot. shared: a and b have one table W_E. summed: both are read through one W_in, so that the first layer
    sees their sum; else each through its own.

    >>> sorted(DeepMLPConfig(5, hidden=(8, 6), d_embed=4, shared=True, biases=()).shapes())
    ['blocks.0.mlp.W_in_a', 'blocks.0.mlp.W_in_b', 'blocks.1.mlp.W_in', 'embed.W_E', 'unembed.W_U']
    """

    p: int
    hidden: tuple[int, ...] = (128, 128)
    d_embed: int | None = 128
    shared: bool = False
    summed: bool = False
    activation: str = "relu"
    d_vocab_out: int | None = None
    biases: tuple[str, ...] = ("b_in", "b_U")

    def __post_init__(self) -> None:
        freeze(
            self,
            p=modulus(self.p),
            hidden=tuple(self.hidden),
            biases=checked_names("bias", self.biases, ("b_in", "b_U")),
        )
        if self.d_vocab_out is None:
            freeze(self, d_vocab_out=self.p)
        widths = {f"hidden[{i}]": width for i, width in enumerate(self.hidden)}
        check_whole(self, **widths, d_vocab_out=self.answers)
        if self.d_embed is not None:
            check_whole(self, d_embed=self.d_embed)
        if len(self.hidden) > 3:
            raise InputError(f"{len(self.hidden)} hidden layers: expected at most 3")
        if not self.hidden and not self.summed:
            raise InputError(
                "no hidden layer: expected summed = true, as the logits are then sums of two rows"
            )
        if self.shared and self.d_embed is None:
            raise InputError("shared: one-hot tokens have no table to share; give d_embed")
        check_activation(self.activation)

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of every weight, by its full name."""
        shapes: dict[str, tuple[int, ...]] = {}
        width = self.d_embed or self.p
        if self.d_embed is not None:
            tables = ("W_E",) if self.shared else ("W_E_a", "W_E_b")
            shapes |= {f"embed.{name}": (self.p, width) for name in tables}
        ends = (*self.hidden, self.answers)
        first = ("",) if self.summed else ("_a", "_b")
        for layer, out in enumerate(ends):
            at, last = f"blocks.{layer}.mlp.", layer == len(self.hidden)
            for part in first if layer == 0 else ("",):
                shapes["unembed.W_U" + part if last else f"{at}W_in{part}"] = (width, out)
            if ("b_U" if last else "b_in") in self.biases:
                shapes["unembed.b_U" if last else f"{at}b_in"] = (out,)
            width = out
        return shapes


class DeepMLP(Network):
    """An MLP of no to three hidden layers on two tokens.

    >>> network = DeepMLP.initialised(DeepMLPConfig(5, hidden=(8, 6), d_embed=4))
    >>> network.hooks
    ('embed', 'blocks.0.mlp_pre', 'blocks.0.mlp_post', 'blocks.1.mlp_pre', 'blocks.1.mlp_post', 'logits')
    >>> network.hook_name("mlp_post")
    'blocks.1.mlp_post'
    """

    family = "deep_mlp"
    config: DeepMLPConfig

    def __init__(self, config: DeepMLPConfig, weights: Mapping[str, Tensor]) -> None:
        super().__init__(config, weights)
        count = len(config.hidden)
        inner = [self._name(i, short) for i in range(count) for short in ("mlp_pre", "mlp_post")]
        self.hooks = ("embed", *inner, "logits")
        self.first_joint_hook = self.hooks[1]

    @classmethod
    def initialised(cls, config: DeepMLPConfig, *, seed: int = 0) -> Self:
        """A network of normal weights of standard deviation 1/sqrt(width read) (one for one-hot tokens and tables),
        biases zero."""
        generator = torch.Generator().manual_seed(seed)
        weights = {}
        for name, shape in config.shapes().items():
            if name.split(".")[-1].startswith("b_"):
                weights[name] = torch.zeros(shape)
            else:
                fan = config.d_embed or 1 if name.startswith("embed.") else shape[0]
                weights[name] = torch.randn(shape, generator=generator) / fan**0.5
        return cls(config, weights)

    def _name(self, layer: int, short: str) -> str:
        return short if len(self.config.hidden) == 1 else f"blocks.{layer}.{short}"

    def hook_name(self, name: str) -> str:
        """The name in `hooks` of a hook given by its name there, its short name (of the last layer), or its
        full TransformerLens name."""
        count = len(self.config.hidden)
        name = SHORT_NAMES.get(name, name)
        outer = {"hook_embed": "embed", "hook_logits": "logits"}
        if (known := outer.get(name, name)) in self.hooks:
            return known
        for short in ("mlp_pre", "mlp_post"):
            if name == short and count:
                return self._name(count - 1, short)
            for layer in range(count):
                full = f"blocks.{layer}.mlp.hook_{short.removeprefix('mlp_')}"
                if name in (full, f"blocks.{layer}.{short}"):
                    return self._name(layer, short)
        if name in _OF_TRANSFORMERS:
            raise MissingHook(f"not applicable: this network has no {name}: it has no attention")
        if name in ("mlp_pre", "mlp_post"):
            raise MissingHook(f"not applicable: this network has no {name}: it has no hidden layer")
        raise UnknownName.of("hook", name, self.hooks)

    def weight(self, name: str) -> Tensor:
        """A weight by its full name, or by its short one, which means the last layer that has it."""
        if name in self.weights:
            return self.weights[name]
        for full in reversed(self.weights):
            if full.split(".")[-1] == name:
                return self.weights[full]
        raise UnknownName.of("weight", name, [full.split(".")[-1] for full in self.weights])

    def formula(self, hook: str, at: Pull) -> Tensor:
        """The activation at a hook from the ones before it."""
        if hook == "embed":
            return self._embedded(at.need_tokens())
        if hook.endswith("mlp_post"):
            return ACTIVATIONS[self.config.activation](at[hook.removesuffix("post") + "pre"])
        layer = len(self.config.hidden) if hook == "logits" else self._layer(hook)
        names = ("unembed.W_U", "unembed.b_U")
        if hook != "logits":
            names = (f"blocks.{layer}.mlp.W_in", f"blocks.{layer}.mlp.b_in")
        weight, bias = names
        if layer:
            x = at[self._name(layer - 1, "mlp_post")] @ self.weights[weight]
        elif self.config.summed:
            x = at["embed"].sum(dim=1) @ self.weights[weight]
        else:
            a, b = at["embed"].unbind(dim=1)
            x = a @ self.weights[f"{weight}_a"] + b @ self.weights[f"{weight}_b"]
        return x + self.weights[bias] if bias in self.weights else x

    def _layer(self, hook: str) -> int:
        return int(hook.split(".")[1]) if "." in hook else 0

    def _embedded(self, tokens: Tensor) -> Tensor:
        if self.config.d_embed is None:
            return torch.nn.functional.one_hot(tokens, self.config.p).to(self.dtype)
        if self.config.shared:
            return self.weights["embed.W_E"][tokens]
        tables = (self.weights["embed.W_E_a"], self.weights["embed.W_E_b"])
        return torch.stack([table[tokens[:, i]] for i, table in enumerate(tables)], dim=1)
