"""`modscope convert`: a network from any layout into modscope's own file or TransformerLens'."""

from __future__ import annotations

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
)
from modscope.errors import InputError

__all__ = ["convert"]


def convert(
    path: Annotated[Path, typer.Argument(help="A checkpoint file or folder.", show_default=False)],
    out: Annotated[
        Path,
        typer.Argument(
            help="NAME.safetensors for modscope's own file, NAME.pt for a TransformerLens state dict.",
            show_default=False,
        ),
    ],
    mapping: MappingOption = None,
    config: ConfigOption = None,
    p: ModulusOption = None,
    epoch: EpochOption = None,
    operation: OperationOption = None,
    force: Annotated[bool, typer.Option("--force", help="Replace OUT if it is there.")] = False,
) -> None:
    """Write a network of any known or mapped layout as a file that modscope or TransformerLens loads."""
    if out.suffix not in (".safetensors", ".pt", ".pth"):
        raise InputError(
            f"{out}: expected a name that ends in .safetensors (modscope) or .pt (TransformerLens)"
        )
    written = [out] if out.suffix == ".safetensors" else [out, out.with_suffix(".json")]
    there = [str(file) for file in written if file.exists()]
    if there and not force:
        raise InputError(f"{' and '.join(there)}: there already; give another name, or --force to replace it")
    from modscope.checkpoints import save_safetensors
    from modscope.checkpoints.convert import save_transformer_lens

    checkpoint = opened_checkpoint(
        path, p=p, config=config, mapping=mapping, epoch=epoch, operation=operation
    )
    if out.suffix == ".safetensors":
        save_safetensors(out, checkpoint.model, checkpoint.task, checkpoint.record())
    else:
        save_transformer_lens(out, checkpoint.model)
    for note in checkpoint.notes:
        typer.echo(f"- {note}", err=True)
    typer.echo(f"wrote {' and '.join(str(file) for file in written)}", err=True)
