"""The network that ships with modscope: addition mod 113 by the published recipe, and how it got there."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from modscope.checkpoints import Checkpoint, open_checkpoint
from modscope.errors import ModscopeError
from modscope.runs import Run

__all__ = ["shipped_folder", "shipped_network", "shipped_path", "shipped_run"]


def shipped_folder() -> Path:
    """The folder of the shipped run: a run folder with few checkpoints, made by `tools/ship_network.py`."""
    folder = Path(str(files("modscope") / "data" / "add113"))
    if not folder.is_dir():
        raise ModscopeError(f"{folder}: the network that ships with modscope is not installed")
    return folder


def shipped_path() -> Path:
    """The file of the shipped network, settled, in float32.

    >>> shipped_path().suffix
    '.safetensors'
    """
    (path,) = shipped_folder().glob("checkpoints/*_settled.safetensors")
    return path


def shipped_network() -> Checkpoint:
    """The shipped network with its task and measures: addition mod 113, `random.seed(0)` split.

    >>> checkpoint = shipped_network()
    >>> checkpoint.task.p, checkpoint.measured["all_accuracy"]
    (113, 1.0)
    """
    return open_checkpoint(shipped_path())


def shipped_run() -> Run:
    """The training of the shipped network: about a dozen epochs from random to settled, all but the last float16.

    >>> run = shipped_run()
    >>> run.epochs[0], run.finished
    (0, 'settled')
    """
    return Run.open(shipped_folder())
