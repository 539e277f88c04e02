"""Something is replaced and the rest run again: which mechanism is at work."""

from __future__ import annotations

from modscope.analysis.causes.mechanism import Mechanism, envelopes, mechanism
from modscope.analysis.causes.replacement import margins, part_of, replacements

__all__ = ["Mechanism", "envelopes", "margins", "mechanism", "part_of", "replacements"]
