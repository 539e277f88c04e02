"""The report: one self-contained page about a network."""

from __future__ import annotations

from modscope.report.facts import checkpoint_facts, shown_path
from modscope.report.look import Look
from modscope.report.page import report_page, write_page

__all__ = ["Look", "checkpoint_facts", "report_page", "shown_path", "write_page"]
