"""What a page tells of training: measures over the epochs, phases, what still moves, and two films."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import xarray as xr

from modscope.analysis.weights.frequencies import energy_shares, weight_table
from modscope.errors import InputError
from modscope.progress.over_epochs import Watch, _nobody, measured, progress
from modscope.progress.phases import Movement, Phases, movements, phases
from modscope.runs import Run

__all__ = ["TOLD", "TrainingStory", "told_epochs", "training_story"]

# what a page tells; all but what costs many forward passes an epoch
TOLD = (
    "loss",
    "restricted",
    "sparsity",
    "squared-weights",
    "key-shares",
    "clusters",
    "symmetry",
    "mechanism",
)
MOST = 24  # epochs that a page measures


@dataclass(frozen=True)
class TrainingStory:
    """Training as a page tells it.

    losses: the curves as they were written; measures: over (epoch, ...), `progress` of the epochs in `told`, which are of
    the run's `kept` checkpoints; phases: dated from the losses; movements: whether each number has settled, by its name;
    spectrum (epoch, k): share of the embedding's energy outside DC; neuron (epoch, c, a), or (epoch, a, b) where the
    answer is no sum: one neuron after the activation function, named by the attribute `neuron`.
    """

    losses: xr.Dataset
    measures: xr.Dataset
    phases: Phases
    told: tuple[int, ...]
    kept: int
    spectrum: xr.DataArray
    neuron: xr.DataArray | None = None
    movements: Mapping[str, Movement] = field(default_factory=dict)


def told_epochs(epochs: Sequence[int], *, most: int = MOST) -> tuple[int, ...]:
    """At most so many of the epochs, first and last among them, evenly by their place in the list.

    >>> told_epochs(range(0, 100, 10), most=4)
    (0, 30, 60, 90)
    """
    places = np.unique(np.linspace(0, len(epochs) - 1, min(most, len(epochs))).round().astype(int))
    return tuple(int(epochs[i]) for i in places)


def training_story(
    run: Run, *, frequencies: Sequence[int] | None = None, neuron: int | None = None, watch: Watch = _nobody
) -> TrainingStory:
    """The story of a run with three checkpoints or more.

    neuron: the one that is filmed. Measures are kept in the folder of the run, so a second page is instant.
    Raises InputError for a run with fewer checkpoints.
    """
    if len(run.epochs) < 3:
        raise InputError(f"{len(run.epochs)} checkpoints: a story of training needs three or more")
    at = told_epochs(run.epochs)
    measures = progress(run, measures=TOLD, frequencies=frequencies, epochs=at, watch=watch)
    spectrum = measured(run, lambda acts: energy_shares(weight_table(acts.model, "embedding")), epochs=at)
    return TrainingStory(
        run.losses,
        measures,
        phases(run),
        at,
        len(run.epochs),
        next(iter(spectrum.data_vars.values())),
        None if neuron is None else _neuron_film(run, at, neuron),
        movements(measures),
    )


def _neuron_film(run: Run, at: Sequence[int], neuron: int) -> xr.DataArray:
    order = ("c", "a") if run.task.operation in ("add", "subtract") else None
    film = run.record("mlp_post", neuron=neuron, order=order).sel(epoch=list(at))
    attrs = {"p": run.task.p, "operation": run.task.operation, "neuron": neuron, "hook": "mlp_post"}
    return film.load().assign_attrs(attrs)
