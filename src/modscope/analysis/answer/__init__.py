"""The logits: cosines of a + b - c, key frequencies, restricted and excluded losses, clock and pizza."""

from __future__ import annotations

from modscope.analysis.answer.clock_and_pizza import (
    circle_fits,
    circularity,
    clock_logits,
    distance_irrelevance,
    gradient_symmetricity,
    isolated_circle,
    pizza_logits,
)
from modscope.analysis.answer.keys import DEFAULT_RULE, RULES, KeyFrequencies, key_frequencies
from modscope.analysis.answer.logits import LogitFit, logit_fit
from modscope.analysis.answer.restriction import (
    MASKS,
    Mask,
    Restriction,
    excluded_logits,
    excluded_loss,
    excluded_loss_by_frequency,
    key_part,
    restricted_logits,
    restricted_loss,
    restriction,
)

__all__ = [
    "DEFAULT_RULE",
    "MASKS",
    "RULES",
    "KeyFrequencies",
    "LogitFit",
    "Mask",
    "Restriction",
    "circle_fits",
    "circularity",
    "clock_logits",
    "distance_irrelevance",
    "excluded_logits",
    "excluded_loss",
    "excluded_loss_by_frequency",
    "gradient_symmetricity",
    "isolated_circle",
    "key_frequencies",
    "key_part",
    "logit_fit",
    "pizza_logits",
    "restricted_logits",
    "restricted_loss",
    "restriction",
]
