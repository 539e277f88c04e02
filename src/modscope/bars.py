"""How far long work is: bars on a terminal, one sentence elsewhere; short work is not spoken of."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from modscope.pace import is_watched, watched_by

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

__all__ = ["shown_in_notebook", "shown_work"]

_SOON = 1.0  # seconds of work before which no bar is drawn
_LONG = 10.0  # seconds of work from which it is worth a sentence where nothing can be drawn
_DEEPEST = 3  # bars below each other


@contextlib.contextmanager
def shown_work() -> Iterator[None]:
    """Within it long work is shown on standard error.

    On a terminal a bar for each stretch of work that takes more than a second, with the time that is left; it goes when
    the work has ended. In a notebook, and wherever bars would only fill a file: one sentence, before work that will take
    more than ten seconds.
    """
    bars = _Bars()
    try:
        with watched_by(bars):
            yield
    finally:
        bars.close()


def shown_in_notebook() -> contextlib.AbstractContextManager[None]:
    """`shown_work` in the cells of a notebook and at Python's prompt, if nobody watches yet; elsewhere nothing."""
    if is_watched() or not _somebody_waits():
        return contextlib.nullcontext()
    return shown_work()


def _somebody_waits() -> bool:
    """Whether what runs was typed by somebody who waits for it."""
    ipython = sys.modules.get("IPython")
    return hasattr(sys, "ps1") or (ipython is not None and ipython.get_ipython() is not None)


@dataclass
class _Stretch:
    what: str
    of: int | None
    begun: float
    done: int = 0
    task: TaskID | None = None

    def spent(self) -> float:
        return time.monotonic() - self.begun

    def expected(self) -> float | None:
        """Seconds in all, at the pace so far."""
        return self.spent() * self.of / self.done if self.of and self.done else None


class _Bars:
    """The stretches of work that have begun and not ended, outermost first, and what is shown of them."""

    def __init__(self) -> None:
        self._stretches: dict[int, _Stretch] = {}
        self._count = 0
        self._progress: Progress | None = None
        self._said = False

    def begun(self, what: str, of: int | None) -> int:
        self._count += 1
        self._stretches[self._count] = _Stretch(what, of, time.monotonic())
        self._show()
        return self._count

    def reached(self, stretch: int, done: int, of: int | None, what: str | None) -> None:
        one = self._stretches.get(stretch)
        if one is None:
            return
        one.done, one.of, one.what = done, one.of if of is None else of, what or one.what
        self._show()
        if self._progress is not None and one.task is not None:
            self._progress.update(one.task, completed=one.done, total=one.of, description=_short(one.what))

    def ended(self, stretch: int) -> None:
        one = self._stretches.pop(stretch, None)
        if self._progress is not None and one is not None and one.task is not None:
            self._progress.remove_task(one.task)
        if not self._stretches:
            self.close()

    def close(self) -> None:
        """Takes away what is drawn: what is printed next must not run into it."""
        self._said = False
        if self._progress is not None:
            self._progress.stop()
            self._progress = None

    def _show(self) -> None:
        first = next(iter(self._stretches.values()))
        if first.spent() < _SOON or self._said:
            return
        if self._progress is None:
            self._progress = _started_progress()
        if self._progress is None:
            self._say(first)
        else:
            self._draw(self._progress)

    def _draw(self, progress: Progress) -> None:
        for one in list(self._stretches.values())[:_DEEPEST]:
            if one.task is None and one.spent() > _SOON:
                one.task = progress.add_task(_short(one.what), total=one.of, completed=one.done)

    def _say(self, first: _Stretch) -> None:
        for one in self._stretches.values():
            expected = one.expected()
            if expected is not None and expected > _LONG:
                within = "" if one is first else f"{first.what}, "
                after = f"going by the first {one.done} of {one.of}"
                print(f"{within}{one.what}: about {_rounded(expected)}, {after}", file=sys.stderr, flush=True)
                self._said = True
                return


def _rounded(seconds: float) -> str:
    """A time to come, no more exactly than it is known.

    >>> _rounded(41.3), _rounded(640)
    ('40 s', '11 min')
    """
    return f"{round(seconds, -1):.0f} s" if seconds < 95 else f"{seconds / 60:.0f} min"


def _short(text: str, most: int = 40) -> str:
    return text if len(text) <= most else f"{text[: most - 3]}..."


def _started_progress() -> Progress | None:
    """Bars where they can be drawn: on a terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    if not console.is_terminal:
        return None
    progress = Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=12),
        MofNCompleteColumn(),
        TimeRemainingColumn(compact=True),
        console=console,
        transient=True,
        # what a command writes to standard output stays there
        redirect_stdout=False,
        redirect_stderr=False,
    )
    progress.start()
    return progress
