"""Colours of the report, by the names that the page's stylesheet gives them in light and dark."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

__all__ = ["TERM_COLOURS", "colour_of", "css_class", "key_colours"]

_COLOURS = 8

TERM_COLOURS: Mapping[str, str] = {
    name: f"var(--term-{name})" for name in ("linear", "sum", "difference", "cross")
}


def key_colours(frequencies: Iterable[int]) -> dict[int, str]:
    """A colour for each key frequency, the same in every picture; after eight they come round again.

    >>> key_colours([14, 35])
    {14: 'var(--key-1)', 35: 'var(--key-2)'}
    """
    return {k: f"var(--key-{i % _COLOURS + 1})" for i, k in enumerate(frequencies)}


def colour_of(k: int, keys: Mapping[int, str]) -> str:
    """The colour of a frequency: its own if it is a key frequency, else the plain one."""
    return keys.get(k, "var(--plain)")


def css_class(k: int, keys: Mapping[int, str]) -> str:
    """The name that the stylesheet gives the colour of a key frequency."""
    return colour_of(k, keys).removeprefix("var(--").removesuffix(")")
