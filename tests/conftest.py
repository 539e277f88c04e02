"""Where the published checkpoints are, and how a test that needs them skips without them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

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
