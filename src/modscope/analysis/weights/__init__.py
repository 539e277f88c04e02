"""Frequencies and gains of the weights: W_E, W_U, W_L and the linear maps between them."""

from __future__ import annotations

from modscope.analysis.weights.frequencies import (
    MAPS,
    Relations,
    component_norms,
    energy_shares,
    fundamental,
    gini,
    inverse_participation_ratio,
    relations,
    weight_table,
)
from modscope.analysis.weights.maps import LinearMap, linear_maps, map_gains, spectral_matmul, tap_coherence

__all__ = [
    "MAPS",
    "LinearMap",
    "Relations",
    "component_norms",
    "energy_shares",
    "fundamental",
    "gini",
    "inverse_participation_ratio",
    "linear_maps",
    "map_gains",
    "relations",
    "spectral_matmul",
    "tap_coherence",
    "weight_table",
]
