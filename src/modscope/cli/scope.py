"""`modscope live`: training and a page that shows the network as it learns, in one."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from modscope.cli.opening import command
from modscope.errors import InputError

if TYPE_CHECKING:
    from modscope.runs import Run
    from modscope.training.recipe import Recipe
    from modscope.viewer.live import LiveServer, Scope

__all__ = ["free_folder", "live", "shown_training"]


def live(
    out: Annotated[Path | None, typer.Option(help="The run folder to make; runs/live if it is free.")] = None,
    preset: Annotated[str, typer.Option(help="nanda, transformer_lens, pizza or quick.")] = "quick",
    recipe: Annotated[Path | None, typer.Option(help="A recipe as TOML, instead of a preset.")] = None,
    p: Annotated[int | None, typer.Option(help="The modulus.")] = None,
    operation: Annotated[str | None, typer.Option(help="What is learnt, such as add or subtract.")] = None,
    fraction: Annotated[float | None, typer.Option(help="Share of the pairs that is trained on.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the initial weights.")] = None,
    learning_rate: Annotated[float | None, typer.Option("--lr", help="Learning rate.")] = None,
    weight_decay: Annotated[float | None, typer.Option(help="Weight decay.")] = None,
    steps: Annotated[int | None, typer.Option(help="Last step.")] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", help="Any setting of recipe.toml, e.g. keep.every=100; may be repeated."),
    ] = None,
    events: Annotated[
        Path | None, typer.Option(help="An events.json of another run: its changes are made again.")
    ] = None,
    resume: Annotated[
        Path | None, typer.Option(help="Go on with the run in this folder, its changes made again.")
    ] = None,
    port: Annotated[int, typer.Option(help="The port on 127.0.0.1; 0 takes a free one.")] = 0,
    no_open: Annotated[bool, typer.Option("--no-open", help="Do not show the page in a browser.")] = False,
    stay: Annotated[
        bool, typer.Option("--stay/--no-stay", help="Keep the page when training has ended, until Ctrl-C.")
    ] = True,
) -> None:
    """Train a network and watch it learn in the browser, with knobs.

    modscope live --p 59
    modscope live --resume runs/live
    """
    from modscope.cli.train import changes_of, recipe_of
    from modscope.runs.events import read_events

    flags = {
        name: value
        for name, value in {
            "p": p,
            "fraction": fraction,
            "seed": seed,
            "learning_rate": learning_rate,
            "weight_decay": weight_decay,
            "steps": steps,
        }.items()
        if value is not None
    }
    if resume is not None:
        if out or recipe or set_ or events or operation or set(flags) - {"steps"}:
            raise InputError(
                "--resume goes on with the recipe of its folder: only --steps can be given with it"
            )
        run = _shown(resume, None, (), port, no_open=no_open, stay=stay, steps=steps or 0)
    else:
        wanted = recipe_of(None if recipe else preset, recipe, changes_of(flags, operation, None), set_ or [])
        known = read_events(events, wanted.task.p) if events else ()
        run = _shown(
            out or free_folder(Path("runs"), "live"), wanted, known, port, no_open=no_open, stay=stay
        )
    if run.finished == "interrupted":
        print(f"stopped; go on with: {command()} live --resume {run.path}", file=sys.stderr)
        raise typer.Exit(130)
    print(run.path)


def _shown(
    folder: Path, recipe: Recipe | None, events: Any, port: int, *, no_open: bool, stay: bool, steps: int = 0
) -> Run:
    with shown_training(folder, recipe, port=port, no_open=no_open) as (server, train):
        run = train(events, steps)
        if stay and run.finished != "interrupted":
            print(f"training has ended; the page stays until Ctrl-C: {server.address}", file=sys.stderr)
            with contextlib.suppress(KeyboardInterrupt):
                while True:
                    time.sleep(3600)
        return run


@contextlib.contextmanager
def shown_training(
    folder: Path, recipe: Recipe | None, *, port: int = 0, no_open: bool = False
) -> Iterator[tuple[LiveServer, Any]]:
    """A live page for a training into a folder, and a function (events, steps) that trains until it ends.

    recipe None: goes on with the run in the folder.
    """
    from modscope.cli.live import live_training
    from modscope.cli.view import page_shown
    from modscope.runs.events import Event
    from modscope.training.running import resume, train
    from modscope.training.steering import Steering
    from modscope.viewer.live import LiveServer

    scope = _scope(folder, recipe)
    with LiveServer(scope, port=port) as server, page_shown(server.address, wanted=not no_open):
        print(f"Open {server.address}", file=sys.stderr, flush=True)

        def trained(events: Any = (), steps: int = 0) -> Run:
            known: tuple[Event, ...] = tuple(events)
            steering = Steering(paused=scope.paused, changes=scope.changes, events=known)
            scope.known([vars(event) for event in known] or _events(folder))
            with live_training() as curve:

                def watch(status: Any) -> None:
                    curve(status)
                    scope.watch(status)

                if recipe is not None:
                    return train(recipe, folder, watch=watch, steering=steering)
                return resume(folder, watch=watch, steering=steering, steps=steps)

        yield server, trained


def _events(folder: Path) -> list[dict[str, Any]]:
    from modscope.runs import Run

    return [dict(event) for event in Run.open(folder).events] if Run.is_folder(folder) else []


def _scope(folder: Path, recipe: Recipe | None) -> Scope:
    from modscope.model import Transformer
    from modscope.runs import Run
    from modscope.runs.events import Event
    from modscope.viewer.live import Scope

    if recipe is None:
        run = Run.open(folder)
        task, network = run.task, run.model()
    else:
        task, network = recipe.modular_task, Transformer.initialised(recipe.config)

    def check(kind: str, value: float) -> None:
        Event(0, kind, value).checked(task.p)

    title = f"{folder.name}: {task.operation} mod {task.p}"
    return Scope(task, folder, title=title, network=network, check=check)


def free_folder(parent: Path, name: str) -> Path:
    """parent/name, or the first of parent/name-2, parent/name-3, ... that is not there."""
    number, folder = 1, parent / name
    while folder.exists():
        number += 1
        folder = parent / f"{name}-{number}"
    return folder
