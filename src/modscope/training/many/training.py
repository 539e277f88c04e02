"""Many recipes into their run folders, as many at once as there is room for; who is done makes room for the next."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from modscope.errors import InputError, ModscopeError, TrainingError
from modscope.runs import Run, RunFolder
from modscope.training.engine import Batch
from modscope.training.interruption import interruption
from modscope.training.many.engine import obstacle
from modscope.training.many.slots import Slot, Slots
from modscope.training.recipe import Recipe
from modscope.training.running import (
    INTERRUPTED,
    Status,
    Training,
    checkpoint_is_due,
    environment,
    has_ended,
    state_to_go_on_from,
)
from modscope.training.seeds import FAILED, Ended, Progress, ended_run
from modscope.training.trainer import quiet_machine

__all__ = ["AT_ONCE", "pays", "shape_of", "train_many"]

AT_ONCE: Mapping[str, int] = {"cuda": 256, "cpu": 64}
LEAST = 8  # networks for which a stack is worth making
LIMIT = 1e6  # multiplications a step on the CPU
_TELL = 0.25
Job = tuple[Path, Recipe]


def shape_of(recipe: Recipe) -> tuple[object, ...]:
    """What recipes have to share to be trained in one stack: sizes, number of pairs, rhythm of evaluation, device."""
    task = recipe.modular_task
    counts = tuple(int(mask.sum()) for mask in task.masks().values())
    return (recipe.config, counts, recipe.keep.test, recipe.device)


def pays(recipe: Recipe, networks: int) -> bool:
    """Whether a stack of so many trains faster than one after the other does, by what `benchmarks/many.py` measured.

    On a GPU it does. On the CPU small networks cost mostly what every operation costs whatever its size, which a stack
    pays once for all; above about a million multiplications a step the compiled engine, which passes over what the
    ReLU left out, is ahead.

    >>> from modscope.training.presets import preset
    >>> pays(preset("quick"), 64), pays(preset("quick").changed({"task.p": 13, "network.d_mlp": 64}), 64)
    (False, True)
    """
    if networks < LEAST or obstacle(recipe.config, recipe.optimiser):
        return False
    if recipe.device != "cpu":
        return recipe.device.startswith("cuda")
    pairs = recipe.task.fraction * recipe.task.p**2
    return pairs * recipe.network.d_mlp * recipe.config.answers < LIMIT


def train_many(
    recipes: Mapping[Path, Recipe],
    *,
    at_once: int = 0,
    watch: Callable[[Progress], None] = lambda progress: None,
    stop: Callable[[], bool] = lambda: False,
) -> Iterator[Ended]:
    """Train each recipe into its folder, many at once; yields how each one ended, as it ends.

    at_once: how many in one stack, 256 on CUDA and 64 elsewhere if 0. A run that has not ended is gone on with; after
    Ctrl-C all are stopped at the next evaluation, and the same call goes on. Where the device has no room for
    so many, half of them are put back and it goes on with the others. A run whose loss is no longer a number fails, and the
    others go on. Raises InputError for a recipe that cannot be trained so.
    """
    for folder, recipe in recipes.items():
        if why := obstacle(recipe.config, recipe.optimiser):
            raise InputError(f"{folder}: the many engine cannot train this: {why}; use engine plain")
    groups: dict[tuple[object, ...], list[Job]] = {}
    for folder, recipe in recipes.items():
        groups.setdefault(shape_of(recipe), []).append((folder, recipe))
    with interruption() as interrupted:
        for jobs in groups.values():
            yield from _Queue(jobs, at_once, watch, lambda: interrupted() or stop()).run()


class _Queue:
    """Runs of one shape: those that wait, and those that have a place."""

    def __init__(
        self, jobs: Sequence[Job], at_once: int, watch: Callable[[Progress], None], stop: Callable[[], bool]
    ) -> None:
        self.waiting, self.watch, self.stop = deque(jobs), watch, stop
        device = jobs[0][1].device.partition(":")[0]
        self.size = min(at_once or AT_ONCE.get(device, AT_ONCE["cpu"]), len(jobs))
        self.steps = max(recipe.stop.steps for _, recipe in jobs)
        self.placed: dict[int, tuple[Path, Training]] = {}
        self.stopped = False

    def run(self) -> Iterator[Ended]:
        """All of them to their ends."""
        threads = max(self.waiting[0][1].threads, 1)
        with quiet_machine(threads):
            while self.waiting or self.placed:
                try:
                    yield from self._in_one_stack()
                except torch.OutOfMemoryError as error:
                    self._halve(error)

    def _in_one_stack(self) -> Iterator[Ended]:
        first = [recipe for _, recipe in self.waiting][: self.size]
        slots = Slots([*first, *[first[0]] * (self.size - len(first))], steps=self.steps)
        began, told = time.monotonic(), 0.0
        while True:
            yield from self._settled_up(slots)
            if not self.placed:
                return
            steps = min(steps_until_due(training) for _, training in self.placed.values())
            found = slots.advance(steps)
            yield from self._noted(found)
            if time.monotonic() - told > _TELL:
                told = time.monotonic()
                self._tell(told - began)

    def _settled_up(self, slots: Slots) -> Iterator[Ended]:
        """Judge every run; who has ended leaves, and the next takes the place until none is left."""
        self.stopped = self.stopped or self.stop()
        for i in range(self.size):
            while True:
                if i not in self.placed and not (yield from self._entered(slots, i)):
                    break
                folder, training = self.placed[i]
                try:
                    reason = training.judge() or (INTERRUPTED if self.stopped else "")
                    if not reason:
                        break
                    training.end(reason)
                    ended = ended_run(folder, training.recipe)
                except ModscopeError as error:
                    ended = _failed(folder, training.recipe, error)
                self._left(i)
                yield ended

    def _entered(self, slots: Slots, i: int) -> Generator[Ended, None, bool]:
        """Put the next run that has not ended into place i; whether there was one."""
        while self.waiting:
            folder, recipe = self.waiting.popleft()
            if self.stopped:
                yield Ended(folder, INTERRUPTED, f"seed {recipe.seed}: not begun", trained=False)
                continue
            try:
                training = self._opened(slots, i, folder, recipe)
            except ModscopeError as error:
                yield _failed(folder, recipe, error)
                continue
            if training is None:
                yield replace(ended_run(folder, recipe), trained=False)
                continue
            self.placed[i] = (folder, training)
            return True
        return False

    def _opened(self, slots: Slots, i: int, folder: Path, recipe: Recipe) -> Training | None:
        """The run in a folder, new or to be gone on with; None where it has ended."""
        recipe = replace(recipe, engine="many", threads=max(recipe.threads, 1))
        if not Run.is_folder(folder):
            slot = Slot(slots, i, recipe)
            place = RunFolder.create(folder, recipe=recipe.to_toml(), environment=environment(slot))
            return Training(slot, place, _watches_nothing, lambda: False)
        place = RunFolder.reopen(folder)
        try:
            if has_ended(place):
                place.close()
                return None
            kept = state_to_go_on_from(place, recipe)
            training = Training(Slot(slots, i, recipe), place, _watches_nothing, lambda: False)
            training.go_back(kept)
        except ModscopeError:
            place.close()
            raise
        return training

    def _left(self, i: int) -> None:
        _, training = self.placed.pop(i)
        training.folder.close()

    def _noted(self, found: np.ndarray) -> Iterator[Ended]:
        """Write down the losses of some steps; a run whose loss is no longer a number leaves."""
        for i, (folder, training) in list(self.placed.items()):
            slot = training.trainer
            for step, (loss, right) in enumerate(found[:, :, i].T):
                if not np.isfinite(loss):
                    error = TrainingError(f"the training loss is {loss} at step {slot.epoch}")
                    self._left(i)
                    yield _failed(folder, training.recipe, error)
                    break
                if slot.epoch % training.recipe.keep.losses == 0:
                    training.note(slot.epoch, Batch(float(loss), float(right)))
                if step == 0:
                    training.measured = {}  # was of the first of these steps
                slot.epoch += 1

    def _tell(self, seconds: float) -> None:
        for folder, training in self.placed.values():
            epoch, recipe = training.trainer.epoch, training.recipe
            test = training.test.loss if training.test else None
            pace = epoch / max(seconds, 1e-9)
            self.watch(Progress(folder, recipe.seed, epoch, recipe.stop.steps, test, pace))

    def _halve(self, error: BaseException) -> None:
        """Put back what was placed: the runs go on from their last states, half as many at once."""
        if self.size == 1:
            raise TrainingError(f"the device has no room for one network: {error}") from error
        for i, (folder, training) in sorted(self.placed.items(), reverse=True):
            recipe = training.recipe
            self._left(i)
            self.waiting.appendleft((folder, recipe))
        self.size = (self.size + 1) // 2
        if torch.cuda.is_available():
            torch.cuda.empty_cache()


def steps_until_due(training: Training) -> int:
    """How many steps until something is to be judged or written."""
    epoch, recipe, age = training.trainer.epoch, training.recipe, training.trainer.age
    rhythms = [keep - epoch % keep for keep in (recipe.keep.test, recipe.keep.resume)]
    if recipe.stop.begin_anew:
        rhythms.append(recipe.stop.begin_anew - age % recipe.stop.begin_anew)
    most = max(1, min([*rhythms, recipe.stop.steps - epoch]))
    return next((k for k in range(1, most) if checkpoint_is_due(recipe.keep, epoch + k)), most)


def _watches_nothing(status: Status) -> None:
    """Runs of a stack are told of together."""


def _failed(folder: Path, recipe: Recipe, error: ModscopeError) -> Ended:
    return Ended(folder, FAILED, f"seed {recipe.seed}: {error}")
