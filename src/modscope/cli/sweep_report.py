"""`modscope sweep-report`: what holds across the networks of a sweep, in what share, by any of its axes."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from modscope.cli.opening import use_one_thread

if TYPE_CHECKING:
    import pandas as pd

    from modscope.sweep.population import Population

__all__ = ["sweep_report"]


def sweep_report(
    where: Annotated[
        str | None,
        typer.Argument(help="The folder or address of a sweep; none for the study that ships with modscope."),
    ] = None,
    by: Annotated[str, typer.Option(help="Read it by this column: case, or an axis such as task.p.")] = "",
    out: Annotated[Path | None, typer.Option(help="Where to write the page.", show_default=False)] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Write JSON to standard output instead.")] = False,
    no_open: Annotated[bool, typer.Option("--no-open", help="Do not show the page in a browser.")] = False,
) -> None:
    """What holds across networks: shares with intervals, distributions, outliers; a page and a table."""
    use_one_thread()
    from modscope.sweep.page import axes_that_vary, population_page
    from modscope.sweep.population import Population
    from modscope.sweep.running import refuse_without_libraries

    refuse_without_libraries()
    table, title = _table(where)
    if not by and "case" in axes_that_vary(table):
        by = "case"
    population = Population(table, by or ())
    if as_json:
        json.dump(population.to_dict(), sys.stdout, indent=1, allow_nan=False)
        print()
        return
    from modscope.report import write_page

    page = population_page(table, title=title, by=by, where=where or "")
    path = write_page(page, out or Path(f"{title}.sweep.html")).resolve()
    _print(population)
    print(f"The page is in {path}")
    if not no_open:
        from modscope.cli.report import show_page

        show_page(path)


def _table(where: str | None) -> tuple[pd.DataFrame, str]:
    from modscope.sweep import Storage, Sweep

    if where is None:
        from modscope.sweep.study import study_table

        return study_table(), "study"
    return Sweep(Storage(where)).table().to_pandas(), Path(where.rstrip("/")).name or "sweep"


def _print(population: Population) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False)
    for group in population.groups:
        console.print(f"\n[bold]{group}[/bold]: {population.sizes[group]} networks")
        table = Table(box=None, pad_edge=False)
        for name, justify in (
            ("finding", "left"),
            ("holds", "right"),
            ("in part", "right"),
            ("not", "right"),
            ("share that holds, 95 %", "left"),
        ):
            table.add_column(name, justify=justify, no_wrap=True)  # type: ignore[arg-type]
        for one in population.verdicts():
            if one.group == group and one.holds.of:
                interval = f"{100 * one.holds.low:3.0f} to {100 * one.holds.high:3.0f} %"
                table.add_row(
                    one.measure, *(str(x.count) for x in (one.holds, one.in_part, one.fails)), interval
                )
        if table.row_count:
            console.print(table)
