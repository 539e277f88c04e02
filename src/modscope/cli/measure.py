"""`modscope measure`: tables of waves, attention, symmetry, neurons, maps and terms."""

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
    opened_record,
    said_first,
)
from modscope.errors import InputError, MissingHook
from modscope.pace import paced

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from modscope.activations import Activations
    from modscope.analysis.tables import Table

__all__ = ["measure"]

_LONG = ("waves", "periods")


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
    frequencies: FrequenciesOption = None,
    periods: Annotated[
        str | None, typer.Option(help="The periods of the measure `periods`, such as 2,5,10,100.")
    ] = None,
    detrend: Annotated[
        str, typer.Option(help="What that measure takes away first: none, mean, linear or quadratic.")
    ] = "linear",
    as_json: Annotated[bool, typer.Option("--json", help="Write JSON to standard output instead.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Write CSV (one measure) instead.")] = False,
    mapping: MappingOption = None,
    config: ConfigOption = None,
    p: ModulusOption = None,
    epoch: EpochOption = None,
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

    from modscope.analysis.plane.periods import periods_table

    given = frequency_list(frequencies)
    path, names = names_without_path(path, names, MEASURES.__contains__)
    chosen = names or [name for name in MEASURES if name not in _LONG]
    acts, notes, grounds = opened_record(
        path, p=p, config=config, mapping=mapping, epoch=epoch, operation=operation
    )
    for note in notes if acts.network is None else ():
        print(f"- {note}", file=sys.stderr)
    keys = _found(acts) if given is None else given
    if periods is not None or detrend != "linear":
        if chosen != ["periods"]:
            raise InputError(
                "--periods and --detrend are for the measure `periods`: name it, and no other, after the path"
            )
        numbers = None if periods is None else _periods(periods)
        tables: list[tuple[str, Table | str]] = [
            ("periods", periods_table(acts, periods=numbers, detrend=detrend))  # type: ignore[arg-type]
        ]
    else:
        tables = list(_tables(acts, chosen, keys, alone=bool(names)))
    if as_json:
        values = {
            **(grounds.to_dict() if grounds is not None else {}),
            "key_frequencies": list(keys),
            "measures": {name: _values(table) for name, table in tables},
        }
        json.dump(values, sys.stdout, indent=2, allow_nan=False)
        sys.stdout.write("\n")
        return
    if grounds is not None:
        said_first(grounds, quiet=as_csv)
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

    for name in paced(names, "measuring"):
        try:
            yield name, measure_table(acts, name, keys)
        except InputError as error:
            if alone:
                raise
            why = str(error).removeprefix("not applicable: ")
            yield name, f"{name}: not applicable: {why}"


def _found(acts: Activations) -> Sequence[int]:
    """The key frequencies; none for activations in which no rule finds what it looks at."""
    from modscope.analysis.answer.keys import evidence_of, key_frequencies

    try:
        return key_frequencies(evidence_of(acts)).frequencies
    except MissingHook:
        return ()


def _periods(text: str) -> list[float]:
    try:
        return [float(word) for word in text.replace(",", " ").split()]
    except ValueError:
        raise InputError(f"periods {text!r}: expected numbers with commas, such as 2,5,10,100") from None


def _values(table: Table | str) -> dict[str, object]:
    if isinstance(table, str):
        return {"not_applicable": table.split(": ", 2)[-1]}
    return {"title": table.title, "rows": table.records()}
