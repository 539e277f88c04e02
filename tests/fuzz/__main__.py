"""`python -m tests.fuzz --seconds 60 --seed 0`: damaged files of every kind, until the time is over or something is found.

Each input must be opened or be refused by one of modscope's own errors, within ten seconds and two gigabytes, without
running code from it and without touching a file outside of its folder. Every input follows from the seed and its
number, so `--seed S --first N --inputs 1` makes one again; what is found is kept in --keep.
"""

from __future__ import annotations

import argparse
import gc
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

SECONDS, BYTES = 10, 2 * 2**30
_FORBIDDEN = (
    "os.system",
    "subprocess.Popen",
    "os.exec",
    "os.posix_spawn",
    "os.spawn",
    "socket.connect",
    "socket.bind",
    "ctypes.dlopen",
)
_CHANGES = (
    "os.remove",
    "os.rename",
    "os.rmdir",
    "os.mkdir",
    "os.link",
    "os.symlink",
    "os.truncate",
    "os.chmod",
    "shutil.rmtree",
)


class Watcher:
    """What an input makes the process do, heard from Python's audit events."""

    def __init__(self) -> None:
        self.place: str | None = None
        self.heard: list[str] = []
        sys.addaudithook(self._hear)

    def _hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self.place is None:
            return
        if event == "subprocess.Popen" and arguments[0] == "git":
            return  # which commit a run was made by
        if event.startswith(_FORBIDDEN):
            self.heard.append(f"{event} {arguments!r:.200}")
        elif event in _CHANGES or (event == "open" and _writes(arguments)):
            path = str(arguments[0])
            if path.startswith("/") and not path.startswith((self.place, "/dev/null")):
                self.heard.append(f"{event} {path:.200}")


def _writes(arguments: tuple[Any, ...]) -> bool:
    flags = arguments[2] if len(arguments) > 2 else 0
    return isinstance(flags, int) and bool(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))


class TooSlow(BaseException):
    """Ten seconds are over."""


def _too_slow(*_: object) -> None:
    raise TooSlow


def main() -> int:
    options = _options()
    warnings.simplefilter("ignore")
    from tests.fuzz.targets import TARGETS, Bases

    from modscope.errors import ModscopeError

    watcher, outcomes, found = Watcher(), Counter[str](), 0
    names = [name for name in TARGETS if options.only in name]
    gc.set_threshold(100_000, 20, 20)  # as the command line has it
    with tempfile.TemporaryDirectory() as folder:
        bases = Bases(Path(folder))
        _bound_memory()
        # Time of the processor: a machine that is busy with something else does not make an input slow.
        signal.signal(signal.SIGPROF, _too_slow)
        start, number = time.monotonic(), options.first
        while time.monotonic() - start < options.seconds and number < options.first + options.inputs:
            name = names[number % len(names)]
            place = Path(folder) / "input"
            place.mkdir()
            wrong, began = "", time.monotonic()
            watcher.place = folder
            signal.setitimer(signal.ITIMER_PROF, SECONDS)
            try:
                TARGETS[name](bases, random.Random(f"{options.seed} {number}"), place)
                outcomes["opened"] += 1
            except ModscopeError as error:
                outcomes["refused"] += 1
                wrong = "a message of more than 4000 characters" if len(str(error)) > 4000 else ""
            except TooSlow:
                wrong = f"more than {SECONDS} seconds"
            except Exception:
                wrong = traceback.format_exc()
            finally:
                signal.setitimer(signal.ITIMER_PROF, 0)
                watcher.place = None
            wrong = wrong or "; ".join(watcher.heard)
            if wrong:
                found += 1
                watcher.heard.clear()
                print(
                    f"input {number} (--seed {options.seed}), {name}, {time.monotonic() - began:.1f} s:\n{wrong}"
                )
                if options.keep:
                    shutil.copytree(place, options.keep / f"{options.seed}-{number}", dirs_exist_ok=True)
                if found >= options.most:
                    break
            shutil.rmtree(place)
            number += 1
        took = time.monotonic() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    counts = ", ".join(f"{count} {what}" for what, count in sorted(outcomes.items()))
    print(f"{number - options.first} inputs in {took:.0f} s: {counts}, {found} found; peak {peak:.0f} MB")
    return 1 if found else 0


def _bound_memory() -> None:
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + BYTES, resource.RLIM_INFINITY))


def _options() -> argparse.Namespace:
    reader = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    reader.add_argument("--seconds", type=float, default=60)
    reader.add_argument("--seed", type=int, default=0)
    reader.add_argument("--first", type=int, default=0, help="the number of the first input")
    reader.add_argument("--inputs", type=int, default=10**9, help="how many at most")
    reader.add_argument("--only", default="", help="a word of the targets that are attacked")
    reader.add_argument("--most", type=int, default=20, help="end after so many are found")
    reader.add_argument("--keep", type=Path, help="a folder for what is found")
    return reader.parse_args()


if __name__ == "__main__":
    sys.exit(main())
