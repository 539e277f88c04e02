"""Scrub, play and hear any tensor, as waves or as spectra."""

from modscope.viewer.api import grid, heatmap, show
from modscope.viewer.html import fragments
from modscope.viewer.view import View

__all__ = ["View", "fragments", "grid", "heatmap", "show"]
