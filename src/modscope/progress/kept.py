"""What was measured of a run, kept in its folder by the content of each checkpoint.

progress/epoch_000100.json: the digest of the checkpoint that was measured, and the numbers of each measure by its name,
the key frequencies it used and the version that made it. A file of another digest is of another network and is
written anew. Each is written beside and renamed, so a measuring that is interrupted goes on where it was.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from modscope._version import __version__
from modscope.errors import RunError, cause
from modscope.runs import Run
from modscope.writing import write_whole

__all__ = ["Entry", "Kept", "Numbers"]

FOLDER = "progress"
REVISION = 1  # raised when a measure's numbers change without a new version


@dataclass(frozen=True)
class Numbers:
    """A few numbers over named axes, without what makes a DataArray slow to make by the thousand."""

    values: np.ndarray
    dims: tuple[str, ...] = ()
    coords: Mapping[str, list[Any]] = field(default_factory=dict)

    @classmethod
    def of(cls, value: xr.DataArray | float) -> Numbers:
        """The numbers of a DataArray, or one number."""
        if not isinstance(value, xr.DataArray):
            return cls(np.asarray(value, dtype=np.float64))
        coords = {str(dim): value[dim].values.tolist() for dim in value.dims if dim in value.coords}
        return cls(np.asarray(value.values, dtype=np.float64), tuple(map(str, value.dims)), coords)


Entry = Mapping[str, Numbers]


class Kept:
    """The kept measures of one run; where its folder cannot be written, nothing is kept and `refused` says why."""

    def __init__(self, run: Run, *, use: bool = True) -> None:
        self.run = run
        self.folder = run.path / FOLDER if use and run.files else None
        self.refused = ""
        self._open: tuple[int, str, dict[str, Any]] | None = None

    def get(self, epoch: int, name: str) -> Entry | str | None:
        """The numbers of a measure of an epoch, or why it does not apply, if kept of this very checkpoint."""
        entries = self._entries(epoch)
        if entries is None or name not in entries:
            return None
        if isinstance(entries[name], str):
            return str(entries[name])
        try:
            return _unpacked(entries[name])
        except (KeyError, TypeError, ValueError, AttributeError):
            return None  # damaged: it is measured again

    def put(self, epoch: int, numbers: Mapping[str, Entry | str]) -> None:
        """Keep the numbers of some measures of an epoch, or why they do not apply."""
        entries = self._entries(epoch)
        if entries is None or self.folder is None or self.refused or not numbers:
            return
        assert self._open is not None
        entries |= {
            name: entry if isinstance(entry, str) else _packed(entry) for name, entry in numbers.items()
        }
        try:
            self.folder.mkdir(exist_ok=True)
            write_whole(
                self._path(epoch),
                json.dumps({"checkpoint": self._open[1], "entries": entries}),
                refusal=RunError,
            )
        except (OSError, RunError) as error:
            why = cause(error.__cause__ if isinstance(error.__cause__, OSError) else error)
            self.refused = f"{self.folder} cannot be written ({why}): nothing is kept of this measuring"

    def _path(self, epoch: int) -> Path:
        assert self.folder is not None
        return self.folder / f"epoch_{epoch:06d}.json"

    def _entries(self, epoch: int) -> dict[str, Any] | None:
        if self.folder is None or epoch not in self.run.files:
            return None
        if self._open is None or self._open[0] != epoch:
            try:
                digest = _digest(self.run.files[epoch])
            except OSError:
                return None
            self._open = (epoch, digest, self._read(epoch, digest))
        return self._open[2]

    def _read(self, epoch: int, digest: str) -> dict[str, Any]:
        try:
            found = json.loads(self._path(epoch).read_text("ascii"))
            return dict(found["entries"]) if found["checkpoint"] == digest else {}
        except (OSError, ValueError, KeyError, TypeError):
            return {}  # missing or damaged: it is measured again


def _digest(path: Path) -> str:
    made = hashlib.blake2b(f"{__version__} {REVISION} ".encode(), digest_size=16)
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            made.update(block)
    return made.hexdigest()


def _packed(entry: Entry) -> dict[str, Any]:
    return {
        name: {"dims": list(x.dims), "coords": dict(x.coords), "values": x.values.tolist()}
        for name, x in entry.items()
    }


def _unpacked(entry: Mapping[str, Any]) -> Entry:
    return {
        name: Numbers(np.array(x["values"], dtype=np.float64), tuple(x["dims"]), x["coords"])
        for name, x in entry.items()
    }
