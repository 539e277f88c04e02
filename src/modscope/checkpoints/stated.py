"""What a file says of its own network, and whether the network as it was read agrees."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from modscope.checkpoints.reading import Contents, read_table
from modscope.errors import InputError

__all__ = ["disagreements", "histories", "not_compared", "numbers_in", "stated_by"]

_KEYS: Mapping[str, tuple[str, ...]] = {
    "train_loss": ("train_loss",),
    "test_loss": ("test_loss", "val_loss", "valid_loss", "validation_loss"),
    "all_loss": ("all_loss",),
    "train_accuracy": ("train_acc", "train_accuracy"),
    "test_accuracy": ("test_acc", "test_accuracy", "val_acc", "validation_accuracy"),
    "all_accuracy": ("all_acc", "all_accuracy"),
}
_LISTS: Mapping[str, tuple[str, ...]] = {
    "train_loss": ("train_losses", "train_loss"),
    "test_loss": ("test_losses", "val_losses", "test_loss", "val_loss"),
    "train_accuracy": ("train_accuracies", "train_accs", "train_acc", "train_accuracy"),
    "test_accuracy": ("test_accuracies", "test_accs", "val_accs", "test_acc", "val_acc", "test_accuracy"),
}

# Losses written in float32 are coarse below 1e-7, and some are of the step before or after the weights.
RELATIVE, ABSOLUTE, SHARE = 0.1, 5e-8, 0.005


def stated_by(
    contents: Contents, epoch: int | None, *, beside: Mapping[str, Any] | None = None, last: bool = True
) -> dict[str, float]:
    """Losses and accuracies that a file, or a summary beside it, gives for one of its states.

    Keys: train_loss, test_loss, all_loss, train_accuracy, test_accuracy, all_accuracy. epoch picks from lists
    by epoch: lists as long as a list of epochs in the file belong to those epochs, else the longest is taken to have an entry
    for every epoch. beside: what is stored with this state alone. last: whether the state is the file's last, of which alone
    a single number can speak.
    """
    stated = (numbers_in(contents.data) if last else {}) | _from_lists(contents.data, epoch)
    summary = contents.path.parent / "summary_metrics.json"
    if summary.is_file() and last:
        stated |= numbers_in(_readable(summary))
    return stated | numbers_in(beside or {})


def _readable(path: Path) -> Mapping[str, Any]:
    try:
        return read_table(path)
    except InputError:
        return {}


def numbers_in(values: Mapping[str, Any]) -> dict[str, float]:
    """The losses and accuracies among some values, under modscope's names; accuracies in percent as shares."""
    numbers: dict[str, float] = {}
    for name, keys in _KEYS.items():
        for key in keys:
            value = values.get(key)
            number = _finite(value.item() if isinstance(value, Tensor) and value.numel() == 1 else value)
            if number is not None:
                percent = name.endswith("accuracy") and number > 1.0
                numbers.setdefault(name, number / 100 if percent else number)
    return numbers


def _from_lists(values: Mapping[str, Any], epoch: int | None) -> dict[str, float]:
    found = {}
    for name, (epochs, numbers) in histories(values).items():
        if epoch is None:
            index = len(numbers) - 1
        elif _own_axis(values, len(numbers)) is not None:
            if epoch not in epochs:
                continue
            index = epochs.index(epoch)
        elif epoch < 0:  # no list of losses has entries for it
            continue
        else:
            # Training loops save after the step, so the loss of what they saved is the next one written.
            every = epochs[1] - epochs[0] if len(epochs) > 1 else 1
            index = min(round((epoch + 1) / every), len(numbers) - 1)
        if math.isfinite(numbers[index]):
            found[name] = numbers[index]
    return found


def histories(values: Mapping[str, Any]) -> dict[str, tuple[list[int], list[float]]]:
    """The losses and accuracies that a file lists, each with the epochs of its entries.

    Lists as long as a list of epochs in the file have those; else the longest has an entry for every epoch, and a shorter
    one for every few.

    >>> histories({"epochs": [1, 100], "train_losses": [2.5, 0.5]})
    {'train_loss': ([1, 100], [2.5, 0.5])}
    """
    lists: dict[str, list[float]] = {}
    for name, keys in _LISTS.items():
        listed = (_as_numbers(values.get(key)) for key in keys)
        numbers = next((numbers for numbers in listed if numbers), None)
        if numbers:
            percent = name.endswith("accuracy") and max(filter(math.isfinite, numbers), default=0.0) > 1.0
            lists[name] = [number / 100 for number in numbers] if percent else numbers
    length = max((len(numbers) for numbers in lists.values()), default=0)
    found = {}
    for name, numbers in lists.items():
        every = max(1, round(length / len(numbers)))
        axis = _own_axis(values, len(numbers)) or list(range(0, len(numbers) * every, every))
        found[name] = (axis, numbers)
    return found


def _own_axis(values: Mapping[str, Any], count: int) -> list[int] | None:
    """The list of epochs or steps in a file that has as many entries, ascending; None where there is none."""
    for key, value in values.items():
        if not re.search("epoch|step|iter", str(key)):
            continue
        axis = value.tolist() if isinstance(value, Tensor) and value.ndim == 1 else value
        if isinstance(axis, list | tuple) and len(axis) == count:
            whole = all(isinstance(epoch, int) for epoch in axis)
            if whole and all(a < b for a, b in itertools.pairwise(axis)):
                return list(axis)
    return None


def _as_numbers(value: object) -> list[float]:
    """A list of numbers as floats, NaN for what is none; empty for anything else."""
    if isinstance(value, Tensor):
        return (
            [float(number) for number in value.tolist()] if value.ndim == 1 and not value.is_complex() else []
        )
    if not isinstance(value, list | tuple):
        return []
    items = [entry.item() if isinstance(entry, Tensor) and entry.numel() == 1 else entry for entry in value]
    return [math.nan if (number := _finite(x)) is None else number for x in items]


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
    return found + [text for kind in ("loss", "accuracy") if (text := _outside(kind, stated, measured))]


def _outside(kind: str, stated: Mapping[str, float], measured: Mapping[str, float]) -> str:
    """A mean over all pairs lies between those over training and test pairs: says where it does not."""
    train, test, every = stated.get(f"train_{kind}"), stated.get(f"test_{kind}"), measured.get(f"all_{kind}")
    if train is None or test is None or every is None or f"test_{kind}" in measured:
        return ""
    low, high = min(train, test), max(train, test)
    spare = max(RELATIVE * high, ABSOLUTE) if kind == "loss" else SHARE
    if low - spare <= every <= high + spare:
        return ""
    return f"{kind} over all pairs is {every:.4g}, which is not between train {train:.4g} and test {test:.4g} as the file says"


def not_compared(stated: Mapping[str, float], measured: Mapping[str, float]) -> list[str]:
    """The stated numbers for which nothing was measured, in one sentence; none where there are none."""
    names = [name for name in stated if name not in measured]
    if not names:
        return []
    listed = ", ".join(f"{name.replace('_', ' ')} {stated[name]:.4g}" for name in names)
    return [f"stated and not compared, as the split is not known: {listed}"]


def _finite(value: object) -> float | None:
    """A plain finite number as a float; anything else is None."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if abs(value) < 1e300 else None
