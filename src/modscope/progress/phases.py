"""Phases of training, dated from the curves by stated rules, and whether a measure has settled."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import xarray as xr

from modscope.boundary import public
from modscope.display import Shown
from modscope.progress.columns import columns
from modscope.runs import Run

__all__ = ["RULES", "Movement", "Phase", "Phases", "movements", "phases", "phases_of"]

KNOWN, FALLEN, NORM_RESTS, STRETCH = 0.99, 0.5, 0.02, 0.05
ENOUGH = 8  # evaluations below which a run is too sparse to date

RULES: Mapping[str, str] = {
    "memorising": "until the training accuracy is first .99",
    "circuit forming": "until the test loss is for good below half of the highest that it had since",
    "clean-up": "until the test accuracy stays at .99 or more and the norm of the weights within 2 % of its last value",
    "settled": "from there to the end, if that is at least a twentieth of the run",
}


@dataclass(frozen=True)
class Phase:
    """A stretch of training, from one step up to another, and the rule that ends it."""

    name: str
    start: int
    end: int

    @property
    def rule(self) -> str:
        """What ends the phase, in one sentence."""
        return RULES[self.name]


@dataclass(frozen=True, repr=False)
class Phases(Shown):
    """The phases of a run in order; `why` says what cannot be told."""

    phases: tuple[Phase, ...]
    why: str = ""

    def _told(self) -> dict[str, object]:
        told: dict[str, object] = {p.name: f"{p.start:,} to {p.end:,}: {p.rule}" for p in self.phases}
        return told | ({"why not": self.why} if self.why else {})

    @public
    def at(self, epoch: int) -> str:
        """The name of the phase of an epoch; empty where none is dated."""
        inside = [phase.name for phase in self.phases if phase.start <= epoch <= phase.end]
        return inside[-1] if inside else ""

    def to_dict(self) -> dict[str, Any]:
        """The phases with their rules as plain values."""
        return {"phases": [asdict(p) | {"rule": p.rule} for p in self.phases], "why": self.why}

    def __str__(self) -> str:
        text = ", ".join(f"{p.name} {p.start}-{p.end}" for p in self.phases)
        return "; ".join(part for part in (text, self.why) if part)


@public
def phases(run: Run) -> Phases:
    """The phases of a run from its losses: memorising, circuit forming, clean-up, settled (`RULES`).

    Only what came after the last new beginning counts. A run of which too little was written, or that has no test
    pairs, has none, and `why` says so. Names after Nanda et al. 2023, section 5; the rules are exact forms of what is
    read off the curves there.
    """
    names = ("train_accuracy", "test_accuracy", "test_loss", "weight_norm")
    losses = run.losses
    missing = [name for name in names if name not in losses]
    if missing or not losses.sizes["epoch"]:
        return Phases(
            (), f"the run has no {', '.join(missing or names)} in its losses: its phases cannot be dated"
        )
    written = losses.isel(epoch=(losses.test_step == losses.epoch).values & losses.test_loss.notnull().values)
    started = run.begun_anew[-1] if run.begun_anew else 0
    written = written.sel(epoch=slice(started, None))
    return phases_of(written.epoch.values, *(written[name].values for name in names))


@public
def phases_of(
    epochs: np.ndarray,
    train_accuracy: np.ndarray,
    test_accuracy: np.ndarray,
    test_loss: np.ndarray,
    weight_norm: np.ndarray,
) -> Phases:
    """The phases from curves over the same steps (`RULES`).

    >>> n = np.arange(20)
    >>> known = (n > 3) * 1.0
    >>> found = phases_of(10 * n, known, (n > 9) * 1.0, np.where(n < 9, 8.0, 0.01), np.where(n < 13, 40.0, 30.0))
    >>> str(found)
    'memorising 0-40, circuit forming 40-90, clean-up 90-130, settled 130-190'
    """
    if len(epochs) < ENOUGH:
        return Phases((), f"{len(epochs)} evaluations: too few to date phases, expected {ENOUGH} or more")
    start, end = int(epochs[0]), int(epochs[-1])
    memorised = np.flatnonzero(train_accuracy >= KNOWN)
    if not len(memorised):
        return Phases((Phase("memorising", start, end),), "the training accuracy never reaches .99")
    m = int(memorised[0])
    found = [Phase("memorising", start, int(epochs[m]))]
    turn = _for_good(test_loss[m:] < FALLEN * np.maximum.accumulate(test_loss[m:]))
    if turn is None:
        found.append(Phase("circuit forming", int(epochs[m]), end))
        return Phases(tuple(found), "the test loss never falls to half of its highest: not generalised")
    found.append(Phase("circuit forming", int(epochs[m]), int(epochs[m + turn])))
    rests = np.abs(weight_norm / weight_norm[-1] - 1) <= NORM_RESTS
    rest = _for_good((test_accuracy >= KNOWN) & rests)
    late = None if rest is None else max(rest, m + turn)
    if late is None or epochs[late] > end - STRETCH * (end - start):
        found.append(Phase("clean-up", int(epochs[m + turn]), end))
        return Phases(tuple(found), "not settled: the run ends while the network still changes")
    found.append(Phase("clean-up", int(epochs[m + turn]), int(epochs[late])))
    found.append(Phase("settled", int(epochs[late]), end))
    return Phases(tuple(found))


def _for_good(holds: np.ndarray) -> int | None:
    """From where on something holds to the end; None where it does not hold at the end."""
    if not len(holds) or not holds[-1]:
        return None
    fails = np.flatnonzero(~holds)
    return int(fails[-1]) + 1 if len(fails) else 0


TENTH, STILL, HALF, ROUNDING, NOTHING = 0.1, 0.02, 0.5, 1e-6, 1e-7


@dataclass(frozen=True)
class Movement:
    """How a number moves at the end of a run.

    verdict: "settled", "still moves" or "cannot be told". moved: the width of the values it took since the step `since`,
    which is a tenth of the run before its end or the last checkpoint before that; share: moved over the width of the
    values of the whole run (of their logarithms for a loss). why: what keeps it from being told.
    """

    verdict: str
    last: float = float("nan")
    moved: float = float("nan")
    share: float = float("nan")
    since: int = 0
    why: str = ""

    def __str__(self) -> str:
        if self.verdict == "cannot be told":
            return f"cannot be told whether it has settled: {self.why}"
        return f"{self.verdict}: moved by {self.moved:.2g} since step {self.since}, {self.share:.1%} of its range"


@public
def movements(dataset: xr.Dataset) -> dict[str, Movement]:
    """Whether each number of a dataset over epochs has settled: over the last tenth of the run it moved by less than 2 %
    of the width of its values over the run, losses as logarithms.

    The names are those of `modscope.progress.columns`. Fewer than three epochs, or none in the second half before the
    last tenth, cannot tell.
    """
    begun = dataset.attrs.get("begun_anew") or [0]
    recent = dataset.sel(epoch=slice(begun[-1], None))
    epochs = recent.epoch.values
    return {name: _movement(name, epochs, column) for name, column in columns(recent).items()}


def _movement(name: str, epochs: np.ndarray, values: np.ndarray) -> Movement:
    known = np.isfinite(values)
    if not known.any():
        return Movement("cannot be told", why="it is not known at any epoch")
    at, x = epochs[known], values[known]
    if not known[-1]:
        return Movement("cannot be told", why="it is not known at the last epoch")
    if len(at) < 3:
        return Movement("cannot be told", float(x[-1]), why=f"{len(at)} epochs are too few")
    length = at[-1] - at[0]
    before = np.flatnonzero(at <= at[-1] - TENTH * length)
    since = int(before[-1])
    if at[since] < at[-1] - HALF * length:
        why = f"no checkpoint between steps {at[since]} and {at[since + 1]}: too sparse"
        return Movement("cannot be told", float(x[-1]), why=why)
    scale = np.log(np.maximum(x, 1e-12)) if "loss" in name else x
    width, moved = np.ptp(scale), np.ptp(scale[since:])
    # What is constant up to the rounding of float32 does not move, nor does a share that is zero but for rounding.
    share = float(moved / width) if width > max(ROUNDING * np.abs(scale).max(), NOTHING) else 0.0
    verdict = "settled" if share <= STILL else "still moves"
    return Movement(verdict, float(x[-1]), float(np.ptp(x[since:])), share, int(at[since]))
