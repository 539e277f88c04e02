"""Neurons: their clusters, waves, rectifier and how their phases tile the circle."""

from __future__ import annotations

from modscope.analysis.neurons.clusters import Clusters, clusters, neuron_fve
from modscope.analysis.neurons.quadrature import (
    cluster_running_sum,
    even_phases,
    ideal_neurons,
    ideal_running_sum,
    quadrature_error,
    quadrature_errors,
    rectified_mean,
    running_sum,
)
from modscope.analysis.neurons.rectifier import (
    block_energy,
    harmonic_proportion,
    harmonic_shares,
    neuron_harmonics,
    rectified_cosine,
)
from modscope.analysis.neurons.waves import (
    Rule,
    cluster_summary,
    matched_filters,
    neuron_waves,
    output_phases,
    phase_tiling,
)

__all__ = [
    "Clusters",
    "Rule",
    "block_energy",
    "cluster_running_sum",
    "cluster_summary",
    "clusters",
    "even_phases",
    "harmonic_proportion",
    "harmonic_shares",
    "ideal_neurons",
    "ideal_running_sum",
    "matched_filters",
    "neuron_fve",
    "neuron_harmonics",
    "neuron_waves",
    "output_phases",
    "phase_tiling",
    "quadrature_error",
    "quadrature_errors",
    "rectified_cosine",
    "rectified_mean",
    "running_sum",
]
