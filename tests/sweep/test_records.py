"""Files of a sweep that are not what modscope writes: refused in a sentence that names the file."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from tests.sweep.tiny import result_of, three_networks

from modscope.errors import SweepError
from modscope.sweep.records import result_in, table_in
from modscope.sweep.results import Sweep
from modscope.sweep.running import write_table
from modscope.sweep.status import standing
from modscope.sweep.table import read_table, written


@pytest.fixture
def sweep(tmp_path: Path) -> Sweep:
    return three_networks(tmp_path / "sweep")


def test_what_was_written_is_read(sweep: Sweep) -> None:
    assert sweep.table().num_rows == 4
    assert [one["error"] for one in sweep.failures()] == ["no reason"]
    assert standing(sweep, now=2.0).running == 2
    sweep.spread()
    assert len(sweep.storage.names("results")) == 2


BROKEN: dict[str, Callable[[dict[str, Any]], Any]] = {
    "no table": lambda result: [result],
    "no rows": lambda result: result | {"rows": []},
    "a short row": lambda result: result | {"rows": [["training"]]},
    "a text for a number": lambda result: result | {"rows": [["training", "x", "0.5", *[None] * 6]]},
    "true for a number": lambda result: result | {"rows": [["training", "x", True, *[None] * 6]]},
    "a number for a text": lambda result: result | {"rows": [["training", 3, 0.5, *[None] * 6]]},
    "no key": lambda result: {k: v for k, v in result.items() if k != "key"},
    "another key": lambda result: result | {"key": 5},
    "nobody": lambda result: {k: v for k, v in result.items() if k != "trained by"},
    "a recipe that is a list": lambda result: result | {"recipe": []},
}


@pytest.mark.parametrize("how", BROKEN)
def test_a_result_that_is_none_is_named(how: str, sweep: Sweep) -> None:
    (name,) = sweep.storage.names("results")
    result = json.loads(sweep.storage.read(f"results/{name}"))
    sweep.storage.replace(f"results/{name}", json.dumps(BROKEN[how](result)).encode())
    with pytest.raises(SweepError, match=f"results/{name}: is damaged .remove it, and the same command"):
        sweep.table()


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"\xff\xfe", b"5", b'{"key": 1}'])
@pytest.mark.parametrize("folder", ["plan.json", "results", "failures", "segments"])
def test_what_cannot_be_read_is_named(folder: str, data: bytes, sweep: Sweep) -> None:
    name = folder if "." in folder else f"{folder}/{sweep.storage.names(folder)[0]}"
    sweep.storage.replace(name, data)
    with pytest.raises(SweepError, match=rf"{name}: is damaged"):
        (sweep.plan, sweep.table(), sweep.failures())


def test_a_client_that_says_nonsense_is_passed_over(sweep: Sweep) -> None:
    sweep.storage.replace("clients/x.json", b'{"time": "now", "running": []}')
    assert standing(sweep, now=2.0).running == 0


def test_a_result_is_held_without_being_changed(sweep: Sweep) -> None:
    result = result_of(sweep.plan.units[0])
    assert result_in(json.dumps(result).encode(), "here") == result


def test_a_file_that_is_there_and_cannot_be_read_is_said(sweep: Sweep) -> None:
    (sweep.storage.folder / "results" / "a.json").mkdir()  # type: ignore[operator]
    with pytest.raises(SweepError, match=r"results/a.json: cannot be read"):
        sweep.table()


def test_the_table_and_its_csv_hold_the_same_rows(sweep: Sweep) -> None:
    write_table(sweep)
    table = read_table(sweep.storage.read("table.parquet"), "table.parquet")
    text = sweep.storage.read("table.csv").decode().splitlines()
    assert len(table) == len(text) - 1 == 4
    assert ",".join(f'"{name}"' for name in table.columns) == text[0]
    assert set(table.network) == {line.split(",")[0].strip('"') for line in text[1:]}


@pytest.mark.parametrize(
    "damaged", [lambda data: data[:-9], lambda data: b"", lambda data: written(pa.table({"x": [1]}))]
)
def test_a_table_that_is_damaged_is_named(sweep: Sweep, damaged: Callable[[bytes], bytes]) -> None:
    write_table(sweep)
    with pytest.raises(SweepError, match=r"^here/table.parquet: is damaged"):
        read_table(damaged(sweep.storage.read("table.parquet")), "here/table.parquet")


@pytest.mark.parametrize("text", [b'{"key": "\\ud800"}', b'{"key": "\xed\xa0\x80"}', b"[1]", b'{"key"'])
def test_half_a_character_is_no_text(text: bytes) -> None:
    with pytest.raises(SweepError, match="here"):
        table_in(text, "here")
