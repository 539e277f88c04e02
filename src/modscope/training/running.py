"""Training into a run folder: schedules of what is written, stopping, and going on after any end."""

from __future__ import annotations

import os
import platform
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from modscope._version import __version__
from modscope.checkpoints.reading import read_table
from modscope.errors import InputError, RunError, TrainingError, turned_into
from modscope.model import Network
from modscope.provenance import source_commit
from modscope.runs import Run, RunFolder
from modscope.runs.events import Event, events_text, read_events
from modscope.runs.folder import EVENTS, LOSSES, RECIPE, RESUME
from modscope.schema import built
from modscope.training.engine import Batch
from modscope.training.interruption import interruption
from modscope.training.recipe import Keep, Recipe
from modscope.training.steering import Steering
from modscope.training.stopping import STEPS, Settling, reason_to_stop
from modscope.training.trainer import Trainer, quiet_machine

__all__ = [
    "INTERRUPTED",
    "Status",
    "Training",
    "checkpoint_is_due",
    "environment",
    "has_ended",
    "resume",
    "state_to_go_on_from",
    "train",
]

INTERRUPTED = "interrupted"
_FLUSH_SECONDS = 1.0


@dataclass(frozen=True)
class Status:
    """How training stands after a recorded step. test is of the last evaluation; finished says why it ended.

    steps_per_second: since this process began, 0 where that is not known yet or no longer matters.
    begun_anew: the epochs at which training began again from other initial weights. rates: learning rate and weight decay
    of the next step. events: the changes made by hand so far, and those known for later. look: a copy of the network as it is now, made when called; only while the watcher is.
    """

    epoch: int
    train: Batch
    test: Batch | None
    steps_per_second: float
    engine: str
    recipe: Recipe
    finished: str = ""
    begun_anew: tuple[int, ...] = ()
    rates: tuple[float, float] = (0.0, 0.0)
    events: tuple[Event, ...] = ()
    look: Callable[[], Network] | None = field(default=None, repr=False, compare=False)


Watch = Callable[[Status], None]
Stop = Callable[[], bool]


def _nobody(status: Status) -> None:
    """Watches nothing."""


def _never() -> bool:
    return False


_UNSTEERED = Steering()


def train(
    recipe: Recipe,
    folder: str | os.PathLike[str],
    *,
    watch: Watch = _nobody,
    stop: Stop = _never,
    steering: Steering = _UNSTEERED,
) -> Run:
    """Train from nothing into a new run folder; returns the run when it ends or is interrupted.

    watch is called with each recorded step; stop is asked between steps whether to stop, as after Ctrl-C; steering whether
    to wait and what to change. Raises InputError for a folder in use, TrainingError where the loss is no longer a number.
    """
    trainer = Trainer(recipe)
    # The number of threads decides in which order sums are made, so it is written down.
    recipe = replace(recipe, threads=trainer.threads, engine=trainer.engine.name)
    trainer.recipe = recipe
    events = sorted((event.checked(recipe.task.p) for event in steering.events), key=lambda e: e.step)
    with RunFolder.create(folder, recipe=recipe.to_toml(), environment=environment(trainer)) as place:
        try:
            Training(trainer, place, watch, stop, steering, events).run()
        except TrainingError:
            place.give_up()
            raise
    return Run.open(folder)


def resume(
    folder: str | os.PathLike[str],
    *,
    watch: Watch = _nobody,
    stop: Stop = _never,
    steps: int = 0,
    steering: Steering = _UNSTEERED,
) -> Run:
    """Go on with a run, however it ended, to the bits it would have had without the interruption.

    Changes made by hand (`Event`) are made again at their steps.
    steps: a later last step than the recipe's. A run that `has_ended` stays as it is, and so does one whose state is
    missing or damaged: that raises RunError.
    """
    if steps < 0:
        raise InputError(f"steps = {steps}: expected a number above 0, or 0 for the recipe's own")
    with RunFolder.reopen(folder) as place:
        if not has_ended(place, steps):
            recipe = Recipe.from_dict(_recipe_values(Path(folder)))
            if steps:
                recipe = replace(recipe, stop=replace(recipe.stop, steps=steps))
            state = state_to_go_on_from(place, recipe)
            written = Path(folder) / EVENTS
            events = read_events(written, recipe.task.p) if written.is_file() else []
            training = Training(Trainer(recipe), place, watch, stop, steering, events)
            training.go_back(state)
            place.write_recipe(recipe.to_toml())
            place.write_environment(environment(training.trainer), training.trainer.epoch)
            training.run()
    return Run.open(folder)


def has_ended(folder: RunFolder, steps: int = 0) -> bool:
    """Whether a run needs no more steps: it ended by one of its rules, and no later last step makes it longer."""
    if folder.finished in ("", INTERRUPTED):
        return False
    return not (folder.finished == STEPS and steps > folder.epochs[-1])


def state_to_go_on_from(folder: RunFolder, recipe: Recipe) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
    """What `resume.safetensors` holds; None where the process died before it wrote the first one.

    Raises RunError where it is missing later, or is of another recipe (when to stop and what to keep may differ), or
    where losses that come before it are missing.
    """
    kept = folder.read_resume()
    if kept is None:
        # The state of step 0 is written before the first step is taken.
        if any(folder.epochs):
            raise RunError(
                f"{folder.path}: there is no {RESUME} in it, without which training cannot go on; "
                f"its checkpoints up to epoch {folder.epochs[-1]} stay as they are"
            )
        return None
    _, state = kept
    with turned_into(
        RunError, f"{folder.path / RESUME}: is damaged, so training cannot go on from it", inputs=True
    ):
        stated = built(_State, state, strangers=True)
        before = Recipe.from_dict(stated.recipe)
    unlike = recipe.unlike(replace(before, stop=recipe.stop, keep=recipe.keep))
    if unlike:
        raise RunError(
            f"{folder.path / RECIPE}: is not the recipe that this run was trained with: {'; '.join(unlike)}"
        )
    epoch, last = stated.epoch, folder.last_epoch_of_losses()
    if last < epoch - before.keep.losses:
        missing = f"ends at step {last}" if last >= 0 else "has no losses in it"
        raise RunError(
            f"{folder.path / LOSSES}: {missing}, and the state to go on from is of step {epoch}: "
            "put it back, or train into a new folder"
        )
    return kept


def _recipe_values(folder: Path) -> dict[str, Any]:
    if not (folder / RECIPE).is_file():
        raise RunError(f"{folder}: there is no {RECIPE} in it, so it is not known how to go on")
    return read_table(folder / RECIPE)


def environment(trainer: Trainer) -> dict[str, Any]:
    """What the run was made with."""
    libraries = ("torch", "numpy", "numba", "llvmlite", "safetensors")
    return {
        "modscope": __version__,
        "commit": source_commit(),
        "engine": trainer.engine_reason,
        "threads": trainer.threads,
        "device": device_text(trainer.device),
        **({"kernel": trainer.engine.kernel} if trainer.engine.kernel else {}),
        "python": platform.python_version(),
        **{name: _version(name) for name in libraries},
        "machine": platform.machine(),
        "system": platform.system(),
        "command": " ".join(Path(part).name if i == 0 else part for i, part in enumerate(sys.argv)),
    }


def device_text(device: torch.device) -> str:
    """A device as it is written down, a card with its name and its CUDA.

    >>> device_text(torch.device("cpu"))
    'cpu'
    """
    if device.type != "cuda":
        return str(device)
    return f"{device}: {torch.cuda.get_device_name(device)}, CUDA {torch.version.cuda}"


def _version(library: str) -> str:
    try:
        return version(library)
    except PackageNotFoundError:
        return "not installed"


def checkpoint_is_due(keep: Keep, epoch: int) -> bool:
    """Whether the schedule has a checkpoint at an epoch (the first one and the last one are kept anyway).

    >>> [e for e in range(1, 101) if checkpoint_is_due(Keep(log=4), e)]
    [1, 2, 3, 6, 10, 18, 32, 56, 100]
    """
    if epoch == 0 or epoch in keep.steps or (keep.every and epoch % keep.every == 0):
        return True
    if not keep.log:
        return False
    nearest = round(np.log10(epoch) * keep.log)
    return epoch == round(10 ** (nearest / keep.log))


@dataclass(frozen=True)
class _State:
    """What stands beside the tensors in the state to go on from."""

    epoch: int
    settling: tuple[list[Any], ...]
    recipe: dict[str, Any]


class Training:
    """One process's share of a run: a trainer, the folder it writes to, and who watches."""

    def __init__(
        self,
        trainer: Trainer,
        folder: RunFolder,
        watch: Watch,
        stop: Stop,
        steering: Steering = _UNSTEERED,
        events: Sequence[Event] = (),
    ) -> None:
        self.trainer, self.folder, self.watch, self.stop = trainer, folder, watch, stop
        self.steering, self.events = steering, list(events)
        if self.events:
            folder.write_events(events_text(self.events))
        self.recipe = trainer.recipe
        self.settling = Settling()
        self.rows: list[dict[str, float | None]] = []
        self.flushed = time.monotonic()
        self.test: Batch | None = None

    def go_back(self, kept: tuple[dict[str, Tensor], dict[str, Any]] | None) -> None:
        """Continue from the tensors and the state that were kept, or from nothing."""
        if kept is None:
            self.folder.cut_after(-1)
            return
        tensors, state = kept
        for event in self.events:
            if event.step < int(state["epoch"]) and event.kind != "remove_frequency":
                self.trainer.make(event)  # what was removed before is not in the weights that were kept
        with turned_into(
            RunError, f"{self.folder.path / RESUME}: is damaged, so training cannot go on from it"
        ):
            self.trainer.restore(tensors, int(state["epoch"]))
            self.settling.measures = [
                (float(epoch), float(loss), float(accuracy), float(norm), float(decay))
                for epoch, loss, accuracy, norm, decay in state["settling"]
            ]
        # The epoch itself is judged again, if it is due: a last step that has become an earlier one may not be.
        self.settling.forget_from(self.trainer.epoch)
        self.folder.cut_after(self.trainer.epoch - 1)
        begun = self.folder.begun_anew
        self.trainer.attempt, self.trainer.begun = len(begun), (begun or [0])[-1]

    def run(self) -> None:
        with quiet_machine(self.trainer.torch_threads), interruption() as interrupted:
            start, first = time.monotonic(), self.trainer.epoch
            while True:
                reason = self.judge()
                if not reason and (interrupted() or self.stop()):
                    reason = INTERRUPTED
                if reason:
                    break
                start += self._waited(interrupted)
                self._make_changes()
                batch = self._advance()
                epoch = self.trainer.epoch - 1
                if (
                    epoch == first
                ):  # the first step may have waited for the compiler, which says nothing of the pace
                    start = time.monotonic()
                if epoch % self.recipe.keep.losses == 0:
                    pace = (epoch - first) / max(time.monotonic() - start, 1e-9)
                    self.note(epoch, batch)
                    self._show(epoch, batch, self.test, pace)
            self.end(reason)

    def _waited(self, interrupted: Stop) -> float:
        """Waits while the steering says so; returns the seconds that took."""
        began = time.monotonic()
        if not self.steering.paused():
            return 0.0
        self._flush()
        while self.steering.paused() and not interrupted() and not self.stop():
            time.sleep(0.05)
        return time.monotonic() - began

    def _make_changes(self) -> None:
        """Make the changes known for this step, and those asked for now; a new one is written down first."""
        step = self.trainer.epoch
        for event in [event for event in self.events if event.step == step]:
            self.trainer.make(event)
        asked = [Event(step, kind, value) for kind, value in self.steering.changes()]
        for event in asked:
            self.events = sorted([*self.events, event.checked(self.recipe.task.p)], key=lambda e: e.step)
            self.folder.write_events(events_text(self.events))
            self.trainer.make(event)

    def _advance(self) -> Batch:
        try:
            return self.trainer.advance()
        except TrainingError as error:
            self._flush()
            raise TrainingError(f"{error}; {self._last_good()}") from error

    def _last_good(self) -> str:
        epochs = self.folder.epochs
        return (
            f"the last checkpoint, of epoch {epochs[-1]}, is kept" if epochs else "there is no checkpoint yet"
        )

    def judge(self) -> str:
        """Evaluate and write what is due at this epoch; returns why to stop."""
        epoch, keep = self.trainer.epoch, self.recipe.keep
        last = epoch >= self.recipe.stop.steps
        self.measured: dict[str, Batch] = {}
        if epoch % keep.test == 0 or last or self._is_trial():
            self._evaluate()
        if checkpoint_is_due(keep, epoch):
            self._write_checkpoint()
        if epoch % keep.resume == 0:
            self._write_resume()
        reason = reason_to_stop(self.recipe, epoch, self.measured.get("test"), self.settling)
        if not reason and self._is_trial() and self.measured["test"].accuracy < 1.0:
            self.trainer.begin_anew()
            self.folder.begin_anew(epoch)
            self.settling.measures.clear()
            self._evaluate()
            self._write_checkpoint()
        return reason

    def _evaluate(self) -> None:
        self.measured = self.trainer.scores()
        self.test = self.measured["test"]
        self.settling.add(
            self.trainer.epoch,
            self.test,
            weight_norm=self.trainer.weight_norm(),
            decay_time=self.trainer.stepper.decay_time(self.trainer.age),
        )

    def _is_trial(self) -> bool:
        """Whether a network of this age is given up if test pairs are still wrong."""
        every, age = self.recipe.stop.begin_anew, self.trainer.age
        return bool(every and age and age % every == 0)

    def note(self, epoch: int, batch: Batch) -> None:
        """Take down the loss of a step, and what was measured before it."""
        test = self.measured.get("test")
        self.rows.append(
            {
                "epoch": epoch,
                "train_loss": batch.loss,
                "train_accuracy": batch.accuracy,
                "test_loss": test.loss if test else None,
                "test_accuracy": test.accuracy if test else None,
                "weight_norm": self.settling.measures[-1][3] if test else None,
            }
        )
        if time.monotonic() - self.flushed > _FLUSH_SECONDS:
            self._flush()

    def _show(
        self, epoch: int, train: Batch, test: Batch | None, pace: float = 0.0, finished: str = ""
    ) -> None:
        begun = tuple(self.folder.begun_anew)
        reason = self.trainer.engine_reason
        trainer = self.trainer
        rates = trainer.stepper.rates(trainer.age)
        self.watch(
            Status(
                epoch, train, test, pace, reason, self.recipe, finished, begun,
                rates, tuple(self.events), trainer.network,
            )
        )  # fmt: skip

    def _flush(self) -> None:
        self.folder.append_losses(self.rows)
        self.rows = []
        self.flushed = time.monotonic()

    def _write_checkpoint(self) -> None:
        trainer = self.trainer
        scores = trainer.scores()
        if not all(np.isfinite(batch.loss) for batch in scores.values()):
            raise TrainingError(
                f"the loss is no longer a number at step {trainer.epoch}; {self._last_good()}"
            )
        counts = {"train": len(trainer.train_pairs), "test": len(trainer.test_pairs)}
        record: dict[str, Any] = {"epoch": trainer.epoch, "recipe": self.recipe.to_dict()}
        if trainer.attempt:
            record["begun_anew"] = self.folder.begun_anew
        for key, name in (("losses", "loss"), ("accuracies", "accuracy")):
            values = {split: getattr(batch, name) for split, batch in scores.items()}
            values["all"] = sum(values[s] * counts[s] for s in counts) / sum(counts.values())
            record[key] = values
        self.folder.write_checkpoint(trainer.network(), trainer.task, record)

    def _write_resume(self) -> None:
        self._flush()
        state = {
            "epoch": self.trainer.epoch,
            "settling": self.settling.measures,
            "recipe": self.recipe.to_dict(),
        }
        self.folder.write_resume(self.trainer.state(), state)

    def end(self, reason: str) -> None:
        """Write what belongs to the end of a run, and why it is one."""
        trainer = self.trainer
        self._write_resume()
        scores = trainer.scores()
        if reason != INTERRUPTED:
            self._write_checkpoint()
            self.note(trainer.epoch, scores["train"])
            self._flush()
        self.folder.finish(reason)
        self._show(trainer.epoch, scores["train"], scores["test"], finished=reason)
