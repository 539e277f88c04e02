"""One small run that memorises and then generalises, for all tests of measures over training."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.training.small import small

from modscope.runs import Run
from modscope.training.recipe import Recipe
from modscope.training.running import train


def grokking_recipe() -> Recipe:
    """Addition mod 13 that is understood in a few hundred steps, a checkpoint every 80."""
    return small(
        task__p=13,
        task__fraction=0.8,
        network__d_model=32,
        network__n_heads=4,
        network__d_mlp=64,
        stop__steps=800,
        keep__every=80,
        keep__log=0,
        keep__losses=10,
        keep__test=10,
        keep__resume=400,
        optimiser__learning_rate=1e-2,
    )


@pytest.fixture(scope="session")
def grokked(tmp_path_factory) -> Path:
    """The folder of the run; tests that write into it copy it."""
    folder = tmp_path_factory.mktemp("grokked") / "run"
    train(grokking_recipe(), folder)
    return folder


@pytest.fixture
def run(grokked: Path) -> Run:
    return Run.open(grokked)
