"""`modscope report`: the first look at a network, as a page or as JSON."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from modscope.errors import InputError

if TYPE_CHECKING:
    from modscope.checkpoints import Checkpoint

__all__ = ["report"]


def report(
    path: Annotated[Path, typer.Argument(help="A checkpoint file or folder.", show_default=False)],
    as_json: Annotated[
        bool, typer.Option("--json", help="Write one JSON object to standard output instead.")
    ] = False,
    mapping: Annotated[
        Path | None, typer.Option(help="A TOML file that names the tensors of an unknown layout.")
    ] = None,
    config: Annotated[
        Path | None, typer.Option(help="A config to read instead of the one beside it.")
    ] = None,
    p: Annotated[int | None, typer.Option("-p", help="The modulus, where the file does not say.")] = None,
    epoch: Annotated[int | None, typer.Option(help="Which epoch of a file that holds several.")] = None,
    rule: Annotated[str | None, typer.Option(help="The rule that finds the key frequencies.")] = None,
    frequencies: Annotated[
        str | None, typer.Option(help="The key frequencies themselves, such as 14,35,41.")
    ] = None,
) -> None:
    """Analyse a network: accuracy, key frequencies, clusters of neurons, logits, symmetry, energy."""
    from modscope.activations import record
    from modscope.analysis.keys import DEFAULT_RULE
    from modscope.analysis.summary import summarise

    given = _numbers(frequencies)
    checkpoint = _opened(path, mapping=mapping, config=config, p=p, epoch=epoch)
    summary = summarise(
        record(checkpoint.model, checkpoint.task), rule=rule or DEFAULT_RULE, frequencies=given
    )
    if as_json:
        values = {**summary.to_dict(), "checkpoint": _description(checkpoint)}
        json.dump(values, sys.stdout, indent=2, allow_nan=False)
        sys.stdout.write("\n")


def _numbers(text: str | None) -> list[int] | None:
    if text is None:
        return None
    try:
        return [int(word) for word in text.replace(",", " ").split()]
    except ValueError:
        raise InputError(
            f"frequencies {text!r}: expected whole numbers with commas, such as 14,35,41"
        ) from None


def _opened(
    path: Path, *, mapping: Path | None, config: Path | None, p: int | None, epoch: int | None
) -> Checkpoint:
    from modscope.checkpoints import open_checkpoint

    return open_checkpoint(path, p=p, config=config, mapping=mapping, epoch=epoch)


def _description(checkpoint: Checkpoint) -> dict[str, object]:
    return {
        "source": str(checkpoint.source),
        "layout": checkpoint.layout,
        "epoch": checkpoint.epoch,
        "network": checkpoint.model.to_dict(),
        "notes": list(checkpoint.notes),
    }
