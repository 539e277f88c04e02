"""What stands between a training and the pages that show it: the last network, the curves, what was asked for."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Protocol

from modscope.errors import InputError, ModscopeError
from modscope.model import Network
from modscope.runs import Run
from modscope.task import ModularTask
from modscope.viewer.kept import Kept
from modscope.viewer.live.pictures import Pictures, Wanted

__all__ = ["Scope", "Standing"]

# Share of one core's time that pictures may take while a network trains; a page that asks for more waits.
SHARE = 0.06
_FRAMES = 32 << 20  # bytes of pictures that are kept
_THINNED = 2000


class Batch(Protocol):
    """Loss and accuracy on some pairs."""

    loss: float
    accuracy: float


class Standing(Protocol):
    """How training stands: the part of `modscope.training.running.Status` that the scope reads."""

    epoch: int
    train: Any
    test: Any
    steps_per_second: float
    finished: str
    begun_anew: tuple[int, ...]
    rates: tuple[float, float]
    events: tuple[Any, ...]
    look: Callable[[], Network] | None


Check = Callable[[str, float], object]


class Scope:
    """One training run as pages see it. The training thread calls `watch`, `paused` and `changes`; servers the rest.

    Nothing is copied and nothing computed while no page asks; a network is copied when one does, and pictures
    take no more than `share` of one core's time.

    folder: the run folder, whose kept epochs can be gone back to. network: any of the same shape, if one is known before the
    first step is taken. check(kind, value): raises InputError for a change that
    cannot be made; None where the training belongs to another process and cannot be steered.
    """

    def __init__(
        self,
        task: ModularTask,
        folder: Path,
        *,
        title: str,
        network: Network | None = None,
        check: Check | None = None,
        share: float = SHARE,
    ) -> None:
        self.task, self.folder, self.title, self.share = task, folder, title, share
        self._check = check
        self._turned = threading.Condition()
        self._working = threading.Lock()
        self._rows: list[list[float | None]] = []
        self._state: dict[str, Any] = {
            "step": -1,
            "finished": "",
            "begun_anew": [],
            "pace": 0.0,
            "rates": [0, 0],
        }
        self._events: list[dict[str, Any]] = []
        self._asked: list[tuple[str, float]] = []
        self._paused = False
        self._wanted_until = 0.0
        self._latest: tuple[int, Network] | None = None
        self._serial = 0
        self._pictures = None if network is None else Pictures(network, task)
        self._frames: Kept[bytes] = Kept(_FRAMES)
        self._free_at = 0.0
        self._run: Run | None = None
        self.serving = True
        # Those who wait for a picture sleep; there must be room for every page, and for what pages gave up waiting for.
        self.threads = ThreadPoolExecutor(max_workers=32, thread_name_prefix="live page")

    # Called by the training

    def watch(self, status: Standing) -> None:
        """Take note of how training stands; copies the network where a page waits for it."""
        test = status.test
        row = [status.epoch, status.train.loss, status.train.accuracy]
        row += [test.loss, test.accuracy] if test else [None, None]
        look = status.look
        wanted = time.monotonic() < self._wanted_until or bool(status.finished)
        network = look() if look is not None and wanted else None
        self._events = [{"step": e.step, "kind": e.kind, "value": e.value} for e in status.events]
        self.take(
            [row],
            network=None if network is None else (status.epoch, network),
            step=status.epoch,
            finished=status.finished,
            begun_anew=list(status.begun_anew),
            pace=status.steps_per_second,
            rates=list(status.rates),
        )

    def take(
        self, rows: Sequence[list[float | None]], *, network: tuple[int, Network] | None = None, **state: Any
    ) -> None:
        """Take note of new rows (step, train loss, train accuracy, test loss, test accuracy), a network, a new state."""
        with self._turned:
            self._rows += rows
            if network is not None:
                self._latest = network
                self._pictures = self._pictures or Pictures(network[1], self.task)
            self._state |= state
            self._serial += 1
            self._turned.notify_all()

    def paused(self) -> bool:
        """Whether training is to wait."""
        return self._paused

    def changes(self) -> list[tuple[str, float]]:
        """The changes asked for since the last time this was asked."""
        if not self._asked:
            return []
        with self._turned:
            asked, self._asked = self._asked, []
        return asked

    def known(self, events: Sequence[dict[str, Any]]) -> None:
        """Events that were written down before."""
        with self._turned:
            self._events = [dict(event) for event in events]
            self._serial += 1

    # Called by the server

    @property
    def can_be_steered(self) -> bool:
        """Whether this process trains the network."""
        return self._check is not None

    def ask(self, kind: str, value: float) -> None:
        """Ask for a change, to be made before the next step. Raises InputError where it cannot be made."""
        if self._check is None:
            raise InputError(
                "this page follows a run that another process trains: it can be watched, not steered"
            )
        if self._state["finished"]:
            raise InputError(f"training has ended ({self._state['finished']}): nothing can be changed")
        self._check(kind, value)
        with self._turned:
            self._asked.append((kind, value))

    def pause(self, paused: bool) -> None:
        """Let training wait, or go on."""
        if self._check is None:
            raise InputError(
                "this page follows a run that another process trains: it cannot be paused from here"
            )
        with self._turned:
            self._paused = paused
            self._serial += 1
            self._turned.notify_all()

    def standing(self, after: int = -1, *, rows_from: int = 0, wait: float = 0.0) -> dict[str, Any] | None:
        """How training stands, with the rows from a number on; None where nothing is newer than `after` within `wait`
        seconds."""
        with self._turned:
            if not self._turned.wait_for(lambda: self._serial > after or not self.serving, timeout=wait):
                return None
            if self._serial <= after:
                return None
            rows = self._rows[rows_from:]
            return {
                **self._state,
                "serial": self._serial,
                "from": rows_from,
                "count": len(self._rows),
                "rows": rows if rows_from else _thinned(rows),
                "events": self._events,
                "paused": self._paused,
                "serving": self.serving,
            }

    def description(self) -> dict[str, Any]:
        """What does not change: the task, what can be shown, whether it can be steered."""
        pictures = self._ready()
        return {
            "title": self.title,
            "p": self.task.p,
            "operation": self.task.operation,
            "offers": pictures.offers,
            "orders": list(pictures.orders),
            "steered": self.can_be_steered,
            "folder": self.folder.name,
        }

    def wanted(self, **words: str | None) -> Wanted:
        """What the words of an address mean. Raises InputError for what there is not."""
        return self._ready().wanted(**{name: word for name, word in words.items() if word is not None})

    def frame(
        self, wanted: Wanted, *, after: int = -1, epoch: int | None = None, wait: float = 2.0
    ) -> bytes | None:
        """The picture of the network as it is, once it is of a step beyond `after`; None if none comes in time.

        epoch: of a kept epoch instead, at once. Raises InputError for an epoch that is not kept (nearest named).
        """
        if epoch is not None:
            return self._made(
                ("kept", epoch, wanted), lambda: (epoch, self._run_with(epoch).model(epoch)), wanted
            )
        deadline = time.monotonic() + wait
        with self._turned:
            self._wanted_until = deadline + 1.0
            ready = self._turned.wait_for(
                lambda: (self._latest is not None and self._latest[0] > after) or not self.serving,
                timeout=wait,
            )
            if not ready or self._latest is None or self._latest[0] <= after:
                return None
        self._wait_for_turn()
        latest = self._latest  # by now there may be a newer one
        return self._made(("latest", latest[0], wanted), lambda: latest, wanted)

    def epochs(self) -> list[int]:
        """The epochs that are kept in the folder by now."""
        try:
            self._run = Run.open(self.folder)
        except (ModscopeError, OSError):
            return []
        return list(self._run.epochs)

    def end(self) -> None:
        """Let every page that waits know that there will be no more."""
        with self._turned:
            self.serving = False
            self._serial += 1
            self._turned.notify_all()
        self.threads.shutdown(wait=False, cancel_futures=True)

    def _ready(self) -> Pictures:
        with self._turned:
            self._turned.wait_for(lambda: self._pictures is not None or not self.serving, timeout=60.0)
            if self._pictures is None:
                raise InputError("training has not begun yet: try again in a moment")
            return self._pictures

    def _run_with(self, epoch: int) -> Run:
        if self._run is None or epoch not in self._run.epochs:
            self.epochs()
        if self._run is None:
            raise InputError(f"{self.folder.name}: no epoch is kept yet")
        return self._run

    def _wait_for_turn(self) -> None:
        """Waits until pictures have taken no more than their share of the time, while training goes on."""
        if self._state["finished"] or self._paused:
            return
        rest = self._free_at - time.monotonic()
        if rest > 0:
            time.sleep(min(rest, 5.0))

    def _made(self, key: object, of: Callable[[], tuple[int, Network]], wanted: Wanted) -> bytes:
        with self._working:
            known = self._frames.get(key)
            if known is not None:
                return known
            began = time.monotonic()
            step, network = of()
            frame = self._ready().packed(network, wanted, step=step)
            now = time.monotonic()
            self._free_at = now + (now - began) * (1 - self.share) / self.share
            self._frames.put(key, frame, len(frame))
            return frame


def _thinned(rows: list[list[float | None]]) -> list[list[float | None]]:
    """A part of many rows that draws the same curve: those with a test loss first, then evenly."""
    if len(rows) <= _THINNED:
        return rows
    stride = -(-len(rows) // _THINNED)
    last = len(rows) - 1
    return [row for i, row in enumerate(rows) if i % stride == 0 or i == last]
