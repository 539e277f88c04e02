"""The record of the published network that most golden numbers are about."""

from __future__ import annotations

from pathlib import Path

import pytest

from modscope.activations import Activations, record
from modscope.checkpoints import open_checkpoint


@pytest.fixture(scope="session")
def mainline(published: Path) -> Activations:
    checkpoint = open_checkpoint(published / "nanda_mainline")
    return record(checkpoint.model, checkpoint.task)


@pytest.fixture(scope="session")
def mainline_keys() -> tuple[int, ...]:
    return (14, 35, 41, 42, 52)
