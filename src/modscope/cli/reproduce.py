"""`modscope reproduce`: the numbers of a paper beside those of a network."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from modscope.cli.opening import (
    ConfigOption,
    EpochOption,
    MappingOption,
    ModulusOption,
    OperationOption,
    opened_checkpoint,
    use_one_thread,
)

__all__ = ["reproduce"]


def reproduce(
    paper: Annotated[str, typer.Argument(help="nanda2023, zhong2023 or chughtai2023.")],
    path: Annotated[
        Path | None,
        typer.Argument(help="A checkpoint file or folder; none for the network that ships with modscope."),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Write one JSON object instead of a table.")
    ] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Write the rows as CSV instead of a table.")] = False,
    mapping: MappingOption = None,
    config: ConfigOption = None,
    p: ModulusOption = None,
    epoch: EpochOption = None,
    operation: OperationOption = None,
) -> None:
    """Set a paper's numbers beside the same measured on a network, and name the differences."""
    use_one_thread()
    from modscope.activations import record
    from modscope.reproduce import PAPERS
    from modscope.reproduce import reproduce as reproduction_of

    if paper not in PAPERS:
        from modscope.errors import UnknownName

        raise UnknownName.of("paper", paper, PAPERS)
    checkpoint = opened_checkpoint(
        path, mapping=mapping, config=config, p=p, epoch=epoch, operation=operation
    )
    found = reproduction_of(record(checkpoint.model, checkpoint.task), paper)
    if as_json:
        typer.echo(
            json.dumps({"source": checkpoint.source.name, **found.to_dict()}, indent=2, allow_nan=False)
        )
    elif as_csv:
        typer.echo(found.table.to_csv(), nl=False)
    else:
        typer.echo(str(found))
