"""Where a sweep stands, from its storage alone: whether or not a process works on it."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass
from typing import Any

from modscope.errors import SweepError
from modscope.sweep.records import Client, client_in
from modscope.sweep.results import Sweep
from modscope.sweep.running import CLIENTS

__all__ = ["Standing", "standing"]

_ALIVE = 30.0  # seconds without a word after which a client is taken for dead


@dataclass(frozen=True)
class Standing:
    """Numbers of networks; running and left (seconds) are what the clients last said, None where none is at work."""

    total: int
    done: int
    failed: int
    cases: dict[str, tuple[int, int]]
    clients: int
    running: int
    left: float | None
    unplanned: int

    def to_dict(self) -> dict[str, Any]:
        """The numbers as plain JSON values."""
        cases = {name: {"total": total, "done": done} for name, (total, done) in self.cases.items()}
        return {**vars(self), "cases": cases}

    def lines(self) -> list[str]:
        """The numbers in words."""
        lines = [f"{self.done} of {self.total} networks done, {self.failed} failed"]
        if len(self.cases) > 1:
            width = max(len(name) for name in self.cases)
            lines += [f"  {name:{width}}  {done} of {total}" for name, (total, done) in self.cases.items()]
        if self.clients:
            left = f", about {self.left / 60:.0f} min left" if self.left else ""
            processes = "1 process is" if self.clients == 1 else f"{self.clients} processes are"
            lines.append(f"{processes} at work: {self.running} running{left}")
        elif self.done + self.failed < self.total:
            lines.append("nobody is at work; the command that began the sweep goes on")
        if self.unplanned:
            lines.append(
                f"{self.unplanned} results are of no network of this plan, and are left out of the table"
            )
        return lines


def standing(sweep: Sweep, *, now: float | None = None) -> Standing:
    """How a sweep stands at a time (of `time.time`)."""
    now = time.time() if now is None else now
    done, keys = sweep.done(), {unit.key for unit in sweep.plan.units}
    failed = {failure["key"] for failure in sweep.failures()}
    cases: dict[str, tuple[int, int]] = {}
    for unit in sweep.plan.units:
        total, ready = cases.get(unit.case, (0, 0))
        cases[unit.case] = (total + 1, ready + (unit.key in done))
    clients = [one for one in _clients(sweep) if now - one.time < _ALIVE]
    lefts = [one.left for one in clients if one.left is not None]
    return Standing(
        len(keys),
        len(keys & done),
        len(failed),
        cases,
        len(clients),
        sum(one.running for one in clients),
        max(lefts, default=None),
        len(done - keys),
    )


def _clients(sweep: Sweep) -> list[Client]:
    found = []
    for name in sweep.storage.names(CLIENTS):
        if name.endswith(".json"):
            place = f"{CLIENTS}/{name}"
            with contextlib.suppress(FileNotFoundError, SweepError):  # it ended between two looks
                found.append(client_in(sweep.storage.read(place), place))
    return found
