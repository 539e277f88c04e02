"""Training on the terminal: a live curve where there is one, a line now and then where there is not."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import RenderableType

    from modscope.training.running import Status

__all__ = ["curve", "live_training"]

_DOTS = ((0x40, 0x80), (0x04, 0x20), (0x02, 0x10), (0x01, 0x08))  # braille, from the bottom row up


def curve(
    values: list[tuple[float, float]], *, width: int, height: int, low: float, high: float, end: float
) -> list[str]:
    """Points (x, y) drawn in braille, `height` lines of `width` characters; x runs from 0 to end.

    >>> curve([(0, 0.0), (1, 1.0), (2, 2.0), (3, 3.0)], width=2, height=1, low=0, high=3, end=3)
    ['⡠⠊']
    """
    cells = [[0] * width for _ in range(height)]
    for x, y in values:
        column = round((2 * width - 1) * min(max(x / end, 0.0), 1.0)) if end else 0
        row = round((4 * height - 1) * min(max((y - low) / (high - low), 0.0), 1.0))
        cells[height - 1 - row // 4][column // 2] |= _DOTS[row % 4][column % 2]
    return ["".join(chr(0x2800 + dots) for dots in line) for line in cells]


@contextmanager
def live_training(*, quiet: bool = False) -> Iterator[Callable[[Status], None]]:
    """A function that shows each status as it comes: on a terminal a live panel, otherwise the end alone."""
    from rich.console import Console
    from rich.live import Live

    console = Console(stderr=True)
    if quiet or not console.is_terminal:
        yield _ending
        return
    panel = _Panel()
    waiting = "preparing; the first time the training step is compiled, which takes about ten seconds"
    with Live(waiting, console=console, refresh_per_second=8, transient=False) as live:

        def show(status: Status) -> None:
            drawn = panel.drawn(status)
            if drawn is not None:
                live.update(drawn)

        yield show


def _ending(status: Status) -> None:
    if status.finished:
        import sys

        print(_summary(status), file=sys.stderr)


def _summary(status: Status) -> str:
    test = f", test loss {status.test.loss:.3g}, accuracy {status.test.accuracy:.4f}" if status.test else ""
    return f"step {status.epoch}: train loss {status.train.loss:.3g}{test}; {status.finished}{_anew(status)}"


def _anew(status: Status) -> str:
    begun = ", ".join(str(epoch) for epoch in status.begun_anew)
    return f" (begun anew at step {begun})" if begun else ""


class _Panel:
    """The picture of a training run so far."""

    def __init__(self) -> None:
        self.train: list[tuple[float, float]] = []
        self.test: list[tuple[float, float]] = []
        self.drawn_at = 0.0
        self.started = time.monotonic()

    def drawn(self, status: Status) -> RenderableType | None:
        """The panel, or None where the last one is recent enough."""
        self.train.append((status.epoch, _log(status.train.loss)))
        if status.test:
            self.test.append((status.epoch, _log(status.test.loss)))
        now = time.monotonic()
        if not status.finished and now - self.drawn_at < 0.12:
            return None
        self.drawn_at = now
        return self._picture(status)

    def _picture(self, status: Status) -> RenderableType:
        from rich.panel import Panel
        from rich.text import Text

        width, height = 64, 9
        points = [y for _, y in [*self.train, *self.test]]
        box = {"low": min([*points, -1.0]), "high": max([*points, 1.0]), "end": self.train[-1][0]}
        train, test = (curve(xs, width=width, height=height, **box) for xs in (self.train, self.test))
        text = Text()
        for line, (below, above) in enumerate(zip(train, test, strict=True)):
            value = box["high"] + (box["low"] - box["high"]) * line / (height - 1)
            text.append(f"{10**value:8.0e} ", style="dim")
            for dim, bright in zip(below, above, strict=True):
                both = chr(0x2800 | (ord(dim) - 0x2800) | (ord(bright) - 0x2800))
                text.append(both, style="bold yellow" if bright != "\u2800" else "cyan")
            text.append("\n")
        text.append(self._numbers(status))
        recipe = status.recipe
        title = f"p = {recipe.task.p}, {recipe.task.operation}, seed {recipe.seed}: {status.engine}"
        return Panel.fit(text, title=title, title_align="left")

    def _numbers(self, status: Status) -> str:
        left = status.recipe.stop.steps - status.epoch
        pace = f"{status.steps_per_second:.0f} steps/s, at most {_clock(left / status.steps_per_second)} left"
        tail = (status.finished or (pace if status.steps_per_second else "")) + _anew(status)
        accuracy = f"  test accuracy {status.test.accuracy:.3f}" if status.test else ""
        test = f"  test loss {status.test.loss:.2e} (yellow)" if status.test else ""
        spent = _clock(time.monotonic() - self.started)
        return (
            f"step {status.epoch}  train loss {status.train.loss:.2e} (blue){test}{accuracy}\n{spent}  {tail}"
        )


def _log(loss: float) -> float:
    return math.log10(max(loss, 1e-12)) if math.isfinite(loss) else 12.0


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02d}"
