"""The words that an option of a view may have."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["CHOICES"]

CHOICES: Mapping[str, tuple[str, ...]] = {
    "mode": ("wave", "spectrum", "both", "heatmap", "spectrum2d", "multiples", "ridge"),
    "quantity": ("amplitude", "power", "db", "phase", "cossin", "share"),
    "scale": ("span", "axis", "slice", "all"),
    "style": ("auto", "curve", "joins", "dots"),
    "colours": ("auto", "sequential", "diverging", "cyclic", "grey"),
    "yscale": ("linear", "log", "symlog"),
    "xscale": ("linear", "log", "symlog"),
    "compare": ("overlay", "A", "B", "A-B", "A/B", "flicker", "wipe"),
    "sort": ("index", "peak", "phase", "share", "size"),
    "walk": ("single", "odometer", "diagonal"),
    "loop": ("loop", "bounce", "once"),
    "theme": ("auto", "light", "dark"),
}
