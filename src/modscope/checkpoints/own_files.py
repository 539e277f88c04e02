"""A network of modscope's own file, which says everything itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from modscope.checkpoints.answers import answers_of
from modscope.checkpoints.checkpoint import Checkpoint
from modscope.checkpoints.folders import Found, anew_notes
from modscope.checkpoints.judging import NOT_VERIFIED, judged, measured_of
from modscope.checkpoints.manifest import listed_beside
from modscope.checkpoints.moments import MomentsOfOwnFiles
from modscope.checkpoints.operators import one_of
from modscope.checkpoints.own import saved_network
from modscope.checkpoints.reading import Contents
from modscope.checkpoints.settings import Settings
from modscope.errors import CheckpointError, InputError, turned_into
from modscope.grounds import grounds_of
from modscope.networks.layered import LayeredTransformer
from modscope.operations import Operation
from modscope.task import ModularTask

__all__ = ["own"]


def own(
    contents: Contents, p: int | None, found: Found, notes: list[str], told: Operation | None
) -> Checkpoint:
    """The checkpoint of one of our own files, with its record's epochs and views.

    p, told: the modulus and the operation that the user named, if any; notes: what was said so far. Raises InputError
    for another p, or an epoch that the file does not hold.
    """
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
    grounds = grounds_of(answers_of(network, contents.path), task, stated=stated)
    moments = MomentsOfOwnFiles(found.series) if found.series else None
    checkpoint = judged(
        Checkpoint(
            network, task, "modscope", contents.path, own_epoch, stated, measured_of(grounds),
            tuple(notes), (), grounds, moments,
        )
    )  # fmt: skip
    views = _own_views(checkpoint, record.get("views"))
    return one_of(views, Settings(operation=task.operation, table=task.table)) if views else checkpoint


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
        grounds = grounds_of(answers_of(reading, checkpoint.source), task)
        views[str(name)] = judged(
            replace(
                checkpoint, model=reading, task=task, measured=measured_of(grounds), stated={}, notes=(),
                _grounds=grounds,
            )
        )  # fmt: skip
    return views
