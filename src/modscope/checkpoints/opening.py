"""Opening a checkpoint: the file is read safely, then taken as our own or as a foreign one."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from modscope.boundary import public
from modscope.checkpoints.checkpoint import Checkpoint
from modscope.checkpoints.folders import Found, weights_in
from modscope.checkpoints.foreign import foreign
from modscope.checkpoints.known import settings_of
from modscope.checkpoints.moments import restated
from modscope.checkpoints.own import METADATA_KEY
from modscope.checkpoints.own_files import own
from modscope.checkpoints.reading import Contents, read_file
from modscope.checkpoints.settings import Settings
from modscope.checkpoints.states import epoch_beside
from modscope.errors import CheckpointError, InputError, path_of, turned_into
from modscope.operations import Operation

__all__ = ["open_checkpoint"]


@public
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
        return own(contents, p, found, notes, told)
    settings, mapped = settings_of(contents, p, config, mapping, notes)
    if told is not None:
        settings = Settings(operation=told.name, table=told.packed).over(settings)
    return foreign(contents, mapped, settings, found, notes)


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
