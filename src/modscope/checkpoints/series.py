"""A folder of one file per epoch: which number in the names is the epoch."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from modscope.errors import InputError

__all__ = ["FINAL", "Series", "final_of", "series_of"]

# A name that is a network at the end of its training.
FINAL = re.compile(r"(^|[._-])(final|last|end|model)$")
_WORDS = (
    "epoch",
    "epochs",
    "ep",
    "e",
    "step",
    "steps",
    "iter",
    "iters",
    "iteration",
    "it",
    "checkpoint",
    "ckpt",
    "chkpt",
    "update",
)
# What tells networks apart, not moments of one.
_OTHER_WORDS = frozenset(
    {"seed", "run", "trial", "fold", "p", "mod", "modulus", "prime", "layer", "layers", "head", "heads", "rank", "shard",
     "of", "v", "version", "exp", "id", "width", "dim", "d", "n", "lr", "wd", "frac", "model", "network"}
)  # fmt: skip
_NUMBER = re.compile(r"(?P<word>[A-Za-z]*)[=_.-]?(?P<digits>\d+)")


@dataclass(frozen=True)
class Series:
    """The files of a folder that hold one network at several epochs, by ascending epoch."""

    folder: Path
    files: Mapping[int, Path]

    @property
    def epochs(self) -> tuple[int, ...]:
        """The epochs, ascending."""
        return tuple(self.files)

    def file(self, epoch: int | None) -> Path:
        """The file of an epoch, of the last one for None; InputError with the nearest where there is none."""
        wanted = self.epochs[-1] if epoch is None else epoch
        if wanted not in self.files:
            nearest = min(self.epochs, key=lambda known: abs(known - wanted))
            raise InputError(
                f"{self.folder}: {len(self.epochs)} files of weights and not one of them is of epoch {wanted}; the "
                f"nearest is {nearest}"
            )
        return self.files[wanted]

    @property
    def note(self) -> str:
        """What was taken for granted."""
        names = f"{self.files[self.epochs[0]].name} to {self.files[self.epochs[-1]].name}"
        return f"{len(self.epochs)} files, {names}, were taken as one run by the numbers in their names"


def series_of(folder: Path, files: Sequence[Path]) -> Series | None:
    """The series among the files of a folder, if there is one: alike but for a number that can be an epoch.

    A number called an epoch comes before one called a step, these before a number without a word; numbers called
    seed, layer or the like are none. Where two files would have one epoch there is no series.
    """
    by_look: dict[str, list[Path]] = {}
    for file in files:
        by_look.setdefault(re.sub(r"\d+", "#", file.name), []).append(file)
    for look in sorted(by_look, key=lambda look: -len(by_look[look])):
        epochs = _epochs_of([file.stem for file in by_look[look]])
        if epochs is not None:
            pairs = sorted(zip(epochs, by_look[look], strict=True))
            return Series(folder, dict(pairs))
    return None


def final_of(files: Iterable[Path]) -> list[Path]:
    """The files whose names say that they are of the end of training."""
    return [file for file in files if FINAL.search(file.stem)]


def _epochs_of(stems: Sequence[str]) -> list[int] | None:
    """The number of each name that differs and can be an epoch; None where there is none, or two names share one."""
    numbers = [list(_NUMBER.finditer(stem)) for stem in stems]
    if len(stems) < 2 or len({len(found) for found in numbers}) != 1:
        return None
    columns = list(zip(*numbers, strict=True))
    differing = [c for c in columns if len({int(match["digits"]) for match in c}) > 1]
    if any(_word(column[0]) in _OTHER_WORDS for column in differing):
        return None
    named = [c for word in _WORDS for c in differing if _word(c[0]) == word]
    nameless = [c for c in differing if _word(c[0]) not in _WORDS]
    chosen = named[0] if named else nameless[-1] if len(nameless) == 1 else None
    if chosen is None:
        return None
    epochs = [int(match["digits"]) for match in chosen]
    return epochs if len(set(epochs)) == len(epochs) else None


def _word(match: re.Match[str]) -> str:
    return match["word"].lower()
