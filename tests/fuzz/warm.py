"""Imported once, by the process of which tests fork others: everything is imported and compiled here."""

from __future__ import annotations

import tempfile
from pathlib import Path

import tests.fuzz.targets  # noqa: F401
from tests.training.small import small

import modscope.cli
import modscope.cli.train  # noqa: F401
from modscope.training.running import resume, train

with tempfile.TemporaryDirectory() as _folder:
    for _engine in ("plain", "exact", "fast"):
        train(small(engine=_engine, stop__steps=2), Path(_folder) / _engine)
        resume(Path(_folder) / _engine, steps=3)
