"""The state dicts in a file: one, or one for each of several epochs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from torch import Tensor

from modscope.checkpoints.layouts import without_prefix
from modscope.checkpoints.reading import Contents
from modscope.errors import CheckpointError, InputError, listed

__all__ = ["State", "States", "epoch_beside", "states_at", "states_in"]

_LISTS = (("state_dicts", "epochs"), ("checkpoints", "checkpoint_epochs"))
_SINGLES = ("model_state_dict", "state_dict", "model_state", "model", "net", "weights", "params")


@dataclass(frozen=True)
class State:
    """One state dict: its tensors, the epoch it is from (None: not known), where in the file it is.

    beside: the values that are stored with this state alone.
    """

    epoch: int | None
    tensors: Mapping[str, Tensor]
    place: str
    beside: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class States:
    """All state dicts of a file, by epoch, and what had to be assumed of them."""

    states: tuple[State, ...]
    final: State | None = None  # a state beside a list of states
    notes: tuple[str, ...] = ()

    @property
    def epochs(self) -> tuple[int, ...]:
        """The epochs that can be chosen."""
        every = (*self.states, self.final) if self.final else self.states
        return tuple(state.epoch for state in every if state.epoch is not None)

    def at(self, epoch: int | None = None) -> State:
        """The state of an epoch; without one, the last of the list."""
        if epoch is None:
            return self.states[-1]
        for state in (*self.states, *([self.final] if self.final else [])):
            if state.epoch == epoch:
                return state
        if not self.epochs:
            raise InputError(f"epoch {epoch}: the file holds one network and does not say its epoch")
        nearest = min(self.epochs, key=lambda known: abs(known - epoch))
        raise InputError(
            f"epoch {epoch} is not in the file: it has {_listed(self.epochs)}; the nearest is {nearest}"
        )


def _listed(epochs: tuple[int, ...]) -> str:
    if len(epochs) <= 8:
        return ", ".join(map(str, epochs))
    return f"{len(epochs)} epochs from {epochs[0]} to {epochs[-1]}"


def states_in(contents: Contents, *, last_epoch: int | None = None) -> States:
    """The state dicts of a file, whether it is one or holds one or many.

    last_epoch: the epoch of a `model` beside a list, where a config states the length of the run.
    """
    data = contents.data
    for states_key, epochs_key in _LISTS:
        if isinstance(data.get(states_key), list | Mapping) and data[states_key]:
            return _many(contents, states_key, epochs_key, last_epoch)
    for key in _SINGLES:
        if isinstance(data.get(key), Mapping) and data[key]:
            return States((State(epoch_beside(data), _tensors(data[key], contents, key), key),))
    if data and all(_number(key) is not None and isinstance(entry, Mapping) for key, entry in data.items()):
        return _many(Contents(contents.path, {"states": data}), "states", "epochs", last_epoch)
    if any(isinstance(value, Tensor) for value in data.values()):
        return States((State(None, _tensors(data, contents, ""), ""),))
    raise CheckpointError(
        f"{contents.path}: no state dict in it: it holds {listed(map(str, list(data)[:12])) or 'nothing'}; "
        f"expected tensors by name, or one of {', '.join((*_SINGLES, 'state_dicts', 'checkpoints'))}"
    )


def states_at(contents: Contents, path: str, *, last_epoch: int | None = None) -> States:
    """The state dicts at a path of keys such as "ema.net", with the epoch that is stated beside it or around it.

    Raises InputError where the path leads nowhere.
    """
    data: Any = contents.data
    around: list[Mapping[str, Any]] = []
    keys = path.split(".")
    for key in keys:
        if not isinstance(data, Mapping) or key not in data:
            raise InputError(f"{contents.path}: states = {path!r} of the mapping is not in the file")
        around.append(data)
        data = data[key]
    several = isinstance(data, list | tuple) or (
        isinstance(data, Mapping)
        and bool(data)
        and all(_number(key) is not None and isinstance(entry, Mapping) for key, entry in data.items())
    )
    if several:
        return _many(
            Contents(contents.path, around[-1]), keys[-1], _epochs_beside(around[-1], len(data)), last_epoch
        )
    found = states_in(Contents(contents.path, data), last_epoch=last_epoch)
    if len(found.states) > 1 or found.states[0].epoch is not None:
        return found
    epoch = next((known for table in reversed(around) if (known := epoch_beside(table)) is not None), None)
    return replace(found, states=(replace(found.states[0], epoch=epoch, place=path),))


def _epochs_beside(table: Mapping[str, Any], count: int) -> str:
    """The key of the list that gives the epochs of as many states."""
    for key, value in table.items():
        fits = isinstance(value, list | tuple) and len(value) == count
        if fits and re.search("epoch|step|iter", str(key)) and all(isinstance(entry, int) for entry in value):
            return str(key)
    return "epochs"


def _many(contents: Contents, states_key: str, epochs_key: str, last_epoch: int | None) -> States:
    found = contents.data[states_key]
    notes: list[str] = []
    if isinstance(found, Mapping):
        by_epoch = sorted(
            found.items(), key=lambda entry: (_number(entry[0]) is None, _number(entry[0]) or 0)
        )
        dicts = [_bare(entry) for _, entry in by_epoch]
        epochs = [_number(key) for key, _ in by_epoch]
    else:
        dicts = [_bare(entry) for entry in found]
        epochs = [epoch_beside(beside) for _, beside in dicts]
        if None in epochs:
            epochs = _listed_epochs(contents, states_key, epochs_key, len(dicts), notes)
    states = tuple(
        State(epoch, _tensors(one, contents, f"{states_key}[{i}]"), f"{states_key}[{i}]", beside)
        for i, (epoch, (one, beside)) in enumerate(zip(epochs, dicts, strict=True))
    )
    final = contents.data.get("model")
    if not isinstance(final, Mapping):
        return States(states, None, tuple(notes))
    notes.append(
        f"the file also holds `model`, the network at its end{f' (epoch={last_epoch})' if last_epoch else ''}; {states[-1].place} was opened"
    )
    return States(states, State(last_epoch, _tensors(final, contents, "model"), "model"), tuple(notes))


def _bare(entry: Any) -> tuple[Any, Mapping[str, Any]]:
    """The state dict of one entry of a list, and what is stored around it."""
    if isinstance(entry, Mapping):
        for key in _SINGLES:
            if isinstance(entry.get(key), Mapping) and entry[key]:
                return entry[key], {name: value for name, value in entry.items() if name != key}
    return entry, {}


def _listed_epochs(
    contents: Contents, states_key: str, epochs_key: str, count: int, notes: list[str]
) -> list[int | None]:
    stated = contents.data.get(epochs_key)
    entries = stated if isinstance(stated, list | tuple) else []
    epochs = [epoch if isinstance(epoch, int) and not isinstance(epoch, bool) else None for epoch in entries]
    if len(epochs) > count:
        notes.append(
            f"{states_key} has {count} of the {len(epochs)} states that {epochs_key} lists: taken to be the last"
        )
        epochs = epochs[-count:]
    if not epochs and count > 1:
        notes.append(f"{states_key} has {count} states without epochs: they are numbered from 0")
        epochs = list(range(count))
    elif len(epochs) < count:
        notes.append(
            f"{states_key} has {count} states, {epochs_key} lists {len(epochs)}: the others cannot be chosen"
        )
    return epochs + [None] * (count - len(epochs))


def _number(key: Any) -> int | None:
    """The epoch that a key is: a whole number, or a text that ends in one after a word for it."""
    if isinstance(key, int) and not isinstance(key, bool):
        return key
    found = re.fullmatch(r"(?:(?:epoch|ep|step|iter|checkpoint|ckpt)[=_ -]?)?(\d+)", str(key).lower())
    return int(found[1]) if found else None


def epoch_beside(data: Mapping[str, Any]) -> int | None:
    """The epoch or step that is stated beside a state dict."""
    for key in ("epoch", "step"):
        value = data.get(key)
        if isinstance(value, int) and not isinstance(value, bool):
            return value
    return None


def _tensors(found: Any, contents: Contents, place: str) -> dict[str, Tensor]:
    if not isinstance(found, Mapping):
        raise CheckpointError(
            f"{contents.path}: {place} is a {type(found).__name__}: expected tensors by name"
        )
    tensors = {str(name): value for name, value in found.items() if isinstance(value, Tensor)}
    if not tensors:
        raise CheckpointError(f"{contents.path}: {place or 'the file'} holds no tensor")
    return without_prefix(tensors)
