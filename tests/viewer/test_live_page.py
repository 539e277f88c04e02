"""The live page in a real Chromium: it moves, freezes, pauses, goes back, and its knobs are events of the run."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.training.small import small

from modscope.model import Transformer
from modscope.runs import Run
from modscope.runs.events import Event
from modscope.training.running import train
from modscope.training.steering import Steering
from modscope.viewer.live import LiveServer, Scope

pytestmark = pytest.mark.browser

DRAWN = """canvas => { const d = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
  let n = 0; for (let i = 3; i < d.length; i += 4) if (d[i]) n++; return n; }"""


class Training:
    """A training in a thread of its own that goes on until it is stopped, slowly enough to be watched."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ended = threading.Event()
        recipe = small(stop__steps=100_000, keep__every=50, keep__log=0, keep__resume=1000, keep__losses=2)

        def check(kind: str, value: float) -> None:
            Event(0, kind, value).checked(recipe.task.p)

        network = Transformer.initialised(recipe.config)
        self.scope = Scope(
            recipe.modular_task, folder, title="a run", network=network, check=check, share=0.5
        )
        self.server = LiveServer(self.scope).start()

        def watch(status: Any) -> None:
            self.scope.watch(status)
            time.sleep(0.01)

        steering = Steering(paused=self.scope.paused, changes=self.scope.changes)
        options = {"watch": watch, "stop": self.ended.is_set, "steering": steering}
        self.thread = threading.Thread(target=train, args=(recipe, folder), kwargs=options)
        self.thread.start()

    def stop(self) -> None:
        self.scope.pause(False)
        self.ended.set()
        self.thread.join(timeout=60)
        self.server.stop()


@pytest.fixture(scope="module")
def training(tmp_path_factory) -> Iterator[Training]:
    made = Training(tmp_path_factory.mktemp("live") / "run")
    yield made
    made.stop()


@pytest.fixture
def opened(_some_chromium: None, page: Any, training: Training) -> Iterator[Any]:
    """The page of the training, whose script errors fail the test, once it has drawn a picture."""
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.set_viewport_size({"width": 1200, "height": 900})
    page.goto(training.server.address)
    until(lambda: shown_step(page) >= 0)
    yield page
    assert errors == []


def until(happened: Callable[[], Any], seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < end, "nothing happened"
        time.sleep(0.05)


def shown_step(page: Any) -> int:
    return int(page.locator("canvas").nth(3).get_attribute("data-step") or -1)


def test_every_panel_is_drawn_and_moves(opened: Any) -> None:
    for i in range(4):
        canvas = opened.locator("canvas").nth(i)
        until(lambda canvas=canvas: canvas.evaluate(DRAWN) > 200)
    before = shown_step(opened)
    until(lambda: shown_step(opened) > before)
    assert "share of the embedding's energy" in opened.locator("canvas").nth(1).get_attribute("aria-label")
    assert "step" in opened.get_by_role("status").first.inner_text()


def test_freezing_holds_the_picture_while_training_goes_on(opened: Any, training: Training) -> None:
    opened.get_by_role("button", name="Freeze").click()
    time.sleep(0.5)
    held, step = shown_step(opened), training.scope.standing()["step"]
    until(lambda: training.scope.standing()["step"] > step + 20)
    assert shown_step(opened) == held
    opened.get_by_role("button", name="Freeze").click()
    until(lambda: shown_step(opened) > held)


def test_pausing_lets_training_wait(opened: Any, training: Training) -> None:
    opened.get_by_role("button", name="Pause training").click()
    until(training.scope.paused)
    time.sleep(0.3)
    step = training.scope.standing()["step"]
    time.sleep(0.5)
    assert training.scope.standing()["step"] == step
    opened.get_by_role("button", name="Go on").click()
    until(lambda: training.scope.standing()["step"] > step)


def test_knobs_are_events_and_nonsense_is_said(opened: Any, training: Training) -> None:
    opened.get_by_label("weight decay", exact=True).fill("0.5")
    opened.get_by_role("button", name="Set").nth(1).click()
    opened.get_by_label("frequency to take out").fill("2")
    opened.get_by_role("button", name="Take this frequency out").click()
    until(lambda: len(training.scope.standing()["events"]) == 2)
    until(lambda: "remove frequency 2 at step" in opened.inner_text("body"))
    assert [e["kind"] for e in Run.open(training.folder).events] == ["weight_decay", "remove_frequency"]
    opened.get_by_label("learning rate", exact=True).fill("")
    opened.get_by_role("button", name="Set").first.click()
    step = shown_step(opened)
    until(lambda: shown_step(opened) > step)
    assert "give a number" in opened.get_by_role("alert").inner_text()


def test_any_activation_as_wave_or_map_in_either_order(opened: Any) -> None:
    canvas = opened.locator("canvas").nth(3)
    opened.get_by_label("activation", exact=True).select_option("pattern")
    opened.get_by_label("head", exact=True).fill("1")
    until(lambda: canvas.get_attribute("aria-label").startswith("pattern[1, 0]"))
    opened.get_by_label("wave or heat map").select_option("map")
    opened.get_by_label("order of the pairs").select_option("a,b")
    until(lambda: "order (a, b)" in canvas.get_attribute("aria-label"))
    assert not opened.get_by_label("row", exact=True).is_visible()


def test_kept_epochs_can_be_gone_back_to_and_left_again(opened: Any, training: Training) -> None:
    slider = opened.get_by_label("kept epoch", exact=True)
    until(lambda: int(slider.get_attribute("max")) >= 1)
    slider.evaluate("s => { s.value = '1'; s.dispatchEvent(new Event('input')); }")
    until(lambda: shown_step(opened) == 50)
    step = training.scope.standing()["step"]
    until(lambda: training.scope.standing()["step"] > step)
    assert shown_step(opened) == 50
    opened.get_by_role("button", name="Live").click()
    until(lambda: shown_step(opened) > 50)


def test_two_browsers_watch_one_run(opened: Any, training: Training, context: Any) -> None:
    second = context.new_page()
    second.goto(training.server.address)
    until(lambda: shown_step(second) >= 0)
    first, other = shown_step(opened), shown_step(second)
    until(lambda: shown_step(opened) > first and shown_step(second) > other)
    second.close()
