"""Trainings that are killed at random moments and gone on with, until they end at the bits of one that was not disturbed."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import sys
import time
from dataclasses import dataclass, field
from multiprocessing.process import BaseProcess
from pathlib import Path

from tests.fuzz.forked import exit_code_of, forked
from tests.fuzz.telling import EveryMinute
from tests.training.small import assert_same_bits

__all__ = ["ENGINES", "SIZES", "TRAIN", "Kills", "trained"]

SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
ENGINES = ("plain", "exact", "fast")
TRAIN = ("--preset", "quick", "--p", "11", "--steps", "240", "--seed", "1", "--quiet", "--threads", "1", "--set", "stop.settled=false")  # fmt: skip
SIZES = ("--set", "network.d_model=16", "--set", "network.n_heads=2", "--set", "network.d_mlp=32", "--set", "keep.resume=20", "--set", "keep.every=40")  # fmt: skip


@dataclass
class Kills:
    """Trainings by some engines in turn, in a folder; what was done so far."""

    place: Path
    chance: random.Random
    engines: tuple[str, ...] = ENGINES
    kills: int = 0
    runs: int = 0
    _whole: dict[str, float] = field(default_factory=dict)  # engine -> seconds of a training

    def __str__(self) -> str:
        return f"{self.kills} kills over {self.runs} trainings ({', '.join(self.engines)})"

    def until(self, wanted: int, end: float, said: EveryMinute) -> None:
        """Kills until that many were made and their trainings ended, or the time is over."""
        if wanted:
            assert exit_code_of(int) == 0  # the process of which all are forked takes seconds to start
        while self.kills < wanted and time.monotonic() < end:
            self._one(self.engines[self.runs % len(self.engines)], said)

    def _one(self, engine: str, said: EveryMinute) -> None:
        whole, folder = self.place / f"whole-{engine}", self.place / "killed"
        if engine not in self._whole:
            start = time.monotonic()
            with _training(whole, engine) as process:
                process.join()
            assert process.exitcode == 0
            self._whole[engine] = time.monotonic() - start
        while True:
            with _training(folder, engine) as process:
                process.join(self.chance.uniform(0.01, 0.7) * self._whole[engine])
                if process.exitcode is not None:
                    break
                assert process.pid is not None
                with contextlib.suppress(ProcessLookupError):  # it has just ended by itself
                    os.kill(process.pid, SIGNALS[self.kills % len(SIGNALS)])
                    self.kills += 1
                process.join()
            said.tell(lambda: str(self))
        assert process.exitcode == 0, f"ended with {process.exitcode}:\n{said_by(folder).read_text()}"
        assert_same_bits(whole, folder)
        assert (folder / "losses.csv").read_bytes() == (whole / "losses.csv").read_bytes()
        shutil.rmtree(folder)
        self.runs += 1


def said_by(folder: Path) -> Path:
    """The file of what the last training into a folder said."""
    return folder.with_suffix(".said")


def trained(words: tuple[str, ...], said: Path | str = os.devnull) -> None:
    """`modscope train` with these words, as this process; what it says goes into a file."""
    from modscope.cli import main as modscope

    told = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(told, 1)
    os.dup2(told, 2)
    sys.argv = ["modscope", "train", *words]
    sys.exit(modscope())


def _training(folder: Path, engine: str) -> contextlib.AbstractContextManager[BaseProcess]:
    anew = (*TRAIN, *SIZES, "--engine", engine, "--out", str(folder))
    resumed = (folder / "manifest.json").is_file()
    return forked(trained, ("--resume", str(folder), "--quiet") if resumed else anew)
