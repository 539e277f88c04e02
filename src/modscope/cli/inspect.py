"""`modscope inspect`: what a file of weights is, and whether it is what it says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from modscope.cli.opening import (
    ConfigOption,
    EpochOption,
    MappingOption,
    ModulusOption,
    OperationOption,
    opened_checkpoint,
)

if TYPE_CHECKING:
    from modscope.checkpoints import Checkpoint

__all__ = ["inspect"]


def inspect(
    path: Annotated[Path, typer.Argument(help="A checkpoint file or folder.", show_default=False)],
    as_json: Annotated[bool, typer.Option("--json", help="Write one JSON object instead.")] = False,
    mapping: MappingOption = None,
    config: ConfigOption = None,
    p: ModulusOption = None,
    epoch: EpochOption = None,
    operation: OperationOption = None,
    draft: Annotated[
        Path | None,
        typer.Option(
            help="Write the draft of a mapping for the file there, to be finished, and nothing else."
        ),
    ] = None,
) -> None:
    """Show what a file of weights holds: layout, sizes, task, measured and stated losses, what was assumed."""
    if draft is not None:
        _write_draft(path, draft, config=config, p=p, epoch=epoch)
        return
    checkpoint = opened_checkpoint(
        path, p=p, config=config, mapping=mapping, epoch=epoch, operation=operation
    )
    if as_json:
        typer.echo(json.dumps(checkpoint.to_dict(), indent=2, allow_nan=False))
    else:
        typer.echo("\n".join(_lines(checkpoint)))


def _write_draft(path: Path, draft: Path, *, config: Path | None, p: int | None, epoch: int | None) -> None:
    from modscope.checkpoints.drafting import drafted_mapping
    from modscope.errors import InputError

    if draft.exists():
        raise InputError(f"{draft}: there already; give the draft another name")
    text, kind = drafted_mapping(path, p=p, config=config, epoch=epoch)
    try:
        draft.write_text(text, encoding="utf-8")
    except OSError as error:
        raise InputError(f"{draft}: cannot be written: {error.strerror}") from error
    asked = sum(line.startswith("# ") and " = ?" in line for line in text.splitlines())
    typer.echo(f"{path}: {kind}")
    rest = f"; {asked} lines ask, uncomment those that you know" if asked else ""
    typer.echo(f"wrote {draft}{rest}. Then: modscope inspect {path} --mapping {draft}")


def _lines(checkpoint: Checkpoint) -> list[str]:
    values = checkpoint.to_dict()
    network, task = values["network"], values["task"]
    sizes = ", ".join(
        f"{name} {_words(value)}" for name, value in network.items() if name not in ("family", "p")
    )
    epochs = values["epochs"]
    several = f" of {len(epochs)}, {min(epochs)} to {max(epochs)}" if len(epochs) > 1 else ""
    names = dict.fromkeys([*checkpoint.measured, *checkpoint.stated])
    return [
        f"file      {checkpoint.source}",
        *([f"not judged: {checkpoint.grounds.why_not}"] if checkpoint.grounds.problems else []),
        f"layout    {checkpoint.layout}",
        f"network   {network['family']}: {sizes}",
        f"task      {task['operation']} mod {task['p']}, split {task['split']['kind']}",
        f"answers   {checkpoint.grounds.recognition}",
        f"epoch     {'not stated' if checkpoint.epoch is None else checkpoint.epoch}{several}",
        "",
        f"{'':18}{'measured':>12}{'stated':>12}",
        *(
            f"{name.replace('_', ' '):18}{_number(checkpoint.measured.get(name)):>12}"
            f"{_number(checkpoint.stated.get(name)):>12}"
            for name in names
        ),
        *(["", *(f"- {note}" for note in checkpoint.notes)] if checkpoint.notes else []),
    ]


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.5g}"


def _words(value: object) -> str:
    return " ".join(map(str, value)) or "none" if isinstance(value, list | tuple) else str(value)
