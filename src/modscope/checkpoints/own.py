"""modscope's own format: safetensors whose metadata hold the config, the task and the record of training."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor

from modscope.checkpoints.reading import Contents, read_file
from modscope.display import Shown
from modscope.errors import CheckpointError, InputError, ModscopeError
from modscope.model import Network
from modscope.networks.families import network_from_dict
from modscope.task import ModularTask

__all__ = ["METADATA_KEY", "Saved", "read_safetensors", "save_safetensors", "saved_network"]

METADATA_KEY = "modscope"
FORMAT = 1


def save_safetensors(
    path: str | os.PathLike[str],
    model: Network,
    task: ModularTask,
    record: Mapping[str, Any] | None = None,
) -> Path:
    """A network, its task and the record of its training as one `.safetensors` file that modscope opens.

    The weights have their canonical names; the metadata key `modscope` holds JSON with `network`, `task` and
    `record`. What `record` says of `losses` and `accuracies` ({"train": ..., "test": ..., "all": ...}) is
    compared with the network when the file is opened. Written beside and renamed, so a reader sees the
    old file or the new one. Returns the path.
    """
    if model.config.p != task.p:
        raise InputError(
            f"the network is for p = {model.config.p}, the task for p = {task.p}: save them alike"
        )
    description = {
        "format": FORMAT,
        "network": model.to_dict(),
        "task": task.to_dict(),
        "record": dict(record or {}),
    }
    try:
        text = json.dumps(description, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise InputError(f"the record cannot be written as JSON: {error}") from error
    weights = {name: weight.detach().cpu().contiguous() for name, weight in model.weights.items()}
    path = Path(path)
    write_beside(path, save(weights, {METADATA_KEY: text}))
    return path


def write_beside(path: Path, data: bytes) -> None:
    """Write a file under another name and rename it, so that a reader sees the old file or the new one."""
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        beside.write_bytes(data)
        os.replace(beside, path)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise CheckpointError(f"{path}: cannot be written: {error.strerror or error}") from error


@dataclass(frozen=True, repr=False)
class Saved(Shown):
    """What `save_safetensors` was given."""

    model: Network
    task: ModularTask
    record: Mapping[str, Any]


def read_safetensors(path: str | os.PathLike[str]) -> Saved:
    """The network, task and record of a file that `save_safetensors` wrote, without measuring the network.

    For the many checkpoints of one run; `open_checkpoint` also compares a file with what it says of itself.
    Raises CheckpointError where the file is damaged or of another origin.
    """
    return saved_network(read_file(Path(path)))


def saved_network(contents: Contents) -> Saved:
    """The network, task and record in the contents of one of our own files."""
    source = contents.path
    if METADATA_KEY not in contents.metadata:
        raise CheckpointError(f"{source}: not written by modscope: it has no metadata named {METADATA_KEY}")
    try:
        values = json.loads(contents.metadata[METADATA_KEY])
        if values["format"] > FORMAT:
            raise CheckpointError(
                f"{source}: written in format {values['format']} of modscope; this version reads up to {FORMAT}"
            )
        network = network_from_dict(values["network"], {n: _whole(w) for n, w in contents.data.items()})
        task = ModularTask.from_dict(values["task"])
        record = dict(values.get("record") or {})
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        # InputErrors are ValueErrors whose text is already a sentence.
        reason = error if isinstance(error, ModscopeError) else f"{type(error).__name__} {error}"
        raise CheckpointError(f"{source}: its modscope metadata do not describe it: {reason}") from error
    if network.config.p != task.p:
        raise CheckpointError(
            f"{source}: its network is for p = {network.config.p} and its task for p = {task.p}"
        )
    for name, weight in network.weights.items():
        if not weight.is_floating_point() or not bool(torch.isfinite(weight).all()):
            raise CheckpointError(f"{source}: {name} has numbers that are NaN, infinite or whole")
    return Saved(network, task, record)


def _whole(weight: Tensor) -> Tensor:
    # Half precision is for keeping, not for computing.
    return weight.float() if weight.dtype in (torch.float16, torch.bfloat16) else weight
