"""A network from a file, its task, and what is known of both."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from modscope.boundary import public
from modscope.checkpoints.answers import answers_of
from modscope.checkpoints.assumptions import Tried
from modscope.checkpoints.moments import Histories, Moments
from modscope.checkpoints.stated import disagreements
from modscope.display import Shown, number_text
from modscope.errors import InputError
from modscope.grounds import Grounds, grounds_of
from modscope.model import Network
from modscope.networks.kinds import described
from modscope.task import ModularTask

__all__ = ["Checkpoint"]


@dataclass(frozen=True, repr=False)
class Checkpoint(Shown):
    """A network from a file, its task, and what is known of both.

    layout: the name of the layout it was stored in. stated: losses and accuracies that the file gives
    of itself (train_loss, test_accuracy, ...). measured: the same of the network as it was read, float64
    cross-entropy in nats; train and test only where the split is known. tried: the choices of
    what its file does not say, the one taken first. notes: what cannot be judged, what had to be assumed and what does not
    agree, one sentence each. views: where one network has several operators, the checkpoint of each by the
    operator's name, with its own task; the checkpoint itself is one of them.
    """

    model: Network
    task: ModularTask
    layout: str
    source: Path
    epoch: int | None = None
    stated: Mapping[str, float] = field(default_factory=dict)
    measured: Mapping[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    tried: tuple[Tried, ...] = ()
    _grounds: Grounds | None = field(default=None, repr=False, compare=False)
    _moments: Moments | None = field(default=None, repr=False, compare=False)
    views: Mapping[str, Checkpoint] = field(default_factory=dict, repr=False, compare=False)

    def _title(self) -> str:
        return f"{self.source.name}: {self.task}"

    def _told(self) -> dict[str, object]:
        agrees = {True: ", as measured", False: ", which is not what was measured", None: ""}[self.agrees]
        told = {
            "network": described(self.model),
            "layout": self.layout,
            "epoch": "" if self.epoch is None else f"{self.epoch:,}, one of {max(len(self.epochs), 1)}",
            "split": self.task.split.kind if self.task.split.kind != "none" else "not known",
            "measured": _scores(self.measured),
            "stated": _scores(self.stated) + agrees if self.stated else "",
            "notes": " ".join(self.notes),
        }
        return {name: value for name, value in told.items() if value}

    @property
    def grounds(self) -> Grounds:
        """Which operation the answers are, and whether there is anything to judge."""
        if self._grounds is not None:
            return self._grounds
        return grounds_of(answers_of(self.model, self.source), self.task, stated=self.stated)

    @property
    def epochs(self) -> tuple[int, ...]:
        """The epochs of the states that the file holds; empty where it does not say."""
        if self._moments is not None:
            return self._moments.epochs
        return () if self.epoch is None else (self.epoch,)

    @public
    def network_at(self, epoch: int) -> Network:
        """The network of one of the epochs, read from the file when asked for."""
        if epoch == self.epoch:
            return self.model
        if self._moments is None:
            raise InputError(f"{self.source}: epoch {epoch} is not in it; it has {self.epoch}")
        return self._moments.network_at(epoch)

    @property
    def run_path(self) -> Path:
        """What to open for all its epochs: the file, or the folder where each epoch has a file of its own."""
        series = getattr(self._moments, "series", None)
        return self.source if series is None else series.folder

    def histories(self) -> Histories:
        """The losses and accuracies that the file, or each file of the folder, states: name -> (epochs, values)."""
        return self._moments.histories() if self._moments is not None else {}

    @property
    def agrees(self) -> bool | None:
        """Whether the network has the losses and accuracies that the file states; None where it states none."""
        if not set(self.stated) & set(self.measured):
            return None
        return not disagreements(self.stated, self.measured)

    def record(self) -> dict[str, Any]:
        """What `save_safetensors` takes as the record: where the network came from, and its measured numbers."""
        record: dict[str, Any] = {
            "source": self.source.name,
            "layout": self.layout,
            "notes": list(self.notes),
        }
        if self.epoch is not None:
            record["epoch"] = self.epoch
        if self.views:
            record["views"] = {
                name: {"sequence": list(_sequence_of(view.model)), "task": view.task.to_dict()}
                for name, view in self.views.items()
            }
        for key, kind in (("losses", "loss"), ("accuracies", "accuracy")):
            named = {
                name.removesuffix(f"_{kind}"): value
                for name, value in self.measured.items()
                if name.endswith(kind)
            }
            record[key] = named
        return record

    def to_dict(self) -> dict[str, Any]:
        """What is known of the checkpoint, without its weights, as plain JSON values."""
        return {
            "source": str(self.source),
            "layout": self.layout,
            "epoch": self.epoch,
            "epochs": list(self.epochs),
            "network": self.model.to_dict(),
            "task": self.task.to_dict(),
            "stated": dict(self.stated),
            "measured": dict(self.measured),
            "agrees": self.agrees,
            "at_chance": self.at_chance,
            "grounds": self.grounds.to_dict(),
            "tried": [tried.to_dict() for tried in self.tried],
            "notes": list(self.notes),
        }

    @property
    def at_chance(self) -> bool:
        """Whether the accuracy over all pairs is what guessing gives."""
        return any(problem.kind == "chance" for problem in self.grounds.problems)


def _sequence_of(network: Network) -> tuple[str, ...]:
    return tuple(getattr(network.config, "sequence", network.config.positions))


def _scores(values: Mapping[str, float]) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {number_text(value)}" for name, value in values.items())
