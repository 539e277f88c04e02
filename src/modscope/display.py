"""How results look where they are printed: lines of at most 80 columns, and HTML for notebooks that needs nothing else.

Knows no network: plain names, numbers and arrays in, text out. Colours tell nothing that words do not.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from html import escape
from textwrap import wrap
from typing import Any

import numpy as np

__all__ = [
    "WIDTH",
    "Beside",
    "Shown",
    "Told",
    "bar_html",
    "bars_svg",
    "bytes_text",
    "card_html",
    "curves_svg",
    "details_html",
    "facts_html",
    "facts_text",
    "fields_of",
    "number_text",
    "shape_text",
    "shares_html",
    "table_html",
    "verdict_html",
]

WIDTH = 80

# Okabe and Ito's colours, which the usual kinds of colour blindness tell apart.
_VERDICT = {
    "holds": ("#0072B2", "●"),
    "holds in part": ("#B8860B", "◐"),
    "does not hold": ("#D55E00", "○"),
    "not applicable": ("#767676", "–"),
}
_LINES = ("#0072B2", "#D55E00", "#009E73", "#CC79A7")

_SORT = (
    "(function(e,t){var h=e.target.closest('th');if(!h)return;var i=h.cellIndex,b=t.tBodies[0],"
    "s=h.dataset.s=h.dataset.s==='1'?'-1':'1',v=function(r){return r.cells[i].dataset.v||r.cells[i].textContent},"
    "n=function(x){return x===''||isNaN(x)?null:+x};Array.from(b.rows).sort(function(x,y){x=v(x);y=v(y);"
    "var p=n(x),q=n(y);return s*(p!==null&&q!==null?p-q:p!==null?-1:q!==null?1:x.localeCompare(y))})"
    ".forEach(function(r){b.appendChild(r)})})(event,this)"
)
_CELL = "padding:.1em .7em .1em 0;text-align:{};vertical-align:top;font-variant-numeric:tabular-nums"


def number_text(value: float) -> str:
    """A number in four digits; a dash where there is none.

    >>> number_text(0.00012345), number_text(float("nan")), number_text(113)
    ('0.0001234', '-', '113')
    """
    if isinstance(value, int | np.integer):
        return str(int(value))
    return "-" if value is None or math.isnan(value) else f"{value:.4g}"


def bytes_text(count: int) -> str:
    """A number of bytes in words.

    >>> bytes_text(512), bytes_text(39_597_940)
    ('512 B', '39.6 MB')
    """
    size = float(count)
    for unit in ("B", "kB", "MB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} GB"


def shape_text(dims: Iterable[object], sizes: Iterable[int]) -> str:
    """The axes of an array with their sizes.

    >>> shape_text(("a", "neuron"), (113, 512))
    'a 113, neuron 512'
    """
    return ", ".join(f"{dim} {size}" for dim, size in zip(dims, sizes, strict=True))


def facts_text(head: str, facts: Mapping[str, object]) -> str:
    """A heading and one line for each fact, wrapped at 80 columns under its name.

    >>> print(facts_text("Circle", {"places": 113, "sign": "+1"}))
    Circle
      places  113
      sign    +1
    """
    across = max((len(name) for name in facts), default=0)
    lines = [head]
    for name, value in facts.items():
        first, *rest = wrap(str(value), WIDTH - across - 4) or [""]
        lines.append(f"  {name.ljust(across)}  {first}".rstrip())
        lines += [" " * (across + 4) + line for line in rest]
    return "\n".join(lines)


def fields_of(thing: Any, *, leave: Iterable[str] = ()) -> dict[str, str]:
    """The fields of a dataclass in short: arrays by their axes, long collections by their number.

    >>> from dataclasses import dataclass
    >>> @dataclass
    ... class Found:
    ...     share: float
    ...     table: object
    >>> fields_of(Found(0.25, np.zeros((3, 4))))
    {'share': '0.25', 'table': 'array (3, 4) float64'}
    """
    left = set(leave)
    return {f.name: _short(getattr(thing, f.name)) for f in fields(thing) if f.repr and f.name not in left}


def _short(value: Any) -> str:
    if isinstance(value, str):
        return value
    if callable(value) and hasattr(value, "__name__"):
        return str(value.__name__)
    if hasattr(value, "data_vars"):
        return f"Dataset of {', '.join(map(str, value.data_vars))} over ({shape_text(value.sizes, value.sizes.values())})"
    if hasattr(value, "dims") and hasattr(value, "coords"):
        return f"array ({shape_text(value.dims, value.shape)}) {value.dtype}"
    if isinstance(value, np.ndarray):
        return f"array {value.shape} {value.dtype}"
    if isinstance(value, float):
        return number_text(value)
    if isinstance(value, Shown) and type(value).__str__ is not object.__str__:
        return str(value)
    if is_dataclass(value) and not isinstance(value, type) and len(fields(value)) > 1:
        return ", ".join(f"{name} {text}" for name, text in fields_of(value).items() if text != "")
    if isinstance(value, Mapping):
        shown = ", ".join(f"{key}: {_short(x)}" for key, x in value.items())
        return (
            shown
            if len(shown) <= 3 * WIDTH
            else f"{len(value)} by {', '.join(map(str, list(value)[:4]))}, ..."
        )
    if isinstance(value, tuple | list):
        shown = " ".join(_short(x) for x in value)
        return shown if len(shown) <= 3 * WIDTH else f"{len(value)} of {type(value[0]).__name__}"
    return str(value)


# HTML


def facts_html(head: str, facts: Mapping[str, object], *more: str) -> str:
    """A card: a heading, facts as rows of two cells, and more HTML under them. Facts that are `Markup` stay as they are."""
    rows = "".join(
        f'<tr><td style="{_CELL.format("left")};opacity:.7;white-space:nowrap">{escape(name)}</td>'
        f'<td style="{_CELL.format("left")}">{_escaped(value)}</td></tr>'
        for name, value in facts.items()
    )
    table = (
        f'<table style="border-collapse:collapse;background:none;margin:0;font-size:13px">{rows}</table>'
        if rows
        else ""
    )
    return card_html(head, table, *more)


def card_html(head: str, *parts: str) -> str:
    """HTML under a heading, in the fonts and colours of the page around it."""
    return (
        '<div style="font-size:13px;line-height:1.45;max-width:60em">'
        f"<div><b>{_escaped(head)}</b></div>{''.join(parts)}</div>"
    )


def details_html(summary: str, inside: str, *, opened: bool = False) -> str:
    """HTML that folds."""
    return f"<details{' open' if opened else ''}><summary>{_escaped(summary)}</summary>{inside}</details>"


def table_html(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table whose columns sort when their heads are clicked; numbers to the right, in four digits."""
    rows = [list(row) for row in rows]
    numeric = [
        any(_is_number(row[i]) for row in rows) and all(_is_number(row[i]) or row[i] is None for row in rows)
        for i in range(len(columns))
    ]
    sides = ["right" if is_number else "left" for is_number in numeric]
    head = "".join(
        f'<th style="{_CELL.format(side)};cursor:pointer" title="sort">{_escaped(name)}</th>'
        for name, side in zip(columns, sides, strict=True)
    )
    body = "".join(
        "<tr>" + "".join(_cell(cell, side) for cell, side in zip(row, sides, strict=True)) + "</tr>"
        for row in rows
    )
    caption = (
        f'<caption style="text-align:left;caption-side:top">{_escaped(title).replace(chr(10), "<br>")}</caption>'
        if title
        else ""
    )
    return (
        f'<div style="overflow-x:auto"><table style="border-collapse:collapse;margin:0;font-size:13px" onclick="{_SORT}">{caption}'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _cell(cell: object, side: str) -> str:
    if _is_number(cell):
        value = float(cell)  # type: ignore[arg-type]
        shown = number_text(cell if isinstance(cell, int | np.integer) else value)  # type: ignore[arg-type]
        exact = "" if math.isnan(value) else f"{value!r}"
        return f'<td data-v="{exact}" style="{_CELL.format(side)}">{shown}</td>'
    return f'<td style="{_CELL.format(side)}">{"-" if cell is None else _escaped(cell)}</td>'


def _is_number(cell: object) -> bool:
    return isinstance(cell, int | float | np.number) and not isinstance(cell, bool)


class Beside(str):
    """HTML that is to stay as it is among facts and cells."""

    __slots__ = ()

    def __html__(self) -> str:
        return str(self)


def _escaped(value: object) -> str:
    return str(value) if hasattr(value, "__html__") else escape(str(value))


def verdict_html(verdict: str) -> Beside:
    """A verdict in its colour, with a sign that says the same."""
    colour, sign = _VERDICT.get(verdict, _VERDICT["not applicable"])
    return Beside(
        f'<span style="color:{colour};font-weight:600;white-space:nowrap">{sign} {escape(verdict)}</span>'
    )


def bar_html(effect: float, control: float, limit: float, *, title: str = "") -> Beside:
    """The effect as a bar, the control as a thin one under it, the threshold as a tick, on one scale from 0."""
    if math.isnan(effect):
        return Beside("-")
    top = max(abs(effect), 0.0 if math.isnan(control) else abs(control), abs(limit)) or 1.0
    across = 90

    def width(value: float) -> float:
        return 0.0 if math.isnan(value) else min(abs(value) / top, 1.0) * across

    return Beside(
        f'<svg width="{across + 2}" height="14" role="img" style="vertical-align:middle"><title>{escape(title)}</title>'
        f'<rect x="0" y="1" width="{width(effect):.1f}" height="7" fill="#0072B2"/>'
        f'<rect x="0" y="9" width="{width(control):.1f}" height="3" fill="#999"/>'
        f'<line x1="{width(limit):.1f}" x2="{width(limit):.1f}" y1="0" y2="13" stroke="currentColor"/></svg>'
    )


def shares_html(shares: Mapping[str, float]) -> Beside:
    """Shares of a whole as one bar in parts, each named with its per cent."""
    across, left, parts, names = 300.0, 0.0, [], []
    for i, (name, share) in enumerate(shares.items()):
        width = across * min(max(share, 0.0), 1.0)
        parts.append(
            f'<rect x="{left:.1f}" width="{width:.1f}" height="12" fill="{_LINES[i % len(_LINES)]}"/>'
        )
        names.append(
            f'<span style="color:{_LINES[i % len(_LINES)]}">■</span> {escape(name)} {100 * share:.1f} %'
        )
        left += width
    return Beside(
        f'<svg width="{across:.0f}" height="12" role="img">{"".join(parts)}</svg><br>{", ".join(names)}'
    )


def bars_svg(
    x: Sequence[int], y: np.ndarray, marked: Iterable[int] = (), *, limit: float | None = None
) -> str:
    """Bars over whole numbers, the marked ones in colour and numbered, with a line at the limit."""
    values = np.nan_to_num(np.asarray(y, dtype=float))
    top, across, height, marks = max(values.max(initial=0.0), limit or 0.0) or 1.0, 6, 80, set(marked)
    parts = [f'<svg width="{across * len(x) + 4}" height="{height + 16}" role="img" font-size="9">']
    for i, (k, value) in enumerate(zip(x, values, strict=True)):
        tall = height * max(value, 0.0) / top
        colour = "#0072B2" if k in marks else "#999"
        parts.append(
            f'<rect x="{across * i}" y="{height - tall:.1f}" width="{across - 1}" height="{tall:.1f}" fill="{colour}"/>'
        )
        if k in marks:
            parts.append(f'<text x="{across * i}" y="{height + 12}" fill="currentColor">{k}</text>')
    if limit is not None:
        at = height - height * limit / top
        parts.append(
            f'<line x1="0" x2="{across * len(x)}" y1="{at:.1f}" y2="{at:.1f}" stroke="currentColor"/>'
        )
    return "".join(parts) + "</svg>"


def curves_svg(
    x: np.ndarray, curves: Mapping[str, np.ndarray], *, width: int = 340, height: int = 110
) -> str:
    """Curves over x on a logarithmic scale, as a small picture with its largest and smallest value; empty without values."""
    shown = {name: y for name, y in curves.items() if np.any(np.isfinite(y) & (y > 0))}
    if not shown or len(x) < 2:
        return ""
    every = np.concatenate([y[np.isfinite(y) & (y > 0)] for y in shown.values()])
    low, high = np.log10(every.min()), np.log10(every.max())
    span = (high - low) or 1.0
    left, right, top, bottom = 56, width - 60, 8, height - 18
    across = (x - x[0]) / ((x[-1] - x[0]) or 1)
    parts = [f'<svg width="{width}" height="{height}" role="img" font-size="10" fill="currentColor">']
    for i, (name, y) in enumerate(shown.items()):
        good = np.isfinite(y) & (y > 0)
        step = max(1, int(good.sum()) // 400)
        px = left + (right - left) * across[good][::step]
        py = bottom - (bottom - top) * (np.log10(y[good][::step]) - low) / span
        points = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(px, py, strict=True))
        colour = _LINES[i % len(_LINES)]
        dash = "" if i == 0 else ' stroke-dasharray="4 2"'
        parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.4"{dash}/>')
        parts.append(f'<text x="{right + 4}" y="{top + 10 + 13 * i}" fill="{colour}">{escape(name)}</text>')
    parts.append(f'<text x="{left - 4}" y="{top + 6}" text-anchor="end">{10**high:.2g}</text>')
    parts.append(f'<text x="{left - 4}" y="{bottom}" text-anchor="end">{10**low:.2g}</text>')
    parts.append(f'<text x="{left}" y="{height - 4}">{x[0]:,.0f}</text>')
    parts.append(f'<text x="{right}" y="{height - 4}" text-anchor="end">{x[-1]:,.0f}</text></svg>')
    return "".join(parts)


class Shown:
    """For dataclasses of results: they print their fields one a line, arrays by their axes, and show the same in a notebook.

    >>> from dataclasses import dataclass
    >>> @dataclass(frozen=True, repr=False)
    ... class Fit(Shown):
    ...     fve: float
    ...     alpha: object
    >>> Fit(0.95, np.zeros((5, 128)))
    Fit
      fve    0.95
      alpha  array (5, 128) float64
    """

    def _told(self) -> Mapping[str, object]:
        return fields_of(self)

    def _title(self) -> str:
        return type(self).__name__

    def __repr__(self) -> str:
        return facts_text(self._title(), self._told())

    def _repr_html_(self) -> str:
        return facts_html(self._title(), self._told())


class Told(dict[str, Any]):
    """A mapping that prints an entry a line, what lies in it by `name.entry`, and shows the same in a notebook.

    >>> Told(seed=0, network={"d_model": 128, "biases": ("b_in", "b_out")})
    2 entries
      seed             0
      network.d_model  128
      network.biases   b_in b_out
    """

    def _flat(self) -> dict[str, str]:
        told: dict[str, str] = {}
        for name, value in self.items():
            inner = Told(value)._flat() if isinstance(value, Mapping) and value else None
            told |= (
                {str(name): _short(value)} if inner is None else {f"{name}.{k}": v for k, v in inner.items()}
            )
        return told

    def __repr__(self) -> str:
        return facts_text(f"{len(self)} entries", self._flat())

    def _repr_html_(self) -> str:
        return facts_html(f"{len(self)} entries", self._flat())
