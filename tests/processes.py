"""Processes that a test starts, and that end with it however it ends."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from tests.training.small import environment_of_a_process

__all__ = ["in_terminal", "modscope_running", "running"]


@contextlib.contextmanager
def running(command: Sequence[str], *, patience: float = 0.0, **options: Any) -> Iterator[subprocess.Popen]:
    """A process, the first of a group of its own: the whole group is killed where it still is there at the end.

    patience: seconds in which it may first end itself, and what it has started elsewhere, when asked to.
    """
    process = subprocess.Popen(command, start_new_session=True, **options)
    try:
        yield process
    finally:
        with contextlib.suppress(subprocess.TimeoutExpired):
            if patience:
                process.terminate()
                process.wait(patience)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        for stream in (process.stdin, process.stdout, process.stderr):
            if stream is not None:
                stream.close()


def modscope_running(
    *words: str, environment: Mapping[str, str] | None = None, **options: Any
) -> contextlib.AbstractContextManager[subprocess.Popen]:
    """`running` of a modscope command, its output piped as text unless the options say otherwise."""
    piped: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    command = [sys.executable, "-m", "modscope", *words]
    return running(command, env=environment_of_a_process() | dict(environment or {}), **piped | options)


def in_terminal(
    arguments: Sequence[str], interrupt: Callable[[str], bool] | None = None, seconds: float = 120.0
) -> tuple[int, str]:
    """The exit code of a modscope command in a terminal of 80 columns, and what it drew there, without colours.

    interrupt: once this holds of what has been drawn, Ctrl-C is typed.
    """
    controller, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 80, 0, 0))
    streams: dict[str, Any] = dict.fromkeys(("stdin", "stdout", "stderr"), terminal)
    with modscope_running(
        *arguments, environment={"TERM": "xterm-256color"}, text=False, **streams
    ) as process:
        os.close(terminal)
        drawn, end = b"", time.monotonic() + seconds
        try:
            while (part := _read(controller)) is None or part:
                drawn += part or b""
                assert time.monotonic() < end, f"it has not ended: {_plain(drawn)}"
                if interrupt is not None and interrupt(_plain(drawn)):
                    os.killpg(process.pid, signal.SIGINT)
                    interrupt = None
        finally:
            os.close(controller)
        return process.wait(timeout=seconds), _plain(drawn)


def _read(controller: int) -> bytes | None:
    """What was drawn since; None where nothing was, and nothing at all where the terminal is closed."""
    if not select.select([controller], [], [], 0.05)[0]:
        return None
    try:
        return os.read(controller, 65536)
    except OSError:
        return b""


def _plain(drawn: bytes) -> str:
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", drawn.decode(errors="replace"))
