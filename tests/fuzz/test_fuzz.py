"""Half a minute of damaged files of every kind; `./run fuzz` goes on for as long as wanted."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
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
    done = fuzzed("--seconds", "30", "--inputs", "1500", "--seed", "1")
    assert done.returncode == 0, done.stdout + done.stderr
    assert int(done.stdout.split(" inputs")[0].split()[-1]) > 50, done.stdout


@pytest.mark.parametrize("what", ["raise", "wait", "run", "touch", "grow"])
def test_what_is_wrong_is_found(what: str, tmp_path: Path) -> None:
    """The fuzzer itself, on a reader that does each of the things that it looks for."""
    wrong = {
        "raise": "raise KeyError(1)",
        "wait": "while True: pass",
        "run": "import os; os.system('true')",
        "touch": f"open({str(tmp_path / 'touched')!r}, 'w').close()",
        "grow": "bytearray(3 << 30)",
    }[what]
    code = (
        "import sys, tests.fuzz.targets as t, tests.fuzz.__main__ as m\n"
        f"def wrong(bases, chance, place):\n    {wrong}\n"
        "t.TARGETS = {'wrong': wrong}\nm.SECONDS = 1\n"
        "sys.argv = ['fuzz', '--inputs', '1']\nsys.exit(m.main())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=environment_of_a_process(),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    assert "1 found" in done.stdout
