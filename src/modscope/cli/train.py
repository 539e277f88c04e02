"""`modscope train`: a network from nothing, exactly as published or faster, into a run folder."""

from __future__ import annotations

import shlex
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from modscope.cli.opening import command
from modscope.errors import InputError

if TYPE_CHECKING:
    from modscope.training.recipe import Recipe
    from modscope.training.running import Status

__all__ = ["setting", "train"]

_FLAGS = {
    "p": "task.p",
    "fraction": "task.fraction",
    "split_seed": "task.split_seed",
    "learning_rate": "optimiser.learning_rate",
    "weight_decay": "optimiser.weight_decay",
    "batch": "optimiser.batch",
    "steps": "stop.steps",
    "test_loss": "stop.test_loss",
    "seed": "seed",
    "engine": "engine",
    "device": "device",
    "threads": "threads",
}


def train(
    out: Annotated[
        Path | None, typer.Option(help="The run folder to make; needed, unless with --resume.")
    ] = None,
    preset: Annotated[
        str | None, typer.Option(help="nanda, transformer_lens, pizza or quick; nanda if nothing is said.")
    ] = None,
    recipe: Annotated[
        Path | None, typer.Option(help="A recipe as TOML, instead of a preset; other options change it.")
    ] = None,
    p: Annotated[int | None, typer.Option(help="The modulus; the presets have 113, pizza 59.")] = None,
    operation: Annotated[
        str | None,
        typer.Option(
            help='add, subtract, multiply, divide, max, min, random; an expression such as "2*a+3*b" or "x^3+x*y"; a '
            "group such as D14; or a table of answers as .npy or .csv."
        ),
    ] = None,
    fraction: Annotated[
        float | None, typer.Option(help="Share of the pairs that is trained on: 0.3, pizza 0.8.")
    ] = None,
    split_seed: Annotated[int | None, typer.Option(help="Seed of the split.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the initial weights.")] = None,
    seeds: Annotated[
        str | None,
        typer.Option(help="Several runs, 0:8 or 3,5,8, into OUT/seed0, ...: one thread each, all cores."),
    ] = None,
    learning_rate: Annotated[float | None, typer.Option("--lr", help="Learning rate.")] = None,
    weight_decay: Annotated[float | None, typer.Option(help="Weight decay.")] = None,
    batch: Annotated[int | None, typer.Option(help="Pairs a step; 0 for all.")] = None,
    steps: Annotated[int | None, typer.Option(help="Last step.")] = None,
    test_loss: Annotated[float | None, typer.Option(help="Stop below this test loss.")] = None,
    settled: Annotated[
        bool | None, typer.Option("--settled/--no-settled", help="Stop when nothing changes any more.")
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", help="Any setting of recipe.toml, e.g. optimiser.grokfast=2; may be repeated."),
    ] = None,
    engine: Annotated[str | None, typer.Option(help="auto, fast, exact, plain or many.")] = None,
    device: Annotated[str | None, typer.Option(help="cpu, cuda or mps.")] = None,
    threads: Annotated[int | None, typer.Option(help="Threads; 0 for as many as there are cores.")] = None,
    events: Annotated[
        Path | None, typer.Option(help="An events.json of another run: its changes by hand are made again.")
    ] = None,
    resume: Annotated[
        Path | None, typer.Option(help="Go on with the run in this folder; with it only --steps.")
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No live curve.")] = False,
) -> None:
    """Train a network and keep everything: losses, checkpoints, versions.

    modscope train --p 113 --seed 0 --out runs/seed0
    modscope train --resume runs/seed0
    """
    flags = {name: value for name, value in locals().items() if name in _FLAGS and value is not None}
    if resume is not None:
        other = [name for name in flags if name != "steps"]
        if other or operation or out or seeds or set_ or recipe or preset or events or settled is not None:
            raise InputError(
                "--resume goes on with the recipe of its folder: only --steps can be given with it"
            )
        _resume(resume, steps, quiet)
        return
    if out is None:
        raise InputError("no folder to write to: give --out DIR, or --resume DIR to go on with a run")
    if seeds is not None and (seed is not None or threads not in (None, 1)):
        raise InputError(
            "--seeds trains each of its seeds on one thread: --seed and --threads do not go with it"
        )
    wanted = recipe_of(preset, recipe, changes_of(flags, operation, settled), set_ or [])
    if seeds is not None:
        if events is not None:
            raise InputError("--events goes with one run: --seeds trains several")
        _several(wanted, seeds, out, quiet)
    else:
        _one(wanted, out, quiet, events)


def changes_of(flags: dict[str, Any], operation: str | None, settled: bool | None) -> dict[str, Any]:
    """What the options change of a recipe, by dotted path; a group or a table brings its p with it."""
    from modscope.operations import operation_from
    from modscope.training.recipe import operation_settings

    changes: dict[str, Any] = {} if settled is None else {"stop.settled": settled}
    if operation is not None:
        what = operation_from(operation)
        changes |= operation_settings(what)
        if what.only_p is not None:
            changes["task.p"] = what.only_p
    return changes | {_FLAGS[name]: value for name, value in flags.items()}


def recipe_of(preset: str | None, file: Path | None, changes: dict[str, Any], sets: list[str]) -> Recipe:
    """The recipe that the options of a training name."""
    from modscope.training.presets import preset as preset_of
    from modscope.training.presets import recipe_from_toml

    if preset and file:
        raise InputError("--preset and --recipe: give one of the two; a recipe may name a preset")
    start = recipe_from_toml(file) if file else preset_of(preset or "nanda")
    return start.changed(changes | dict(setting(text) for text in sets))


def setting(text: str) -> tuple[str, Any]:
    """The name and value that `--set NAME=VALUE` gives."""
    import json

    name, equals, value = text.partition("=")
    if not equals:
        raise InputError(f"--set {text}: expected NAME=VALUE")
    if name == "preset":
        raise InputError(f"--set {text}: a preset is a whole recipe: give it with --preset")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


def _one(recipe: Recipe, out: Path, quiet: bool, events: Path | None) -> None:
    from modscope.cli.live import live_training
    from modscope.runs.events import read_events
    from modscope.training.running import train as train_run
    from modscope.training.steering import Steering

    known = read_events(events, recipe.task.p) if events is not None else ()
    with live_training(quiet=quiet) as watch:
        run = train_run(recipe, out, watch=watch, steering=Steering(events=known))
    _say_where(out, run.finished)


def _resume(folder: Path, steps: int | None, quiet: bool) -> None:
    from modscope.cli.live import live_training
    from modscope.training.running import resume as resume_run

    if steps is not None and steps <= 0:
        raise InputError(f"--steps {steps}: expected a number above 0")
    began = False
    with live_training(quiet=quiet) as show:

        def watch(status: Status) -> None:
            nonlocal began
            began = True
            show(status)

        run = resume_run(folder, watch=watch, steps=steps or 0)
    if not began:
        print(
            f"it has ended already, at step {run.epochs[-1]} ({run.finished}): left as it is", file=sys.stderr
        )
    _say_where(folder, run.finished)


def _say_where(folder: Path, finished: str) -> None:
    if finished == "interrupted":
        print(f"stopped; go on with: {command()} train --resume {shlex.quote(str(folder))}", file=sys.stderr)
        raise typer.Exit(130)
    print(folder)


def _several(recipe: Recipe, text: str, out: Path, quiet: bool) -> None:
    from modscope.cli.several import several_trainings
    from modscope.training.running import INTERRUPTED
    from modscope.training.seeds import FAILED, pace, parsed_seeds, train_seeds

    seeds, start = parsed_seeds(text), time.monotonic()
    all_ended = []
    with several_trainings(len(seeds), quiet=quiet) as (stands, ends):
        for ended in train_seeds(recipe, seeds, out, watch=stands):
            all_ended.append(ended)
            ends(ended)
    if any(ended.finished == INTERRUPTED for ended in all_ended):
        print("stopped; the same command goes on", file=sys.stderr)
        raise typer.Exit(130)
    if not quiet:
        print(pace(all_ended, time.monotonic() - start), file=sys.stderr)
    print(out)
    if any(ended.finished == FAILED for ended in all_ended):
        raise typer.Exit(1)
