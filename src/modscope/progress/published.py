"""A run against a curve that somebody published as numbers."""

from __future__ import annotations

import csv
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr

from modscope.boundary import public
from modscope.errors import InputError, cause
from modscope.progress.columns import columns
from modscope.runs import written

__all__ = ["CurveMatch", "against_curve", "own_curves", "read_curve", "unmeasured_columns"]

_SHORT = {
    "train_loss": "loss.train",
    "test_loss": "loss.test",
    "train_accuracy": "accuracy.train",
    "test_accuracy": "accuracy.test",
}
_SMALLEST = 1e-300  # a loss of 0 has no logarithm


@public
def read_curve(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """The columns of a CSV file with a head, the first called epoch or step, by rising epoch; empty cells are NaN.

    Raises InputError for a file that is none: cells that are no numbers, lines of other lengths, an epoch that stands
    twice or is not known, a loss below 0.
    """
    where = Path(path)
    try:
        with where.open(newline="", encoding="utf-8-sig") as file:
            lines = [(number, row) for number, row in enumerate(csv.reader(file), 1) if row]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        why = cause(error) if isinstance(error, OSError) else str(error)
        raise InputError(f"{where}: cannot be read as CSV: {why}") from error
    if len(lines) < 2 or lines[0][1][0].strip().lower() not in ("epoch", "step"):
        raise InputError(
            f"{where}: expected a CSV whose first column is called epoch or step, with a line or more"
        )
    head = [name.strip() for name in lines[0][1]]
    head[0] = "epoch"
    if len(set(head)) < len(head):
        raise InputError(f"{where}: two of its columns have one name: {', '.join(head)}")
    values = np.array([_numbers(where, number, row, head) for number, row in lines[1:]])
    values = values[np.argsort(values[:, 0], kind="stable")]
    twice = values[1:, 0][np.diff(values[:, 0]) == 0]
    if twice.size:
        raise InputError(f"{where}: epoch {twice[0]:g} stands there twice")
    return {name: values[:, i] for i, name in enumerate(head)}


def _numbers(where: Path, number: int, row: list[str], head: list[str]) -> list[float]:
    """The cells of a line as numbers."""
    if len(row) != len(head):
        raise InputError(f"{where}: line {number} has {len(row)} cells, its head {len(head)}")
    values = []
    for name, cell in zip(head, row, strict=True):
        try:
            value = float(cell) if cell.strip() else math.nan
        except ValueError:
            raise InputError(
                f"{where}: line {number}, {name}: expected a number, not {cell[:40]!r}"
            ) from None
        if name == "epoch" and not math.isfinite(value):
            raise InputError(f"{where}: line {number}: expected a number as its epoch, not {cell[:40]!r}")
        if "loss" in name and value < 0:
            raise InputError(f"{where}: line {number}, {name}: a loss is not below 0, and this is {value:g}")
        values.append(value)
    return values


@dataclass(frozen=True)
class CurveMatch:
    """How a curve of ours lies to a published one, at the published epochs inside our run.

    points: how many; left_out: how many more have no number or lie outside of our curve. median, largest: of
    |log10(ours / theirs)| for a loss and of |ours - theirs| otherwise; kind says which. at: the epoch of the largest. apart:
    how many steps lie at most between two of our points there, between which a straight line is drawn.
    """

    column: str
    points: int
    median: float
    largest: float
    at: int
    kind: str
    left_out: int = 0
    apart: int = 0

    def __str__(self) -> str:
        unit = "factors of ten" if self.kind == "logarithm" else "apart"
        others = f"; {self.left_out} more are empty or outside of the run" if self.left_out else ""
        return (
            f"{self.column}: {self.points} point{'s' * (self.points > 1)}, median {self.median:.3g} {unit}, largest "
            f"{self.largest:.3g} at epoch {self.at}, ours every {self.apart} steps or less{others}"
        )


@public
def own_curves(
    found: xr.Dataset, losses: xr.Dataset | None = None
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Measures over epochs as curves, name: (epochs, values), without what is not known.

    losses: those of the run (`Run.losses`): where they have more steps than there are checkpoints, they are the curve.
    """
    epochs = found.epoch.values.astype(float)
    curves = {
        name: (epochs[known], values[known])
        for name, values in columns(found).items()
        if (known := np.isfinite(values)).any()
    }
    for short, name in _SHORT.items():
        if losses is None or short not in losses or not losses.sizes["epoch"]:
            continue
        curve = written(losses, short)
        curve = curve[np.isfinite(curve.values)]
        if curve.size > (len(curves[name][0]) if name in curves else 0):
            curves[name] = (curve.epoch.values.astype(float), curve.values.astype(float))
    return curves


@public
def unmeasured_columns(found: xr.Dataset, curve: Mapping[str, np.ndarray]) -> list[str]:
    """The columns of a published curve that are none of the measures found."""
    known = {"epoch", *columns(found)}
    return [name for name in curve if _SHORT.get(name, name) not in known]


@public
def against_curve(
    found: xr.Dataset, curve: Mapping[str, np.ndarray], *, losses: xr.Dataset | None = None
) -> list[CurveMatch]:
    """Our measures over epochs against published curves of the same names (`modscope.progress.columns`, or train_loss
    and the like), ours interpolated linearly to their epochs, losses as logarithms.

    losses: of the run, finer than its checkpoints (`own_curves`). Raises InputError where no name is the same, or no
    epoch lies inside.
    """
    ours = own_curves(found, losses)
    shared = [name for name in curve if name != "epoch" and _SHORT.get(name, name) in ours]
    if not shared:
        named = ", ".join(name for name in curve if name != "epoch") or "no column"
        raise InputError(
            f"the curve has {named}: expected one of the measures' names, such as train_loss or "
            f"{next(iter(ours), 'gini.embedding')}"
        )
    matches = [
        _match(_SHORT.get(name, name), *ours[_SHORT.get(name, name)], curve["epoch"], curve[name])
        for name in shared
    ]
    if not any(matches):
        epochs = found.epoch.values
        raise InputError(
            f"none of the curve's {len(curve['epoch'])} points lies inside of the run, which goes from epoch "
            f"{epochs.min()} to {epochs.max()}: theirs go from {curve['epoch'].min():g} to {curve['epoch'].max():g}"
        )
    return [match for match in matches if match is not None]


def _match(
    column: str, epochs: np.ndarray, ours: np.ndarray, at: np.ndarray, theirs: np.ndarray
) -> CurveMatch | None:
    """One curve of ours at the epochs of theirs; None where they share none."""
    inside = (at >= epochs.min()) & (at <= epochs.max()) & np.isfinite(theirs)
    if not inside.any():
        return None
    loss = "loss" in column
    if loss:
        ours, theirs = (np.log10(np.maximum(values, _SMALLEST)) for values in (ours, theirs))
    gap = np.abs(np.interp(at[inside], epochs, ours) - theirs[inside])
    worst = int(gap.argmax())
    right = np.searchsorted(epochs, at[inside])
    steps = epochs[right] - epochs[np.maximum(right - 1, 0)]
    return CurveMatch(
        column,
        int(inside.sum()),
        float(np.median(gap)),
        float(gap[worst]),
        int(at[inside][worst]),
        "logarithm" if loss else "difference",
        int((~inside).sum()),
        int(steps.max()),
    )
