"""What a file says of its own network, and whether the network as it was read agrees."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from modscope.checkpoints.reading import Contents, read_table
from modscope.errors import InputError

__all__ = ["disagreements", "stated_by"]

_KEYS: Mapping[str, tuple[str, ...]] = {
    "train_loss": ("train_loss",),
    "test_loss": ("test_loss", "val_loss", "valid_loss", "validation_loss"),
    "all_loss": ("all_loss",),
    "train_accuracy": ("train_acc", "train_accuracy"),
    "test_accuracy": ("test_acc", "test_accuracy", "val_acc", "validation_accuracy"),
    "all_accuracy": ("all_acc", "all_accuracy"),
}
_HISTORIES = {"train_loss": ("train_losses",), "test_loss": ("test_losses", "val_losses")}

# Losses written in float32 are coarse below 1e-7, and some are of the step before or after the weights.
RELATIVE, ABSOLUTE, SHARE = 0.1, 5e-8, 0.005


def stated_by(contents: Contents, epoch: int | None) -> dict[str, float]:
    """Losses and accuracies that a file, or a summary beside it, gives for one of its states.

    Keys: train_loss, test_loss, all_loss, train_accuracy, test_accuracy, all_accuracy. epoch picks from lists
    of losses by epoch; the longest list is taken to have an entry for every epoch.
    """
    stated = _numbers(contents.data) | _from_histories(contents.data, epoch)
    summary = contents.path.parent / "summary_metrics.json"
    if summary.is_file():
        stated |= _numbers(_readable(summary))
    return stated


def _readable(path: Path) -> Mapping[str, Any]:
    try:
        return read_table(path)
    except InputError:
        return {}


def _numbers(values: Mapping[str, Any]) -> dict[str, float]:
    numbers: dict[str, float] = {}
    for name, keys in _KEYS.items():
        for key in keys:
            value = values.get(key)
            number = _finite(value.item() if isinstance(value, Tensor) and value.numel() == 1 else value)
            if number is not None:
                percent = name.endswith("accuracy") and number > 1.0
                numbers.setdefault(name, number / 100 if percent else number)
    return numbers


def _from_histories(values: Mapping[str, Any], epoch: int | None) -> dict[str, float]:
    lists = {
        name: values[key]
        for name, keys in _HISTORIES.items()
        for key in keys
        if isinstance(values.get(key), list | tuple) and values[key]
    }
    length = max((len(losses) for losses in lists.values()), default=0)
    found = {}
    for name, losses in lists.items():
        every = max(1, round(length / len(losses)))
        # Training loops save after the step, so the loss of what they saved is the next one written.
        index = len(losses) - 1 if epoch is None else min(round((epoch + 1) / every), len(losses) - 1)
        number = _finite(losses[index])
        if number is not None:
            found[name] = number
    return found


def disagreements(stated: Mapping[str, float], measured: Mapping[str, float]) -> list[str]:
    """A sentence for each number that the file states and the network, as it was read, does not have."""
    found = []
    for name, said in stated.items():
        if name not in measured:
            continue
        is_loss = name.endswith("loss")
        allowed = max(RELATIVE * abs(said), ABSOLUTE) if is_loss else SHARE
        if abs(measured[name] - said) > allowed:
            found.append(f"{name.replace('_', ' ')} is {measured[name]:.4g} where the file says {said:.4g}")
    return found


def _finite(value: object) -> float | None:
    """A plain finite number as a float; anything else is None."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    number = float(value)
    return number if math.isfinite(number) else None
