"""Writing a run folder so that whatever moment the process dies in, what was written is valid.

recipe.toml        what was asked for
environment.json   versions, engine, machine
losses.csv         one line a recorded step, appended; a last line cut short is not read
checkpoints/       one safetensors file a recorded step, each written beside and renamed
manifest.json      the list of those files, written after them
resume.safetensors everything needed to go on bit-identically
events.json        changes made by hand while it trained, each with its step; where there were any
lock               held while a process writes here
"""

from __future__ import annotations

import contextlib
import errno
import json
import math
import os
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from safetensors.torch import load, save
from torch import Tensor

from modscope.checkpoints import save_safetensors
from modscope.checkpoints.folders import runs_in
from modscope.checkpoints.manifest import MANIFEST, Listed, file_sum, read_manifest, tensors_sum
from modscope.checkpoints.reading import read_table
from modscope.errors import InputError, RunError, path_of, shown, turned_into
from modscope.model import Network
from modscope.schema import json_in
from modscope.task import ModularTask
from modscope.writing import is_left_over, write_whole

__all__ = ["COLUMNS", "RunFolder", "read_losses"]

COLUMNS = ("epoch", "train_loss", "test_loss", "train_accuracy", "test_accuracy", "weight_norm")
LOSSES, RESUME, RECIPE, ENVIRONMENT, EVENTS = (
    "losses.csv",
    "resume.safetensors",
    "recipe.toml",
    "environment.json",
    "events.json",
)
CHECKPOINTS = "checkpoints"
_FORMAT = 1
_HEAD = ",".join(COLUMNS) + "\n"
_HELD = (errno.EWOULDBLOCK, errno.EACCES)  # what a lock that another process has is told by
_PATIENCE = 1.0  # seconds


class RunFolder:
    """A run folder opened for writing by this process alone; use as a context manager."""

    def __init__(self, path: Path, lock: Any) -> None:
        self.path = path
        self._lock = lock
        self._checkpoints: list[Listed] = []
        self._begun_anew: list[int] = []
        self._finished = ""

    @classmethod
    def create(
        cls, path: str | os.PathLike[str], *, recipe: str, environment: Mapping[str, Any]
    ) -> RunFolder:
        """A new run folder; refuses a folder that holds anything.

        recipe is the text of recipe.toml.
        """
        folder = path_of(path)
        if folder.exists() and not folder.is_dir():
            raise InputError(f"{folder}: is a file: expected a folder that is new or empty")
        if folder.is_dir() and not _holds_nothing(folder):
            what = "holds another run" if (folder / MANIFEST).exists() else "is not empty"
            raise InputError(f"{folder}: {what}: give a new folder, or --resume to go on with a run")
        with _reported(folder):
            folder.mkdir(parents=True, exist_ok=True)
        run = cls(folder, _locked(folder))
        with _reported(folder):
            (folder / CHECKPOINTS).mkdir(exist_ok=True)
        run._write(ENVIRONMENT, json.dumps(environment, indent=1))
        run._write(RECIPE, recipe)
        run._write(LOSSES, _HEAD)
        run._write_manifest()
        return run

    @classmethod
    def reopen(cls, path: str | os.PathLike[str]) -> RunFolder:
        """An existing run folder, to go on with."""
        folder = path_of(path)
        if not (folder / MANIFEST).is_file():
            runs = ", ".join(runs_in(folder))
            why = f"the runs in it are {runs}" if runs else f"there is no {MANIFEST} in it"
            raise InputError(f"{folder}: no run to resume here: {why}")
        run = cls(folder, _locked(folder))
        manifest = read_manifest(folder)
        if (folder / ENVIRONMENT).is_file():
            read_table(folder / ENVIRONMENT)  # a damaged file is said before anything is done
        run._checkpoints = list(manifest.checkpoints)
        run._begun_anew = list(manifest.begun_anew)
        run._finished = manifest.finished
        with _reported(folder):
            (folder / CHECKPOINTS).mkdir(exist_ok=True)
        for left_over in [*folder.iterdir(), *(folder / CHECKPOINTS).iterdir()]:
            if is_left_over(left_over):
                left_over.unlink(missing_ok=True)
        return run

    def __enter__(self) -> RunFolder:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let other processes write here."""
        self._lock.close()

    @property
    def finished(self) -> str:
        """Why training ended; empty while it has not."""
        return self._finished

    @property
    def begun_anew(self) -> list[int]:
        """The epochs at which training began again from other initial weights."""
        return list(self._begun_anew)

    @property
    def epochs(self) -> list[int]:
        """The epochs of the checkpoints."""
        return [one.epoch for one in self._checkpoints]

    def write_checkpoint(self, network: Network, task: ModularTask, record: Mapping[str, Any]) -> Path:
        """Write the network at record["epoch"], then list it in the manifest."""
        epoch = int(record["epoch"])
        name = f"checkpoints/epoch_{epoch:06d}.safetensors"
        path = save_safetensors(self.path / name, network, task, record)
        written = Listed(epoch, name, path.stat().st_size, file_sum(path))
        others = [known for known in self._checkpoints if known.epoch != epoch]
        self._checkpoints = sorted([*others, written], key=lambda one: one.epoch)
        self._write_manifest()
        return path

    def write_resume(self, tensors: Mapping[str, Tensor], state: Mapping[str, Any]) -> None:
        """Replace what `read_resume` gives."""
        plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
        text = json.dumps(state)
        self._write(RESUME, save(plain, {"state": text, "sha256": tensors_sum(plain, text)}))

    def read_resume(self) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
        """What `write_resume` wrote last; None where it never did."""
        path = self.path / RESUME
        if not path.is_file():
            return None
        rest = f"; {self._checkpoints[-1].file} is the last checkpoint" if self._checkpoints else ""
        advice = f"so training cannot go on from it{rest}; what is there can be opened, and a new folder trained into"
        with turned_into(RunError, f"{path}: is damaged, {advice}"):
            data = path.read_bytes()
            length = int.from_bytes(data[:8], "little")
            metadata = json_in(data[8 : 8 + length])["__metadata__"]
            tensors, state = load(data), json_in(metadata["state"])
            # States of earlier versions have no sum.
            wrong = metadata.get("sha256", "") not in ("", tensors_sum(tensors, metadata["state"]))
        if wrong:
            raise RunError(f"{path}: is damaged (its sha256 is another), {advice}")
        return tensors, state

    def write_environment(self, environment: Mapping[str, Any], epoch: int) -> None:
        """Add what a process that goes on from an epoch was made with to environment.json, under `resumed`."""
        path = self.path / ENVIRONMENT
        known = read_table(path) if path.is_file() else {}
        before = known.get("resumed")
        entries = [*(before if isinstance(before, list) else []), {"epoch": epoch, **environment}]
        self._write(ENVIRONMENT, json.dumps({**known, "resumed": entries}, indent=1))

    def give_up(self) -> None:
        """Take away what `create` made, where nothing was trained that could be gone on with."""
        if not self._checkpoints and _holds_nothing(self.path):
            for name in (MANIFEST, ENVIRONMENT, RECIPE, LOSSES):
                (self.path / name).unlink(missing_ok=True)

    def write_recipe(self, recipe: str) -> None:
        """Replace recipe.toml, where a run goes on with another last step."""
        self._write(RECIPE, recipe)

    def write_events(self, events: str) -> None:
        """Replace events.json."""
        self._write(EVENTS, events)

    def append_losses(self, rows: Iterable[Mapping[str, float | None]]) -> None:
        """Append lines to losses.csv; a value that is None stays empty."""
        lines = [",".join(_cell(row.get(column)) for column in COLUMNS) + "\n" for row in rows]
        path = self.path / LOSSES
        with _reported(path), path.open("a", encoding="ascii") as file:
            # Somebody may have taken the file away since the last line.
            file.write("".join(([] if file.tell() else [_HEAD]) + lines))

    def last_epoch_of_losses(self) -> int:
        """The last epoch in losses.csv; -1 where there is none."""
        return int(max(read_losses(self.path / LOSSES)["epoch"], default=-1))

    def cut_after(self, epoch: int) -> None:
        """Forget losses and checkpoints beyond an epoch: they will be made again."""
        path = self.path / LOSSES
        columns = read_losses(path)["epoch"]
        kept = [line for line, of in zip(_whole_lines(path), columns, strict=True) if of <= epoch]
        self._write(LOSSES, _HEAD + "".join(f"{line}\n" for line in kept))
        self._checkpoints = [
            one for one in self._checkpoints if one.epoch <= epoch and (self.path / one.file).is_file()
        ]
        self._begun_anew = [begun for begun in self._begun_anew if begun <= epoch]
        self._finished = ""
        self._write_manifest()

    def begin_anew(self, epoch: int) -> None:
        """Write into the manifest that from this epoch on the weights are others."""
        self._begun_anew.append(epoch)
        self._write_manifest()

    def finish(self, why: str) -> None:
        """Write into the manifest why training ended."""
        self._finished = why
        self._write_manifest()

    def _write_manifest(self) -> None:
        manifest = {
            "format": _FORMAT,
            "checkpoints": [one.to_dict() for one in self._checkpoints],
            "begun_anew": self._begun_anew,
            "finished": self._finished,
        }
        self._write(MANIFEST, json.dumps(manifest, indent=1))

    def _write(self, name: str, data: str | bytes) -> None:
        write_whole(self.path / name, data, refusal=RunError)


def _holds_nothing(folder: Path) -> bool:
    """Whether a folder is empty, or is one whose making was ended before there was anything to go on from."""
    entries = {entry.name for entry in folder.iterdir() if not is_left_over(entry)}
    begun = {CHECKPOINTS, "lock"} & entries
    made = {"lock", CHECKPOINTS, MANIFEST, ENVIRONMENT, RECIPE, LOSSES}
    if not entries <= made or (entries and not begun):
        return False
    if _whole_lines(folder / LOSSES):
        return False
    kept = folder / CHECKPOINTS
    return not kept.exists() or all(is_left_over(entry) for entry in kept.iterdir())


def _cell(value: float | None) -> str:
    return "" if value is None else repr(value)


@contextlib.contextmanager
def _reported(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise RunError(f"{path}: cannot be written: {error.strerror or error}") from error


def _locked(folder: Path) -> Any:
    """The open lock file of a folder; the system frees it when the process dies, however it dies."""
    with _reported(folder / "lock"):
        lock = (folder / "lock").open("a+", encoding="ascii")
    try:
        import fcntl
    except ImportError:  # no such lock on this system
        return lock
    try:
        _wait_for(lambda: fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB))
    except OSError as error:
        if error.errno in _HELD:
            lock.close()
            raise RunError(f"{folder}: another process is writing to this run") from error
        warnings.warn(
            f"{folder}: this file system has no locks ({error.strerror}), so nothing keeps a second process from writing "
            "to this run: start only one",
            stacklevel=3,
        )
    return lock


def _wait_for(take: Callable[[], object]) -> None:
    """Take a lock; one that another process has is waited for, for a moment.

    A process that was killed while it started another (git, for the commit) leaves the lock with that one until it begins.
    """
    end = time.monotonic() + _PATIENCE
    while True:
        try:
            take()
        except OSError as error:
            if error.errno not in _HELD or time.monotonic() > end:
                raise
            time.sleep(0.02)
        else:
            return


def _whole_lines(path: Path) -> list[str]:
    """Lines of a losses file without its head, and without a last one that was cut short."""
    if not path.is_file():
        return []
    lines = path.read_text(encoding="ascii", errors="replace").split("\n")[:-1]
    return lines[1:] if lines[:1] == [_HEAD.strip()] else lines


def read_losses(path: Path) -> dict[str, list[float]]:
    """The columns of a losses file; an empty cell is NaN.

    Raises RunError, with the number of the line, for a line that is not an epoch and the other columns' numbers.
    """
    columns: dict[str, list[float]] = {name: [] for name in COLUMNS}
    with turned_into(RunError, f"{path}: cannot be read"):
        lines = _whole_lines(path)
    for number, line in enumerate(lines, 1):
        cells = line.split(",")
        try:
            values = [float(cell) if cell else math.nan for cell in cells]
            whole = len(cells) == len(COLUMNS) and "_" not in line and int(cells[0]) in range(2**53)
        except ValueError:
            whole = False
        if not whole:
            raise RunError(
                f"{path}: line {number} below the head is {shown(line)}: expected {', '.join(COLUMNS)}"
            )
        for name, value in zip(COLUMNS, values, strict=True):
            columns[name].append(value)
    return columns
