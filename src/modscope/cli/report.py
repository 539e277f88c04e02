"""`modscope report`: the first look at a network, as a page or as JSON."""

from __future__ import annotations

import json
import os
import shlex
import sys
import webbrowser
from collections.abc import Mapping
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
    use_one_thread,
)

if TYPE_CHECKING:
    from modscope.analysis.overview.summary import Summary
    from modscope.checkpoints import Checkpoint
    from modscope.progress.story import TrainingStory

__all__ = ["report", "show_page"]


def report(
    path: Annotated[
        Path | None,
        typer.Argument(help="A checkpoint file or folder; none for the network that ships with modscope."),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Write one JSON object to standard output instead.")
    ] = False,
    out: Annotated[Path | None, typer.Option(help="Where to write the page.", show_default=False)] = None,
    no_open: Annotated[bool, typer.Option("--no-open", help="Do not show the page in a browser.")] = False,
    no_findings: Annotated[
        bool, typer.Option("--no-findings", help="Leave out the findings, which take half of the time.")
    ] = False,
    no_training: Annotated[
        bool,
        typer.Option(
            "--no-training", help="Leave out what is told of training, where it is the end of a run."
        ),
    ] = False,
    mapping: MappingOption = None,
    config: ConfigOption = None,
    p: ModulusOption = None,
    epoch: EpochOption = None,
    operation: OperationOption = None,
    rule: Annotated[str | None, typer.Option(help="The rule that finds the key frequencies.")] = None,
    frequencies: FrequenciesOption = None,
) -> None:
    """Analyse a network: accuracy, key frequencies, clusters of neurons, logits, symmetry, energy."""
    use_one_thread()
    from modscope.activations import record
    from modscope.analysis.answer.keys import DEFAULT_RULE
    from modscope.analysis.overview.summary import summarise
    from modscope.findings import findings
    from modscope.report import Look, checkpoint_facts, report_page, write_page
    from modscope.report.words import verdict

    given = frequency_list(frequencies)
    checkpoint = opened_checkpoint(
        path, mapping=mapping, config=config, p=p, epoch=epoch, operation=operation
    )
    acts = record(checkpoint.model, checkpoint.task)
    summary = summarise(
        acts,
        rule=rule or DEFAULT_RULE,
        frequencies=given,
        stated=checkpoint.stated,
        grounds=checkpoint.grounds,
    )
    if as_json:
        _print_json({**summary.to_dict(), "checkpoint": _description(checkpoint)}, out)
        return
    found = (
        None
        if no_findings
        else findings(acts, key_frequencies=summary.keys.frequencies or None, grounds=summary.grounds)
    )
    story = None
    if not no_training and not any((mapping, config, p, epoch, operation)):
        story = _story(path, checkpoint, summary)
    look = Look(
        summary,
        acts,
        title=_name(checkpoint),
        facts=checkpoint_facts(checkpoint),
        notes=checkpoint.notes,
        command=_command(
            path,
            {
                "--rule": rule,
                "--frequencies": frequencies,
                "--mapping": mapping,
                "--config": config,
                "-p": p,
                "--epoch": epoch,
                "--operation": operation,
            },
        ),
        findings=found,
        training=story,
    )
    page = write_page(report_page(look), out or Path(f"{_name(checkpoint)}.report.html")).resolve()
    typer.echo(verdict(summary))
    for text in summary.cautions:
        typer.echo(f"  with care: {text}")
    typer.echo(f"The report is in {page}")
    if not no_open:
        show_page(page)


def _story(path: Path | None, checkpoint: Checkpoint, summary: Summary) -> TrainingStory | None:
    """What is told of training where the network is the end of a run with three checkpoints or more."""
    from modscope.cli.progress import measuring
    from modscope.progress.story import training_story
    from modscope.runs import Run
    from modscope.shipped import shipped_run

    if path is not None and len(checkpoint.epochs) < 3 and not Run.is_folder(path):
        return None
    run = shipped_run() if path is None else Run.open(path)
    if len(run.epochs) < 3 or checkpoint.epoch not in (None, run.epochs[-1]):
        return None
    explained = summary.clusters
    neuron = int(explained.fve.argmax()) if explained.explained.any() else None
    with measuring("measuring training") as watch:
        return training_story(run, frequencies=summary.keys.frequencies or None, neuron=neuron, watch=watch)


def _command(path: Path | None, options: Mapping[str, object]) -> str:
    """The command that makes this page again."""
    from modscope.report import shown_path

    words = ["modscope", "report", *([shown_path(path)] if path else [])]
    for name, value in options.items():
        shown = shown_path(value) if isinstance(value, Path) else str(value)
        words += [name, shown] if value is not None else []
    return shlex.join(words)


def _print_json(values: dict[str, object], out: Path | None) -> None:
    from modscope.report import write_page

    text = json.dumps(values, indent=2, allow_nan=False) + "\n"
    if out is None:
        sys.stdout.write(text)
    else:
        write_page(text, out)


def _name(checkpoint: Checkpoint) -> str:
    """What the network is called: its file's name, or its folder's where the file's says nothing."""
    source = checkpoint.source
    folder = source.resolve().parent
    if folder.name == "checkpoints":  # a run folder: RUN/checkpoints/00010000_settled.safetensors
        return f"{folder.parent.name}-{source.stem}"
    dull = source.stem.split("_")[0] in ("model", "checkpoint", "weights", "final", "end", "full")
    return f"{folder.name}-{source.stem}" if dull else source.stem


def show_page(page: Path) -> None:
    """Opens a page in the browser, where somebody can see it."""
    seen = (
        sys.platform in ("darwin", "win32") or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    )
    if seen:
        webbrowser.open(page.as_uri())


def _description(checkpoint: Checkpoint) -> dict[str, object]:
    return {
        "source": str(checkpoint.source),
        "layout": checkpoint.layout,
        "epoch": checkpoint.epoch,
        "network": checkpoint.model.to_dict(),
        "notes": list(checkpoint.notes),
    }
