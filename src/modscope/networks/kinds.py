"""What a network is, in words, and whether it is of the kind that a measure is about."""

from __future__ import annotations

from modscope.errors import NotApplicable, UnknownName
from modscope.model import Config, Network, PairMLPConfig, Transformer, TransformerConfig
from modscope.networks.deep_mlp import DeepMLPConfig
from modscope.networks.layered_config import LayeredConfig

__all__ = [
    "described",
    "has_attention",
    "has_hook",
    "is_gated",
    "is_plain",
    "layer_count",
    "need_neurons",
    "need_plain",
    "need_stream",
    "obstacles",
    "obstacles_of",
    "stream_is_read",
]

_COUNTS = ("no", "one", "two", "three", "four")
_NORMS = {"layer": "LayerNorm", "rms": "RMSNorm"}


def has_attention(network: Network) -> bool:
    """Whether the network is a transformer."""
    return isinstance(network.config, TransformerConfig | LayeredConfig)


def has_hook(network: Network, name: str) -> bool:
    """Whether the network has a hook of that name, full or short."""
    try:
        network.hook_name(name)
    except UnknownName:
        return False
    return True


def layer_count(network: Network) -> int:
    """The number of layers: attention with its MLP, or hidden layers."""
    return _layer_count(network.config)


def _layer_count(config: Config) -> int:
    if isinstance(config, LayeredConfig):
        return config.n_layers
    return len(config.hidden) if isinstance(config, DeepMLPConfig) else 1


def stream_is_read(network: Network) -> bool:
    """Whether the logits are W_U times the residual stream after the last layer, without a norm between."""
    config = network.config
    if isinstance(config, LayeredConfig):
        return not (config.norm and config.norm_final)
    return isinstance(network, Transformer)


def obstacles_of(config: Config) -> str:
    """What a config has that one plain layer on (a, b) or (a, b, "=") has not, in words.

    >>> obstacles_of(LayeredConfig(5, d_model=8, n_layers=1, norm="rms"))
    'RMSNorm'
    """
    found = _obstacles(config)
    if isinstance(config, LayeredConfig):
        found += ["rotary positions"] if config.rotary else []
        found += ["tied embeddings"] if config.tied else []
        found += ["grouped heads"] if config.kv_heads != config.n_heads else []
        found += ["tables of its own for a and b"] if config.separate else []
        plain = config.sequence in (("a", "b"), ("a", "b", "="))
        found += [f"the sequence {' '.join(config.sequence)}"] if not plain else []
    if isinstance(config, DeepMLPConfig):
        found += ["summed embeddings"] if config.summed else []
        found += ["one table for a and b"] if config.shared else []
    return _listed(found) if found else "a forward pass of its own"


def obstacles(network: Network) -> list[str]:
    """What keeps a network from being one layer of attention and MLP without norms, or one hidden layer.

    >>> from modscope.networks.layered import LayeredTransformer
    >>> config = LayeredConfig(5, n_layers=2, d_model=8, norm="layer")
    >>> obstacles(LayeredTransformer.initialised(config))
    ['two layers', 'LayerNorm']
    """
    return _obstacles(network.config)


def _obstacles(config: Config) -> list[str]:
    layers = _layer_count(config)
    kind = "layers" if isinstance(config, LayeredConfig) else "hidden layers"
    found = [f"{_counted(layers)} {kind}"] if layers != 1 else []
    if isinstance(config, LayeredConfig):
        found += [_NORMS[config.norm]] if config.norm else []
        found += ["no MLP"] if not config.d_mlp else []
        found += ["a gated MLP"] if config.d_mlp and config.gated else []
    return found


def is_plain(network: Network) -> bool:
    """Whether the network is one layer of attention and MLP without norms, or one hidden layer."""
    return not obstacles(network)


def need_plain(network: Network, what: str) -> None:
    """Raises NotApplicable, which names the reason, for a network that is not of one plain layer."""
    if found := obstacles(network):
        raise NotApplicable(
            f"not applicable: {what} is about one layer without norms; this network has {_listed(found)}"
        )


def need_stream(network: Network, what: str) -> None:
    """Raises NotApplicable for a network whose logits are not W_U times its last residual stream."""
    if not has_attention(network):
        raise NotApplicable("not applicable: this network has no residual stream")
    if not stream_is_read(network):
        raise NotApplicable(
            f"not applicable: {what} is about a residual stream that W_U reads; here a norm stands between them"
        )


def is_gated(network: Network) -> bool:
    """Whether what a neuron passes on is a product of two linear maps, and not a function of one number."""
    return isinstance(network.config, LayeredConfig) and network.config.gated and network.config.d_mlp > 0


def need_neurons(network: Network, what: str) -> None:
    """Raises NotApplicable for a network without neurons that are functions of one number each."""
    config = network.config
    if isinstance(config, LayeredConfig) and not config.d_mlp:
        raise NotApplicable(f"not applicable: {what} is about neurons; this network has no MLP")
    if is_gated(network):
        raise NotApplicable(
            f"not applicable: {what} is about neurons that are functions of one number; here they are gated"
        )


def described(network: Network) -> str:
    """The shape of a network in a few words.

    >>> from modscope.networks.layered import LayeredTransformer
    >>> described(LayeredTransformer.initialised(LayeredConfig(5, d_model=8, norm="rms", d_mlp=16)))
    'two-layer transformer, RMSNorm before each part, d_model 8, 4 heads of 2, 16 neurons a layer'
    """
    config = network.config
    if isinstance(config, TransformerConfig):
        return (
            f"one-layer transformer, d_model {config.d_model}, {config.n_heads} heads of {config.head_size}, "
            f"{config.d_mlp} neurons"
        )
    if isinstance(config, LayeredConfig):
        return _layered(config)
    if isinstance(config, PairMLPConfig):
        inputs = "one-hot tokens" if config.d_embed is None else f"two embeddings of width {config.d_embed}"
        return f"MLP on pairs: {inputs}, {config.d_hidden} neurons"
    assert isinstance(config, DeepMLPConfig)
    tables = "one-hot tokens" if config.d_embed is None else f"embeddings of width {config.d_embed}"
    way = "summed" if config.summed else "side by side"
    hidden = " and ".join(map(str, config.hidden)) or "no hidden"
    return f"MLP on pairs: {tables}, {way}, {hidden} neurons"


def _layered(config: LayeredConfig) -> str:
    place = "after each sum" if config.norm_after else "before each part"
    groups = f" in {config.kv_heads} groups" if config.kv_heads != config.n_heads else ""
    each = " a layer" if config.n_layers > 1 else ""
    kind = "gated neurons" if config.gated else "neurons"
    parts = [
        f"{_counted(config.n_layers)}-layer transformer",
        f"{_NORMS[config.norm]} {place}" if config.norm else "",
        f"d_model {config.d_model}",
        f"{config.n_heads} heads of {config.head_size}{groups}",
        f"{config.d_mlp} {kind}{each}" if config.d_mlp else "no MLP",
        "rotary positions" if config.rotary else "",
        "tied embeddings" if config.tied else "",
    ]
    return ", ".join(part for part in parts if part)


def _counted(count: int) -> str:
    return _COUNTS[count] if count < len(_COUNTS) else str(count)


def _listed(found: list[str]) -> str:
    return found[0] if len(found) == 1 else f"{', '.join(found[:-1])} and {found[-1]}"
