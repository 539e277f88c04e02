"""`modscope progress`: every measure over the epochs of a run, its phases, and what has settled."""

from __future__ import annotations

import contextlib
import json
import math
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from modscope.cli.opening import FrequenciesOption, frequency_list, use_one_thread
from modscope.errors import InputError
from modscope.pace import told

if TYPE_CHECKING:
    import xarray as xr

    from modscope.progress import Movement
    from modscope.runs import Run

__all__ = ["measuring", "opened_run", "progress"]

Watch = Callable[[int, int, int], None]

# heading -> column of the table that is printed
_SHOWN = {
    "train loss": "loss.train",
    "test loss": "loss.test",
    "restricted": "restricted_loss.directions.all",
    "excluded": "excluded_loss.directions.train",
    "gini W_E": "gini.embedding",
    "|w|^2": "squared_weights",
    "swap": "swap_symmetric.logits",
    "a+b": "sum_share.mlp_post",
}


def progress(
    path: Annotated[
        Path | None,
        typer.Argument(help="A run folder, or a file with several epochs; the shipped run if not given."),
    ] = None,
    measures: Annotated[
        str | None,
        typer.Option(help="Which, with commas: names of --list, fast or all; all if not given."),
    ] = None,
    show_names: Annotated[bool, typer.Option("--list", help="List the measures and make none.")] = False,
    frequencies: FrequenciesOption = None,
    epochs: Annotated[str | None, typer.Option(help="Only these epochs, with commas.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Write JSON to standard output instead.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Write CSV instead, a line an epoch.")] = False,
    no_cache: Annotated[
        bool, typer.Option("--no-cache", help="Measure everything anew and keep nothing in the run folder.")
    ] = False,
) -> None:
    """Measure a run over its epochs: progress measures, phases of training, what has settled."""
    if as_json and as_csv:
        raise InputError("--json and --csv: give one of the two")
    use_one_thread()
    from modscope.progress import MEASURES, columns, movements, phases, to_csv, to_json
    from modscope.progress import progress as progress_of

    if show_names:
        for each in MEASURES.values():
            print(f"{each.name}: {each.says}{' (slow)' if each.slow else ''}")
        return
    run = opened_run(path)
    wanted = None if measures is None else measures.replace(",", " ").split()
    with measuring("measuring") as watch:
        found = progress_of(
            run,
            measures=wanted,
            frequencies=frequency_list(frequencies),
            epochs=frequency_list(epochs),
            keep=not no_cache,
            watch=watch,
        )
    for note in found.attrs["notes"]:
        print(note, file=sys.stderr)
    if as_csv:
        sys.stdout.write(to_csv(found))
        return
    dated, moves = phases(run), movements(found)
    if as_json:
        settled = {name: vars(move) for name, move in moves.items()}
        text = json.dumps(to_json(found, **dated.to_dict(), movements=settled), indent=1, allow_nan=False)
        sys.stdout.write(text + "\n")
        return
    print(_heading(run, found))
    print(_table(found, columns(found)))
    for line in _gaps(found.attrs["gaps"]):
        print(line)
    for name, why in found.attrs["not_applicable"].items():
        print(f"  {name}: not applicable: {why}")
    print(f"phases: {dated}" if dated.phases else f"phases: {dated.why}")
    print("\n".join(_settled(moves)))


def _settled(moves: Mapping[str, Movement], most: int = 12) -> list[str]:
    """How many numbers have settled, and those that still move, the ones of the table first."""
    by: dict[str, list[str]] = {}
    for name, move in moves.items():
        by.setdefault(move.verdict, []).append(name)
    lines = [f"settled: {len(by.get('settled', []))} of {len(moves)} numbers"]
    headings = {name: heading for heading, name in _SHOWN.items()}
    moving = sorted(by.get("still moves", []), key=lambda name: (name not in headings, -moves[name].share))
    lines += [f"  {headings.get(name, name)} {moves[name]}" for name in moving[:most]]
    if len(moving) > most:
        lines.append(f"  and {len(moving) - most} more still move: --json says which")
    unknown = by.get("cannot be told", [])
    if unknown:
        why = moves[unknown[0]].why
        lines.append(f"  {len(unknown)} cannot be told, such as {unknown[0]}: {why}")
    return lines


def _gaps(gaps: Mapping[int, str], most: int = 6) -> list[str]:
    """Why epochs could not be measured, the first few of them."""
    lines = [f"  gap at epoch {epoch}: {why}" for epoch, why in list(gaps.items())[:most]]
    if len(gaps) > most:
        lines.append(f"  and {len(gaps) - most} gaps more, the last at epoch {max(gaps)}: --json says why")
    return lines


def opened_run(path: Path | None) -> Run:
    """The run at a path, or the one that ships with modscope."""
    from modscope.runs import Run
    from modscope.shipped import shipped_run

    return shipped_run() if path is None else Run.open(path)


@contextlib.contextmanager
def measuring(what: str) -> Iterator[Watch]:
    """A function that says how far a measuring is (`modscope.pace`); Ctrl-C ends it with a sentence and code 130."""
    try:
        with told(what) as reached:
            yield lambda done, of, epoch: reached(done, of, f"{what}, epoch {epoch}")
    except KeyboardInterrupt:
        print("stopped; the same command goes on from what was measured", file=sys.stderr)
        raise typer.Exit(130) from None


def _heading(run: Run, found: xr.Dataset) -> str:
    keys, epoch = found.attrs["key_frequencies"], found.attrs["key_epoch"]
    of = "given" if epoch < 0 else f"of epoch {epoch}, rule {found.attrs['key_rule']}"
    named = ", ".join(map(str, keys)) or "none"
    return (
        f"{run.path.name}: {run.task.operation} mod {run.task.p}, {len(run.epochs)} epochs from "
        f"{run.epochs[0]} to {run.epochs[-1]}\nkey frequencies {named} ({of})"
    )


def _table(found: xr.Dataset, every: dict) -> str:
    shown = {heading: name for heading, name in _SHOWN.items() if name in every}
    if not shown:
        shown = {name[-12:]: name for name in list(every)[:6]}
    lines = ["".join([f"{'epoch':>7}", *(f"{heading:>{_width(heading)}}" for heading in shown)])]
    epochs = found.epoch.values.tolist()
    known = [i for i, epoch in enumerate(epochs) if epoch not in found.attrs["gaps"]]
    for i in (known[place] for place in _some(len(known))):
        cells = [f"{_cell(every[name][i]):>{_width(heading)}}" for heading, name in shown.items()]
        lines.append("".join([f"{epochs[i]:>7}", *cells]))
    if len(known) > len(_some(len(known))):
        lines.append(f"{len(known)} epochs in all: --csv and --json have every one of them")
    return "\n".join(lines)


def _width(heading: str) -> int:
    return max(len(heading), 7) + 2


def _cell(value: float) -> str:
    if math.isnan(value):
        return "-"
    return f"{value:.1e}" if value and abs(value) < 1e-3 else f"{value:.4g}"


def _some(count: int, most: int = 24) -> list[int]:
    """About evenly spaced places of a list, the first and the last among them.

    >>> _some(5, most=3)
    [0, 2, 4]
    """
    if count <= most:
        return list(range(count))
    return sorted({round(i * (count - 1) / (most - 1)) for i in range(most)})
