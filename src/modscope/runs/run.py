"""A run read back: epochs, losses, the network and any weight at every epoch, from our folders or foreign files."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from modscope.boundary import public
from modscope.checkpoints import Checkpoint, Saved, open_checkpoint, read_safetensors
from modscope.checkpoints.folders import anew_notes, before
from modscope.checkpoints.manifest import MANIFEST, Listed, inside, read_manifest
from modscope.checkpoints.reading import read_file, read_table
from modscope.display import Shown, Told, curves_svg, facts_html, number_text
from modscope.errors import CheckpointError, InputError, ModscopeError, RunError, path_of
from modscope.model import Network
from modscope.runs.events import read_events
from modscope.runs.film import film, lazy_array
from modscope.runs.folder import ENVIRONMENT, EVENTS, LOSSES, RECIPE, RESUME, read_losses
from modscope.schema import json_in
from modscope.task import ModularTask

__all__ = ["Run"]

_AXES: Mapping[str, tuple[str, ...]] = {
    "W_E": ("token", "d_model"),
    "W_pos": ("pos", "d_model"),
    "W_Q": ("head", "d_model", "d_head"),
    "W_K": ("head", "d_model", "d_head"),
    "W_V": ("head", "d_model", "d_head"),
    "W_O": ("head", "d_head", "d_model"),
    "b_Q": ("head", "d_head"),
    "b_K": ("head", "d_head"),
    "b_V": ("head", "d_head"),
    "b_O": ("d_model",),
    "W_in": ("d_model", "neuron"),
    "b_in": ("neuron",),
    "W_out": ("neuron", "d_model"),
    "b_out": ("d_model",),
    "W_U": ("d_model", "answer"),
    "b_U": ("answer",),
}


@dataclass(frozen=True, repr=False)
class Run(Shown):
    """A training run: the networks of its epochs, read when asked for, and its losses.

    path: the folder or file. epochs: those that can be read, ascending; an epoch is a step of the optimiser.
    recipe, environment: what the folder says of itself; empty for foreign files. begun_anew: the epochs at which
    training began again from other initial weights (`Stop.begin_anew`); it is an attribute of losses and weights too.
    losses: train and test loss and accuracy over the steps at which they were written. It has every epoch of the run: where
    nothing was written at one of them, the nearest step's values stand there, and the coordinates `train_step` and
    `test_step` say of which step they are. files: the file of each epoch, of our own folders.
    """

    path: Path
    task: ModularTask
    epochs: tuple[int, ...]
    losses: xr.Dataset = field(repr=False)
    recipe: Mapping[str, Any] = field(default_factory=dict, repr=False)
    environment: Mapping[str, Any] = field(default_factory=dict, repr=False)
    finished: str = ""
    begun_anew: tuple[int, ...] = ()
    files: Mapping[int, Path] = field(default_factory=dict, repr=False)
    _network_at: Callable[[int], Network] = field(repr=False, compare=False, kw_only=True)

    @classmethod
    @public
    def open(cls, path: str | os.PathLike[str]) -> Run:
        """The run in a folder that modscope wrote, or in a foreign file with many state dicts.

        Raises InputError where there is none, CheckpointError where a file of it cannot be read.
        """
        where = path_of(path)
        if not where.exists():
            raise InputError(f"{where}: no such file or folder")
        return cls._of_folder(where) if cls.is_folder(where) else cls.of(open_checkpoint(where))

    @staticmethod
    @public
    def is_folder(path: str | os.PathLike[str]) -> bool:
        """Whether a path is a run folder that modscope wrote."""
        return (Path(path) / MANIFEST).is_file()

    @classmethod
    def _of_folder(cls, folder: Path) -> Run:
        manifest = read_manifest(folder)
        listed = {one.epoch: one for one in manifest.checkpoints}
        files = {epoch: inside(folder, one.file) for epoch, one in listed.items()}
        if not files:
            raise RunError(f"{folder}: the run has no checkpoint yet")

        task = _first_readable(files, listed).task

        def network_at(epoch: int) -> Network:
            network = _opened(files, listed, epoch).model
            if network.config.p != task.p:
                raise CheckpointError(
                    f"{files[epoch]}: is a network for p = {network.config.p}, and the run is of p = {task.p}"
                )
            return network

        return cls(
            folder,
            task,
            tuple(sorted(files)),
            _losses(read_losses(folder / LOSSES), sorted(files)).assign_attrs(
                begun_anew=list(manifest.begun_anew)
            ),
            Told(_table(folder / RECIPE)),
            Told(_table(folder / ENVIRONMENT)),
            manifest.finished,
            manifest.begun_anew,
            files,
            _network_at=network_at,
        )

    @classmethod
    @public
    def of(cls, checkpoint: Checkpoint) -> Run:
        """The run of an opened checkpoint: the epochs of its file, or the one network that it is."""
        return cls(
            checkpoint.run_path,
            checkpoint.task,
            tuple(sorted(checkpoint.epochs)) or (checkpoint.epoch or 0,),
            _foreign_losses(checkpoint, sorted(checkpoint.epochs)),
            _network_at=checkpoint.network_at if checkpoint.epochs else lambda _: checkpoint.model,
        )

    def _title(self) -> str:
        return f"Run {self.path.name}: {self.task}"

    def _told(self) -> dict[str, object]:
        last = {
            str(name): number_text(float(known[-1]))
            for name, y in self.losses.data_vars.items()
            if (known := y.values[~np.isnan(y.values)]).size
        }
        told = {
            "epochs": f"{len(self.epochs)} kept, {self.epochs[0]:,} to {self.epochs[-1]:,}",
            "finished": self.finished,
            "preset": self.recipe.get("preset", ""),
            "last": ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in last.items()),
            "note": " ".join(self.notes),
        }
        return {name: value for name, value in told.items() if value}

    def _repr_html_(self) -> str:
        curves = {
            str(name).replace("_", " "): y.values
            for name, y in self.losses.data_vars.items()
            if str(name).endswith("loss") and y.dims == ("epoch",)
        }
        picture = curves_svg(self.losses.epoch.values, curves) if curves else ""
        return facts_html(self._title(), self._told(), picture)

    @property
    def notes(self) -> tuple[str, ...]:
        """What has to be known of the run before its epochs are compared."""
        by_hand = [f"{e['kind'].replace('_', ' ')} {e['value']:g} at step {e['step']}" for e in self.events]
        changed = (f"changed by hand while it trained: {', '.join(by_hand)}",) if by_hand else ()
        return (*anew_notes(self.begun_anew), *changed)

    @property
    def events(self) -> tuple[Mapping[str, Any], ...]:
        """Changes made by hand while it trained, each with step, kind and value (`modscope.runs.events`)."""
        path = self.path / EVENTS
        if not self.files or not path.is_file():
            return ()
        return tuple(asdict(event) for event in read_events(path, self.task.p))

    @public
    def model(self, epoch: int | None = None) -> Network:
        """The network at one of the epochs; the last one if none is named."""
        epoch = self.epochs[-1] if epoch is None else epoch
        if epoch not in self.epochs:
            nearest = min(self.epochs, key=lambda known: abs(known - epoch))
            raise InputError(
                f"epoch {epoch}: this run has {len(self.epochs)} checkpoints from {self.epochs[0]} to "
                f"{self.epochs[-1]}; the nearest is {nearest}"
            )
        return self._network_at(epoch)

    def state(self) -> tuple[int, Network] | None:
        """The network in resume.safetensors and its epoch; None where there is none that can be read.

        It is of a later epoch than the last checkpoint while a run is trained.
        """
        path = self.path / RESUME
        if not self.files or not path.is_file():
            return None
        try:
            contents = read_file(path)
            epoch = int(json_in(contents.metadata["state"])["epoch"])
            start = "weights."
            weights = {n[len(start) :]: w for n, w in contents.data.items() if n.startswith(start)}
            like = self.model()
            return epoch, type(like)(like.config, weights)
        except (ModscopeError, OSError, KeyError, TypeError, ValueError):
            return None

    @public
    def weights(self, name: str) -> xr.DataArray:
        """One weight over all epochs, dims (epoch, ...), read from the files when its numbers are.

        Slicing reads only the epochs asked for: `run.weights("W_E").isel(epoch=-1)`. Raises UnknownName.
        """
        first = self.model(self.epochs[0]).weight(name).detach().float().numpy()
        short = name.split(".")[-1]
        axes = _AXES.get(short, tuple(f"{short}_{i}" for i in range(first.ndim)))

        def values(epoch: int) -> np.ndarray:
            return self.model(epoch).weight(name).detach().float().numpy()

        like = xr.DataArray(first, dims=axes, name=short)
        return lazy_array(values, self.epochs, like, attrs=self.losses.attrs)

    @public
    def record(
        self,
        hook: str,
        *,
        pos: str | None = None,
        order: tuple[str, str] | None = None,
        **select: int | str | slice | Sequence[int],
    ) -> xr.DataArray:
        """One activation over all epochs, dims (epoch, a, b, feature), an epoch computed when its values are read.

        `run.record("mlp_post", neuron=43)`: axes named in `select` are cut first, so that no more is ever kept than
        one epoch of what is left; numbers, names ("a" of key_pos), slices or lists. What depends on one token is
        (epoch, pos, token, feature), or without `pos` at the position named. order=("c", "a") makes each row of the
        pairs a wave in a, c being the answer (`modscope.in_order`). float32.
        Raises UnknownName for a hook, axis or position that is not there, InputError for an index outside.
        """
        array = film(self.model, self.task, self.epochs, hook, position=pos, order=order, select=dict(select))
        return array.assign_attrs(begun_anew=list(self.begun_anew)) if self.begun_anew else array

    # The rooms above are entered by name, so that nothing below them imports them.

    @public
    def progress(self, **options: Any) -> xr.Dataset:
        """Progress measures at every epoch: see `modscope.progress.progress`, which takes the same options."""
        return import_module("modscope.progress").progress(self, **options)

    @public
    def measure(self, of: Callable[[Any], Any], **options: Any) -> xr.Dataset:
        """Any function of a record of activations at every epoch: see `modscope.progress.measured`.

        `run.measure(lambda acts: float(acts.at("mlp_post").mean()))`.
        """
        return import_module("modscope.progress").measured(self, of, **options)

    def phases(self) -> Any:
        """Memorising, circuit forming, clean-up, settled, dated by rule: see `modscope.progress.phases`."""
        return import_module("modscope.progress").phases(self)

    @public
    def live(self, *, port: int = 0, height: int = 760) -> Any:
        """A page that shows the run as it is trained by another process, in a frame where a notebook shows it.

        The newest network in the folder is drawn as it comes; `.address` is the page, `.stop()` ends it.
        """
        return import_module("modscope.viewer.live").live_view(self, port=port, height=height)

    @public
    def histories(self, **options: Any) -> xr.Dataset:
        """Every neuron's, head's and embedding dimension's wave over training: see `modscope.progress.histories`."""
        return import_module("modscope.progress").histories(self, **options)


def _opened(files: Mapping[int, Path], listed: Mapping[int, Listed], epoch: int) -> Saved:
    """The checkpoint of an epoch; if it cannot be read, the error names the one before it."""
    try:
        return read_safetensors(files[epoch], listed=listed[epoch])
    except (CheckpointError, InputError) as error:
        raise CheckpointError(f"{error}{before(files, epoch)}") from error


def _first_readable(files: Mapping[int, Path], listed: Mapping[int, Listed]) -> Saved:
    for epoch in sorted(files):
        try:
            return read_safetensors(files[epoch], listed=listed[epoch])
        except (CheckpointError, InputError) as error:
            last = error
    raise CheckpointError(f"none of the {len(files)} checkpoints of the run can be read: {last}")


def _table(path: Path) -> dict[str, Any]:
    return read_table(path) if path.is_file() else {}


_WRITTEN = {"train": ("train_loss", "train_accuracy"), "test": ("test_loss", "test_accuracy", "weight_norm")}


def _losses(columns: Mapping[str, list[float]], checkpoints: Sequence[int] = ()) -> xr.Dataset:
    """The columns by epoch; where nothing was written at the epoch of a checkpoint stands what was at the nearest one."""
    epochs = np.array(columns["epoch"], dtype=np.int64)
    values = {name: ("epoch", np.array(column)) for name, column in columns.items() if name != "epoch"}
    written = xr.Dataset(values, coords={"epoch": epochs})
    return _with_epochs(written.isel(epoch=np.unique(epochs, return_index=True)[1]), checkpoints)


def _with_epochs(losses: xr.Dataset, checkpoints: Sequence[int]) -> xr.Dataset:
    if not losses.sizes["epoch"]:
        return losses
    whole = losses.reindex(
        epoch=np.union1d(losses.epoch.values, np.asarray(checkpoints, dtype=np.int64))
    ).copy(deep=True)
    kept = np.isin(whole.epoch.values, checkpoints)
    for split, columns in _WRITTEN.items():
        names = [name for name in columns if name in losses]
        step = whole.epoch.values.copy()
        at = kept & np.all([whole[name].isnull().values for name in names], axis=0)
        for name in names:
            known = losses[name].dropna("epoch")
            if not known.size:
                continue
            nearest = known.sel(epoch=whole.epoch.values[at], method="nearest")
            whole[name].values[at] = nearest.values
            step[at] = nearest.epoch.values
        whole = whole.assign_coords({f"{split}_step": ("epoch", step)})
    return whole


@public
def written(losses: xr.Dataset, name: str) -> xr.DataArray:
    """A column of `Run.losses` at the steps at which it was itself written, without those that only stand for one near by.

    >>> losses = xr.Dataset({"test_loss": ("epoch", [3.0, 2.0])}, {"epoch": [0, 4], "test_step": ("epoch", [0, 5])})
    >>> written(losses, "test_loss").epoch.values.tolist()
    [0]
    """
    column = losses[name]
    (split,) = (split for split, names in _WRITTEN.items() if name in names)
    step = losses.get(f"{split}_step", losses.epoch)
    return column[(step.values == losses.epoch.values) & column.notnull().values]


def _foreign_losses(checkpoint: Checkpoint, checkpoints: Sequence[int] = ()) -> xr.Dataset:
    """Losses and accuracies that a file lists, or each file of a folder states, at the epochs they are known at."""
    columns = [
        xr.Dataset({name: ("epoch", np.asarray(values, dtype=float))}, coords={"epoch": np.asarray(epochs)})
        for name, (epochs, values) in checkpoint.histories().items()
    ]
    empty = xr.Dataset(coords={"epoch": np.arange(0)})
    return _with_epochs(xr.merge(columns, join="outer") if columns else empty, checkpoints)
