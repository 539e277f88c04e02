"""Several trainings on the terminal: a line for each that has ended, and below them those that are under way."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from modscope.cli.live import clock
from modscope.training.running import INTERRUPTED

if TYPE_CHECKING:
    from modscope.training.seeds import Ended, Progress

__all__ = ["several_trainings"]


@contextmanager
def several_trainings(
    count: int, *, quiet: bool = False
) -> Iterator[tuple[Callable[[Progress], None], Callable[[Ended], None]]]:
    """Two functions, for how a run stands and for how one ended; without a terminal only ends are printed.

    count: how many runs there are.
    """
    from rich.console import Console
    from rich.live import Live

    console = Console(stderr=True)
    if quiet or not console.is_terminal:
        yield lambda progress: None, lambda ended: None if quiet else print(ended.line, file=sys.stderr)
        return
    board = _Board(count)
    waiting = f"starting {count} trainings; each process loads PyTorch first"
    with Live(waiting, console=console, refresh_per_second=4) as live:

        def stands(progress: Progress) -> None:
            board.running[progress.folder] = progress
            live.update(board.text())

        def ended(one: Ended) -> None:
            board.running.pop(one.folder, None)
            board.ended += one.finished != INTERRUPTED
            live.console.print(one.line, highlight=False, soft_wrap=True)
            live.update(board.text())

        yield stands, ended


class _Board:
    """Those under way, and an estimate from those that have ended."""

    def __init__(self, count: int) -> None:
        self.count, self.ended = count, 0
        self.running: dict[Path, Progress] = {}
        self.started = time.monotonic()

    def text(self) -> str:
        """A line for each run under way, and one for all."""
        lines = [
            f"seed {one.seed}: step {one.epoch}"
            + (f", test loss {one.test_loss:.2e}" if one.test_loss is not None else "")
            + (f", {one.steps_per_second:.0f} steps/s" if one.steps_per_second else "")
            for one in sorted(self.running.values(), key=lambda one: one.seed)
        ]
        spent = time.monotonic() - self.started
        rest = self.count - self.ended
        left = f", about {clock(spent / self.ended * rest)} left" if self.ended and rest else ""
        return "\n".join([*lines, f"{self.ended} of {self.count} ended, {clock(spent)}{left}"])
