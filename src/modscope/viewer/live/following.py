"""A run that another process trains, followed by reading its folder."""

from __future__ import annotations

import html
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from modscope.errors import InputError, ModscopeError
from modscope.model import Network
from modscope.runs import Run, written
from modscope.viewer.live.scope import Scope
from modscope.viewer.live.server import LiveServer

__all__ = ["Followed", "LiveView", "live_view"]

_COLUMNS = ("train_loss", "train_accuracy", "test_loss", "test_accuracy")


class Followed:
    """Tells a scope what a run folder says, again and again, until it is stopped.

    The picture is of the newest network in the folder: the last checkpoint, or the state to go on from where that
    is newer.
    """

    def __init__(self, scope: Scope, *, every: float = 0.5) -> None:
        self.scope, self.every = scope, every
        self._ended = threading.Event()
        self._told = -1
        self._shown: tuple[int, int] = (-1, 0)
        self._thread = threading.Thread(target=self._follow, name="follow a run", daemon=True)

    def start(self) -> Followed:
        """Begin to follow."""
        self.look()
        self._thread.start()
        return self

    def stop(self) -> None:
        """Follow no more."""
        self._ended.set()
        self._thread.join(timeout=5)

    def _follow(self) -> None:
        while not self._ended.wait(self.every):
            try:
                self.look()
            except (ModscopeError, OSError):
                continue  # a folder that is being written; the next look sees it whole

    def look(self) -> None:
        """Read the folder once, and tell what is new in it."""
        run = Run.open(self.scope.folder)
        rows = list(self._new_rows(run))
        network = self._newest(run)
        step = max([int(row[0] or 0) for row in rows] + [self._told, run.epochs[-1]])
        self._told = step
        self.scope.known([dict(event) for event in run.events])
        self.scope.take(
            rows, network=network, step=step, finished=run.finished, begun_anew=list(run.begun_anew), pace=0.0
        )

    def _new_rows(self, run: Run) -> Iterator[list[float | None]]:
        losses = run.losses
        if not losses.sizes["epoch"] or "train_loss" not in losses:
            return
        epochs = losses.epoch.values
        new = (epochs > self._told) & (losses.train_step.values == epochs)
        columns = [
            (written(losses, name) if name in losses else losses.train_loss[:0])
            .reindex(epoch=epochs[new])
            .values
            for name in _COLUMNS
        ]
        for epoch, *values in zip(epochs[new].tolist(), *columns, strict=True):
            yield [epoch, *(float(value) if np.isfinite(value) else None for value in values)]

    def _newest(self, run: Run) -> tuple[int, Network] | None:
        last = run.epochs[-1]
        state = run.state()
        if state is not None and state[0] > last:
            epoch, network = state
        else:
            epoch, network = last, None
        stamp = (epoch, len(run.epochs))
        if stamp == self._shown:
            return None
        self._shown = stamp
        return epoch, run.model(last) if network is None else network


class LiveView:
    """A live page of a run folder, in a frame where a notebook shows it; `stop()` ends it.

    address: the page, on this machine only.
    """

    def __init__(self, run: Run, *, port: int = 0, height: int = 760) -> None:
        if not run.files:
            raise InputError(
                f"{run.path}: is not a run folder: only one that is being trained can be watched live"
            )
        folder = Path(run.path)
        self.height = height
        scope = Scope(run.task, folder, title=f"{folder.name}: {run.task.operation} mod {run.task.p}")
        self._followed = Followed(scope).start()
        self._server = LiveServer(scope, port=port, framed=True).start()
        self.address = self._server.address

    def stop(self) -> None:
        """Follow and answer no more."""
        self._followed.stop()
        self._server.stop()

    def __repr__(self) -> str:
        return f"LiveView at {self.address}"

    def _repr_html_(self) -> str:
        address = html.escape(self.address, quote=True)
        return (
            f'<iframe src="{address}" title="live scope" style="width:100%;height:{self.height}px;border:0"></iframe>'
            f'<p>A page of this machine: <a href="{address}">{address}</a></p>'
        )


def live_view(run: Run, **options: Any) -> LiveView:
    """The live page of a run that another process trains, as an object that a notebook shows."""
    return LiveView(run, **options)
