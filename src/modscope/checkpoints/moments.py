"""The networks of the other epochs of a checkpoint: in the same file, or one in each file of a folder."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from modscope.checkpoints.own import saved_network
from modscope.checkpoints.reading import Contents, read_file
from modscope.checkpoints.series import Series
from modscope.checkpoints.stated import histories, numbers_in
from modscope.checkpoints.states import State, States, epoch_beside
from modscope.model import Network

__all__ = ["Histories", "Moments", "MomentsOfFile", "MomentsOfFolder", "MomentsOfOwnFiles", "restated"]

# name of a loss or accuracy -> the epochs it is known at, and its values there
Histories = Mapping[str, tuple[list[int], list[float]]]


class Moments(ABC):
    """What can be had of a network at its several epochs, each read when it is asked for."""

    @property
    @abstractmethod
    def epochs(self) -> tuple[int, ...]:
        """The epochs that can be chosen."""

    @abstractmethod
    def network_at(self, epoch: int) -> Network:
        """The network of one epoch."""

    @abstractmethod
    def histories(self) -> Histories:
        """The losses and accuracies that are stated, by epoch."""


@dataclass(frozen=True)
class MomentsOfFile(Moments):
    """The states of one file."""

    contents: Contents
    states: States
    network_of: Callable[[State], Network]

    @property
    def epochs(self) -> tuple[int, ...]:
        return self.states.epochs

    def network_at(self, epoch: int) -> Network:
        self.contents.refuse_change()
        return self.network_of(self.states.at(epoch))

    def histories(self) -> Histories:
        beside = {
            state.epoch: numbers_in(state.beside) for state in self.states.states if state.epoch is not None
        }
        return _by_name(beside) | histories(self.contents.data)


@dataclass(frozen=True)
class MomentsOfFolder(Moments):
    """One file of another project for each epoch."""

    series: Series
    states_of: Callable[[Contents], States]
    network_of: Callable[[State], Network]

    @property
    def epochs(self) -> tuple[int, ...]:
        return self.series.epochs

    def network_at(self, epoch: int) -> Network:
        contents = read_file(self.series.file(epoch))
        state = self.states_of(contents).at(None)
        return self.network_of(replace(state, epoch=epoch, place=contents.path.name))

    def histories(self) -> Histories:
        listed = histories(read_file(self.series.file(None)).data)
        if listed:
            return listed
        return _by_name(
            {epoch: numbers_in(read_file(file).data) for epoch, file in self.series.files.items()}
        )


@dataclass(frozen=True)
class MomentsOfOwnFiles(Moments):
    """One of modscope's own files for each epoch, in a folder without a manifest."""

    series: Series

    @property
    def epochs(self) -> tuple[int, ...]:
        return self.series.epochs

    def network_at(self, epoch: int) -> Network:
        return saved_network(read_file(self.series.file(epoch))).model

    def histories(self) -> Histories:
        known = {}
        for epoch, file in self.series.files.items():
            losses = saved_network(read_file(file)).record.get("losses")
            stated = losses if isinstance(losses, Mapping) else {}
            known[epoch] = numbers_in({f"{split}_loss": value for split, value in stated.items()})
        return _by_name(known)


def restated(series: Series) -> Series:
    """The series by the epochs that its files state of themselves, where they all do and differ in them.

    Numbers in names may count the saves and not the steps.
    """
    stated = {}
    for file in series.files.values():
        epoch = epoch_beside(read_file(file).data)
        if epoch is None or epoch in stated:
            return series
        stated[epoch] = file
    return replace(series, files=dict(sorted(stated.items())))


def _by_name(numbers: Mapping[int, Mapping[str, float]]) -> dict[str, tuple[list[int], list[float]]]:
    names = dict.fromkeys(name for known in numbers.values() for name in known)
    epochs = sorted(numbers)
    return {name: (epochs, [numbers[epoch].get(name, math.nan) for epoch in epochs]) for name in names}
