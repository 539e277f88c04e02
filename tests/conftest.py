"""Where the published checkpoints are, and how a test that needs them skips without them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from modscope.activations import Activations
    from modscope.analysis.overview.summary import Summary
    from modscope.findings import Findings

settings.register_profile("modscope", deadline=None, derandomize=True, max_examples=25)
settings.load_profile("modscope")


def checkpoints_folder() -> Path:
    default = Path(__file__).resolve().parents[1] / ".." / "shared" / "checkpoints"
    return Path(os.environ.get("MODSCOPE_CHECKPOINTS", default)).resolve()


@pytest.fixture(scope="session")
def published() -> Path:
    """The folder with the published checkpoints; tests that ask for it skip where it is not."""
    folder = checkpoints_folder()
    if not (folder / "nanda_mainline").is_dir():
        pytest.skip(f"published checkpoints not found at {folder}; set MODSCOPE_CHECKPOINTS")
    return folder


@pytest.fixture(scope="session")
def mainline(published: Path) -> Activations:
    """The record of the network that most golden numbers are about: the main run of Nanda et al. 2023."""
    from modscope.activations import record
    from modscope.checkpoints import open_checkpoint

    checkpoint = open_checkpoint(published / "nanda_mainline")
    return record(checkpoint.model, checkpoint.task)


@pytest.fixture(scope="session")
def mainline_keys() -> tuple[int, ...]:
    return (14, 35, 41, 42, 52)


@pytest.fixture(scope="session")
def mainline_summary(mainline: Activations) -> Summary:
    from modscope.analysis.overview.summary import summarise

    return summarise(mainline)


@pytest.fixture(scope="session")
def mainline_findings(mainline: Activations) -> Findings:
    from modscope.findings import findings

    return findings(mainline)
