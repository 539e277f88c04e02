"""The pictures of the report; each draws numbers that are already there."""

from __future__ import annotations

from modscope.report.figures.answers import draw_energy, draw_leads, draw_logits, draw_losses
from modscope.report.figures.frequencies import draw_clusters, draw_spectra
from modscope.report.figures.specimens import draw_neuron, draw_wave

__all__ = [
    "draw_clusters",
    "draw_energy",
    "draw_leads",
    "draw_logits",
    "draw_losses",
    "draw_neuron",
    "draw_spectra",
    "draw_wave",
]
