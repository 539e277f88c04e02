"""A stack of networks in training: each slot has one with a trainer's face, and all take their steps together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NoReturn

import numpy as np
import torch
from torch import Tensor

from modscope.model import Transformer
from modscope.runs.events import Event
from modscope.training.engine import Batch
from modscope.training.many.engine import ManyEngine
from modscope.training.many.pairs import Cells, ManyPairs, most_in_a_row
from modscope.training.many.stepping import ManyStepper, SlotStepper
from modscope.training.recipe import Recipe
from modscope.training.tables import Pairs
from modscope.training.trainer import Trainer, device_named, first_weights

__all__ = ["Slot", "Slots"]

_EVALUATED = 64 * 12769  # pairs of all networks evaluated at a time
_LOGGED = 64  # steps whose losses are kept on the device


class Slots:
    """Room for as many networks of one shape as there are recipes given; `slot` puts another into a place.

    On CUDA a step is recorded once and played again, and rows are made by products; elsewhere by look-up.
    """

    def __init__(self, recipes: list[Recipe], *, steps: int) -> None:
        self.device = device_named(recipes[0].device)
        self.engine = ManyEngine(recipes[0].config)
        self.size, self.p = len(recipes), recipes[0].task.p
        shapes = recipes[0].config.shapes()
        self.stack = {
            name: torch.zeros(self.size, *shape, device=self.device) for name, shape in shapes.items()
        }
        self.stepper = ManyStepper(self.stack, steps)
        several = [_pairs_of(recipe) for recipe in recipes]
        self._by_cells, self._places = self.device.type == "cuda", 0
        if self._by_cells:
            self._places = max(most_in_a_row(train, self.p) for train, _ in several)
        self.train = self._many([train for train, _ in several])
        self.test = ManyPairs.of([test for _, test in several], self.device)
        self.log = torch.zeros(2, _LOGGED, self.size, device=self.device)
        self.row = torch.zeros(1, dtype=torch.int64, device=self.device)
        self.clock = 0
        self._graph: torch.cuda.CUDAGraph | None = None
        self._scores: tuple[int, dict[str, tuple[np.ndarray, np.ndarray]]] = (-1, {})

    def _many(self, several: list[Pairs]) -> ManyPairs:
        return ManyPairs.of(
            several, self.device, cells_for=self.p if self._by_cells else 0, places=self._places
        )

    def put_pairs(self, i: int, train: Pairs, test: Pairs) -> None:
        """Give network i other pairs, as many as before."""
        if self._by_cells and (needed := most_in_a_row(train, self.p)) > self._places:
            self._widen(needed)
        self.train.put(i, self._many([train]))
        self.test.put(i, ManyPairs.of([test], self.device))
        self.changed()

    def _widen(self, places: int) -> None:
        """Room for more pairs of one number; what was recorded is of the old room."""
        self._places, self._graph = places, None
        cells = Cells.of(self.train.a, self.train.b, self.p, places)
        self.train = ManyPairs(self.train.a, self.train.b, self.train.labels, cells)

    def changed(self) -> None:
        """Weights or pairs are others: what was evaluated no longer holds."""
        self.clock += 1

    @torch.no_grad()
    def advance(self, steps: int) -> np.ndarray:
        """Every network takes that many steps; returns [loss or accuracy, step, network] on its pairs, before each."""
        found = []
        while steps > 0:
            count = min(steps, _LOGGED)
            self.row.zero_()
            for _ in range(count):
                self._play()
            found.append(self.log[:, :count].cpu().numpy().copy())
            steps -= count
        self.changed()
        return np.concatenate(found, axis=1)

    def _step(self) -> None:
        grads, loss, right = self.engine.gradients_of(self.stack, self.train)
        self.log.index_copy_(1, self.row, torch.stack((loss, right))[:, None])
        self.row.add_(1)
        self.stepper.step(grads)

    def _play(self) -> None:
        if self.device.type != "cuda":
            self._step()
            return
        if self._graph is None:
            self._graph = self._recorded()
        self._graph.replay()

    def _recorded(self) -> torch.cuda.CUDAGraph:
        """One step as a graph. It has to be run a few times before it is recorded, which is then undone."""
        changing = [*self.stack.values(), *self.stepper.tensors(), self.log, self.row]
        before = [value.clone() for value in changing]
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(3):
                self._step()
        torch.cuda.current_stream().wait_stream(stream)
        for value, was in zip(changing, before, strict=True):
            value.copy_(was)
        del before
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            self._step()
        return graph

    @torch.no_grad()
    def scores(self, i: int) -> dict[str, Batch]:
        """Loss and accuracy of network i on its training and test pairs; all are evaluated when the first is asked for."""
        if self._scores[0] != self.clock:
            parts = {"train": self.train, "test": self.test}
            self._scores = self.clock, {name: self._evaluated(pairs) for name, pairs in parts.items()}
        return {
            name: Batch(float(losses[i]), float(rights[i]))
            for name, (losses, rights) in self._scores[1].items()
        }

    def _evaluated(self, pairs: ManyPairs) -> tuple[np.ndarray, np.ndarray]:
        at_once = max(1, _EVALUATED // max(pairs.labels.shape[1], 1))
        found = []
        for i in range(0, self.size, at_once):
            part = {name: weight[i : i + at_once] for name, weight in self.stack.items()}
            found.append(torch.stack(self.engine.losses(part, pairs.part(i, i + at_once))))
        losses, rights = torch.cat(found, 1).cpu().numpy()
        return losses, rights


class Slot(Trainer):
    """The network in one place of a stack: a trainer that takes its steps together with the others."""

    def __init__(self, slots: Slots, i: int, recipe: Recipe) -> None:
        self.slots, self.i, self.recipe = slots, i, recipe
        self.task = recipe.modular_task
        self.threads, self.device = recipe.threads or 1, slots.device
        self.train_pairs, self.test_pairs = _pairs_of(recipe)
        slots.put_pairs(i, self.train_pairs, self.test_pairs)
        self.epoch = self.begun = self.attempt = 0
        self.fixed = {}
        self._begin()

    def _begin(self) -> None:
        self.engine = self.slots.engine
        where = f"{self.slots.size} network{'s' * (self.slots.size > 1)} at once on {self.device.type}"
        self.engine_reason = f"many engine, {where}"
        with torch.no_grad():
            for name, weight in first_weights(self.recipe, self.recipe.seed + 1000 * self.attempt).items():
                self.slots.stack[name][self.i].copy_(weight)
        self.stepper: SlotStepper = SlotStepper(self.slots.stepper, self.i, self.recipe)  # type: ignore[assignment]
        self.slots.changed()

    @property
    def weights(self) -> dict[str, Tensor]:  # type: ignore[override]
        """The weights of this network, as they are in the stack."""
        return {name: weight[self.i] for name, weight in self.slots.stack.items()}

    def advance(self) -> NoReturn:
        """A network in a stack takes no step alone."""
        raise NotImplementedError("the networks of a stack take their steps together: Slots.advance")

    def make(self, event: Event) -> NoReturn:
        """Nothing is changed by hand in a stack."""
        raise NotImplementedError("a network in a stack is not steered by hand")

    def scores(self) -> dict[str, Batch]:
        return self.slots.scores(self.i)

    def network(self) -> Transformer:
        return Transformer(self.recipe.config, {n: w.detach().cpu().clone() for n, w in self.weights.items()})

    def restore(self, state: Mapping[str, Tensor], epoch: int) -> None:
        super().restore(state, epoch)
        self.slots.changed()


def _pairs_of(recipe: Recipe) -> tuple[Pairs, Pairs]:
    task = recipe.modular_task
    masks = task.masks()
    return Pairs.of(task, masks["train"]), Pairs.of(task, masks["test"])
