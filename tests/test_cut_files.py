"""A file that is cut short after it was opened: what was read of it is in memory, and the process goes on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from tests.fuzz.forked import exit_code_of

from modscope.activations.files import arrays_in
from modscope.checkpoints import reading


def made(path: Path) -> Path:
    """A file of a megabyte of ones, of the kind that its name says."""
    if path.suffix == ".npy":
        np.save(path, np.ones((64, 64, 64), np.float32))
    else:
        save_file({"x": torch.ones(64, 64, 64)}, path)
    return path


def cut_after_it_was_opened(path: str) -> None:
    """Ends in another way than by exit code 0 where what was opened is still in the file."""
    reading.WHOLE = 10  # so that this file counts as a large one
    place = Path(path)
    weights = reading.read_file(place).data["x"].numpy() if place.name == "net.safetensors" else None
    x = arrays_in(place)[place.stem if place.suffix == ".npy" else "x"] if weights is None else weights
    with place.open("r+b") as file:
        file.truncate(0)
    assert float(x.sum()) == 64**3


@pytest.mark.parametrize("name", ["net.safetensors", "acts.safetensors", "acts.npy"])
def test_a_large_file_is_in_memory_once_it_is_open(name: str, tmp_path: Path) -> None:
    assert exit_code_of(cut_after_it_was_opened, str(made(tmp_path / name)), seconds=280) == 0
