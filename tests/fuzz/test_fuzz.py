"""Half a minute of damaged files of every kind; `./run fuzz` goes on for as long as wanted."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
import tests.fuzz.__main__ as fuzzer
from tests.fuzz import targets
from tests.fuzz.forked import exit_code_of
from tests.training.small import environment_of_a_process

ROOT = Path(__file__).parents[2]


def fuzzed(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tests.fuzz", *words],
        cwd=ROOT,
        env={**environment_of_a_process(), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )


def test_damaged_files_of_every_kind_are_opened_or_refused_in_a_sentence() -> None:
    done = fuzzed("--seconds", "30", "--inputs", "600", "--seed", "1")
    assert done.returncode == 0, done.stdout + done.stderr
    assert int(done.stdout.split(" inputs")[0].split()[-1]) > 50, done.stdout


WRONG: dict[str, Callable[[Path], object]] = {
    "raise": lambda place: {}[1],
    "wait": lambda place: [None for _ in iter(int, 1)],
    "run": lambda place: os.system("true"),
    "touch": lambda place: (place.parents[1] / "touched").write_text(""),
    "grow": lambda place: bytearray(3 << 30),
}


def wrongly_read(what: str, said: str) -> None:
    """A process that fuzzes a reader which does one of the things that are looked for."""
    wrong = WRONG.get(what, lambda place: None)
    targets.TARGETS = {"wrong": lambda bases, chance, place: wrong(place)}
    fuzzer.SECONDS = 0.2
    tempfile.tempdir = said
    sys.argv = ["fuzz", "--inputs", "1"]
    with (Path(said) / "said").open("w") as file, contextlib.redirect_stdout(file):
        ended = fuzzer.main()
    sys.exit(ended)


@pytest.mark.parametrize("what", [*WRONG, "nothing"])
def test_what_is_wrong_is_found(what: str, tmp_path: Path) -> None:
    """The fuzzer itself, on a reader that does each of the things that it looks for, and on one that does none."""
    right = what == "nothing"
    assert exit_code_of(wrongly_read, what, str(tmp_path)) == (0 if right else 1)
    assert ("0 found" if right else "1 found") in (tmp_path / "said").read_text()


@pytest.mark.slow
def test_a_soak_ends_with_what_was_done() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.fuzz.soak", "--minutes", "1", "--kills", "3"],
        cwd=ROOT, env=environment_of_a_process(), capture_output=True, text=True, timeout=400,
    )  # fmt: skip
    assert "kills over" in done.stdout, done.stdout + done.stderr
    assert done.stdout.count("MB in the last") == 4, done.stdout
    assert "\n    " not in done.stdout, done.stdout  # a fault
