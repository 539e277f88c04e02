"""What a sweep has come to so far: results, failures and the table, read from its storage."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

from modscope.display import facts_html, facts_text
from modscope.errors import InputError, SweepError, turned_into
from modscope.sweep.plan import Plan, Unit
from modscope.sweep.records import failure_in, result_in, table_in
from modscope.sweep.storage import Storage
from modscope.sweep.unit import RESULTS, Ended

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["FAILURES", "PLAN", "SEGMENTS", "Failure", "Sweep"]

PLAN, FAILURES, SEGMENTS = "plan.json", "failures", "segments"
Failure = dict[str, Any]


class Sweep:
    """A sweep in its storage. Nothing of it is kept here: two processes may write to the same one."""

    def __init__(self, storage: Storage) -> None:
        self.storage = storage
        self._compacted: dict[str, frozenset[str]] = {}

    def _facts(self) -> dict[str, str]:
        try:
            units = {unit.key for unit in self.plan.units}
        except (InputError, SweepError) as error:
            return {"not there": str(error)}
        return {"units": f"{len(units & self.done())} of {len(units)} have a result"}

    def __repr__(self) -> str:
        return facts_text(f"Sweep in {self.storage.url}", self._facts())

    def _repr_html_(self) -> str:
        return facts_html(f"Sweep in {self.storage.url}", self._facts())

    @cached_property
    def plan(self) -> Plan:
        """What was asked for last. Raises InputError where there is no sweep."""
        try:
            data = self.storage.read(PLAN)
        except FileNotFoundError:
            raise InputError(
                f"{self.storage.url}: no sweep is here: there is no {PLAN} in it; begin one with modscope sweep FILE --out"
            ) from None
        place = self.storage.place(PLAN)
        with turned_into(SweepError, f"{place}: is damaged", inputs=True):
            return Plan.from_dict(table_in(data, place))

    def write_plan(self, plan: Plan) -> None:
        """Replace what was asked for."""
        self.storage.replace(PLAN, json.dumps(plan.to_dict(), indent=1).encode())
        self.plan = plan

    def done(self) -> set[str]:
        """The keys of all units whose result is there."""
        loose = {name.removesuffix(".json") for name in self.storage.names(RESULTS)}
        return loose.union(*self.segments().values())

    def segments(self) -> Mapping[str, frozenset[str]]:
        """The tables that results were gathered into, each with the keys in it."""
        from modscope.sweep.table import networks_of

        names = self.storage.names(SEGMENTS)
        for name in names:
            if name not in self._compacted:
                self._compacted[name] = networks_of(self._segment(name))
        return {name: self._compacted[name] for name in names}

    def _segment(self, name: str) -> pa.Table:
        from modscope.sweep.table import read_segment

        place = f"{SEGMENTS}/{name}"
        return read_segment(self.storage.read(place), self.storage.place(place))

    def results(self, keys: Iterable[str]) -> Iterable[dict[str, Any]]:
        """The results of units that are not in a segment; one that has been gathered meanwhile is left out."""
        for key in keys:
            with contextlib.suppress(FileNotFoundError):
                name = f"{RESULTS}/{key}.json"
                yield result_in(self.storage.read(name), self.storage.place(name))

    def gather(self) -> int:
        """Gather all loose results into one segment and remove their files; returns how many they were."""
        from modscope.sweep.table import segment_of, written

        loose = [name.removesuffix(".json") for name in self.storage.names(RESULTS)]
        found = list(self.results(loose))
        if not found:
            return 0
        keys = [result["key"] for result in found]
        name = hashlib.sha256(" ".join(keys).encode()).hexdigest()[:20]
        self.storage.write_once(f"{SEGMENTS}/{name}.parquet", written(segment_of(found)))
        for key in keys:
            self.storage.remove(f"{RESULTS}/{key}.json")
        return len(keys)

    def spread(self) -> None:
        """The inverse of `gather`: every result in a file of its own again."""
        from modscope.sweep.table import results_in

        for name in self.storage.names(SEGMENTS):
            for result in results_in(self._segment(name)):
                self.storage.write_once(f"{RESULTS}/{result['key']}.json", json.dumps(result).encode())
            self.storage.remove(f"{SEGMENTS}/{name}")

    def failures(self) -> list[Failure]:
        """The failures that were written down, of units that have no result, in the order of the units."""
        done, order = self.done(), {unit.key: i for i, unit in enumerate(self.plan.units)}
        names = [f"{FAILURES}/{name}" for name in self.storage.names(FAILURES)]
        found = [failure_in(self.storage.read(name), self.storage.place(name)) for name in names]
        open_ones = [one for one in found if one["key"] in order and one["key"] not in done]
        return sorted(open_ones, key=lambda one: (order[one["key"]], one["attempt"]))

    def attempts(self) -> dict[str, int]:
        """How often each unit has failed."""
        counts: dict[str, int] = {}
        for name in self.storage.names(FAILURES):
            key = name.partition("-")[0]
            counts[key] = counts.get(key, 0) + 1
        return counts

    def write_failure(self, unit: Unit, ended: Ended, worker: str = "") -> None:
        """Write down how a unit failed, with its traceback."""
        attempt = self.attempts().get(unit.key, 0) + 1
        failure: Failure = {
            "key": unit.key,
            "attempt": attempt,
            "label": unit.label,
            "case": unit.case,
            "axes": dict(unit.axes),
            "recipe": unit.recipe.to_dict(),
            "error": ended.error,
            "traceback": ended.trace,
            "seconds": ended.seconds,
            "worker": worker,
        }
        self.storage.replace(f"{FAILURES}/{unit.key}-{attempt}.json", json.dumps(failure).encode())

    def forgive(self) -> None:
        """Forget the failures, so that all is tried again."""
        for name in self.storage.names(FAILURES):
            self.storage.remove(f"{FAILURES}/{name}")

    def table(self) -> pa.Table:
        """A row for each planned network and measure, in the order of the plan."""
        from modscope.sweep.table import planned, segment_of

        segments = self.segments()
        gathered = frozenset().union(*segments.values())
        loose = [name.removesuffix(".json") for name in self.storage.names(RESULTS)]
        parts = [self._segment(name) for name in sorted(segments)]
        rest = list(self.results(key for key in loose if key not in gathered))
        return planned([*parts, *([segment_of(rest)] if rest else [])], self.plan)
