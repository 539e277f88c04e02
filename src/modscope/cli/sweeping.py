"""A sweep on the terminal: a line for each network that has ended, and below them how all of it stands."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from modscope.cli.live import clock

if TYPE_CHECKING:
    from modscope.sweep import Stand

__all__ = ["sweep_on_terminal"]


@contextmanager
def sweep_on_terminal(*, quiet: bool = False) -> Iterator[Callable[[Stand], None]]:
    """A function that is told how a sweep stands; without a terminal it prints only what ended."""
    from rich.console import Console
    from rich.live import Live

    console = Console(stderr=True)
    if quiet:
        yield lambda stand: None
        return
    if not console.is_terminal:
        yield lambda stand: print(_ended(stand), file=sys.stderr) if _ended(stand) else None
        return
    with Live(
        "starting the workers; each loads PyTorch first", console=console, refresh_per_second=4
    ) as live:

        def watch(stand: Stand) -> None:
            if line := _ended(stand):
                live.console.print(line, highlight=False, markup=False, soft_wrap=True)
            live.update(stand_text(stand))

        yield watch


def stand_text(stand: Stand) -> str:
    """One line on how a sweep stands."""
    left = f", about {clock(stand.left)} left" if stand.left else ""
    failed = f", {stand.failed} failed" if stand.failed else ""
    return (
        f"{stand.done} of {stand.total} done, {stand.running} running{failed}; {clock(stand.seconds)}{left}"
    )


def _ended(stand: Stand) -> str:
    if stand.last is None:
        return ""
    unit, ended = stand.last
    if ended.how == "failed":
        return f"{unit.label}: failed: {ended.error}"
    return f"{unit.label}: {ended.line or 'was there'}"
