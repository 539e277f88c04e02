"""What a test starts ends with it, however it ends."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.fuzz.forked import forked
from tests.processes import running
from tests.training.small import wait_until

CHILD = (
    "import subprocess, sys, time; print(subprocess.Popen(['sleep', '600']).pid, flush=True); time.sleep(600)"
)


def is_there(process: int) -> bool:
    """Whether a process is there and no zombie, which nobody may have waited for."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.parametrize("patience", [0.0, 5.0])
def test_a_test_that_fails_leaves_no_process_and_no_child_of_one(patience: float) -> None:
    seen = []

    def fails() -> None:
        with running([sys.executable, "-c", CHILD], stdout=subprocess.PIPE, patience=patience) as process:
            seen.extend([process.pid, int(process.stdout.readline())])
            raise AssertionError

    with pytest.raises(AssertionError):
        fails()
    wait_until(lambda: not any(map(is_there, seen)))
    with forked(os.getpid) as process:
        pass
    assert process.exitcode is not None


def test_nothing_else_in_the_tests_starts_a_process_that_is_not_waited_for() -> None:
    tests = Path(__file__).parent
    found = {
        str(path.relative_to(tests))
        for path in tests.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith(("Popen", ".Process"))
    }
    assert found == {"processes.py", "fuzz/forked.py"}
