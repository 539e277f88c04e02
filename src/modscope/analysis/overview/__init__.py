"""Several measures at once: summary, cautions, tables, examples."""

from __future__ import annotations

from modscope.analysis.overview.examples import examples, worst_examples
from modscope.analysis.overview.measures import MEASURES, Measure, measure_table
from modscope.analysis.overview.summary import Summary, summarise

__all__ = ["MEASURES", "Measure", "Summary", "examples", "measure_table", "summarise", "worst_examples"]
