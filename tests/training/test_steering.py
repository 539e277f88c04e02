"""Changes by hand take effect at the next step, are written down, and are made again to the same bits."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.training.small import assert_same_bits, small

from modscope.errors import InputError, RunError, UnknownName
from modscope.runs import Run
from modscope.runs.events import Event
from modscope.training.running import resume, train
from modscope.training.steering import Steering, without_frequency

EVENTS = (
    Event(13, "learning_rate", 1e-3),
    Event(21, "remove_frequency", 2),
    Event(40, "weight_decay", 0.1),
    Event(41, "learning_rate", 2e-2),
)


@given(st.integers(4, 12), st.data())
def test_a_frequency_is_taken_out_and_the_rest_stays(p: int, data: st.DataObject) -> None:
    k = data.draw(st.integers(1, p // 2))
    table = torch.randn(p + 1, 5, generator=torch.Generator().manual_seed(p), dtype=torch.float64)
    before = table.clone()
    without_frequency(table, p, k)
    spectra = [np.fft.rfft(x[:p].numpy(), axis=0) for x in (before, table)]
    expected = spectra[0].copy()
    expected[k] = 0
    np.testing.assert_allclose(spectra[1], expected, atol=1e-12)
    assert torch.equal(table[p], before[p])


def test_a_change_acts_at_the_step_after_it_and_is_written_down(tmp_path) -> None:
    rates: dict[int, tuple[float, float]] = {}
    asked: list[tuple[str, float]] = []

    def watch(status) -> None:
        rates[status.epoch] = status.rates
        if status.epoch == 20:
            asked.append(("learning_rate", 5e-4))

    def changes() -> list[tuple[str, float]]:
        return [asked.pop()] if asked else []

    run = train(small(), tmp_path / "run", watch=watch, steering=Steering(changes=changes))
    (event,) = run.events
    assert (event["kind"], event["value"], event["step"]) == ("learning_rate", 5e-4, 21)
    assert rates[20][0] != 5e-4
    assert rates[25][0] == 5e-4
    assert any("learning rate 0.0005 at step 21" in note for note in run.notes)


def test_the_same_events_give_the_same_bits_and_others_do_not(tmp_path) -> None:
    for name, events in (("one", EVENTS), ("two", EVENTS), ("none", ())):
        train(small(), tmp_path / name, steering=Steering(events=events))
    assert_same_bits(tmp_path / "one", tmp_path / "two")
    with pytest.raises(AssertionError):
        assert_same_bits(tmp_path / "one", tmp_path / "none")
    assert [e["step"] for e in Run.open(tmp_path / "one").events] == [13, 21, 40, 41]


@pytest.mark.parametrize("end", [13, 20, 21, 22, 40, 45])
@pytest.mark.parametrize("keep", [10, 21])
def test_going_on_makes_them_again_to_the_same_bits(tmp_path, end: int, keep: int) -> None:
    recipe = small(keep__resume=keep)
    train(recipe, tmp_path / "whole", steering=Steering(events=EVENTS))
    seen = []

    def stop() -> bool:
        seen.append(1)
        return len(seen) > end

    train(recipe, tmp_path / "parts", stop=stop, steering=Steering(events=EVENTS))
    resume(tmp_path / "parts")
    assert_same_bits(tmp_path / "whole", tmp_path / "parts")


def test_a_new_beginning_keeps_the_rates_set_by_hand(tmp_path) -> None:
    rates = []
    recipe = small(stop__begin_anew=20, task__fraction=0.3)
    events = (Event(5, "weight_decay", 0.25),)
    run = train(
        recipe, tmp_path / "run", watch=lambda s: rates.append(s.rates[1]), steering=Steering(events=events)
    )
    assert run.begun_anew
    assert rates[-1] == 0.25


def test_paused_training_stands_still_and_can_be_ended(tmp_path) -> None:
    at: list[int] = []
    stood: list[int] = []
    paused, ended = threading.Event(), threading.Event()

    def watch(status) -> None:
        at.append(status.epoch)
        if status.epoch == 20:
            paused.set()

    def later(what: Callable[[], None]) -> None:
        paused.wait(120)
        time.sleep(0.1)
        stood.append(at[-1])
        what()

    threading.Thread(target=later, args=(paused.clear,)).start()
    train(small(), tmp_path / "run", watch=watch, steering=Steering(paused=paused.is_set))
    assert at[-1] == 60
    at.clear()
    threading.Thread(target=later, args=(ended.set,)).start()
    run = train(
        small(), tmp_path / "two", watch=watch, stop=ended.is_set, steering=Steering(paused=paused.is_set)
    )
    assert run.finished == "interrupted"
    assert stood == [20, 20]
    paused.clear()
    resume(tmp_path / "two")
    train(small(), tmp_path / "whole")
    assert_same_bits(tmp_path / "two", tmp_path / "whole")


def test_the_network_can_be_looked_at_while_it_trains(tmp_path) -> None:
    looked = {}

    def watch(status) -> None:
        if status.epoch in (0, 20):
            looked[status.epoch] = status.look()

    run = train(small(keep__steps=(21,)), tmp_path / "run", watch=watch)
    # a step is shown once it has been taken
    first, later = run.model(1), run.model(21)
    for name, weight in first.weights.items():
        assert torch.equal(weight, looked[0].weights[name])
        assert torch.equal(later.weights[name], looked[20].weights[name])


@pytest.mark.parametrize(
    ("event", "error"),
    [
        (Event(3, "learning_rte", 1.0), UnknownName),
        (Event(-1, "learning_rate", 1.0), InputError),
        (Event(1, "learning_rate", float("nan")), InputError),
        (Event(1, "learning_rate", 0.0), InputError),
        (Event(1, "weight_decay", -1.0), InputError),
        (Event(1, "remove_frequency", 4), InputError),
        (Event(1, "remove_frequency", 1.5), InputError),
    ],
)
def test_changes_that_cannot_be_made_are_refused_before_anything_is_written(tmp_path, event, error) -> None:
    with pytest.raises(error):
        train(small(), tmp_path / "run", steering=Steering(events=(event,)))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "text",
    [
        "[]",
        "{",
        '{"events": 3}',
        '{"events": [{"step": 1}]}',
        '{"events": [{"step": 1, "kind": "x", "value": 2}]}',
    ],
)
def test_damaged_events_are_said(tmp_path, text: str) -> None:
    train(small(stop__steps=20), tmp_path / "run", steering=Steering(events=EVENTS[:1]))
    (tmp_path / "run" / "events.json").write_text(text)
    with pytest.raises((RunError, InputError, ValueError), match=r"events\.json|expected"):
        resume(tmp_path / "run", steps=60)


def test_events_are_plain_json(tmp_path) -> None:
    train(small(), tmp_path / "run", steering=Steering(events=EVENTS[:2]))
    found = json.loads((tmp_path / "run" / "events.json").read_text())
    assert found["events"][1] == {"step": 21, "kind": "remove_frequency", "value": 2}
