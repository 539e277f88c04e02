"""Ablations: a part of the network replaced, the rest run again, beside random changes of the same size."""

from __future__ import annotations

from modscope.analysis.causes.ablation.filters import intermodulation_set
from modscope.analysis.causes.ablation.registry import (
    AblationResult,
    ablate,
    ablate_all,
    ablate_with,
    ablation_dataset,
    ablation_table,
    ablations,
)
from modscope.analysis.causes.ablation.trial import Ablation, Outcome

__all__ = [
    "Ablation",
    "AblationResult",
    "Outcome",
    "ablate",
    "ablate_all",
    "ablate_with",
    "ablation_dataset",
    "ablation_table",
    "ablations",
    "intermodulation_set",
]
