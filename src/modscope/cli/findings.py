"""`modscope findings`: which claims hold of a network, with numbers and controls."""

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
    opened_checkpoint,
    opened_record,
    said_first,
    use_one_thread,
)
from modscope.errors import InputError

if TYPE_CHECKING:
    from rich.console import Console

    from modscope.activations import Activations
    from modscope.checkpoints import Checkpoint
    from modscope.findings import Finding, Findings
    from modscope.task import ModularTask

__all__ = ["findings"]

_COLOURS = {"holds": "green", "holds in part": "yellow", "does not hold": "red", "not applicable": "dim"}


def findings(
    path: Annotated[
        Path | None,
        typer.Argument(
            help="A checkpoint, or activations (.npz, .npy, .safetensors); none for the network that ships."
        ),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Write a list of findings as JSON to standard output instead.")
    ] = False,
    as_markdown: Annotated[
        bool, typer.Option("--markdown", help="Write Markdown to standard output instead.")
    ] = False,
    only: Annotated[
        list[str] | None,
        typer.Option(help="The id of a claim; may be given several times.", show_default=False),
    ] = None,
    explain: Annotated[
        bool, typer.Option("--explain", help="Say of each claim how it is measured and judged.")
    ] = False,
    seed: Annotated[int, typer.Option(help="The seed of controls and intervals.")] = 0,
    frequencies: FrequenciesOption = None,
    mapping: MappingOption = None,
    config: ConfigOption = None,
    p: ModulusOption = None,
    epoch: EpochOption = None,
    operation: OperationOption = None,
) -> None:
    """Judge each claim about how the network works: effect, control, verdict."""
    use_one_thread()
    if as_json and as_markdown:
        raise InputError("--json and --markdown together: expected one of them")
    given = frequency_list(frequencies)
    from modscope.activations.files import holds_arrays
    from modscope.findings import findings as measured
    from modscope.findings.markdown import findings_markdown

    if path is not None and holds_arrays(path):
        acts, notes, _ = opened_record(
            path, mapping=mapping, config=config, p=p, epoch=epoch, operation=operation
        )
        for note in notes:
            print(f"- {note}", file=sys.stderr)
        judged: Activations | Checkpoint = acts
        source, grounds = path, None
    else:
        judged = opened = opened_checkpoint(
            path, mapping=mapping, config=config, p=p, epoch=epoch, operation=operation
        )
        source, grounds = Path(opened.source), opened.grounds
    found = measured(judged, only=only or None, key_frequencies=given, seed=seed)
    if as_json:
        json.dump(found.to_list(), sys.stdout, indent=2, allow_nan=False)
        sys.stdout.write("\n")
    elif as_markdown:
        sys.stdout.write(findings_markdown({source.stem: found}))
    else:
        if grounds is not None:
            said_first(grounds)
        _print(found, judged.task, source, explain=explain)


def _print(found: Findings, task: ModularTask, source: Path, *, explain: bool) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False)
    console.print(f"[bold]{task.operation} mod {task.p}[/bold]  {source}", soft_wrap=True)
    table = Table(box=None, pad_edge=False)
    for name, justify in (
        ("finding", "left"),
        ("effect", "right"),
        ("control", "right"),
        ("verdict", "left"),
    ):
        table.add_column(name, justify=justify, no_wrap=True)  # type: ignore[arg-type]
    for finding in found:
        verdict = f"[{_COLOURS[finding.verdict]}]{finding.verdict}[/]"
        table.add_row(finding.title, str(finding.effect), str(finding.control), verdict)
    console.print(table)
    for finding in found:
        if finding.summary:
            console.print(f"\n[bold]{finding.title}[/bold] {finding.summary}.")
    if explain:
        for finding in found:
            _explain(finding, console)


def _explain(finding: Finding, console: Console) -> None:
    console.print(f"\n[bold]{finding.title}[/bold] [dim]{finding.id}[/dim]")
    console.print(finding.statement)
    interval = finding.effect.interval
    around = f", 95 % {interval.low:.4g} to {interval.high:.4g} over {interval.over}" if interval else ""
    lines = [
        f"effect   {finding.effect}{around}: {finding.effect.definition}",
        f"control  {finding.control}: {finding.control.definition}",
        f"rule     {finding.rule}",
        f"verdict  {finding.verdict}: {finding.reason}",
    ]
    if finding.warning:
        lines.append(f"but      {finding.warning}")
    for line in lines:
        console.print(line, markup=False, style="dim" if line.startswith("rule") else None)
    for name, value in finding.numbers.items():
        console.print(f"         {name}: {value:.4g}", markup=False)
