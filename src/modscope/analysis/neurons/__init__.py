"""Neurons: their clusters, waves, rectifier and how their phases tile the circle."""

from __future__ import annotations

from modscope.analysis.neurons.clusters import Clusters, clusters, row_frequencies
from modscope.analysis.neurons.clusters import neuron_fve as fve
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
    rectified_cosine,
)
from modscope.analysis.neurons.rectifier import neuron_harmonics as harmonics
from modscope.analysis.neurons.waves import (
    Rule,
    cluster_summary,
    matched_filters,
    output_phases,
    phase_tiling,
)
from modscope.analysis.neurons.waves import neuron_waves as waves

__all__ = [
    "Clusters",
    "Rule",
    "block_energy",
    "cluster_running_sum",
    "cluster_summary",
    "clusters",
    "even_phases",
    "fve",
    "harmonic_proportion",
    "harmonic_shares",
    "harmonics",
    "ideal_neurons",
    "ideal_running_sum",
    "matched_filters",
    "output_phases",
    "phase_tiling",
    "quadrature_error",
    "quadrature_errors",
    "rectified_cosine",
    "rectified_mean",
    "row_frequencies",
    "running_sum",
    "waves",
]
