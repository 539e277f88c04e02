"""The networks that a recipe can name: the one-layer transformer, layered ones, and MLPs on pairs."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Literal

import torch
from torch import Tensor

from modscope.errors import InputError
from modscope.model import Network, PairMLPConfig, TransformerConfig
from modscope.networks.deep_mlp import DeepMLPConfig
from modscope.networks.families import network_of
from modscope.networks.layered_config import LayeredConfig

__all__ = ["Config", "LayersShape", "MlpShape", "NetworkShape", "config_of", "initial_weights"]

Config = TransformerConfig | PairMLPConfig | LayeredConfig | DeepMLPConfig


@dataclass(frozen=True)
class NetworkShape:
    """The one-layer transformer, and how it starts.

    family "auto" is "layered" where a setting of [layers] is not its usual one, "mlp" where one of [mlp] is not, else
    the one-layer "transformer"; layered networks have the sizes, attention and activation that are said here.
    initialisation "published": normal, 1/sqrt(d_model), W_U 1/sqrt(vocabulary) (Nanda et al. 2023);
    "transformer_lens": normal, 0.8/sqrt(d_model) for every weight. init_scale multiplies every weight
    (Liu et al. 2023, Omnigrok: small scales generalise at once, large ones late).
    """

    d_model: int = 128
    n_heads: int = 4
    d_mlp: int = 512
    equals: bool = True
    causal: bool = True
    attention_rate: float = 1.0
    activation: str = "relu"
    biases: tuple[str, ...] = ("b_in", "b_out")
    initialisation: Literal["published", "transformer_lens"] = "published"
    init_scale: float = 1.0
    family: Literal["auto", "transformer", "layered", "mlp"] = "auto"


@dataclass(frozen=True)
class LayersShape:
    """What a layered transformer has beside the settings of [network]; see `LayeredConfig`.

    sequence: the tokens that it reads, empty for (a, b, "=") or (a, b) as network.equals says. n_kv_heads 0: as many
    as heads. learned: norms have a gain, and LayerNorm a shift.
    """

    n_layers: int = 1
    sequence: tuple[str, ...] = ()
    separate: bool = False
    table: bool = True
    rotary: Literal["", "halves", "neighbours"] = ""
    n_kv_heads: int = 0
    norm: Literal["", "layer", "rms"] = ""
    norm_after: bool = False
    norm_final: bool = True
    learned: bool = True
    gated: bool = False
    tied: bool = False


@dataclass(frozen=True)
class MlpShape:
    """An MLP on the embeddings of a and b; see `DeepMLPConfig`. d_embed 0: one-hot tokens."""

    hidden: tuple[int, ...] = (128,)
    d_embed: int = 128
    shared: bool = False
    summed: bool = False
    biases: tuple[str, ...] = ("b_in", "b_U")


def family_of(network: NetworkShape, layers: LayersShape, mlp: MlpShape) -> str:
    """The family that the settings make, where none is named.

    >>> family_of(NetworkShape(), LayersShape(n_layers=2), MlpShape())
    'layered'
    """
    layered, flat = layers != LayersShape(), mlp != MlpShape()
    if network.family == "auto":
        if layered and flat:
            raise InputError("settings of [layers] and of [mlp]: expected those of one; name network.family")
        return "layered" if layered or network.d_mlp == 0 else "mlp" if flat else "transformer"
    for table, used in (("layers", layered), ("mlp", flat)):
        if used and network.family != {"layers": "layered", "mlp": "mlp"}[table]:
            raise InputError(
                f"settings of [{table}] would change nothing: network.family is {network.family!r}"
            )
    return network.family


def config_of(p: int, network: NetworkShape, layers: LayersShape, mlp: MlpShape) -> Config:
    """The config of the network of a recipe; raises InputError for sizes that do not fit."""
    family = family_of(network, layers, mlp)
    if family == "transformer":
        values = asdict(network)
        for name in ("initialisation", "init_scale", "family"):
            del values[name]
        return TransformerConfig(p, **values)
    if family == "mlp":
        return _mlp_config(p, network.activation, mlp)
    sequence = layers.sequence or (("a", "b", "=") if network.equals else ("a", "b"))
    biases = network.biases
    if network.d_mlp == 0:
        biases = tuple(name for name in biases if name not in ("b_in", "b_out", "b_gate"))
    norm_weights = ("w", "b") if layers.norm == "layer" else ("w",)
    return LayeredConfig(
        p,
        n_layers=layers.n_layers,
        d_model=network.d_model,
        n_heads=network.n_heads,
        n_kv_heads=layers.n_kv_heads or None,
        d_mlp=network.d_mlp,
        sequence=sequence,
        constants=tuple(dict.fromkeys(name for name in sequence if name not in ("a", "b"))),
        separate=layers.separate,
        table=layers.table and not layers.rotary,
        rotary=layers.rotary,
        causal=network.causal,
        attention_rate=network.attention_rate,
        activation=network.activation,
        gated=layers.gated,
        norm=layers.norm,
        norm_after=layers.norm_after,
        norm_final=layers.norm_final and not layers.norm_after,
        norm_weights=norm_weights if layers.norm and layers.learned else (),
        tied=layers.tied,
        biases=biases,
    )


def _mlp_config(p: int, activation: str, mlp: MlpShape) -> Config:
    width = mlp.d_embed or None
    if len(mlp.hidden) == 1 and not mlp.shared and not mlp.summed:
        return PairMLPConfig(
            p, d_hidden=mlp.hidden[0], d_embed=width, activation=activation, biases=mlp.biases
        )
    return DeepMLPConfig(
        p,
        hidden=mlp.hidden,
        d_embed=width,
        shared=mlp.shared,
        summed=mlp.summed,
        activation=activation,
        biases=mlp.biases,
    )


def network_from(config: Config, weights: dict[str, Tensor]) -> Network:
    """The network of a config and its weights."""
    return network_of(config)(config, weights)


def initial_weights(config: Config, shape: NetworkShape, seed: int) -> dict[str, Tensor]:
    """The weights that a network starts from."""
    network = network_of(config).initialised(config, seed=seed)
    scale = {name: 1.0 if name.split(".")[-1] in ("w", "b") else shape.init_scale for name in network.weights}
    if shape.initialisation == "transformer_lens":
        if isinstance(config, PairMLPConfig | DeepMLPConfig):
            raise InputError(
                "network.initialisation = 'transformer_lens' is that of transformers, not of MLPs"
            )
        for name in scale:
            fan = config.vocabulary if name.endswith("W_U") else shape.d_model
            scale[name] *= 1.0 if name.split(".")[-1] in ("w", "b") else 0.8 * (fan / shape.d_model) ** 0.5
    return {name: weight * scale[name] for name, weight in network.weights.items()}


def module_logits(config: Config, weights: dict[str, Tensor], a: Tensor, b: Tensor) -> Tensor:
    """Logits [pair, answer] by the network's own forward pass, differentiable, on the weights' device."""
    network = network_from(config, weights)
    return torch.as_tensor(network(network.pair_tokens(a, b)))
