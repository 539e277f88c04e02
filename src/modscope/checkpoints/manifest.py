"""The list of a run's checkpoints, and whether a file is the one that was listed."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from modscope.checkpoints.reading import read_table
from modscope.errors import CheckpointError, turned_into
from modscope.schema import built

__all__ = [
    "MANIFEST",
    "Listed",
    "Manifest",
    "file_sum",
    "inside",
    "listed_beside",
    "read_manifest",
    "tensors_sum",
]

MANIFEST = "manifest.json"
FORMAT = 1


@dataclass(frozen=True)
class Listed:
    """One checkpoint of a manifest; runs of earlier versions have no sha256, and then it is not compared."""

    epoch: int
    file: str
    bytes: int | None = None
    sha256: str | None = None

    def to_dict(self) -> dict[str, int | str]:
        """What stands in the manifest."""
        return {name: value for name, value in vars(self).items() if value is not None}

    def check(self, path: Path) -> None:
        """CheckpointError where a file is not the one that was written."""
        size = path.stat().st_size
        if self.bytes is not None and size != self.bytes:
            raise CheckpointError(
                f"{path}: damaged: it has {size} bytes, and {MANIFEST} says {self.bytes} for epoch {self.epoch}"
            )
        if self.sha256 is not None and file_sum(path) != self.sha256:
            raise CheckpointError(
                f"{path}: damaged, or not the file of epoch {self.epoch}: its sha256 is not the one in {MANIFEST}"
            )

    def check_epoch(self, path: Path, stated: object) -> None:
        """CheckpointError where the file says of itself that it is of another epoch."""
        if isinstance(stated, int) and stated != self.epoch:
            raise CheckpointError(
                f"{path}: is of epoch {stated}, and {MANIFEST} lists it for epoch {self.epoch}"
            )


@dataclass(frozen=True)
class Manifest:
    """What the manifest of a run folder says, its checkpoints by ascending epoch."""

    checkpoints: tuple[Listed, ...]
    begun_anew: tuple[int, ...] = ()
    finished: str = ""
    format: int = FORMAT


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a run folder; CheckpointError where it is not one."""
    path = folder / MANIFEST
    with turned_into(
        CheckpointError, f"{path}: expected a list of checkpoints, each with epoch and file", inputs=True
    ):
        manifest = built(Manifest, read_table(path), strangers=True)
    if manifest.format > FORMAT:
        raise CheckpointError(
            f"{path}: written in format {manifest.format} of modscope; this version reads up to {FORMAT}"
        )
    for name, epochs in {
        "checkpoints": [one.epoch for one in manifest.checkpoints],
        "begun_anew": manifest.begun_anew,
    }.items():
        if any(epoch < 0 for epoch in epochs) or len(set(epochs)) < len(epochs):
            raise CheckpointError(f"{path}: {name}: expected epochs from 0, each once")
    for one in manifest.checkpoints:
        with turned_into(CheckpointError, f"{folder}: {MANIFEST} names a file that cannot be"):
            (folder / one.file).is_file()  # a name that the system cannot take, such as one of 300 letters
    return Manifest(
        tuple(sorted(manifest.checkpoints, key=lambda one: one.epoch)), manifest.begun_anew, manifest.finished
    )


def inside(folder: Path, name: str) -> Path:
    """The path of a file that a run's manifest names; CheckpointError where it leads out of the folder."""
    with turned_into(CheckpointError, f"{folder}: {MANIFEST} names a file that cannot be"):
        path = (folder / name).resolve()
        outside = not path.is_relative_to(folder.resolve())
    if outside:
        raise CheckpointError(f"{folder}: {MANIFEST} names {name}, which is outside of the run folder")
    return path


def listed_beside(path: Path) -> Listed | None:
    """What the manifest of the run folder in which a file lies says of it; None where there is none."""
    folder = path.resolve().parent.parent
    if not (folder / MANIFEST).is_file():
        return None
    try:
        manifest = read_manifest(folder)
    except CheckpointError:
        return None
    return next((one for one in manifest.checkpoints if folder / one.file == path.resolve()), None)


def file_sum(path: Path) -> str:
    """The sha256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def tensors_sum(tensors: Mapping[str, Tensor], text: str) -> str:
    """One sha256 over tensors, with their names, types and shapes, and over a text that belongs to them.

    >>> tensors_sum({"w": torch.zeros(2)}, "a") == tensors_sum({"w": torch.zeros(3)}, "a")
    False
    """
    total = hashlib.sha256(text.encode())
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        total.update(f"\0{name}\0{tensor.dtype}\0{tuple(tensor.shape)}\0".encode())
        total.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
    return total.hexdigest()
