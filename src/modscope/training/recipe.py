"""A training run as one frozen description: task, network, optimiser, seed, schedule."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

from modscope import memory
from modscope.display import Shown
from modscope.errors import InputError, UnknownName
from modscope.operations import Operation
from modscope.residues import modulus
from modscope.schema import built
from modscope.task import ModularTask, Split
from modscope.training.shapes import Config, LayersShape, MlpShape, NetworkShape, config_of, family_of

__all__ = [
    "Keep",
    "LayersShape",
    "MlpShape",
    "NetworkShape",
    "Optimiser",
    "Recipe",
    "Schedule",
    "Stop",
    "TaskShape",
    "flattened",
    "operation_settings",
]

Schedule = tuple[tuple[int, float], ...]
MOST_THREADS = 1024


@dataclass(frozen=True)
class TaskShape:
    """What is learnt, and from which pairs.

    operation: any that `Operation.of` takes, kept by its one name; a table of answers is in `table` beside it. In a TOML
    file operation may be the path of a table, from the file's folder. The split is drawn from all p*p pairs; those
    without an answer (a / 0) are left out afterwards.
    """

    p: int = 113
    operation: str = "add"
    split: Literal["python", "torch"] = "python"
    fraction: float = 0.3
    split_seed: int = 0
    label_seed: int = 0
    table: str = ""

    def __post_init__(self) -> None:
        if not self.table:
            object.__setattr__(self, "operation", Operation.of(self.operation).name)

    @property
    def what(self) -> Operation:
        """The operation itself."""
        return Operation(self.operation, self.table)


@dataclass(frozen=True)
class Optimiser:
    """How a step is taken; every acceleration is off unless named.

    warmup: the rate is learning_rate * min(step / warmup, 1), so step 0 moves nothing, as published.
    batch: pairs a step, or 0 for all of them. Schedules are ((step, value), ...), linear between the points
    and constant beyond them; learning_rate and weight_decay are then their first values.
    orthogonal_steps: for that many first steps the part of each tensor's gradient along the tensor is removed
    (Prieto et al. 2025, orthogonal gradient). loss "stablemax": the same paper's softmax that cannot collapse.
    grokfast: adds that multiple of the moving average of gradients, of decay grokfast_decay (Lee et al. 2024).
    update_clipping: a tensor whose gradient is suddenly large against its own running mean square is moved by that
    much less (Wortsman et al. 2023, StableAdamW): high rates without spikes of the loss.
    brake_below: while the learning rate is at most this (0: never), a tensor whose gradient turns round from one step
    to the next moves at half its rate, which then comes back (`modscope.training.brake`; the rule of signs of
    Riedmiller and Braun 1993).
    name "muon": matrices move by orthogonalised momentum (Jordan et al. 2024), the rest by AdamW.
    """

    name: Literal["adamw", "muon"] = "adamw"
    learning_rate: float = 1e-3
    weight_decay: float = 1.0
    betas: tuple[float, float] = (0.9, 0.98)
    epsilon: float = 1e-8
    warmup: int = 10
    batch: int = 0
    loss: Literal["cross_entropy", "stablemax"] = "cross_entropy"
    learning_rate_schedule: Schedule = ()
    weight_decay_schedule: Schedule = ()
    orthogonal_steps: int = 0
    grokfast: float = 0.0
    grokfast_decay: float = 0.98
    update_clipping: bool = False
    brake_below: float = 0.0


@dataclass(frozen=True)
class Stop:
    """When training ends: at the first of these. 0 or false leaves a rule out, except steps.

    settled: see `modscope.training.stopping`. begin_anew: a network can come to rest with test pairs wrong; if some are
    after that many steps (and after every so many more), training begins again from other initial weights, of
    seed + 1000, then + 2000, ..., and with it the schedules. 0: never.
    """

    steps: int = 40_000
    test_loss: float = 0.0
    settled: bool = True
    begin_anew: int = 0


@dataclass(frozen=True)
class Keep:
    """What is written, and when, in steps.

    Checkpoints: every n steps, at `log` steps a factor of ten, at named steps; always the first and the last.
    Losses: training loss every `losses`, test loss every `test` steps.
    """

    every: int = 0
    log: int = 8
    steps: tuple[int, ...] = ()
    losses: int = 10
    test: int = 50
    resume: int = 1000


@dataclass(frozen=True, repr=False)
class Recipe(Shown):
    """One training run, whole: the same recipe on the same engine gives the same bits.

    >>> recipe = Recipe().changed({"optimiser.learning_rate": 3e-3, "task.p": 59})
    >>> recipe.optimiser.learning_rate, recipe.modular_task.p
    (0.003, 59)
    >>> Recipe.from_dict(recipe.to_dict()) == recipe
    True
    """

    task: TaskShape = field(default_factory=TaskShape)
    network: NetworkShape = field(default_factory=NetworkShape)
    layers: LayersShape = field(default_factory=LayersShape)
    mlp: MlpShape = field(default_factory=MlpShape)
    optimiser: Optimiser = field(default_factory=Optimiser)
    stop: Stop = field(default_factory=Stop)
    keep: Keep = field(default_factory=Keep)
    seed: int = 0
    preset: str = ""
    engine: str = "auto"
    device: str = "cpu"
    threads: int = 0

    def __post_init__(self) -> None:
        _check(self)

    @property
    def modular_task(self) -> ModularTask:
        """The task with its split."""
        task = self.task
        split = Split(task.split, task.fraction, task.split_seed)
        return ModularTask(task.p, task.what, split, task.label_seed)

    @property
    def config(self) -> Config:
        """The network's config."""
        return config_of(self.task.p, self.network, self.layers, self.mlp)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return json.loads(json.dumps(asdict(self)))

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Recipe:
        """The recipe that `to_dict`, or a TOML file of the same tables, described; what is left out has defaults."""
        return built(cls, values)

    def to_toml(self) -> str:
        """The recipe as TOML; tables that its family of networks does not use are left out."""
        family = family_of(self.network, self.layers, self.mlp)
        unused = {"layers": family != "layered", "mlp": family != "mlp"}
        values = {name: value for name, value in self.to_dict().items() if not unused.get(name)}
        lines = [
            f"{name} = {json.dumps(value)}" for name, value in values.items() if not isinstance(value, dict)
        ]
        for table, inside in values.items():
            if isinstance(inside, dict):
                lines += [
                    "",
                    f"[{table}]",
                    *(f"{name} = {json.dumps(value)}" for name, value in inside.items()),
                ]
        return "\n".join(lines) + "\n"

    def changed(self, values: Mapping[str, Any]) -> Recipe:
        """The recipe with other values, named by their dotted paths."""
        plain = self.to_dict()
        for path, value in values.items():
            table, _, name = path.rpartition(".")
            inside = plain.get(table) if table else plain
            if not isinstance(inside, dict):
                raise UnknownName.of(
                    "table of a recipe", table, [k for k in plain if isinstance(plain[k], dict)]
                )
            if name not in inside:
                raise UnknownName.of("setting", path, _paths(plain))
            inside[name] = value
        for name in ("learning_rate", "weight_decay"):
            match values.get(f"optimiser.{name}_schedule"):
                case [[_, first], *_] if f"optimiser.{name}" not in values:
                    plain["optimiser"][name] = first
        return Recipe.from_dict(plain)

    def unlike(self, other: Recipe) -> list[str]:
        """The settings in which another recipe differs, as "stop.steps = 600, not 700" with this one's value first.

        >>> Recipe().unlike(Recipe(seed=3))
        ['seed = 0, not 3']
        """
        mine, others = flattened(self.to_dict()), flattened(other.to_dict())
        return [
            f"{path} = {mine[path]!r}, not {others[path]!r}" for path in mine if mine[path] != others[path]
        ]

    def with_seed(self, seed: int) -> Recipe:
        """The same recipe with another initialisation."""
        return replace(self, seed=seed)


def operation_settings(operation: Operation) -> dict[str, Any]:
    """An operation as the settings of a recipe by their dotted paths.

    >>> operation_settings(Operation.of("a/b"))
    {'task.operation': 'divide', 'task.table': ''}
    """
    return {"task.operation": operation.name, "task.table": operation.packed}


def _paths(plain: Mapping[str, Any]) -> list[str]:
    return [path for path, _ in flattened(plain).items()]


def flattened(values: Mapping[str, Any]) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            flat |= {f"{name}.{inner}": inside for inner, inside in value.items()}
        else:
            flat[name] = value
    return flat


def _check(recipe: Recipe) -> None:
    """All that can be known to be wrong before a step is taken."""
    _check_size(recipe)
    task = recipe.modular_task
    every = int(task.defined.sum())
    # Drawing the split takes milliseconds, and its size is known without.
    whole = every == task.p**2
    train = int(recipe.task.fraction * every) if whole else int(task.train_mask.sum())
    if train in (0, every):
        rest = "train" if train == 0 else "test"
        raise InputError(
            f"train fraction {recipe.task.fraction:g} of the {every} pairs leaves none to {rest} on"
        )
    optimiser, keep = recipe.optimiser, recipe.keep
    if optimiser.batch > train:
        raise InputError(
            f"optimiser.batch = {optimiser.batch}: there are {train} training pairs; 0 takes all"
        )
    for name, value in {
        "optimiser.learning_rate": optimiser.learning_rate,
        "optimiser.epsilon": optimiser.epsilon,
        "stop.steps": recipe.stop.steps,
        "keep.losses": keep.losses,
        "keep.test": keep.test,
        "keep.resume": keep.resume,
        "network.init_scale": recipe.network.init_scale,
    }.items():
        if not value > 0:
            raise InputError(f"{name} = {value!r}: expected a number above 0")
    for name, value in {
        "optimiser.weight_decay": optimiser.weight_decay,
        "optimiser.batch": optimiser.batch,
        "optimiser.warmup": optimiser.warmup,
        "optimiser.orthogonal_steps": optimiser.orthogonal_steps,
        "optimiser.grokfast": optimiser.grokfast,
        "optimiser.brake_below": optimiser.brake_below,
        "stop.test_loss": recipe.stop.test_loss,
        "stop.begin_anew": recipe.stop.begin_anew,
        "keep.every": keep.every,
        "keep.steps": min(keep.steps, default=0),
        "keep.log": keep.log,
        "threads": recipe.threads,
    }.items():
        if value < 0:
            raise InputError(f"{name} = {value!r}: expected 0 or a number above it")
    for name, share in {
        "optimiser.betas[0]": optimiser.betas[0],
        "optimiser.betas[1]": optimiser.betas[1],
        "optimiser.grokfast_decay": optimiser.grokfast_decay,
    }.items():
        if not 0 <= share < 1:
            raise InputError(f"{name} = {share!r}: expected a number from 0 to below 1")
    _check_schedule("optimiser.learning_rate", optimiser.learning_rate_schedule, optimiser.learning_rate)
    _check_schedule("optimiser.weight_decay", optimiser.weight_decay_schedule, optimiser.weight_decay)


def _check_size(recipe: Recipe) -> None:
    """What would ask for more memory or threads than there are, before anything is made."""
    for name, seed in {
        "seed": recipe.seed,
        "task.split_seed": recipe.task.split_seed,
        "task.label_seed": recipe.task.label_seed,
    }.items():
        if not 0 <= seed < 2**62:
            raise InputError(f"{name} = {seed}: expected a whole number from 0 to below 2**62")
    if recipe.threads > MOST_THREADS:
        raise InputError(f"threads = {recipe.threads}: expected at most {MOST_THREADS}, or 0 for all cores")
    p = modulus(recipe.task.p)
    # Python's list of all pairs, which the published split shuffles, and the tables of labels and masks.
    memory.require(64 * p * p, f"task.p = {p}: the table of all {p} * {p} pairs")
    numbers = sum(math.prod(shape) for shape in recipe.config.shapes().values())
    # Weights, gradients, two moments of the optimiser, and the copy that is written.
    memory.require(20 * numbers, f"a network of {numbers} weights and its optimiser")


def _check_schedule(name: str, schedule: Schedule, constant: float) -> None:
    if not schedule:
        return
    steps, values = zip(*schedule, strict=True)
    if list(steps) != sorted(set(steps)) or steps[0] < 0:
        raise InputError(f"{name}_schedule = {list(map(list, schedule))}: expected steps in ascending order")
    if min(values) < 0:
        raise InputError(f"{name}_schedule has {min(values):g} in it: expected no number below 0")
    if values[0] != constant:
        raise InputError(
            f"{name} = {constant:g} would change nothing: {name}_schedule says {values[0]:g} at first; "
            f"change that, or take it away (--set {name}_schedule=[])"
        )
