"""Which file in a folder is meant, and which config beside it belongs to it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modscope.checkpoints.reading import SUFFIXES, read_table
from modscope.errors import CheckpointError, InputError

__all__ = [
    "MANIFEST",
    "Found",
    "anew_notes",
    "before",
    "config_beside",
    "inside",
    "read_manifest",
    "runs_in",
    "weights_in",
]

MANIFEST = "manifest.json"
_CONFIG_NAMES = ("cfg", "config", "args", "hparams", "params")


@dataclass(frozen=True)
class Found:
    """A file of weights, the epoch still to be looked for in it, and a note where others were passed over.

    offer: what else can be opened if this file cannot.
    """

    path: Path
    epoch: int | None = None
    note: str | None = None
    offer: str = ""


def weights_in(folder: Path, epoch: int | None) -> Found:
    """The file of weights meant by a folder.

    A run folder names its checkpoints in manifest.json. Otherwise the only file of weights is meant, or the
    one whose name ends in the epoch asked for, or that is called final, last, end or model.
    """
    if (folder / MANIFEST).is_file():
        return _of_run(folder, epoch)
    files = sorted(entry for entry in folder.iterdir() if entry.suffix in SUFFIXES and entry.is_file())
    if not files and (runs := runs_in(folder)):
        raise InputError(f"{folder}: holds several runs, {', '.join(runs)}: give one of them")
    if not files:
        raise InputError(f"{folder}: no file of weights ({', '.join(SUFFIXES)}) in this folder")
    if len(files) == 1:
        return Found(files[0], epoch)
    if epoch is not None:
        chosen = [file for file in files if _number(file) == epoch]
    else:
        chosen = [file for file in files if re.search(r"(^|[._-])(final|last|end|model)$", file.stem)]
    names = ", ".join(file.name for file in files[:12]) + (", ..." if len(files) > 12 else "")
    if len(chosen) != 1:
        wanted = "" if epoch is None else f" and not one of them is of epoch {epoch}"
        raise InputError(f"{folder}: {len(files)} files of weights{wanted}: give the path of one of {names}")
    return Found(chosen[0], None, f"{chosen[0].name} was opened, of {names}")


def _number(file: Path) -> int | None:
    digits = re.findall(r"\d+", file.stem)
    return int(digits[-1]) if digits else None


def _of_run(folder: Path, epoch: int | None) -> Found:
    files = {entry["epoch"]: entry["file"] for entry in read_manifest(folder)["checkpoints"]}
    if not files:
        raise CheckpointError(f"{folder}: the run has no checkpoint yet")
    wanted = max(files) if epoch is None else epoch
    if wanted not in files:
        nearest = min(files, key=lambda known: abs(known - wanted))
        raise InputError(
            f"epoch {epoch}: the run has {len(files)} checkpoints; the nearest is of epoch {nearest}"
        )
    return Found(_file_inside(folder, files[wanted]), offer=before(files, wanted))


def before(epochs: Iterable[int], epoch: int) -> str:
    """The end of a sentence that offers the checkpoint before one; empty where that is the first.

    >>> before([0, 100, 200], 200)
    '; the checkpoint before it is of epoch 100'
    """
    earlier = [known for known in epochs if known < epoch]
    return f"; the checkpoint before it is of epoch {max(earlier)}" if earlier else ""


def runs_in(folder: Path) -> list[str]:
    """The names of the run folders that are in a folder."""
    return sorted(manifest.parent.name for manifest in folder.glob(f"*/{MANIFEST}"))


def anew_notes(begun: Sequence[int]) -> list[str]:
    """What is to be said of a run that began again from other initial weights at some epochs; nothing of others.

    >>> anew_notes([300, 600])
    ['training began anew at step 300, 600: epochs before the last of these are of other networks']
    """
    if not begun:
        return []
    steps = ", ".join(map(str, begun))
    return [f"training began anew at step {steps}: epochs before the last of these are of other networks"]


def read_manifest(folder: Path) -> dict[str, Any]:
    """What the manifest of a run folder says, its checkpoints by ascending epoch.

    Raises CheckpointError where it does not list them.
    """
    manifest = read_table(folder / MANIFEST)
    listed = manifest.get("checkpoints")
    if not isinstance(listed, list) or not all(
        isinstance(entry, dict) and isinstance(entry.get("epoch"), int) and isinstance(entry.get("file"), str)
        for entry in listed
    ):
        raise CheckpointError(
            f"{folder / MANIFEST}: expected a list of checkpoints, each with epoch and file"
        )
    begun = manifest.get("begun_anew", [])
    if not isinstance(begun, list) or not all(isinstance(epoch, int) for epoch in begun):
        raise CheckpointError(f"{folder / MANIFEST}: begun_anew = {begun!r}: expected a list of epochs")
    listed = sorted(listed, key=lambda entry: entry["epoch"])
    return manifest | {"checkpoints": listed, "begun_anew": begun}


def _file_inside(folder: Path, name: str) -> Path:
    path = inside(folder, name)
    if not path.is_file():
        raise CheckpointError(f"{folder}: {MANIFEST} names {name}, which is not there")
    return path


def inside(folder: Path, name: str) -> Path:
    """The path of a file that a run's manifest names; CheckpointError where it leads out of the folder."""
    path = (folder / name).resolve()
    if not path.is_relative_to(folder.resolve()):
        raise CheckpointError(f"{folder}: {MANIFEST} names {name}, which is outside of the run folder")
    return path


def config_beside(path: Path) -> tuple[dict[str, Any], Path | None]:
    """The config that lies beside a file of weights, and its path; empty where there is none.

    `config_ID.json` belongs to `model_ID.pt`, `NAME.json` to `NAME.pt`, `cfg.json` and the like to the folder.
    """
    stems = [path.stem, f"{path.stem}_config"]
    for word in _CONFIG_NAMES:
        stems += [re.sub(r"^[a-z]+(?=_)", word, path.stem), path.stem.replace("model", word)]
    stems += list(_CONFIG_NAMES)
    for stem in dict.fromkeys(stems):
        for suffix in (".json", ".toml"):
            found = path.with_name(stem + suffix)
            if found.is_file():
                return read_table(found), found
    return {}, None
