"""One network in training: weights, engine and optimiser, a step at a time, without any file."""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

from modscope.errors import InputError, TrainingError, UnknownName, cause, shown
from modscope.model import Network
from modscope.runs.events import Event
from modscope.training.engine import Batch
from modscope.training.engines import engine_for
from modscope.training.optimisers import Stepper
from modscope.training.recipe import Recipe
from modscope.training.shapes import initial_weights, network_from
from modscope.training.steering import without_frequency
from modscope.training.tables import Pairs

__all__ = ["Trainer", "available_threads", "device_named", "first_weights", "quiet_machine"]

DEVICES = ("cpu", "cuda", "mps")


def available_threads() -> int:
    """How many threads this process may run at once."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else (os.cpu_count() or 1)


@contextlib.contextmanager
def quiet_machine(threads: int) -> Iterator[None]:
    """PyTorch on that many threads with denormal numbers as zero, and as it was before afterwards.

    Moments of weights without gradient decay into denormals, on which a core is a hundred times slower.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(False)
        torch.set_num_threads(before)


class Trainer:
    """A network and its optimiser, after `epoch` steps of a recipe, the last `age` of them from new weights.

    >>> from modscope.training.presets import preset
    >>> small = {"task.p": 7, "network.d_model": 8, "network.n_heads": 2, "network.d_mlp": 16}
    >>> trainer = Trainer(preset("quick").changed(small))
    >>> before = trainer.advance().loss
    >>> for _ in range(30): after = trainer.advance().loss
    >>> trainer.epoch, after < before
    (31, True)
    """

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe
        self.task = recipe.modular_task
        self.threads = recipe.threads or available_threads()
        self.device = device_named(recipe.device)
        masks = self.task.masks()
        self.train_pairs = Pairs.of(self.task, masks["train"]).tiled().to(self.device)
        self.test_pairs = Pairs.of(self.task, masks["test"]).tiled().to(self.device)
        self.epoch = self.begun = self.attempt = 0
        self.fixed: dict[str, float] = {}  # rates set by hand, which a new beginning keeps
        self._begin()

    def _begin(self) -> None:
        recipe = self.recipe
        self.engine, self.engine_reason = engine_for(
            recipe.config,
            choice=recipe.engine,
            loss=recipe.optimiser.loss,
            device=recipe.device,
            threads=self.threads,
        )
        first = first_weights(recipe, recipe.seed + 1000 * self.attempt)
        self.weights = {name: w.to(self.device).requires_grad_() for name, w in first.items()}
        self.stepper = Stepper(self.weights, recipe.optimiser, fixed=self.fixed)

    def begin_anew(self) -> None:
        """Go on from the initial weights of the next attempt (seed + 1000 an attempt) and a new optimiser."""
        self.attempt += 1
        self.begun = self.epoch
        self._begin()

    @property
    def age(self) -> int:
        """Steps since the weights were new: what schedules and warm-up count."""
        return self.epoch - self.begun

    @property
    def torch_threads(self) -> int:
        """Threads for PyTorch: the compiled engines bring their own, and the two would get in each other's way."""
        return self.threads if self.engine.name == "plain" else 1

    def advance(self) -> Batch:
        """Take one step; returns the loss and accuracy on its pairs before it.

        Raises TrainingError where the loss is no longer a number; the weights are then left as they were.
        """
        batch = self.engine.gradients(self.weights, self._pairs_of_step())
        if not math.isfinite(batch.loss):
            raise TrainingError(f"the training loss is {batch.loss} at step {self.epoch}")
        self.stepper.step(self.age)
        self.epoch += 1
        return batch

    def _pairs_of_step(self) -> Pairs:
        size = self.recipe.optimiser.batch
        if not size:
            return self.train_pairs
        # Every round takes each pair once; its order is drawn from its own number, so nothing needs to be kept.
        steps = len(self.train_pairs) // size
        turn, place = divmod(self.epoch, steps)
        generator = torch.Generator().manual_seed(self.recipe.seed * 1_000_003 + turn)
        order = torch.randperm(len(self.train_pairs), generator=generator)[place * size : (place + 1) * size]
        chosen = order.sort().values.to(self.device)
        pairs = self.train_pairs
        return Pairs(pairs.a[chosen], pairs.b[chosen], pairs.labels[chosen])

    def make(self, event: Event) -> None:
        """Make a change by hand: a rate from now on, or a frequency taken out of the embedding once."""
        event.checked(self.task.p)
        if event.kind == "remove_frequency":
            without_frequency(self.weights["embed.W_E"].data, self.task.p, int(event.value))
        else:
            self.fixed[event.kind] = float(event.value)

    def scores(self) -> dict[str, Batch]:
        """Loss and accuracy on all training pairs and all test pairs."""
        return {
            "train": self.engine.scores(self.weights, self.train_pairs),
            "test": self.engine.scores(self.weights, self.test_pairs),
        }

    def weight_norm(self) -> float:
        """The root of the sum of all squared weights."""
        return math.sqrt(sum(float(w.detach().square().sum()) for w in self.weights.values()))

    def network(self) -> Network:
        """A copy of the network as it is now."""
        return network_from(
            self.recipe.config, {n: w.detach().cpu().clone() for n, w in self.weights.items()}
        )

    def state(self) -> dict[str, Tensor]:
        """Every tensor that is needed to go on bit-identically, with `epoch`."""
        kept = {f"weights.{name}": weight.detach() for name, weight in self.weights.items()}
        kept |= {f"optimiser.{name}": value for name, value in self.stepper.state().items()}
        return kept | {f"engine.{name}": value for name, value in self.engine.state().items()}

    def restore(self, state: Mapping[str, Tensor], epoch: int) -> None:
        """Take back what `state` gave at that epoch."""
        parts: dict[str, dict[str, Tensor]] = {"weights": {}, "optimiser": {}, "engine": {}}
        for name, value in state.items():
            part, _, rest = name.partition(".")
            parts[part][rest] = value
        if {n: w.shape for n, w in parts["weights"].items()} != {n: w.shape for n, w in self.weights.items()}:
            raise TrainingError("the state to go on from is of another network")
        with torch.no_grad():
            for name, weight in self.weights.items():
                weight.copy_(parts["weights"][name])
        self.stepper.restore(parts["optimiser"])
        self.engine.restore(parts["engine"])
        self.epoch = epoch


def device_named(name: str) -> torch.device:
    """The device of that name, if it can be used here."""
    if name.partition(":")[0] not in DEVICES:
        raise UnknownName.of("device", name, DEVICES)
    try:
        return torch.empty(0, device=name).device
    except (RuntimeError, AssertionError) as error:
        raise InputError(f"device {shown(name)} cannot be used here: {cause(error)}") from error


def first_weights(recipe: Recipe, seed: int) -> dict[str, Tensor]:
    """The initial weights of a recipe with that seed, by full name."""
    return initial_weights(recipe.config, recipe.network, seed)
