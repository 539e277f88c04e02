"""The state dicts in a file: one, or one for each of several epochs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from modscope.checkpoints.layouts import without_prefix
from modscope.checkpoints.reading import Contents
from modscope.errors import CheckpointError, InputError

__all__ = ["State", "States", "states_in"]

_LISTS = (("state_dicts", "epochs"), ("checkpoints", "checkpoint_epochs"))
_SINGLES = ("model_state_dict", "state_dict", "model_state", "model", "net", "weights", "params")


@dataclass(frozen=True)
class State:
    """One state dict: its tensors, the epoch it is from (None: not known), where in the file it is."""

    epoch: int | None
    tensors: Mapping[str, Tensor]
    place: str


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
            return States((State(_epoch(data), _tensors(data[key], contents, key), key),))
    if any(isinstance(value, Tensor) for value in data.values()):
        return States((State(None, _tensors(data, contents, ""), ""),))
    raise CheckpointError(
        f"{contents.path}: no state dict in it: it holds {', '.join(map(str, list(data)[:12])) or 'nothing'}; "
        f"expected tensors by name, or one of {', '.join((*_SINGLES, 'state_dicts', 'checkpoints'))}"
    )


def _many(contents: Contents, states_key: str, epochs_key: str, last_epoch: int | None) -> States:
    found = contents.data[states_key]
    notes = []
    if isinstance(found, Mapping):
        epochs: list[int | None] = [key if isinstance(key, int) else None for key in found]
        dicts = list(found.values())
    else:
        dicts = list(found)
        stated = contents.data.get(epochs_key)
        epochs = list(stated) if isinstance(stated, list | tuple) else []
        if len(epochs) > len(dicts):
            notes.append(
                f"{states_key} has {len(dicts)} of the {len(epochs)} states that {epochs_key} lists: taken to be the last"
            )
            epochs = epochs[-len(dicts) :]
        if not epochs and len(dicts) > 1:
            notes.append(f"{states_key} has {len(dicts)} states without epochs: they are numbered from 0")
            epochs = list(range(len(dicts)))
        elif len(epochs) < len(dicts):
            notes.append(
                f"{states_key} has {len(dicts)} states, {epochs_key} lists {len(epochs)}: the others cannot be chosen"
            )
        epochs += [None] * (len(dicts) - len(epochs))
    states = tuple(
        State(epoch, _tensors(one, contents, f"{states_key}[{i}]"), f"{states_key}[{i}]")
        for i, (epoch, one) in enumerate(zip(epochs, dicts, strict=True))
    )
    final = contents.data.get("model")
    if not isinstance(final, Mapping):
        return States(states, None, tuple(notes))
    notes.append(
        f"the file also holds `model`, the network at its end{f' (epoch={last_epoch})' if last_epoch else ''}; {states[-1].place} was opened"
    )
    return States(states, State(last_epoch, _tensors(final, contents, "model"), "model"), tuple(notes))


def _epoch(data: Mapping[str, Any]) -> int | None:
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
