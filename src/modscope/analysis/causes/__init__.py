"""Something is replaced and the rest run again: ablations, and which mechanism is at work."""

from __future__ import annotations

from modscope.analysis.causes.ablation import (
    Ablation,
    AblationResult,
    ablate,
    ablate_all,
    ablate_with,
    ablation_dataset,
    ablation_table,
    ablations,
    intermodulation_set,
)
from modscope.analysis.causes.mechanism import Mechanism, envelopes, mechanism
from modscope.analysis.causes.replacement import margins, part_of, replacements
from modscope.analysis.causes.turning import Turning, turned_pictures, turning_of

__all__ = [
    "Ablation",
    "AblationResult",
    "Mechanism",
    "Turning",
    "ablate",
    "ablate_all",
    "ablate_with",
    "ablation_dataset",
    "ablation_table",
    "ablations",
    "envelopes",
    "intermodulation_set",
    "margins",
    "mechanism",
    "part_of",
    "replacements",
    "turned_pictures",
    "turning_of",
]
