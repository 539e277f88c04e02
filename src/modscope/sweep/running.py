"""A sweep from its plan to its table: units are given to Dask a few at a time, and what is there is never made again."""

from __future__ import annotations

import fnmatch
import hashlib
import importlib.util
import json
import os
import time
import uuid
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modscope.boundary import public
from modscope.errors import InputError, SweepError, UnknownName, shown
from modscope.sweep.cluster import cluster, refuse_unfit, threads_of
from modscope.sweep.plan import Plan, Unit
from modscope.sweep.results import Sweep
from modscope.sweep.storage import Storage
from modscope.sweep.together import bundles, worked_off_together
from modscope.sweep.unit import Ended, Made, finished_runs, is_same, looked_again, made_by, worked_off

if TYPE_CHECKING:
    from distributed import Client, Future

    from modscope.training.recipe import Recipe

__all__ = ["CLIENTS", "Stand", "chosen", "look_again", "refuse_without_libraries", "run_sweep", "write_table"]

CLIENTS = "clients"
_AHEAD = 4  # units that wait on the workers for each one that runs
_ELSEWHERE = 2.0  # seconds before a unit that another process has is asked for again
_TELL = 1.0
_GATHER = 1000  # loose results that are gathered into one file
_Work = Callable[[dict[str, Any], Storage, Made, str], Ended]


@dataclass(frozen=True)
class Stand:
    """How a sweep stands: numbers of units; left is in seconds, None where there is no estimate yet."""

    total: int
    done: int
    running: int
    failed: int
    seconds: float
    left: float | None
    last: tuple[Unit, Ended] | None = None

    def to_dict(self) -> dict[str, Any]:
        """The numbers as plain JSON values."""
        return {name: value for name, value in vars(self).items() if name != "last"}


def _nobody(stand: Stand) -> None:
    """Watches nothing."""


@public
def run_sweep(
    plan: Plan,
    storage: Storage,
    *,
    scheduler: str = "",
    workers: int = 0,
    retries: int = 2,
    forgive: bool = False,
    adopt: Iterable[Path] = (),
    only: str = "*",
    watch: Callable[[Stand], None] = _nobody,
    timeout: float = 10.0,
    client: Client | None = None,
    work: _Work = worked_off,
) -> Sweep:
    """Do all that is missing of a plan, and write its table; returns the sweep.

    scheduler, workers, timeout: see `cluster`. retries: how often a unit that failed for a reason that may pass is tried
    again; forgive: units that have failed before are tried anew. adopt: folders of finished runs, which are
    looked at in place of a training by the same recipe. only: cases whose name fits this pattern; the others are left
    as they are. watch: told after every unit and about once a second.
    client: of a Dask cluster that is there already. work: what is done for a unit.
    Raises SweepError where no work can be given out, and for a disk that is full; what is done is kept. Arguments that
    cannot be used are an InputError before anything is written.
    """
    refuse_without_libraries()
    _refuse_unusable(client, retries=retries, workers=workers, timeout=timeout)
    sweep, units, known = Sweep(storage), chosen(plan, only), [*adopt]
    runs = [item for folder in known for item in finished_runs(folder).items()]
    sweep.write_plan(plan)
    if forgive:
        sweep.forgive()
    missing = [unit for key, unit in units.items() if key not in sweep.done()]
    if not missing:
        watch(Stand(len(units), len(units), 0, 0, 0.0, 0.0))
    else:
        opened = (
            cluster(scheduler, workers=workers, timeout=timeout) if client is None else nullcontext(client)
        )
        with opened as dask:
            refuse_unfit(dask, storage)
            _Client(sweep, units, dask, retries, _adopted(missing, runs), watch, work).run()
    write_table(sweep)
    return sweep


@public
def look_again(
    storage: Storage,
    *,
    scheduler: str = "",
    workers: int = 0,
    only: str = "*",
    watch: Callable[[Stand], None] = _nobody,
    timeout: float = 10.0,
    client: Client | None = None,
) -> Sweep:
    """Judge the networks of a sweep by this modscope where another one did, and write the table again.

    Raises InputError where the sweep has not kept its networks.
    """
    refuse_without_libraries()
    _refuse_unusable(client, workers=workers, timeout=timeout)
    sweep = Sweep(storage)
    if not sweep.plan.looks.networks:
        raise InputError(
            f"{storage.url}: its networks were not kept (look.networks = false): nothing can be judged again"
        )
    sweep.spread()
    done = sweep.done()
    units = {key: unit for key, unit in chosen(sweep.plan, only).items() if key in done}
    opened = cluster(scheduler, workers=workers, timeout=timeout) if client is None else nullcontext(client)
    with opened as dask:
        refuse_unfit(dask, storage)
        _Client(sweep, units, dask, 0, {}, watch, looked_again, again=True).run()
    write_table(sweep)
    return sweep


def _refuse_unusable(client: Any, **numbers: float) -> None:
    for name, number in numbers.items():
        if number < 0:
            raise InputError(f"{name} = {number:g}: expected 0 or more")
    if client is not None and not hasattr(client, "scheduler_info"):
        raise InputError(f"client = {shown(client)}: expected a client of Dask")


def refuse_without_libraries() -> None:
    """Raise InputError where the extra `sweep` is not installed: before hours of work, not after them."""
    for name in ("distributed", "pyarrow", "fsspec", "pandas"):
        if importlib.util.find_spec(name) is None:
            raise InputError(f"sweeps need {name}, which is not installed: pip install 'modscope[sweep]'")


def write_table(sweep: Sweep) -> None:
    """Write the table of what is there, as Parquet and as CSV."""
    from modscope.sweep.table import as_csv, written

    table = sweep.table()
    sweep.storage.replace("table.parquet", written(table))
    sweep.storage.replace("table.csv", as_csv(table))


def chosen(plan: Plan, only: str = "*") -> dict[str, Unit]:
    """The units of the cases whose name fits a pattern, by key, in the order in which they are to be done.

    All cases go on at the same pace: whenever a sweep is stopped, about the same share of each is done.
    """
    if not any(fnmatch.fnmatchcase(case.name, only) for case in plan.cases):
        raise UnknownName.of("case", only, [case.name for case in plan.cases])
    count = Counter(unit.case for unit in plan.units)
    place: Counter[str] = Counter()
    shares = []
    for i, unit in enumerate(plan.units):
        if fnmatch.fnmatchcase(unit.case, only):
            shares.append(((place[unit.case] + 0.5) / count[unit.case], i))
            place[unit.case] += 1
    units: dict[str, Unit] = {}
    for _, i in sorted(shares):
        units.setdefault(plan.units[i].key, plan.units[i])
    return units


def _adopted(units: Iterable[Unit], runs: Sequence[tuple[Path, Recipe]]) -> Mapping[str, Path]:
    """The finished run of each unit that has one."""
    found = {}
    for unit in units:
        for folder, recipe in runs:
            if is_same(recipe, unit.recipe):
                found[unit.key] = folder
                break
    return found


@dataclass
class _Pace:
    """Seconds that units of each case took, for an estimate of those that are left."""

    seconds: dict[str, list[float]] = field(default_factory=dict)

    def add(self, unit: Unit, seconds: float) -> None:
        self.seconds.setdefault(unit.case, []).append(seconds)

    def left(self, cases: Mapping[str, int], threads: int) -> float | None:
        """Seconds for so many units of each case; None before one has ended."""
        every = [value for values in self.seconds.values() for value in values]
        if not every:
            return None
        means = {case: sum(values) / len(values) for case, values in self.seconds.items()}
        mean = sum(every) / len(every)
        return sum(count * means.get(case, mean) for case, count in cases.items()) / max(threads, 1)


class _Client:
    """One process that gives out units. Everything that has to outlive it is in the storage."""

    def __init__(
        self,
        sweep: Sweep,
        units: Mapping[str, Unit],
        client: Client,
        retries: int,
        adopted: Mapping[str, Path],
        watch: Callable[[Stand], None],
        work: _Work,
        *,
        again: bool = False,
    ) -> None:
        self.sweep, self.client, self.retries, self.adopted = sweep, client, retries, adopted
        self.watch, self.work, self.made = watch, work, made_by()
        self.units = units
        self.done = set() if again else sweep.done() & self.units.keys()
        self.attempts = sweep.attempts()
        self.given_up = {key for key in self.units.keys() - self.done if self.attempts.get(key, 0) > 0}
        missing = [u for key, u in self.units.items() if key not in self.done and key not in self.given_up]
        together = bundles(missing) if work is worked_off and not adopted else [[unit] for unit in missing]
        self.waiting = deque(together)
        self.later: deque[tuple[float, list[Unit]]] = deque()
        self.running: dict[Future, list[Unit]] = {}
        self.open = Counter(unit.case for unit in missing)
        self.pace = _Pace()
        self.left: float | None = None
        self.place = hashlib.sha256(sweep.storage.url.encode()).hexdigest()[:12]
        self.name = f"{CLIENTS}/{uuid.uuid4().hex[:12]}.json"
        self.began, self.told, self.threads, self.since = time.monotonic(), 0.0, threads_of(client), 0

    def run(self) -> None:
        """Give out units until none is left to be given."""
        from distributed import as_completed

        completed = as_completed([], loop=self.client.loop)
        try:
            while self.waiting or self.later or self.running:
                for future in self._given_out():
                    completed.add(future)
                if self.running and completed.has_ready():
                    for future in completed.next_batch(block=False):
                        self._ended(future)
                else:
                    time.sleep(0.01)
                self._tell()
        finally:
            for future in self.running:
                future.release()
            self.sweep.storage.remove(self.name)
        self._tell(now=True)

    def _given_out(self) -> Iterator[Future]:
        """New futures for as many units as the workers shall know of."""
        now = time.monotonic()
        while self.later and self.later[0][0] <= now:
            self.waiting.append(self.later.popleft()[1])
        while self.waiting and len(self.running) < (1 + _AHEAD) * self.threads:
            units = [unit for unit in self.waiting.popleft() if unit.key not in self.done]
            if units:
                future = self._submitted(units)
                self.running[future] = units
                yield future

    def _submitted(self, units: list[Unit]) -> Future:
        work: Callable[..., Any] = self.work
        first, storage = units[0], self.sweep.storage
        given: tuple[Any, ...] = (first.to_dict(), storage, self.made, str(self.adopted.get(first.key, "")))
        name = first.key
        if len(units) > 1:
            work, given = worked_off_together, ([unit.to_dict() for unit in units], storage, self.made)
            name = hashlib.sha256(" ".join(unit.key for unit in units).encode()).hexdigest()[:20]
        attempt = max(self.attempts.get(unit.key, 0) for unit in units)
        # Two clients of one scheduler that name the same work have it done once.
        key = f"{work.__name__}-{name}-{attempt}-{self.place}"
        return self.client.submit(work, *given, key=key, pure=False)

    def _ended(self, future: Future) -> None:
        units = self.running.pop(future)
        for unit, ended in zip(units, self._outcome(future, units), strict=True):
            self._one_ended(unit, ended)

    def _one_ended(self, unit: Unit, ended: Ended) -> None:
        if ended.how == "elsewhere":
            self.later.append((time.monotonic() + _ELSEWHERE, [unit]))
            self._look_around()
            return
        if ended.how == "failed":
            self._failed(unit, ended)
        else:
            self.done.add(unit.key)
            self.open[unit.case] -= 1
            self.since += 1
            if ended.how == "done":
                self.pace.add(unit, ended.seconds)
        if self.since >= _GATHER:
            self.sweep.gather()
            self.since = 0
        self.watch(self._stand((unit, ended)))

    def _outcome(self, future: Future, units: list[Unit]) -> list[Ended]:
        from distributed.scheduler import KilledWorker

        try:
            found = future.result()
            return found if isinstance(found, list) else [found]
        except KilledWorker as error:
            said = f"the worker that had it died, {error.allowed_failures + 1} times: its memory may be too small"
            return [Ended(unit.key, "failed", error=said, trace=str(error), again=False) for unit in units]
        except Exception as error:
            # What worked_off catches does not come here: the unit was lost on its way.
            if self.client.status != "running":
                raise SweepError(
                    "the scheduler was lost; what is done is kept, and the same command goes on"
                ) from error
            said = f"{type(error).__name__}: {error}"
            return [Ended(unit.key, "failed", error=said, trace=repr(error), again=True) for unit in units]

    def _failed(self, unit: Unit, ended: Ended) -> None:
        if ended.fatal:
            raise SweepError(f"{unit.label}: {ended.error}")
        self.attempts[unit.key] = self.attempts.get(unit.key, 0) + 1
        self.sweep.write_failure(unit, ended)
        if ended.again and self.attempts[unit.key] <= self.retries:
            self.waiting.append([unit])
        else:
            self.given_up.add(unit.key)
            self.open[unit.case] -= 1

    def _look_around(self) -> None:
        """Take note of what other clients have done."""
        self.done |= self.sweep.done() & self.units.keys()

    def _stand(self, last: tuple[Unit, Ended] | None = None) -> Stand:
        return Stand(
            len(self.units),
            len(self.done),
            min(len(self.running), self.threads),
            len(self.given_up),
            time.monotonic() - self.began,
            self.left,
            last,
        )

    def _tell(self, *, now: bool = False) -> None:
        moment = time.monotonic()
        if moment - self.told < _TELL and not now:
            return
        self.told = moment
        if self.client.status != "running":
            self._wait_for_scheduler()
        self.threads = threads_of(self.client) or self.threads
        self.left = self.pace.left(self.open, self.threads)
        stand = self._stand()
        self.watch(stand)
        if not now:
            values = stand.to_dict() | {"time": time.time(), "process": os.getpid(), "threads": self.threads}
            self.sweep.storage.replace(self.name, json.dumps(values).encode())

    def _wait_for_scheduler(self) -> None:
        raise SweepError("the scheduler was lost; what is done is kept, and the same command goes on")
