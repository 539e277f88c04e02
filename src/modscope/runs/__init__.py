"""A training run on disk: losses, checkpoints and what they came from."""

from __future__ import annotations

from modscope.runs.folder import RunFolder
from modscope.runs.run import Run, written

__all__ = ["Run", "RunFolder", "written"]
