"""A line a minute of what long work has done, so that an hour of it can be followed."""

from __future__ import annotations

import time
from collections.abc import Callable

__all__ = ["EveryMinute"]


class EveryMinute:
    """Prints what it is told at most once a minute, after how many minutes it was."""

    def __init__(self, seconds: float = 60.0) -> None:
        self.seconds = seconds
        self.start = self._last = time.monotonic()

    def tell(self, text: Callable[[], str]) -> None:
        now = time.monotonic()
        if now - self._last >= self.seconds:
            self._last = now
            print(f"{(now - self.start) / 60:4.0f} min: {text()}", flush=True)
