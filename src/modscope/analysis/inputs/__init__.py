"""Before the MLP: the waves at each position, and what attention does with them."""

from __future__ import annotations

from modscope.analysis.inputs.attention import (
    log_odds_additivity,
    pattern_statistics,
    product_and_sum_of_waves,
    product_parts,
    score_products,
    score_shares,
)
from modscope.analysis.inputs.equivalence import group_defects, relation_defects
from modscope.analysis.inputs.ideal_waves import hand_made_wave, ideal_stream, places, reversed_sums
from modscope.analysis.inputs.rebuilt import rebuilt_from, rebuilt_waves
from modscope.analysis.inputs.waves import (
    head_frequencies,
    reversal_errors,
    token_hooks,
    wave_rows,
)
from modscope.analysis.inputs.waves import wave_table as waves

__all__ = [
    "group_defects",
    "hand_made_wave",
    "head_frequencies",
    "ideal_stream",
    "log_odds_additivity",
    "pattern_statistics",
    "places",
    "product_and_sum_of_waves",
    "product_parts",
    "rebuilt_from",
    "rebuilt_waves",
    "relation_defects",
    "reversal_errors",
    "reversed_sums",
    "score_products",
    "score_shares",
    "token_hooks",
    "wave_rows",
    "waves",
]
