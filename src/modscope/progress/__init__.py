"""Measures over the epochs of a run: progress measures, phases of training, histories, comparisons."""

from __future__ import annotations

from modscope.progress.columns import columns, to_csv, to_json
from modscope.progress.comparing import Comparison, compare
from modscope.progress.glance import Glance, glance
from modscope.progress.histories import histories, waves_of
from modscope.progress.lottery import lottery
from modscope.progress.measures import FAST, MEASURES, ProgressMeasure, chosen_measures
from modscope.progress.over_epochs import Keys, measured, progress, run_keys
from modscope.progress.phases import RULES, Movement, Phase, Phases, movements, phases, phases_of
from modscope.progress.published import CurveMatch, against_curve, own_curves, read_curve, unmeasured_columns
from modscope.progress.simple_neurons import SimpleNeurons, simple_neurons

__all__ = [
    "FAST",
    "MEASURES",
    "RULES",
    "Comparison",
    "CurveMatch",
    "Glance",
    "Keys",
    "Movement",
    "Phase",
    "Phases",
    "ProgressMeasure",
    "SimpleNeurons",
    "against_curve",
    "chosen_measures",
    "columns",
    "compare",
    "glance",
    "histories",
    "lottery",
    "measured",
    "movements",
    "own_curves",
    "phases",
    "phases_of",
    "progress",
    "read_curve",
    "run_keys",
    "simple_neurons",
    "to_csv",
    "to_json",
    "unmeasured_columns",
    "waves_of",
]
