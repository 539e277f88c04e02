"""Every kind of network by the name of its family."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from modscope.errors import UnknownName
from modscope.model import Network, PairMLP, PairMLPConfig, Transformer, TransformerConfig
from modscope.networks.deep_mlp import DeepMLP, DeepMLPConfig
from modscope.networks.layered import LayeredTransformer
from modscope.networks.layered_config import LayeredConfig
from modscope.schema import built

__all__ = ["FAMILIES", "network_from_dict", "network_of"]

FAMILIES: Mapping[str, tuple[type[Network], type[Any]]] = {
    "transformer": (Transformer, TransformerConfig),
    "mlp": (PairMLP, PairMLPConfig),
    "layered": (LayeredTransformer, LayeredConfig),
    "deep_mlp": (DeepMLP, DeepMLPConfig),
}


def network_from_dict(values: Mapping[str, Any], weights: Mapping[str, Tensor]) -> Network:
    """The network that `Network.to_dict` and its weights describe."""
    family = values.get("family", "transformer")
    if not isinstance(family, str) or family not in FAMILIES:
        raise UnknownName.of("family of networks", family, FAMILIES)
    network, config = FAMILIES[family]
    described = {name: value for name, value in values.items() if name != "family"}
    return network(built(config, described, "network."), weights)


def network_of(config: Any) -> type[Network]:
    """The class of the networks that a config describes.

    >>> network_of(TransformerConfig(5)).__name__
    'Transformer'
    """
    return next(network for network, described in FAMILIES.values() if isinstance(config, described))
