"""A report that shows itself in a notebook and can be written to a file."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from html import escape
from pathlib import Path

from modscope.boundary import public
from modscope.report import write_page

__all__ = ["Page"]


@dataclass(frozen=True)
class Page:
    """One self-contained HTML page; `save` writes it, a notebook shows it in a frame of its own."""

    title: str
    html: str = field(repr=False)

    @public
    def save(self, path: str | os.PathLike[str]) -> Path:
        """Writes the page beside its place and renames it; returns the path. Raises InputError where it cannot."""
        return write_page(self.html, path)

    def __repr__(self) -> str:
        return f"Page({self.title!r}, {len(self.html) / 1e6:.1f} MB): save(path) writes it"

    def _repr_html_(self) -> str:
        return (
            f'<iframe srcdoc="{escape(self.html)}" title="{escape(self.title)}" loading="lazy" '
            'style="width:100%;height:760px;border:1px solid #8884" sandbox="allow-scripts allow-downloads"></iframe>'
        )
