"""`modscope measure`: tables of waves, attention, symmetry, neurons, maps and terms."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from modscope.cli.opening import OperationOption, names_without_path, opened_checkpoint, said_first
from modscope.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from modscope.activations import Activations
    from modscope.analysis.tables import Table

__all__ = ["measure"]

_LONG = ("waves",)


def measure(
    path: Annotated[
        Path | None,
        typer.Argument(
            help="A checkpoint file or folder; the network that ships if not given.", show_default=False
        ),
    ] = None,
    names: Annotated[
        list[str] | None,
        typer.Argument(help="Which measures; all but the long ones if none is named.", show_default=False),
    ] = None,
    show_names: Annotated[bool, typer.Option("--list", help="List the measures and make none.")] = False,
    frequencies: Annotated[
        str | None, typer.Option(help="The key frequencies, such as 14,35,41; found if not given.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Write JSON to standard output instead.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Write CSV (one measure) instead.")] = False,
    mapping: Annotated[
        Path | None, typer.Option(help="A TOML file that names the tensors of an unknown layout.")
    ] = None,
    config: Annotated[
        Path | None, typer.Option(help="A config to read instead of the one beside it.")
    ] = None,
    p: Annotated[int | None, typer.Option("-p", help="The modulus, where the file does not say.")] = None,
    epoch: Annotated[int | None, typer.Option(help="Which epoch of a file that holds several.")] = None,
    operation: OperationOption = None,
) -> None:
    """Measure the waves of a network: before attention, in attention, in neurons and through its maps."""
    from modscope.analysis.overview.measures import MEASURES

    if show_names:
        for each in MEASURES.values():
            print(f"{each.name}: {each.says}")
        return
    chosen = names or [name for name in MEASURES if name not in _LONG]
    if as_csv and (as_json or len(chosen) != 1):
        raise InputError("--csv is for one measure, without --json: name it after the path")

    from modscope.activations import record
    from modscope.analysis.answer.keys import evidence_of, key_frequencies

    given = _numbers(frequencies)
    path, names = names_without_path(path, names, MEASURES.__contains__)
    chosen = names or [name for name in MEASURES if name not in _LONG]
    checkpoint = opened_checkpoint(
        path, p=p, config=config, mapping=mapping, epoch=epoch, operation=operation
    )
    acts = record(checkpoint.model, checkpoint.task)
    keys = key_frequencies(evidence_of(acts)).frequencies if given is None else given
    tables = list(_tables(acts, chosen, keys, alone=bool(names)))
    if as_json:
        values = {
            **checkpoint.grounds.to_dict(),
            "key_frequencies": list(keys),
            "measures": {name: _values(table) for name, table in tables},
        }
        json.dump(values, sys.stdout, indent=2, allow_nan=False)
        sys.stdout.write("\n")
        return
    said_first(checkpoint, quiet=as_csv)
    for i, (_, table) in enumerate(tables):
        if as_csv and not isinstance(table, str):
            sys.stdout.write(table.to_csv())
        else:
            sys.stdout.write(f"{chr(10) if i else ''}{table}\n")


def _tables(
    acts: Activations, names: Sequence[str], keys: Sequence[int], *, alone: bool
) -> Iterator[tuple[str, Table | str]]:
    """Each measure with its table, or with the reason why it does not apply unless it was asked for."""
    from modscope.analysis.overview.measures import measure_table

    for name in names:
        try:
            yield name, measure_table(acts, name, keys)
        except InputError as error:
            if alone:
                raise
            yield name, f"{name}: not applicable: {error}"


def _numbers(text: str | None) -> list[int] | None:
    if text is None:
        return None
    try:
        return [int(word) for word in text.replace(",", " ").split()]
    except ValueError:
        raise InputError(
            f"frequencies {text!r}: expected whole numbers with commas, such as 14,35,41"
        ) from None


def _values(table: Table | str) -> dict[str, object]:
    if isinstance(table, str):
        return {"not_applicable": table.split(": ", 2)[-1]}
    return {"title": table.title, "rows": table.records()}
