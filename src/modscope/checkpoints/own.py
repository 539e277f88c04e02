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

from modscope.boundary import public
from modscope.checkpoints.manifest import Listed, tensors_sum
from modscope.checkpoints.reading import Contents, read_file
from modscope.display import Shown
from modscope.errors import CheckpointError, InputError, path_of, turned_into
from modscope.model import Network
from modscope.networks.families import network_from_dict
from modscope.schema import built, json_in, whole_number
from modscope.task import ModularTask
from modscope.writing import write_whole

__all__ = ["METADATA_KEY", "Saved", "read_safetensors", "save_safetensors", "saved_network"]

METADATA_KEY = "modscope"
SUM_KEY = "modscope_sha256"
FORMAT = 1


@public
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
    _refuse_what_is_no_number(model, path)
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
    data = save(weights, {METADATA_KEY: text, SUM_KEY: tensors_sum(weights, text)})
    return write_whole(path, data, refusal=CheckpointError)


@dataclass(frozen=True, repr=False)
class Saved(Shown):
    """What `save_safetensors` was given. verified: whether a checksum said that it is what was written."""

    model: Network
    task: ModularTask
    record: Mapping[str, Any]
    verified: bool = False


@dataclass(frozen=True)
class _Description:
    """The metadata of one of our own files."""

    network: dict[str, Any]
    task: dict[str, Any]
    record: dict[str, Any] | None = None
    format: int = FORMAT


@public
def read_safetensors(path: str | os.PathLike[str], *, listed: Listed | None = None) -> Saved:
    """The network, task and record of a file that `save_safetensors` wrote, without measuring the network.

    For the many checkpoints of one run; `open_checkpoint` also compares a file with what it says of itself.
    listed: what the manifest of its run says of it, with which it is compared.
    Raises CheckpointError where the file is damaged or of another origin.
    """
    return saved_network(read_file(path_of(path)), listed=listed)


def saved_network(contents: Contents, *, listed: Listed | None = None) -> Saved:
    """The network, task and record in the contents of one of our own files."""
    source = contents.path
    if METADATA_KEY not in contents.metadata:
        raise CheckpointError(f"{source}: not written by modscope: it has no metadata named {METADATA_KEY}")
    if listed is not None:
        listed.check(source)
    text, stated = contents.metadata[METADATA_KEY], contents.metadata.get(SUM_KEY)
    if stated is not None and stated != tensors_sum(contents.data, text):
        raise CheckpointError(f"{source}: damaged: its sha256 is not the one that it was written with")
    with turned_into(CheckpointError, f"{source}: its modscope metadata do not describe it", inputs=True):
        described = built(_Description, json_in(text), strangers=True)
        if described.format > FORMAT:
            raise CheckpointError(
                f"{source}: written in format {described.format} of modscope; this version reads up to {FORMAT}"
            )
        task = ModularTask.from_dict(described.task)
        weights = {name: _whole(weight) for name, weight in contents.data.items()}
        network = network_from_dict(described.network, weights)
    record = described.record or {}
    if network.config.p != task.p:
        raise CheckpointError(
            f"{source}: its network is for p = {network.config.p} and its task for p = {task.p}"
        )
    _refuse_what_is_no_number(network, source)
    epoch = record.get("epoch")
    if epoch is not None:
        whole_number(epoch, f"{source}: epoch", least=0)
    if listed is not None:
        listed.check_epoch(source, epoch)
    verified = stated is not None or (listed is not None and listed.sha256 is not None)
    return Saved(network, task, record, verified)


def _refuse_what_is_no_number(network: Network, source: object) -> None:
    for name, weight in network.weights.items():
        if not weight.is_floating_point() or not bool(torch.isfinite(weight).all()):
            raise CheckpointError(f"{source}: {name} has numbers that are NaN, infinite or whole")


def _whole(weight: Tensor) -> Tensor:
    # Half precision is for keeping, not for computing.
    return weight.float() if weight.dtype in (torch.float16, torch.bfloat16) else weight
