"""Opening a checkpoint: read safely, recognise by names, assemble, then measure and compare."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from modscope.checkpoints.answers import answers_of
from modscope.checkpoints.assembling import assembled
from modscope.checkpoints.assumptions import Tried, assumed_note, settled_network
from modscope.checkpoints.folders import Found, anew_notes, config_beside, weights_in
from modscope.checkpoints.layouts import Layout
from modscope.checkpoints.manifest import listed_beside
from modscope.checkpoints.mapped import canonical_tensors
from modscope.checkpoints.mapping import Mapped, read_mapping, suggested_mapping
from modscope.checkpoints.moments import (
    Histories,
    Moments,
    MomentsOfFile,
    MomentsOfFolder,
    MomentsOfOwnFiles,
    restated,
)
from modscope.checkpoints.own import METADATA_KEY, saved_network
from modscope.checkpoints.reading import Contents, read_file, read_table
from modscope.checkpoints.resolving import layout_of, resolved
from modscope.checkpoints.series import Series
from modscope.checkpoints.settings import Settings, settings_from
from modscope.checkpoints.splits import found_operation, found_split, stated_split
from modscope.checkpoints.stated import disagreements, not_compared, stated_by
from modscope.checkpoints.states import State, States, epoch_beside, states_at, states_in
from modscope.display import Shown, number_text
from modscope.errors import CheckpointError, InputError, path_of, turned_into
from modscope.grounds import Grounds, grounds_of
from modscope.losses import Logits, accuracies, losses
from modscope.model import Network
from modscope.networks.kinds import described
from modscope.networks.layered import LayeredTransformer
from modscope.operations import Operation
from modscope.residues import modulus
from modscope.task import ModularTask

__all__ = ["Checkpoint", "open_checkpoint", "settings_of"]

NOT_VERIFIED = "not verified: the file has no checksum, so damage to its numbers would not show"


@dataclass(frozen=True, repr=False)
class Checkpoint(Shown):
    """A network from a file, its task, and what is known of both.

    layout: the name of the layout it was stored in. stated: losses and accuracies that the file gives
    of itself (train_loss, test_accuracy, ...). measured: the same of the network as it was read, float64
    cross-entropy in nats; train and test only where the split is known. tried: the choices of
    what its file does not say, the one taken first. notes: what cannot be judged, what had to be assumed and what does not
    agree, one sentence each. views: where one network has several operators, the checkpoint of each by the
    operator's name, with its own task; the checkpoint itself is one of them.
    """

    model: Network
    task: ModularTask
    layout: str
    source: Path
    epoch: int | None = None
    stated: Mapping[str, float] = field(default_factory=dict)
    measured: Mapping[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    tried: tuple[Tried, ...] = ()
    _grounds: Grounds | None = field(default=None, repr=False, compare=False)
    _moments: Moments | None = field(default=None, repr=False, compare=False)
    views: Mapping[str, Checkpoint] = field(default_factory=dict, repr=False, compare=False)

    def _title(self) -> str:
        return f"{self.source.name}: {self.task}"

    def _told(self) -> dict[str, object]:
        agrees = {True: ", as measured", False: ", which is not what was measured", None: ""}[self.agrees]
        told = {
            "network": described(self.model),
            "layout": self.layout,
            "epoch": "" if self.epoch is None else f"{self.epoch:,}, one of {max(len(self.epochs), 1)}",
            "split": self.task.split.kind if self.task.split.kind != "none" else "not known",
            "measured": _scores(self.measured),
            "stated": _scores(self.stated) + agrees if self.stated else "",
            "notes": " ".join(self.notes),
        }
        return {name: value for name, value in told.items() if value}

    @property
    def grounds(self) -> Grounds:
        """Which operation the answers are, and whether there is anything to judge."""
        if self._grounds is not None:
            return self._grounds
        return grounds_of(answers_of(self.model, self.source), self.task, stated=self.stated)

    @property
    def epochs(self) -> tuple[int, ...]:
        """The epochs of the states that the file holds; empty where it does not say."""
        if self._moments is not None:
            return self._moments.epochs
        return () if self.epoch is None else (self.epoch,)

    def network_at(self, epoch: int) -> Network:
        """The network of one of the epochs, read from the file when asked for."""
        if epoch == self.epoch:
            return self.model
        if self._moments is None:
            raise InputError(f"{self.source}: epoch {epoch} is not in it; it has {self.epoch}")
        return self._moments.network_at(epoch)

    @property
    def run_path(self) -> Path:
        """What to open for all its epochs: the file, or the folder where each epoch has a file of its own."""
        series = getattr(self._moments, "series", None)
        return self.source if series is None else series.folder

    def histories(self) -> Histories:
        """The losses and accuracies that the file, or each file of the folder, states: name -> (epochs, values)."""
        return self._moments.histories() if self._moments is not None else {}

    @property
    def agrees(self) -> bool | None:
        """Whether the network has the losses and accuracies that the file states; None where it states none."""
        if not set(self.stated) & set(self.measured):
            return None
        return not disagreements(self.stated, self.measured)

    def record(self) -> dict[str, Any]:
        """What `save_safetensors` takes as the record: where the network came from, and its measured numbers."""
        record: dict[str, Any] = {
            "source": self.source.name,
            "layout": self.layout,
            "notes": list(self.notes),
        }
        if self.epoch is not None:
            record["epoch"] = self.epoch
        if self.views:
            record["views"] = {
                name: {"sequence": list(_sequence_of(view.model)), "task": view.task.to_dict()}
                for name, view in self.views.items()
            }
        for key, kind in (("losses", "loss"), ("accuracies", "accuracy")):
            named = {
                name.removesuffix(f"_{kind}"): value
                for name, value in self.measured.items()
                if name.endswith(kind)
            }
            record[key] = named
        return record

    def to_dict(self) -> dict[str, Any]:
        """What is known of the checkpoint, without its weights, as plain JSON values."""
        return {
            "source": str(self.source),
            "layout": self.layout,
            "epoch": self.epoch,
            "epochs": list(self.epochs),
            "network": self.model.to_dict(),
            "task": self.task.to_dict(),
            "stated": dict(self.stated),
            "measured": dict(self.measured),
            "agrees": self.agrees,
            "at_chance": self.at_chance,
            "grounds": self.grounds.to_dict(),
            "tried": [tried.to_dict() for tried in self.tried],
            "notes": list(self.notes),
        }

    @property
    def at_chance(self) -> bool:
        """Whether the accuracy over all pairs is what guessing gives."""
        return any(problem.kind == "chance" for problem in self.grounds.problems)


@dataclass(frozen=True)
class _Assembly:
    """What it takes to make a network of any state of a checkpoint."""

    layout: Layout
    settings: Settings
    sizes: Mapping[str, int]
    ignored: frozenset[str]
    source: Path

    def network_of(self, state: State) -> Network:
        return self.network_and_notes(state)[0]

    def switched(self, network: Network) -> _Assembly:
        """The same with the switches of a network, which the file did not state."""
        known = Settings(
            activation=network.config.activation,
            attention_rate=getattr(network.config, "attention_rate", None),
        )
        return replace(self, settings=self.settings.over(known))

    def moments(
        self,
        contents: Contents,
        states: States,
        states_of: Callable[[Contents], States],
        series: Series | None,
    ) -> Moments:
        """The networks of all epochs of the file or folder."""
        if series:
            return MomentsOfFolder(series, states_of, self.network_of)
        return MomentsOfFile(contents, states, self.network_of)

    def network_and_notes(self, state: State) -> tuple[Network, list[str]]:
        tensors = {name: tensor for name, tensor in state.tensors.items() if name not in self.ignored}
        where = f"{self.source}: {state.place}" if state.place else self.source
        return assembled(self.layout, tensors, self.settings, sizes=self.sizes, source=where)


def _scores(values: Mapping[str, float]) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {number_text(value)}" for name, value in values.items())


def open_checkpoint(
    path: str | os.PathLike[str],
    *,
    p: int | None = None,
    config: Mapping[str, Any] | str | os.PathLike[str] | None = None,
    mapping: str | os.PathLike[str] | None = None,
    epoch: int | None = None,
    operation: str | Operation | np.ndarray | None = None,
) -> Checkpoint:
    """The network in a file or folder, whichever project wrote it, with the task it was trained on.

    Layouts are recognised by the names of the tensors and the number of their axes: those of Nanda et al. 2023
    and Zhong et al. 2023, TransformerLens, plain names, the MLP of Chughtai et al. 2023, modscope's own files and run
    folders. What is stated in the file or in a config beside it is used; p and config (a mapping or the
    path of a JSON or TOML file) come before it. mapping is a TOML file for any other layout. Of a file with several
    epochs the last is opened unless epoch says which. operation: what the answer is, as `Operation.of` takes it; it
    comes before what the file says.

    Raises InputError for arguments that cannot be used, CheckpointError for a file that is not a usable
    network. A network that was read but contradicts its file, or is at chance, has a note that says so.
    """
    told = None if operation is None else Operation.of(operation)
    given = path_of(path)
    with turned_into(CheckpointError, f"{given}: cannot be opened"):
        return _opened(given, p, config, mapping, epoch, told)


def _opened(
    given: Path,
    p: int | None,
    config: Mapping[str, Any] | str | os.PathLike[str] | None,
    mapping: str | os.PathLike[str] | None,
    epoch: int | None,
    told: Operation | None,
) -> Checkpoint:
    if not given.exists():
        raise InputError(f"{given}: no such file or folder")
    found = weights_in(given, epoch) if given.is_dir() else Found(given, epoch)
    contents = _read(found)
    if found.series is not None and found.of_epoch is not None:
        found, contents = _by_stated_epochs(found, contents, epoch)
    notes = [*([found.note] if found.note else []), *contents.notes]
    if METADATA_KEY in contents.metadata and mapping is None:
        return _own(contents, p, found, notes, told)
    settings, mapped = settings_of(contents, p, config, mapping, notes)
    if told is not None:
        settings = Settings(operation=told.name, table=told.packed).over(settings)
    return _foreign(contents, mapped, settings, found, notes)


def _read(found: Found) -> Contents:
    try:
        return read_file(found.path)
    except CheckpointError as error:
        raise CheckpointError(f"{error}{found.offer}") from error


def _by_stated_epochs(found: Found, contents: Contents, epoch: int | None) -> tuple[Found, Contents]:
    """The same file, or the one that states the epoch asked for, where the files and their names disagree."""
    assert found.series is not None
    if epoch_beside(contents.data) in (None, found.of_epoch):
        return found, contents
    series = restated(found.series)
    if series is found.series:
        return found, contents
    path = series.file(epoch)
    of_epoch = series.epochs[-1] if epoch is None else epoch
    note = f"{len(series.epochs)} files were taken as one run, by the epochs that they state of themselves"
    found = replace(found, path=path, series=series, of_epoch=of_epoch, note=note)
    return found, _read(found)


def settings_of(
    contents: Contents,
    p: int | None,
    config: Mapping[str, Any] | str | os.PathLike[str] | None,
    mapping: str | os.PathLike[str] | None,
    notes: list[str],
) -> tuple[Settings, Mapped | None]:
    """What is known beside the weights: arguments first, then the mapping, the file, the config beside it."""
    settings = Settings(p=None if p is None else modulus(p))
    if config is not None:
        table = config if isinstance(config, Mapping) else read_table(Path(config))
        settings = settings.over(
            settings_from(table, source="config" if isinstance(config, Mapping) else config)
        )
    mapped = read_mapping(Path(mapping)) if mapping is not None else None
    if mapped is not None:
        settings = settings.over(settings_from(mapped.settings, source=mapping))
    for key in ("config", "cfg", "args", "hparams", "hyper_parameters"):
        inside = contents.data.get(key)
        if isinstance(inside, Mapping):
            settings = settings.over(settings_from(inside, source=key, passed_over=notes))
    if config is None:
        table, beside = config_beside(contents.path)
        if beside is not None:
            notes.append(f"config read from {beside.name}")
            settings = settings.over(settings_from(table, source=beside.name, passed_over=notes))
    return settings, mapped


def _foreign(
    contents: Contents, mapped: Mapped | None, settings: Settings, found: Found, notes: list[str]
) -> Checkpoint:
    def states_of(contents: Contents) -> States:
        if mapped is None or not mapped.states:
            return states_in(contents, last_epoch=settings.epochs)
        return states_at(contents, mapped.states, last_epoch=settings.epochs)

    states = states_of(contents)
    state = states.at(found.epoch)
    if found.of_epoch is not None:
        state = replace(state, epoch=found.of_epoch)
    if mapped is not None:
        state = replace(state, tensors={n: x for n, x in state.tensors.items() if n not in mapped.ignored})
    layout = mapped.layout if mapped and mapped.layout else layout_of(state.tensors, settings)
    if layout is None:
        raise CheckpointError(
            f"{contents.path}: a layout that is not known. {suggested_mapping(state.tensors, settings)}"
        )
    if layout.family == "general":
        settings = _resolved(contents, states, state, settings, notes, layout, mapped)
    notes += states.notes

    def view(one: Settings) -> Checkpoint:
        return _view(contents, mapped, layout, one, found, states, state, states_of, notes)

    vocabulary = settings.vocabulary
    if vocabulary is None or not vocabulary.operators:
        return view(settings)
    views = {}
    for operator in vocabulary.operators:
        mine = replace(settings, vocabulary=vocabulary.with_operator(operator), operation=None, table=None)
        views[operator] = view(mine)
    return _one_of(views, settings)


def _one_of(views: Mapping[str, Checkpoint], settings: Settings) -> Checkpoint:
    """The view whose answers are those of the operation that is wanted, the first if none is; with all views."""
    chosen = next(iter(views))
    if settings.operation is not None:
        wanted = Operation(settings.operation, settings.table or "")
        chosen = next((name for name, view in views.items() if view.task.what == wanted), chosen)
    seen = {
        name: replace(view, notes=(_note_on_views(views, name), *view.notes)) for name, view in views.items()
    }
    return replace(seen[chosen], views=seen)


def _note_on_views(views: Mapping[str, Checkpoint], here: str) -> str:
    others = ", ".join(f"{name} ({view.task.operation})" for name, view in views.items() if name != here)
    return f"one network with {len(views)} operators, here with {here}; the other views: {others}"


def _sequence_of(network: Network) -> tuple[str, ...]:
    return tuple(getattr(network.config, "sequence", network.config.positions))


def _view(
    contents: Contents,
    mapped: Mapped | None,
    layout: Layout,
    settings: Settings,
    found: Found,
    states: States,
    state: State,
    states_of: Callable[[Contents], States],
    notes: list[str],
) -> Checkpoint:
    """The checkpoint of a state for settings in which nothing is open but operation and split."""
    assembly = _Assembly(
        layout,
        settings,
        mapped.sizes if mapped else {},
        mapped.ignored if mapped else frozenset(),
        found.series.folder if found.series else contents.path,
    )
    # What was trained, and on which pairs, is one thing for all epochs: the last one tells it best.
    moments = assembly.moments(contents, states, states_of, found.series)
    latest = max(moments.epochs, default=None)
    last = found.epoch is None or latest is None or state.epoch == latest
    stated = stated_by(contents, state.epoch, beside=state.beside, last=last)
    final = assembly.network_of(state) if last or latest is None else moments.network_at(latest)
    of_final = stated if last or latest is None else _stated_at(moments, latest)
    tried: tuple[Tried, ...] = ()
    if layout.family != "general":
        final, tried = settled_network(final, settings, contents.path)
        assembly = assembly.switched(final)
    network, left_out = assembly.network_and_notes(state)
    task, reasons = _task(contents, final, settings, of_final)
    reasons += assumed_note(network, settings, tried)
    if not last:
        reasons.append(f"operation and split are those that epoch {latest} tells")
    logits = answers_of(network, contents.path)
    checkpoint = Checkpoint(
        network, task, layout.name, contents.path, state.epoch, stated, measured_of(logits, task),
        (*notes, *left_out, *reasons), tried, grounds_of(logits, task, stated=stated),
        assembly.moments(contents, states, states_of, found.series),
    )  # fmt: skip
    if not contents.checked and not checkpoint.agrees:
        checkpoint = replace(checkpoint, notes=(*checkpoint.notes, NOT_VERIFIED))
    return _judged(checkpoint)


def _resolved(
    contents: Contents,
    states: States,
    state: State,
    settings: Settings,
    notes: list[str],
    layout: Layout,
    mapped: Mapped | None,
) -> Settings:
    """The settings with what tensors do not tell, found on this state or, where it answers nothing, on the last."""

    def tensors_of(one: State) -> dict[str, Tensor]:
        ignored = mapped.ignored if mapped else frozenset()
        kept = {name: tensor for name, tensor in one.tensors.items() if name not in ignored}
        return canonical_tensors(layout, kept, settings, mapped.sizes if mapped else {})

    try:
        return resolved(tensors_of(state), settings, notes)
    except (CheckpointError, InputError) as error:
        last = states.at(None)
        if last.place != state.place:
            with contextlib.suppress(CheckpointError, InputError):
                return resolved(tensors_of(last), settings, notes)
        raise CheckpointError(
            f"{contents.path}: {error}. {suggested_mapping(state.tensors, settings)}"
        ) from error


def _stated_at(moments: Moments, epoch: int) -> dict[str, float]:
    """What is stated of one epoch."""
    found = {}
    for name, (epochs, values) in moments.histories().items():
        if epoch in epochs and np.isfinite(values[epochs.index(epoch)]):
            found[name] = values[epochs.index(epoch)]
    return found


def _task(
    contents: Contents, network: Network, settings: Settings, stated: Mapping[str, float]
) -> tuple[ModularTask, list[str]]:
    logits = answers_of(network, contents.path)
    operation, note = found_operation(logits, settings)
    task = ModularTask(network.config.p, operation)
    listed = stated_split(contents.data, task.p, contents.path)
    if listed is not None and settings.split is None:
        settings = Settings(split=listed).over(settings)
    split, reason = found_split(logits, task, settings, stated)
    return replace(task, split=split), [*([note] if note else []), reason]


def _own(
    contents: Contents, p: int | None, found: Found, notes: list[str], told: Operation | None
) -> Checkpoint:
    listed = found.listed or listed_beside(contents.path)
    saved = saved_network(contents, listed=listed)
    if not saved.verified:
        notes.append(NOT_VERIFIED)
    network, task, record = saved.model, saved.task, saved.record
    if told is not None and told != task.what:
        notes.append(f"operation {told.name}, as given; the file says {task.operation}")
        task = ModularTask(task.p, told, task.split, task.label_seed)
    if p not in (None, task.p):
        raise InputError(f"p = {p}: {contents.path} is a network for p = {task.p}")
    begun = record.get("begun_anew")
    notes += anew_notes(begun if isinstance(begun, list) else [])
    own_epoch = found.of_epoch or record.get("epoch", record.get("step"))
    if found.epoch is not None and found.epoch != own_epoch:
        raise InputError(f"epoch {found.epoch}: {contents.path} holds one network, of epoch {own_epoch}")
    stated = {
        f"{split}_{kind}": float(value)
        for kind, key in (("loss", "losses"), ("accuracy", "accuracies"))
        if isinstance(record.get(key), Mapping)
        for split, value in record[key].items()
        if split in ("train", "test", "all")
        and isinstance(value, int | float)
        and not isinstance(value, bool)
        and abs(value) < 1e300
    }
    logits = answers_of(network, contents.path)
    moments = MomentsOfOwnFiles(found.series) if found.series else None
    checkpoint = _judged(
        Checkpoint(
            network, task, "modscope", contents.path, own_epoch, stated, measured_of(logits, task),
            tuple(notes), (), grounds_of(logits, task, stated=stated), moments,
        )
    )  # fmt: skip
    views = _own_views(checkpoint, record.get("views"))
    return _one_of(views, Settings(operation=task.operation, table=task.table)) if views else checkpoint


def _own_views(checkpoint: Checkpoint, kept: Any) -> dict[str, Checkpoint]:
    """The views that the record of one of our files lists: the same weights reading another operator."""
    network, views = checkpoint.model, {}
    if not isinstance(kept, Mapping) or not isinstance(network, LayeredTransformer):
        return {}
    for name, entry in kept.items():
        with turned_into(CheckpointError, f"{checkpoint.source}: view {name}", inputs=True):
            reading = network.reading(entry["sequence"])
            task = ModularTask.from_dict(entry["task"])
        if reading.config.sequence == network.config.sequence:
            views[str(name)] = checkpoint
            continue
        logits = answers_of(reading, checkpoint.source)
        views[str(name)] = _judged(
            replace(
                checkpoint, model=reading, task=task, measured=measured_of(logits, task), stated={}, notes=(),
                _grounds=grounds_of(logits, task),
            )
        )  # fmt: skip
    return views


def measured_of(logits: Logits, task: ModularTask) -> dict[str, float]:
    """Loss and accuracy over each known split, by the names under which files state them.

    logits [a, b, answer].
    """
    loss, accuracy = losses(logits, task).to_dict(), accuracies(logits, task).to_dict()
    every = {f"{split}_loss": value for split, value in loss.items()}
    every |= {f"{split}_accuracy": value for split, value in accuracy.items()}
    return {name: value for name, value in every.items() if value is not None}


def _judged(checkpoint: Checkpoint) -> Checkpoint:
    """The checkpoint with notes on what cannot be judged, which come first, and on what does not agree."""
    first = [f"cannot be judged: {problem.says}" for problem in checkpoint.grounds.problems]
    if checkpoint.at_chance:
        first.append(
            "at chance: not trained, another operation, or axes in another order than this layout has"
        )
    stated, measured = checkpoint.stated, checkpoint.measured
    last = [f"disagrees with its file: {text}" for text in disagreements(stated, measured)]
    last += not_compared(stated, measured)
    return replace(checkpoint, notes=(*first, *checkpoint.notes, *last))
