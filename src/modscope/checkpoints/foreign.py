"""A network of somebody else's file: recognised by names, assembled, then measured and compared."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from torch import Tensor

from modscope.checkpoints.answers import answers_of
from modscope.checkpoints.assembling import assembled
from modscope.checkpoints.assumptions import Tried, assumed_note, settled_network
from modscope.checkpoints.checkpoint import Checkpoint
from modscope.checkpoints.folders import Found
from modscope.checkpoints.judging import NOT_VERIFIED, judged, measured_of
from modscope.checkpoints.layouts import Layout
from modscope.checkpoints.mapped import canonical_tensors
from modscope.checkpoints.mapping import Mapped, suggested_mapping
from modscope.checkpoints.moments import Moments, MomentsOfFile, MomentsOfFolder
from modscope.checkpoints.operators import one_of
from modscope.checkpoints.reading import Contents
from modscope.checkpoints.resolving import layout_of, resolved
from modscope.checkpoints.series import Series
from modscope.checkpoints.settings import Settings
from modscope.checkpoints.splits import found_operation, found_split, stated_split
from modscope.checkpoints.stated import stated_by
from modscope.checkpoints.states import State, States, states_at, states_in
from modscope.errors import CheckpointError, InputError
from modscope.grounds import grounds_of
from modscope.losses import Logits
from modscope.model import Network
from modscope.task import ModularTask

__all__ = ["foreign"]


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


def foreign(
    contents: Contents, mapped: Mapped | None, settings: Settings, found: Found, notes: list[str]
) -> Checkpoint:
    """The checkpoint of a file of another project, by a mapping or by a layout recognised from its names.

    notes: what was said so far. Raises CheckpointError for a layout that is not known.
    """

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
    return one_of(views, settings)


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
    if layout.family == "general":
        logits = answers_of(final, contents.path)
    else:
        final, logits, tried = settled_network(final, settings, contents.path)
        assembly = assembly.switched(final)
    network, left_out = assembly.network_and_notes(state)
    task, reasons = _task(contents, logits, settings, of_final)
    reasons += assumed_note(network, settings, tried)
    if not last:
        reasons.append(f"operation and split are those that epoch {latest} tells")
        logits = answers_of(network, contents.path)
    grounds = grounds_of(logits, task, stated=stated)
    checkpoint = Checkpoint(
        network, task, layout.name, contents.path, state.epoch, stated, measured_of(grounds),
        (*notes, *left_out, *reasons), tried, grounds,
        assembly.moments(contents, states, states_of, found.series),
    )  # fmt: skip
    if not contents.checked and not checkpoint.agrees:
        checkpoint = replace(checkpoint, notes=(*checkpoint.notes, NOT_VERIFIED))
    return judged(checkpoint)


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
    contents: Contents, logits: Logits, settings: Settings, stated: Mapping[str, float]
) -> tuple[ModularTask, list[str]]:
    operation, note = found_operation(logits, settings)
    task = ModularTask(logits.shape[0], operation)
    listed = stated_split(contents.data, task.p, contents.path)
    if listed is not None and settings.split is None:
        settings = Settings(split=listed).over(settings)
    split, reason = found_split(logits, task, settings, stated)
    return replace(task, split=split), [*([note] if note else []), reason]
