"""What is written down of one network of a sweep, held against its schema when it is read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from modscope.errors import InputError, SweepError, shown, turned_into
from modscope.schema import built, json_in
from modscope.sweep.measures import Row

__all__ = ["Client", "client_in", "failure_in", "result_in", "table_in"]

AGAIN = "remove it, and the same command makes it again"


@dataclass(frozen=True)
class _Result:
    """What a result says that is read again; what else it says is handed on as it is."""

    key: str
    recipe: dict[str, Any]
    said: str
    modscope: str
    trained_by: str
    commit: str
    rows: list[Any]
    format: int = 1


@dataclass(frozen=True)
class _Failure:
    key: str
    attempt: int
    label: str
    case: str
    axes: dict[str, Any]
    recipe: dict[str, Any]
    error: str
    traceback: str
    seconds: float
    worker: str = ""


@dataclass(frozen=True)
class Client:
    """What a process that gives out networks says of itself: when, how many it trains, and the seconds that are left."""

    time: float
    running: int
    left: float | None = None


def client_in(data: bytes, place: str) -> Client:
    """What a process said of itself. Raises SweepError where the file says no such thing."""
    with turned_into(SweepError, _damaged(place, ""), inputs=True):
        return built(Client, table_in(data, place), strangers=True)


def table_in(data: bytes, place: str, advice: str = "") -> dict[str, Any]:
    """A JSON file that holds a table; place and advice are what an error says of it. Raises SweepError."""
    with turned_into(SweepError, _damaged(place, advice)):
        found = json_in(data)
        if not isinstance(found, dict):
            raise SweepError(f"{_damaged(place, advice)}: {shown(found)}: expected a table")
        return found


def result_in(data: bytes, place: str) -> dict[str, Any]:
    """The result of a network. Raises SweepError where the file is none."""
    return _held(table_in(data, place, AGAIN), _Result, place)


def failure_in(data: bytes, place: str) -> dict[str, Any]:
    """How a network failed. Raises SweepError where the file says no such thing."""
    return _held(table_in(data, place, AGAIN), _Failure, place)


def _held(found: dict[str, Any], kind: type, place: str) -> dict[str, Any]:
    with turned_into(SweepError, _damaged(place, AGAIN), inputs=True):
        said: Any = built(
            kind, {name.replace(" ", "_"): value for name, value in found.items()}, strangers=True
        )
        if isinstance(said, _Result):
            _hold_rows(said.rows)
    return found


def _hold_rows(rows: list[Any]) -> None:
    """Every row is a list of one value for each field of `Row`."""
    if not rows:
        raise InputError("rows = []: expected at least one")
    for i, row in enumerate(rows):
        if not isinstance(row, list) or len(row) != len(Row._fields):
            raise InputError(f"rows[{i}] = {shown(row)}: expected {len(Row._fields)} values")
        built(_PlainRow, dict(zip(Row._fields, row, strict=True)), f"rows[{i}].")


@dataclass(frozen=True)
class _PlainRow:
    kind: str
    measure: str
    value: float | None
    control: float | None
    low: float | None
    high: float | None
    verdict: str | None
    text: str | None
    unit: str | None


def _damaged(place: str, advice: str) -> str:
    return f"{place}: is damaged{f' ({advice})' if advice else ''}"
