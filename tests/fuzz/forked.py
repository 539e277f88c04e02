"""Processes of which a test makes many: forks of one that has everything imported and compiled.

A fresh interpreter takes seconds to import PyTorch and to load compiled code. The process of the tests has threads,
so it is not forked itself.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

__all__ = ["exit_code_of", "forked"]


@contextlib.contextmanager
def forked(work: Callable[..., object], *arguments: Any) -> Iterator[multiprocessing.process.BaseProcess]:
    """A process that does this work and nothing else, and is killed where it still does at the end."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.fuzz.warm"])
    process = context.Process(target=work, args=arguments)
    paths = [str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")]
    with mock.patch.dict(os.environ, PYTHONPATH=os.pathsep.join(filter(None, paths))):
        process.start()
    try:
        yield process
    finally:
        process.kill()
        process.join()


def exit_code_of(work: Callable[..., object], *arguments: Any, seconds: float = 120) -> int:
    """How a process that does this work and nothing else has ended."""
    with forked(work, *arguments) as process:
        process.join(seconds)
    assert process.exitcode is not None
    return process.exitcode
