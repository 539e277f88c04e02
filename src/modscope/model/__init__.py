"""The networks of the field, each readable in one sitting.

`transformer` is the one-layer transformer, `pair_mlp` the family without attention, `network` what both share: named
weights, named hooks, runs that start anywhere; `configs` their switches and the shapes of their weights.
"""

from modscope.model.configs import ACTIVATIONS, Config, PairMLPConfig, TransformerConfig
from modscope.model.network import SHORT_NAMES, Network, Positions
from modscope.model.pair_mlp import PairMLP
from modscope.model.transformer import Transformer

__all__ = [
    "ACTIVATIONS",
    "SHORT_NAMES",
    "Config",
    "Network",
    "PairMLP",
    "PairMLPConfig",
    "Positions",
    "Transformer",
    "TransformerConfig",
]
