"""One part of the page: what it shows, what that does not prove, exactly what was computed."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from modscope.report.look import Look
from modscope.report.style import css_class
from modscope.viewer import View

__all__ = ["Section", "Table", "chips"]


@dataclass(frozen=True)
class Table:
    """A table of the page: its heads, and rows of cells; a cell may be markup."""

    heads: Sequence[str]
    rows: Sequence[Sequence[object]]
    caption: str = ""

    @property
    def csv(self) -> str:
        """The table as comma-separated values, markup taken away."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(self.heads)
        writer.writerows(
            [str(Markup(str(cell)).striptags()) if isinstance(cell, Markup) else cell for cell in row]
            for row in self.rows
        )
        return text.getvalue()


@dataclass(frozen=True)
class Section:
    """One part of the page.

    short: its title in the page's navigation; seen: what the picture shows, for this network; warning: what it does not prove; definition: exactly what was
    computed, folded away; figure: inline SVG or any other markup; alternative: the figure in words; viewer: the same to play with.
    """

    name: str
    short: str
    title: str
    seen: str
    warning: str = ""
    definition: Sequence[str] = ()
    figure: Markup | None = None
    alternative: str = ""
    tables: Sequence[Table] = ()
    viewer: View | tuple[View, ...] | None = None


def chips(frequencies: Sequence[int], look: Look, *, most: int = 16) -> Markup:
    """Frequencies as coloured labels."""
    if not frequencies:
        return Markup("none")
    labels = [
        Markup('<span class="chip" style="--c: var(--{})">{}</span>').format(css_class(k, look.colours), k)
        for k in frequencies[:most]
    ]
    rest = f" and {len(frequencies) - most} more" if len(frequencies) > most else ""
    return Markup(" ").join(labels) + rest
