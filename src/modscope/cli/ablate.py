"""`modscope ablate`: parts of a network replaced, beside random changes of the same size."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from modscope.cli.opening import (
    ConfigOption,
    EpochOption,
    FrequenciesOption,
    MappingOption,
    ModulusOption,
    OperationOption,
    frequency_list,
    names_without_path,
    opened_checkpoint,
    said_first,
)
from modscope.errors import InputError

if TYPE_CHECKING:
    from modscope.analysis.causes.ablation import AblationResult

__all__ = ["ablate"]


def ablate(
    path: Annotated[
        Path | None,
        typer.Argument(
            help="A checkpoint file or folder; the network that ships if not given.", show_default=False
        ),
    ] = None,
    names: Annotated[
        list[str] | None, typer.Argument(help="Which ablations; all if none is named.", show_default=False)
    ] = None,
    show_names: Annotated[bool, typer.Option("--list", help="List the ablations and run none.")] = False,
    controls: Annotated[int, typer.Option(help="Random controls for each.")] = 20,
    matched: Annotated[str, typer.Option(help="Controls of the same 'size' or 'energy'.")] = "size",
    split: Annotated[str, typer.Option(help="The pairs of the table: train, test or all.")] = "test",
    seed: Annotated[int, typer.Option(help="The seed of everything random.")] = 0,
    frequencies: FrequenciesOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Write JSON to standard output instead.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Write CSV to standard output instead.")] = False,
    mapping: MappingOption = None,
    config: ConfigOption = None,
    p: ModulusOption = None,
    epoch: EpochOption = None,
    operation: OperationOption = None,
) -> None:
    """Replace parts of a network, run the rest again, and compare with random changes of the same size."""
    from modscope.activations import record
    from modscope.analysis.answer.keys import evidence_of, key_frequencies
    from modscope.analysis.causes.ablation import ablate_all, ablation_table, ablations

    if as_json and as_csv:
        raise InputError("--json and --csv together: expected one of them")
    given = frequency_list(frequencies)
    path, names = names_without_path(path, names, _is_ablation)
    checkpoint = opened_checkpoint(
        path, p=p, config=config, mapping=mapping, epoch=epoch, operation=operation
    )
    acts = record(checkpoint.model, checkpoint.task)
    keys = key_frequencies(evidence_of(acts)).frequencies if given is None else given
    if show_names:
        for ablation in ablations(acts, keys, seed=seed).values():
            print(f"{ablation.name}: {ablation.says}")
        return
    results = ablate_all(
        acts,
        keys,
        names=names or None,
        controls=controls,
        matched=matched,  # type: ignore[arg-type]
        seed=seed,
    )
    if as_json:
        values = {
            **checkpoint.grounds.to_dict(),
            "key_frequencies": list(keys),
            "ablations": [_values(result) for result in results],
        }
        json.dump(values, sys.stdout, indent=2, allow_nan=False)
        sys.stdout.write("\n")
        return
    said_first(checkpoint, quiet=as_csv)
    table = ablation_table(results, split=split)
    sys.stdout.write(table.to_csv() if as_csv else f"{table}\n")


def _is_ablation(text: str) -> bool:
    """Whether a text looks like the name of an ablation: a family, a hyphen and what is done to it."""
    families = (
        "pattern attention head nonlinearity half skip mlp cluster clusters neurons embeddings turn logits"
    )
    return "-" in text and text.partition("-")[0] in families.split()


def _values(result: AblationResult) -> dict[str, object]:
    outcomes = {"intact": result.intact, "ablated": result.ablated}
    return {
        "name": result.name,
        "says": result.says,
        "control": result.control,
        "changed": result.ablated.changed,
        "share_of_controls_as_bad": result.share_of_controls_as_bad if result.controls else None,
        **{
            name: {"loss": outcome.loss.to_dict(), "accuracy": outcome.accuracy.to_dict()}
            for name, outcome in outcomes.items()
        },
        "controls": [
            {"loss": outcome.loss.to_dict(), "accuracy": outcome.accuracy.to_dict()}
            for outcome in result.controls
        ],
    }
