"""`modscope cite`: what to cite for work with a network."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from modscope.cli.opening import MappingOption, use_one_thread

__all__ = ["cite"]


def cite(
    path: Annotated[
        Path | None,
        typer.Argument(help="A checkpoint or run whose own paper is named too, where its layout tells."),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Write the works as JSON instead of BibTeX.")
    ] = False,
    mapping: MappingOption = None,
) -> None:
    """BibTeX of modscope (version and commit), of the network's paper, and of the papers behind the measures."""
    use_one_thread()
    from modscope.checkpoints import open_checkpoint
    from modscope.citing import bibtex, works_of

    works = works_of(open_checkpoint(path, mapping=mapping) if path else None)
    if as_json:
        typer.echo(json.dumps([asdict(work) for work in works], indent=2))
    else:
        typer.echo(bibtex(works))
