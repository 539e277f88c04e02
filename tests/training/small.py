"""A recipe that is trained in a blink, and what tests of runs ask of it."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import torch
from safetensors import safe_open

import modscope
from modscope.runs import Run
from modscope.training.presets import preset
from modscope.training.recipe import Recipe

SMALL = {
    "task.p": 7,
    "network.d_model": 8,
    "network.n_heads": 2,
    "network.d_mlp": 16,
    "stop.steps": 60,
    "stop.settled": False,
    "keep.losses": 5,
    "keep.test": 10,
    "keep.resume": 20,
    "optimiser.learning_rate_schedule": (),
    "threads": 1,
}


def small(**changes: object) -> Recipe:
    return preset("quick").changed(
        SMALL | {name.replace("__", "."): value for name, value in changes.items()}
    )


def last_weights(folder: Path) -> dict[str, torch.Tensor]:
    run = Run.open(folder)
    return run.model().weights


def assert_same_bits(one: Path, two: Path) -> None:
    first, second = last_weights(one), last_weights(two)
    for name, weight in first.items():
        assert torch.equal(weight, second[name]), name
    assert settling(one) == settling(two)


def settling(folder: Path) -> list[list[float]]:
    """The measures from which a run would judge whether it is settled, if it went on."""
    with safe_open(str(folder / "resume.safetensors"), framework="pt") as file:
        return json.loads(file.metadata()["state"])["settling"]


def wait_until(happened, seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < end, "nothing happened"
        time.sleep(0.02)


def environment_of_a_process() -> dict[str, str]:
    """The environment in which `python -m modscope` is this modscope."""
    return {**os.environ, "PYTHONPATH": str(Path(modscope.__file__).parents[1])}
