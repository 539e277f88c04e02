"""Scrub, play and hear any tensor, as waves or as spectra."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from modscope.viewer.api import grid, heatmap, show
    from modscope.viewer.html import fragments
    from modscope.viewer.view import View

__all__ = ["View", "fragments", "grid", "heatmap", "show"]

# imported when first asked for: what answers before a network is open must not wait for numpy and xarray
_HOMES = {"View": "view", "fragments": "html", "grid": "api", "heatmap": "api", "show": "api"}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'modscope.viewer' has no attribute {name!r}")
    return getattr(import_module(f"modscope.viewer.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
