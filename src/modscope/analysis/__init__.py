"""Numbers and tables about one network: every measure takes the activations and draws nothing.

The wings lie along the signal's path, and each names what it offers:

    weights    frequencies and gains of W_E, W_U and the maps between them
    inputs     the waves at each position, and what attention does with them
    plane      what a picture over (a, b) is made of: terms, energy, symmetry
    neurons    their waves, clusters, rectifier, and how their phases tile the circle
    stream     the residual stream rebuilt from phasors
    answer     logits, key frequencies, restricted and excluded losses, clock and pizza
    causes     something replaced and the rest run again: ablations, mechanism
    overview   several measures at once: tables, summary, examples
"""

from __future__ import annotations

from modscope.analysis import answer, causes, controls, inputs, neurons, overview, plane, stream, weights
from modscope.analysis.answer import KeyFrequencies, key_frequencies
from modscope.analysis.causes import ablate, ablate_all, ablate_with, mechanism
from modscope.analysis.overview import MEASURES, measure_table, summarise
from modscope.analysis.tables import Table, table_of
from modscope.analysis.weights import relations
from modscope.circle import Circle, circle_of

__all__ = [
    "MEASURES",
    "Circle",
    "KeyFrequencies",
    "Table",
    "ablate",
    "ablate_all",
    "ablate_with",
    "answer",
    "causes",
    "circle_of",
    "controls",
    "inputs",
    "key_frequencies",
    "measure_table",
    "mechanism",
    "neurons",
    "overview",
    "plane",
    "relations",
    "stream",
    "summarise",
    "table_of",
    "weights",
]
