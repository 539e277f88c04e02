"""Python objects in a file are read as what was stored of them, and nothing of theirs runs."""

from __future__ import annotations

import argparse
import collections
import contextlib
import os
import pickle
import subprocess
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.checkpoints.written import lens_state, random_transformer, same_logits, saved

from modscope.checkpoints import open_checkpoint
from modscope.checkpoints.reading import read_file
from modscope.errors import CheckpointError

NETWORK = random_transformer(3, p=11, d_model=12, n_heads=3, d_head=5, d_mlp=7)
STATE = lens_state(NETWORK)


class Calls:
    """Calls something when it is unpickled."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.function, self.arguments = function, arguments

    def __reduce__(self) -> tuple[Any, ...]:
        return self.function, self.arguments


class Kind(Enum):
    RELU = "relu"


@dataclass
class Config:
    p: int = 11
    act_fn: Kind = Kind.RELU
    initial: Any = torch.nn.ReLU


class Whole(torch.nn.Module):
    """The canonical names as a tree of modules, as a class of somebody's would have them."""

    def __init__(self, state: dict[str, torch.Tensor]) -> None:
        super().__init__()
        self.p = 11
        for name, tensor in state.items():
            module: torch.nn.Module = self
            *path, last = name.split(".")
            for part in path:
                if not hasattr(module, part):
                    module.add_module(part, torch.nn.Module())
                module = getattr(module, part)
            if tensor.is_floating_point() and tensor.ndim:
                module.register_parameter(last, torch.nn.Parameter(tensor))
            else:
                module.register_buffer(last, tensor)


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize(
    "function", [os.mkdir, os.system, subprocess.Popen, exec, eval, getattr, __import__, Path.mkdir, open]
)
def test_nothing_in_a_file_runs(function: Any, zipped: bool, tmp_path: Path) -> None:
    trap = tmp_path / "sprung"
    words: dict[Any, str] = {os.mkdir: str(trap), open: str(trap), os.system: f"touch {trap}"}
    argument: Any = words.get(function, f"__import__('os').mkdir({str(trap)!r})")
    arguments = (argument, "w") if function is open else (argument,)
    if function is subprocess.Popen:
        arguments = (["touch", str(trap)],)
    path = tmp_path / "net.pt"
    torch.save({**STATE, "extra": Calls(function, *arguments)}, path, _use_new_zipfile_serialization=zipped)
    refused = function in (os.mkdir, os.system, subprocess.Popen, Path.mkdir)
    if refused:
        with pytest.raises(CheckpointError, match="nothing was run"):
            read_file(path)
    else:
        assert torch.equal(read_file(path).data["embed.W_E"], STATE["embed.W_E"])
    assert not trap.exists()


def test_a_file_made_to_run_commands_is_refused_by_name(tmp_path: Path) -> None:
    path = saved({**STATE, "extra": Calls(os.mkdir, str(tmp_path / "sprung"))}, tmp_path / "net.pt")
    with pytest.raises(
        CheckpointError, match=r"net\.pt: asks for posix\.mkdir to be called.*nothing was run"
    ):
        open_checkpoint(path)


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize("protocol", range(6))
def test_a_bare_pickle_is_not_a_file_of_torch(protocol: int, tmp_path: Path) -> None:
    trap, path = tmp_path / "sprung", tmp_path / "net.pt"
    path.write_bytes(pickle.dumps(Calls(os.mkdir, str(trap)), protocol=protocol))
    with pytest.raises(CheckpointError):
        open_checkpoint(path)
    assert not trap.exists()


def test_state_that_aims_at_torch_itself_changes_nothing(tmp_path: Path) -> None:
    class Aims:
        def __reduce__(self) -> tuple[Any, ...]:
            return collections.OrderedDict, (), {"__class__": dict, "keys": None}

    before = set(torch.serialization.get_safe_globals())
    path = saved({**STATE, "extra": Aims(), "config": Config()}, tmp_path / "net.pt")
    with contextlib.suppress(CheckpointError):
        read_file(path)
    assert set(torch.serialization.get_safe_globals()) == before
    assert list(collections.OrderedDict(a=1).keys()) == ["a"]


def test_a_config_object_is_read_as_its_attributes(tmp_path: Path) -> None:
    checkpoint = open_checkpoint(saved({"model": STATE, "config": Config()}, tmp_path / "net.pt"))
    assert same_logits(checkpoint.model, NETWORK)
    assert any("Config" in note and "none of their code was run" in note for note in checkpoint.notes)
    data = read_file(tmp_path / "net.pt").data
    assert data["config"] == {"p": 11, "act_fn": "relu", "initial": "torch.nn.modules.activation.ReLU"}


def test_plain_values_in_foreign_clothes(tmp_path: Path) -> None:
    losses: Any = collections.defaultdict(list)
    losses["train"].append(np.float64(0.25))
    columns = np.asfortranarray(np.arange(6, dtype=">f4").reshape(2, 3))
    data = {
        "w": torch.ones(2),
        "loss": np.float32(1.5),
        "columns": columns,
        "args": argparse.Namespace(p=11, out=Path("a") / "b"),
        "losses": losses,
        "function": torch.nn.functional.gelu,
    }
    read = read_file(saved(data, tmp_path / "net.pt")).data
    assert read["loss"] == 1.5
    assert np.array_equal(read["columns"].numpy(), columns)
    assert read["args"] == {"p": 11, "out": "a/b"}
    assert read["losses"] == {"train": [0.25]}
    assert read["function"].endswith("gelu")


def test_a_whole_pickled_module_opens_as_its_state_dict(tmp_path: Path) -> None:
    whole = Whole(STATE)
    read = read_file(saved(whole, tmp_path / "net.pt"))
    state = whole.state_dict()
    assert set(read.data["state_dict"]) == set(state)
    assert all(torch.equal(tensor, state[name]) for name, tensor in read.data["state_dict"].items())
    assert read.data["config"] == {"p": 11}
    assert same_logits(open_checkpoint(tmp_path / "net.pt").model, NETWORK)


def test_a_whole_module_of_the_old_format_names_the_way_out(tmp_path: Path) -> None:
    torch.save(torch.nn.Linear(2, 3), tmp_path / "net.pt", _use_new_zipfile_serialization=False)
    with pytest.raises(CheckpointError, match=r"torch before 1\.6.*module\.state_dict\(\)"):
        open_checkpoint(tmp_path / "net.pt")


def test_a_pointer_of_git_lfs_is_called_that(tmp_path: Path) -> None:
    for name in ("net.pt", "net.safetensors"):
        pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a2146\nsize 903213\n"
        (tmp_path / name).write_text(pointer)
        with pytest.raises(CheckpointError, match=r"Git LFS pointer to a file of 903213 bytes.*git lfs pull"):
            open_checkpoint(tmp_path / name)
