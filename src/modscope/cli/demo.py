"""`modscope demo`: a network learns addition before your eyes, then its report."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

__all__ = ["demo"]


def demo(
    shipped: Annotated[
        bool, typer.Option("--shipped", help="Report on the network that ships with modscope; train nothing.")
    ] = False,
    p: Annotated[int, typer.Option(help="The modulus.")] = 113,
    seed: Annotated[int, typer.Option(help="Seed of the initial weights.")] = 0,
    out: Annotated[Path | None, typer.Option(help="The run folder to make; runs/demo if it is free.")] = None,
    no_open: Annotated[bool, typer.Option("--no-open", help="Do not show the page in a browser.")] = False,
) -> None:
    """Train a network from nothing until it has understood addition, and show what it has become."""
    from modscope.cli.opening import command
    from modscope.cli.report import report

    if shipped:
        report(path=None, as_json=False, out=Path("modscope-demo.html"), no_open=no_open)
        return
    from modscope.cli.live import live_training
    from modscope.cli.scope import free_folder, shown_training
    from modscope.cli.view import has_display
    from modscope.training.presets import preset
    from modscope.training.running import INTERRUPTED, train

    recipe = preset("quick").changed({"task.p": p, "seed": seed})
    folder = out or free_folder(Path("runs"), "demo")
    if has_display() and not no_open:
        with shown_training(folder, recipe) as (_, trained):
            run = trained()
    else:
        with live_training() as watch:
            run = train(recipe, folder, watch=watch)
    if run.finished == INTERRUPTED:
        print(
            f"stopped; go on with: {command()} train --resume {shlex.quote(str(folder))}\n"
            f"and then look at it: {command()} report {folder}",
            file=sys.stderr,
        )
        raise typer.Exit(130)
    typer.echo(f"The run is in {folder}, {len(run.epochs)} checkpoints from step 0 to {run.epochs[-1]}.")
    report(path=folder, as_json=False, out=folder / "report.html", no_open=no_open)
