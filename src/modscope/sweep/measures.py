"""What is written down of one trained network: how training went, what each claim came to, and the numbers beside it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from modscope.activations import Activations, record
from modscope.analysis.answer.keys import evidence_of, key_frequencies
from modscope.analysis.plane.exponents import renamed_to_places
from modscope.errors import InputError
from modscope.findings import Finding, findings
from modscope.model import Network
from modscope.runs import Run, written
from modscope.sweep.plan import Looks
from modscope.task import ModularTask

__all__ = ["TRAINING", "Row", "judged_rows", "rows_of"]

TRAINING = "training"
_RIGHT = 0.999  # of the training pairs: memorised
_LOW = 0.01  # test loss: generalised


class Row(NamedTuple):
    """One measure of one network; what does not apply is None.

    kind: "training" for the course of training, "finding" for a claim (value its effect, control beside it), "number"
    for what a finding says besides, "frequencies" for the key frequencies.
    """

    kind: str
    measure: str
    value: float | None = None
    control: float | None = None
    low: float | None = None
    high: float | None = None
    verdict: str | None = None
    text: str | None = None
    unit: str | None = None


@dataclass(frozen=True)
class _Course:
    """The recorded steps of the weights that a run ended with."""

    epochs: np.ndarray
    columns: dict[str, np.ndarray]

    @classmethod
    def of(cls, run: Run) -> _Course:
        begun = max(run.begun_anew, default=0)
        kept = run.losses.sel(epoch=run.losses.epoch >= begun)
        columns = {str(name): written(kept, str(name)).reindex(epoch=kept.epoch) for name in kept.data_vars}
        return cls(kept.epoch.values, {name: column.values for name, column in columns.items()})

    def first(self, name: str, reached: Any) -> float | None:
        """The first recorded step at which a column is as wanted; None where it never is."""
        where = np.flatnonzero(reached(self.columns[name]))
        return float(self.epochs[where[0]]) if len(where) else None

    def last(self, name: str) -> float | None:
        """The last value of a column."""
        known = self.columns[name][np.isfinite(self.columns[name])]
        return float(known[-1]) if len(known) else None


def rows_of(run: Run, looks: Looks) -> list[Row]:
    """All rows of a run that has ended.

    memorised at, generalised at: the first recorded step with at least 99.9 % of the training pairs right, with a test
    loss below 0.01, counted from the beginning of the run; settled at: the step at which the rule of
    `modscope.training.stopping` ended it. None where that has not happened. After beginning anew only the weights
    that the run ended with count.
    """
    return [*_training(run), *judged_rows(run.model(), run.task, looks)]


def _training(run: Run) -> Iterator[Row]:
    course, epoch = _Course.of(run), float(run.epochs[-1])
    yield Row(TRAINING, "ended", text=run.finished)
    yield Row(TRAINING, "steps", epoch, unit="steps")
    for name in ("train_loss", "test_loss"):
        yield Row(TRAINING, name.replace("_", " "), course.last(name), unit="nats")
    for name in ("train_accuracy", "test_accuracy"):
        yield Row(TRAINING, name.replace("_", " "), course.last(name), unit="share")
    yield Row(TRAINING, "weight norm", course.last("weight_norm"))
    yield Row(TRAINING, "begun anew", float(len(run.begun_anew)), unit="times")
    memorised = course.first("train_accuracy", lambda x: x >= _RIGHT)
    generalised = course.first("test_loss", lambda x: x < _LOW)
    settled = epoch if run.finished == "settled" else None
    for name, step in (("memorised at", memorised), ("generalised at", generalised), ("settled at", settled)):
        yield Row(TRAINING, name, step, unit="step")


def judged_rows(network: Network, task: ModularTask, looks: Looks) -> Iterator[Row]:
    """The rows that follow from a network alone; none where nothing is to be judged."""
    if not looks.claims:
        return
    acts = record(*renamed_to_places(network, task))
    keys = _keys(acts)
    if keys is not None:
        yield Row("frequencies", "key frequencies", float(len(keys)), text=" ".join(map(str, keys)))
    for finding in findings(acts, only=looks.findings or None, key_frequencies=keys or None, seed=looks.seed):
        yield _of_finding(finding)
        for name, value in finding.numbers.items():
            yield Row("number", f"{finding.id}: {name}", _finite(value))


def _keys(acts: Activations) -> tuple[int, ...] | None:
    """The key frequencies; None where the task has none to be found."""
    try:
        return key_frequencies(evidence_of(acts)).frequencies
    except InputError:
        return None


def _of_finding(finding: Finding) -> Row:
    interval = finding.effect.interval
    return Row(
        "finding",
        finding.id,
        _finite(finding.effect.value),
        _finite(finding.control.value),
        _finite(interval.low) if interval else None,
        _finite(interval.high) if interval else None,
        finding.verdict,
        finding.summary or finding.reason,
        finding.effect.unit,
    )


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
