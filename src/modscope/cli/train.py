"""`modscope train`: a network from nothing, exactly as published or faster, into a run folder."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from modscope.errors import InputError

if TYPE_CHECKING:
    from modscope.training.recipe import Recipe

__all__ = ["train"]

_FLAGS = {
    "p": "task.p",
    "operation": "task.operation",
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
    out: Annotated[Path | None, typer.Option(help="The run folder to make.")] = None,
    preset: Annotated[
        str | None, typer.Option(help="nanda, transformer_lens, pizza or quick; nanda if nothing is said.")
    ] = None,
    recipe: Annotated[Path | None, typer.Option(help="A recipe as TOML; flags come before it.")] = None,
    p: Annotated[int | None, typer.Option(help="The modulus.")] = None,
    operation: Annotated[
        str | None, typer.Option(help="add, subtract, multiply, x^2+xy+y^2 or random.")
    ] = None,
    fraction: Annotated[float | None, typer.Option(help="Share of the pairs that is trained on.")] = None,
    split_seed: Annotated[int | None, typer.Option(help="Seed of the split.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the initial weights.")] = None,
    seeds: Annotated[str | None, typer.Option(help="Several runs, e.g. 0:8, one thread each.")] = None,
    learning_rate: Annotated[float | None, typer.Option("--lr", help="Learning rate.")] = None,
    weight_decay: Annotated[float | None, typer.Option(help="Weight decay.")] = None,
    batch: Annotated[int | None, typer.Option(help="Pairs a step; 0 for all.")] = None,
    steps: Annotated[int | None, typer.Option(help="Last step.")] = None,
    test_loss: Annotated[float | None, typer.Option(help="Stop below this test loss.")] = None,
    settled: Annotated[
        bool | None, typer.Option("--settled/--no-settled", help="Stop when nothing changes any more.")
    ] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="Any setting of a recipe: optimiser.grokfast=2.")
    ] = None,
    engine: Annotated[str | None, typer.Option(help="auto, fast, exact or plain.")] = None,
    device: Annotated[str | None, typer.Option(help="cpu, cuda or mps.")] = None,
    threads: Annotated[int | None, typer.Option(help="Threads; 0 for as many as there are cores.")] = None,
    resume: Annotated[Path | None, typer.Option(help="Go on with the run in this folder.")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No live curve.")] = False,
) -> None:
    """Train a network and keep everything: losses, checkpoints, versions.

    modscope train --p 113 --seed 0 --out runs/seed0
    modscope train --resume runs/seed0
    """
    flags = {name: value for name, value in locals().items() if name in _FLAGS and value is not None}
    if resume is not None:
        other = [name for name in flags if name != "steps"]
        if other or out or seeds or set_ or recipe or preset:
            raise InputError(
                "--resume goes on with the recipe of its folder: only --steps can be given with it"
            )
        _resume(resume, steps or 0, quiet)
        return
    if out is None:
        raise InputError("no folder to write to: give --out DIR, or --resume DIR to go on with a run")
    wanted = _recipe(preset, recipe, flags, set_ or [], settled)
    if seeds is not None:
        _several(wanted, seeds, out, quiet)
    else:
        _one(wanted, out, quiet)


def _recipe(
    preset: str | None, file: Path | None, flags: dict[str, Any], sets: list[str], settled: bool | None
) -> Recipe:
    from modscope.training.presets import preset as preset_of
    from modscope.training.recipe import Recipe

    if preset and file:
        raise InputError("--preset and --recipe: give one of the two; a recipe may name a preset")
    start = Recipe.from_toml(file) if file else preset_of(preset or "nanda")
    changes: dict[str, Any] = {} if settled is None else {"stop.settled": settled}
    changes |= {_FLAGS[name]: value for name, value in flags.items()}
    return start.changed(changes | dict(_setting(text) for text in sets))


def _setting(text: str) -> tuple[str, Any]:
    import json

    name, equals, value = text.partition("=")
    if not equals:
        raise InputError(f"--set {text}: expected NAME=VALUE")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


def _one(recipe: Recipe, out: Path, quiet: bool) -> None:
    from modscope.cli.live import live_training
    from modscope.training.running import train as train_run

    with live_training(quiet=quiet) as watch:
        run = train_run(recipe, out, watch=watch)
    _say_where(out, run.finished)


def _resume(folder: Path, steps: int, quiet: bool) -> None:
    from modscope.cli.live import live_training
    from modscope.training.running import resume as resume_run

    with live_training(quiet=quiet) as watch:
        run = resume_run(folder, watch=watch, steps=steps)
    _say_where(folder, run.finished)


def _say_where(folder: Path, finished: str) -> None:
    if finished == "interrupted":
        print(f"stopped; go on with: modscope train --resume {folder}", file=sys.stderr)
        raise typer.Exit(130)
    print(folder)


def _several(recipe: Recipe, seeds: str, out: Path, quiet: bool) -> None:
    from modscope.training.seeds import parsed_seeds, train_seeds

    for line in train_seeds(recipe, parsed_seeds(seeds), out):
        if not quiet:
            print(line, file=sys.stderr)
    print(out)
