"""Which file in a folder is meant, and which config beside it belongs to it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modscope.checkpoints.manifest import MANIFEST, Listed, inside, read_manifest
from modscope.checkpoints.moments import restated
from modscope.checkpoints.reading import SUFFIXES, read_table
from modscope.checkpoints.series import Series, final_of, series_of
from modscope.errors import CheckpointError, InputError, listed

__all__ = [
    "Found",
    "anew_notes",
    "before",
    "config_beside",
    "runs_in",
    "weights_in",
]

_BELOW = ("checkpoints", "ckpts", "ckpt", "weights", "models", "states")
_CONFIG_NAMES = ("cfg", "config", "args", "hparams", "params")


@dataclass(frozen=True)
class Found:
    """A file of weights, the epoch still to be looked for in it, and a note where others were passed over.

    offer: what else can be opened if this file cannot. series: the files of the same run at other epochs, and of_epoch
    the epoch by which this file is one of them. listed: what the manifest of a run says of it.
    """

    path: Path
    epoch: int | None = None
    note: str | None = None
    offer: str = ""
    series: Series | None = None
    of_epoch: int | None = None
    listed: Listed | None = None


def weights_in(folder: Path, epoch: int | None) -> Found:
    """The file of weights meant by a folder.

    A run folder names its checkpoints in manifest.json. Otherwise the only file of weights is meant; of several that
    are one run at several epochs, in the folder or in its folder of checkpoints, the one of the epoch asked for, else the
    one called final, last, end or model, else the last.
    """
    if (folder / MANIFEST).is_file():
        return _of_run(folder, epoch)
    files = _files_of_weights(folder)
    if not files and (runs := runs_in(folder)):
        raise InputError(f"{folder}: holds several runs, {listed(runs)}: give one of them")
    if not files:
        files = _files_below(folder)
    if not files:
        raise InputError(f"{folder}: no file of weights ({', '.join(SUFFIXES)}) in this folder")
    if len(files) == 1:
        return Found(files[0], epoch)
    series = series_of(folder, files)
    finals = final_of(files)
    if epoch is None and len(finals) == 1:
        note = f"{finals[0].name} was opened, of {_named(files)}"
        return Found(finals[0], None, note, series=series)
    if series is not None:
        return _of_series(series, epoch)
    raise InputError(f"{folder}: {len(files)} files of weights: give the path of one of {_named(files)}")


def _of_series(series: Series, epoch: int | None) -> Found:
    if epoch is not None and epoch not in series.files:
        series = restated(series)
    path = series.file(epoch)
    wanted = series.epochs[-1] if epoch is None else epoch
    return Found(path, None, series.note, offer=before(series.files, wanted), series=series, of_epoch=wanted)


def _files_of_weights(folder: Path) -> list[Path]:
    return sorted(entry for entry in folder.iterdir() if entry.suffix in SUFFIXES and entry.is_file())


def _files_below(folder: Path) -> list[Path]:
    """The files of the one folder within that holds weights."""
    below = [
        found for entry in sorted(folder.iterdir()) if entry.is_dir() and (found := _files_of_weights(entry))
    ]
    return below[0] if len(below) == 1 else []


def _named(files: Sequence[Path]) -> str:
    return ", ".join(file.name for file in files[:12]) + (", ..." if len(files) > 12 else "")


def _of_run(folder: Path, epoch: int | None) -> Found:
    files = {one.epoch: one for one in read_manifest(folder).checkpoints}
    if not files:
        raise CheckpointError(f"{folder}: the run has no checkpoint yet")
    wanted = max(files) if epoch is None else epoch
    if wanted not in files:
        nearest = min(files, key=lambda known: abs(known - wanted))
        raise InputError(
            f"epoch {epoch}: the run has {len(files)} checkpoints; the nearest is of epoch {nearest}"
        )
    path = _file_inside(folder, files[wanted].file)
    return Found(path, offer=before(files, wanted), listed=files[wanted])


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
    steps = listed(begun)
    return [f"training began anew at step {steps}: epochs before the last of these are of other networks"]


def _file_inside(folder: Path, name: str) -> Path:
    path = inside(folder, name)
    if not path.is_file():
        raise CheckpointError(f"{folder}: {MANIFEST} names {name}, which is not there")
    return path


def config_beside(path: Path) -> tuple[dict[str, Any], Path | None]:
    """The config that lies beside a file of weights, and its path; empty where there is none.

    `config_ID.json` belongs to `model_ID.pt`, `NAME.json` to `NAME.pt`, `cfg.json` and the like to the folder.
    """
    stems = [path.stem, f"{path.stem}_config"]
    for word in _CONFIG_NAMES:
        stems += [re.sub(r"^[a-z]+(?=_)", word, path.stem), path.stem.replace("model", word)]
    stems += list(_CONFIG_NAMES)
    # Checkpoints often lie one folder below the config of their run.
    folders = [path.parent, *([path.parent.parent] if path.parent.name.lower() in _BELOW else [])]
    for folder in folders:
        for stem in dict.fromkeys(stems):
            for suffix in (".json", ".toml"):
                found = folder / (stem + suffix)
                if found.is_file():
                    return read_table(found), found
    return {}, None
