"""losses.csv and events.json: read whole or refused in a sentence that names the line or the entry."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from modscope.errors import RunError
from modscope.runs.events import Event, events_text, read_events
from modscope.runs.folder import COLUMNS, read_losses

HEAD = ",".join(COLUMNS)


def losses(folder: Path, text: str) -> dict[str, list[float]]:
    (folder / "losses.csv").write_bytes(text.encode("utf-8", "surrogateescape"))
    return read_losses(folder / "losses.csv")


def test_a_last_line_that_was_cut_short_is_not_read(tmp_path: Path) -> None:
    whole = f"{HEAD}\n0,1.5,,0.5,,\n5,1.0,2.0,1.0,0.25,3.0\n"
    for length in range(len(HEAD) + 1, len(whole)):
        epochs = losses(tmp_path, whole[:length])["epoch"]
        assert epochs == [0.0, 5.0][: whole[:length].count("\n") - 1]
    assert losses(tmp_path, whole)["train_accuracy"] == [0.5, 1.0]


@pytest.mark.parametrize(
    "line",
    ["1,2,3", "1,2,3,4,5,6,7", "", "x,1,1,1,1,1", "1.5,1,1,1,1,1", "-1,1,1,1,1,1", f"{10**30},1,1,1,1,1", "nan,1,1,1,1,1", ",1,1,1,1,1",
     "1_0,1,1,1,1,1", "1,1_0,1,1,1,1", "1,\x00,1,1,1,1", "1,\udcff,1,1,1,1", "1,0x1,1,1,1,1", "1,'1',1,1,1,1", "1,1,1,1,1,1\x0b2,1,1,1,1,1"],
)  # fmt: skip
def test_a_line_that_is_no_record_is_named(line: str, tmp_path: Path) -> None:
    with pytest.raises(
        RunError, match=r"losses.csv: line 2 below the head is .*: expected epoch, train_loss"
    ):
        losses(tmp_path, f"{HEAD}\n0,1,1,1,1,1\n{line}\n2,1,1,1,1,1\n")


def test_events_are_read_as_they_were_written_by_step(tmp_path: Path) -> None:
    path = tmp_path / "events.json"
    path.write_text(events_text([Event(9, "remove_frequency", 2), Event(3, "learning_rate", 1e-3)]))
    assert read_events(path, 7) == [Event(3, "learning_rate", 1e-3), Event(9, "remove_frequency", 2.0)]


@pytest.mark.parametrize(
    "entry",
    [None, 3, [], {}, {"step": 1, "kind": "learning_rate"}, {"step": "1", "kind": "learning_rate", "value": 1}, {"step": True, "kind": "learning_rate", "value": 1},
     {"step": 1, "kind": 2, "value": 1}, {"step": 1, "kind": "learning_rate", "value": "1"}, {"step": -1, "kind": "learning_rate", "value": 1},
     {"step": 1, "kind": "learning_rate", "value": [1]}, {"step": 1, "kind": "remove_frequency", "value": 4}, {"step": 1, "kind": "rates", "value": 1}],
)  # fmt: skip
def test_an_event_that_cannot_be_is_refused_by_everyone_who_reads_it(entry: object, tmp_path: Path) -> None:
    path = tmp_path / "events.json"
    path.write_text(json.dumps({"events": [entry]}))
    with pytest.raises(
        RunError, match=r"events.json: expected a list of events, each with step, kind and value"
    ):
        read_events(path, 7)
