"""Training on the terminal: a live curve where there is one, a line now and then where there is not."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import RenderableType

    from modscope.training.running import Status

__all__ = ["clock", "curve", "live_training"]

_DOTS = ((0x40, 0x80), (0x04, 0x20), (0x02, 0x10), (0x01, 0x08))  # braille, from the bottom row up


def curve(
    values: list[tuple[float, float]], *, width: int, height: int, low: float, high: float, end: float
) -> list[str]:
    """Points (x, y) joined by a line in braille, `height` lines of `width` characters; x runs from 0 to end.

    >>> curve([(0, 0.0), (3, 3.0)], width=2, height=1, low=0, high=3, end=3)
    ['⡠⠊']
    """
    cells = [[0] * width for _ in range(height)]
    dots = [
        (
            round((2 * width - 1) * min(max(x / end, 0.0), 1.0)) if end else 0,
            round((4 * height - 1) * min(max((y - low) / (high - low), 0.0), 1.0)),
        )
        for x, y in values
    ]
    for (x0, y0), (x1, y1) in zip(dots[:1] + dots, dots, strict=False):
        count = max(abs(x1 - x0), abs(y1 - y0), 1)
        for i in range(count + 1):
            column, row = round(x0 + (x1 - x0) * i / count), round(y0 + (y1 - y0) * i / count)
            cells[height - 1 - row // 4][column // 2] |= _DOTS[row % 4][column % 2]
    return ["".join(chr(0x2800 + dots) for dots in line) for line in cells]


@contextmanager
def live_training(*, quiet: bool = False) -> Iterator[Callable[[Status], None]]:
    """A function that shows each status as it comes: on a terminal a live panel, otherwise the end alone.

    Training that the compiled engine cannot do says so at once: it takes several times longer.
    """
    from rich.console import Console
    from rich.live import Live

    console = Console(stderr=True)
    if quiet or not console.is_terminal:
        yield _Lines().show
        return
    panel = _Panel(console.width)
    waiting = "preparing; the first time the training step is compiled: about fifteen seconds"
    with Live(waiting, console=console, refresh_per_second=8, transient=False) as live:

        def show(status: Status) -> None:
            drawn = panel.drawn(status)
            if drawn is not None:
                live.update(drawn)

        yield show


class _Lines:
    """A training run where no panel can be: how it ended, and that it is slow where it is."""

    def __init__(self) -> None:
        self.said = False

    def show(self, status: Status) -> None:
        if not self.said and status.engine.startswith("plain"):
            print(f"{status.engine}: slower", file=sys.stderr)
        self.said = True
        if status.finished:
            print(_summary(status), file=sys.stderr)


def _summary(status: Status) -> str:
    test = f", test loss {status.test.loss:.3g}, accuracy {status.test.accuracy:.4f}" if status.test else ""
    return (
        f"step {status.epoch}: train loss {status.train.loss:.3g}{test}; {status.finished}{_anew(status)}; "
        f"{status.engine.partition(':')[0]}"
    )


def _anew(status: Status) -> str:
    begun = ", ".join(str(epoch) for epoch in status.begun_anew)
    return f" (begun anew at step {begun})" if begun else ""


class _Panel:
    """The picture of a training run so far, for a terminal of that many columns."""

    def __init__(self, columns: int = 80) -> None:
        self.width = min(max(columns - 14, 20), 100)
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

        height = 9
        points = [y for _, y in [*self.train, *self.test]]
        low, high = math.floor(min([*points, -1.0])), math.ceil(max([*points, 1.0]))
        box = {"low": low, "high": high, "end": _end_of_axis(self.train[-1][0])}
        train, test = (curve(xs, width=self.width, height=height, **box) for xs in (self.train, self.test))
        labels = _decades(low, high, height)
        text = Text()
        for line, (below, above) in enumerate(zip(train, test, strict=True)):
            text.append(f"{labels.get(line, ''):>7} ", style="dim")
            for dim, bright in zip(below, above, strict=True):
                both = chr(0x2800 | (ord(dim) - 0x2800) | (ord(bright) - 0x2800))
                text.append(both, style="bold yellow" if bright != "\u2800" else "cyan")
            text.append("\n")
        last = f"{box['end']} steps"
        text.append(f"{'':8}0{last:>{self.width - 1}}\n", style="dim")
        text.append(f"step {status.epoch}  ")
        text.append(f"train loss {status.train.loss:.2e}", style="cyan")
        if status.test:
            text.append(f"  test loss {status.test.loss:.2e}", style="bold yellow")
            text.append(f"  accuracy {status.test.accuracy:.3f}")
        text.append(f"\n{clock(time.monotonic() - self.started)}  {self._outlook(status)}{_anew(status)}")
        if status.engine.startswith("plain"):
            text.append(f"\n{status.engine}: slower", style="dim")
        recipe = status.recipe
        engine = status.engine.partition(":")[0]
        title = f"p = {recipe.task.p}, {recipe.task.operation}, seed {recipe.seed}: {engine}"
        return Panel.fit(text, title=title, title_align="left")

    def _outlook(self, status: Status) -> str:
        """Why it is over, or how fast it goes and how long it can still take."""
        if status.finished:
            return status.finished
        if not status.steps_per_second:
            return ""
        left = (status.recipe.stop.steps - status.epoch) / status.steps_per_second
        rules = status.recipe.stop
        upper = "at most " if rules.settled or rules.test_loss else ""
        return f"{status.steps_per_second:.0f} steps/s, {upper}{clock(left)} left"


def _end_of_axis(step: float) -> int:
    """The first of 100, 200, 500, 1000, 2000, ... that is not below a step: an axis that seldom changes.

    >>> [_end_of_axis(step) for step in (0, 100, 101, 4000)]
    [100, 100, 200, 5000]
    """
    unit = 100
    while True:
        for factor in (1, 2, 5):
            if step <= factor * unit:
                return factor * unit
        unit *= 10


def _decades(low: int, high: int, height: int) -> dict[int, str]:
    """Labels of evenly spaced powers of ten by the line that each stands at, from the top, no two on neighbouring lines.

    >>> _decades(-2, 2, 9)
    {0: '1e+02', 2: '1e+01', 4: '1e+00', 6: '1e-01', 8: '1e-02'}
    """
    stride = max(math.ceil(2 * (high - low) / (height - 1)), 1)
    return {
        round((high - decade) / (high - low) * (height - 1)): f"{10.0**decade:.0e}"
        for decade in range(high, low - 1, -stride)
    }


def _log(loss: float) -> float:
    return math.log10(max(loss, 1e-12)) if math.isfinite(loss) else 12.0


def clock(seconds: float) -> str:
    """Minutes and seconds.

    >>> clock(75.2)
    '1:15'
    """
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02d}"
