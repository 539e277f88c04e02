"""Runs side by side: their measures at the end with differences, and their curves against each other or a published one."""

from __future__ import annotations

import csv
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from modscope.display import Shown, number_text
from modscope.errors import InputError
from modscope.progress.columns import columns
from modscope.progress.over_epochs import Watch, _nobody, progress
from modscope.runs import Run

__all__ = ["Comparison", "CurveMatch", "against_curve", "compare", "read_curve"]


@dataclass(frozen=True, repr=False)
class Comparison(Shown):
    """Measures of several networks at their last epochs, a column each.

    names: of the networks. values: measure -> a number for each; NaN where a network does not have it. keys: the key
    frequencies of each; measures of one frequency stand under its own name.
    """

    names: tuple[str, ...]
    values: Mapping[str, tuple[float, ...]]
    keys: tuple[tuple[int, ...], ...]

    def _told(self) -> dict[str, object]:
        keys = ["key frequencies " + (" ".join(map(str, ks)) or "none") for ks in self.keys]
        told: dict[str, object] = dict(zip(self.names, keys, strict=True))
        return told | {name: " | ".join(map(number_text, self.values[name])) for name in self.largest(12)}

    def _title(self) -> str:
        return f"{len(self.names)} networks: the measures that differ most, of {len(self.values)}"

    def difference(self, measure: str) -> tuple[float, ...]:
        """Each network's number minus the first one's."""
        first, *_ = row = self.values[measure]
        return tuple(value - first for value in row)

    def largest(self, count: int = 20) -> list[str]:
        """The measures in which the networks differ most, by the difference over the larger of the sizes."""
        spread = {}
        for name, row in self.values.items():
            known = [abs(v) for v in row if math.isfinite(v)]
            if len(known) == len(row) and max(known) > 0:
                spread[name] = (max(row) - min(row)) / max(known)
        return sorted(spread, key=lambda name: -spread[name])[:count]

    def to_dict(self) -> dict[str, Any]:
        """Everything as JSON values; what is not known is None."""
        plain = {name: [v if math.isfinite(v) else None for v in row] for name, row in self.values.items()}
        apart = {
            name: [v if math.isfinite(v) else None for v in self.difference(name)] for name in self.values
        }
        return {
            "networks": list(self.names),
            "key_frequencies": [list(ks) for ks in self.keys],
            "measures": plain,
            "differences": apart,
        }


def compare(
    runs: Mapping[str, Run], *, measures: Iterable[str] | str | None = "fast", watch: Watch = _nobody
) -> Comparison:
    """The measures of several runs at their last epochs, each with its own key frequencies.

    Raises InputError for fewer than two.

    """
    if len(runs) < 2:
        raise InputError(f"{len(runs)} networks: expected at least two to compare")
    found = {
        name: progress(run, measures=measures, epochs=[run.epochs[-1]], watch=watch)
        for name, run in runs.items()
    }
    rows = [{k: float(column[-1]) for k, column in columns(one).items()} for one in found.values()]
    every = dict.fromkeys(name for row in rows for name in row)
    values = {name: tuple(row.get(name, math.nan) for row in rows) for name in every}
    keys = tuple(tuple(one.attrs["key_frequencies"]) for one in found.values())
    return Comparison(tuple(runs), values, keys)


def read_curve(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """The columns of a CSV file with a head, the first called epoch or step; empty cells are NaN.

    Raises InputError for a file that is none.
    """
    where = Path(path)
    try:
        with where.open(newline="", encoding="utf-8") as file:
            lines = [row for row in csv.reader(file) if row]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{where}: cannot be read as CSV: {error}") from error
    if len(lines) < 2 or lines[0][0].strip().lower() not in ("epoch", "step"):
        raise InputError(
            f"{where}: expected a CSV whose first column is called epoch or step, with a line or more"
        )
    head = [name.strip() for name in lines[0]]
    try:
        table = [[float(cell) if cell.strip() else math.nan for cell in row] for row in lines[1:]]
        values = np.array(table, dtype=np.float64)
    except ValueError as error:
        raise InputError(f"{where}: expected numbers below the head: {error}") from error
    if values.ndim != 2 or values.shape[1] != len(head):
        raise InputError(f"{where}: its lines do not all have {len(head)} cells")
    return {"epoch" if i == 0 else name: values[:, i] for i, name in enumerate(head)}


@dataclass(frozen=True)
class CurveMatch:
    """How a curve of ours lies to a published one, at the published epochs inside our run.

    points: how many. median, largest: of |log10(ours / theirs)| for a loss and of |ours - theirs| otherwise. kind says which.
    """

    column: str
    points: int
    median: float
    largest: float
    at: int
    kind: str

    def __str__(self) -> str:
        unit = "factors of ten" if self.kind == "logarithm" else "apart"
        return (
            f"{self.column}: {self.points} points, median {self.median:.3g} {unit}, largest {self.largest:.3g} "
            f"at epoch {self.at}"
        )


_SHORT = {
    "train_loss": "loss.train",
    "test_loss": "loss.test",
    "train_accuracy": "accuracy.train",
    "test_accuracy": "accuracy.test",
}


def against_curve(found: xr.Dataset, curve: Mapping[str, np.ndarray]) -> list[CurveMatch]:
    """Our measures over epochs against published curves of the same names (`modscope.progress.columns`, or train_loss
    and the like), ours interpolated linearly to their epochs, losses as logarithms.

    Raises InputError where no name is the same, or no epoch lies inside.
    """
    ours = columns(found)
    epochs = found.epoch.values.astype(float)
    matches = []
    for name, theirs in curve.items():
        column = _SHORT.get(name, name)
        if name == "epoch" or column not in ours:
            continue
        known = np.isfinite(ours[column])
        at = curve["epoch"]
        inside = (
            (at >= epochs[known].min()) & (at <= epochs[known].max()) & np.isfinite(theirs)
            if known.any()
            else at < 0
        )
        if not inside.any():
            continue
        loss = "loss" in column
        values = np.log10(np.maximum(ours[column], 1e-300)) if loss else ours[column]
        mine = np.interp(at[inside], epochs[known], values[known])
        gap = np.abs(mine - (np.log10(np.maximum(theirs[inside], 1e-300)) if loss else theirs[inside]))
        worst = int(gap.argmax())
        matches.append(
            CurveMatch(
                column,
                int(inside.sum()),
                float(np.median(gap)),
                float(gap[worst]),
                int(at[inside][worst]),
                "logarithm" if loss else "difference",
            )
        )
    if not matches:
        named: Sequence[str] = [name for name in curve if name != "epoch"]
        raise InputError(
            f"the curve has {', '.join(named) or 'no column'}: expected one of the measures' names at epochs of the run, "
            f"such as train_loss or {next(iter(ours), 'gini.embedding')}"
        )
    return matches
