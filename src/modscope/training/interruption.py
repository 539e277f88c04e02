"""Ctrl-C and SIGTERM as a question that is asked between two steps."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator

__all__ = ["interruption"]


@contextlib.contextmanager
def interruption() -> Iterator[Callable[[], bool]]:
    """Whether Ctrl-C or SIGTERM has come: asked between steps, so a step is whole. A second one does not wait.

    Only the main thread of a process hears of signals; elsewhere the answer is always no.
    """
    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    came: list[int] = []

    def note(number: int, _: object) -> None:
        if came:
            raise KeyboardInterrupt
        came.append(number)

    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: bool(came)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
