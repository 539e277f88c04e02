"""Results as plain tables: at most 80 columns wide as text, and as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Hashable, Iterable
from dataclasses import dataclass

import numpy as np
import xarray as xr

from modscope.boundary import public
from modscope.display import table_html
from modscope.errors import InputError

__all__ = ["Table", "table_of"]

_WIDTH = 80


@dataclass(frozen=True)
class Table:
    """A title, the names of the columns, and rows of numbers and words.

    str() of it is text of at most 80 columns: columns that do not fit follow in a second block, under the
    first column repeated. A number that does not exist (NaN, None) is a dash.

    >>> print(Table("Energy", ("hook", "share"), (("q", 0.25), ("k", float("nan")))))
    Energy
    hook  share
    q      0.25
    k         -
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[object, ...], ...]

    def __str__(self) -> str:
        cells = [[_text(cell) for cell in row] for row in self.rows]
        widths = [max(map(len, column)) for column in zip(self.columns, *cells, strict=True)]
        blocks = []
        for block in _blocks(widths):
            lines = [self.columns, *cells]
            blocks.append(
                "\n".join(_line([row[i] for i in block], [widths[i] for i in block]) for row in lines)
            )
        return "\n\n".join([f"{self.title}\n{blocks[0]}", *blocks[1:]])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return table_html(self.title, self.columns, self.rows)

    def records(self) -> list[dict[str, object]]:
        """One dict for each row, column -> value, as JSON can hold it: a number that does not exist is None.

        >>> Table("Energy", ("hook", "share"), (("k", float("nan")),)).records()
        [{'hook': 'k', 'share': None}]
        """
        return [
            {column: _plain(cell) for column, cell in zip(self.columns, row, strict=True)}
            for row in self.rows
        ]

    def to_csv(self) -> str:
        """The table as CSV text, numbers in full."""
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(self.columns)
        writer.writerows(self.rows)
        return out.getvalue()


@public
def table_of(
    results: xr.Dataset, title: str, *, rows: str, columns: str | None = None, only: Iterable[str] = ()
) -> Table:
    """A Dataset as a table: one row per value of the axis `rows`, one column per variable.

    A variable that also has the axis `columns` gives one column for each of its values. Variables with
    other axes are left out; `only` names the ones to show. Raises InputError where nothing is left.

    >>> results = xr.Dataset({"share": (("hook",), [0.5, 0.25])}, coords={"hook": ["q", "k"]})
    >>> table_of(results, "Energy", rows="hook").rows
    (('q', 0.5), ('k', 0.25))
    """
    names = list(only) or [str(name) for name in results.data_vars]
    heads, values = [rows], [_labels(results, rows)]
    for name in names:
        x = results[name]
        if x.dims == (rows,):
            heads.append(name)
            values.append(x.values.tolist())
        elif columns is not None and set(x.dims) == {rows, columns}:
            x = x.transpose(columns, rows)
            alone = len(names) == 1
            for label, column in zip(_labels(results, columns), x.values.tolist(), strict=True):
                heads.append(str(label) if alone else f"{name} {label}")
                values.append(column)
    if len(heads) == 1:
        axes = {name: results[name].dims for name in names}
        raise InputError(f"no variable has the axes {rows!r}, {columns!r} alone: these have {axes}")
    return Table(title, tuple(heads), tuple(zip(*values, strict=True)))


def _labels(results: xr.Dataset, axis: Hashable) -> list[object]:
    return results[axis].values.tolist() if axis in results.coords else list(range(results.sizes[axis]))


def _plain(cell: object) -> object:
    if isinstance(cell, np.generic):
        cell = cell.item()
    return None if isinstance(cell, float) and not np.isfinite(cell) else cell


def _text(cell: object) -> str:
    if cell is None:
        return "-"
    if isinstance(cell, float | np.floating):
        return "-" if np.isnan(cell) else f"{cell:.4g}"
    return str(cell)


def _blocks(widths: list[int]) -> list[list[int]]:
    """Which columns stand in each block: as many as fit, the first one in all of them."""
    blocks, current, used = [], [0], widths[0]
    for i, width in enumerate(widths[1:], start=1):
        if used + 2 + width > _WIDTH and len(current) > 1:
            blocks.append(current)
            current, used = [0], widths[0]
        current.append(i)
        used += 2 + width
    return [*blocks, current]


def _line(cells: Iterable[str], widths: Iterable[int]) -> str:
    first, *others = zip(cells, widths, strict=True)
    return "  ".join([first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in others)]).rstrip()
