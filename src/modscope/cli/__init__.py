"""The command line: one module a command, nothing heavy imported before it is needed."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from modscope._version import __version__
from modscope.cli.ablate import ablate
from modscope.cli.convert import convert
from modscope.cli.demo import demo
from modscope.cli.findings import findings
from modscope.cli.inspect import inspect
from modscope.cli.measure import measure
from modscope.cli.progress import progress
from modscope.cli.report import report
from modscope.cli.scope import live
from modscope.cli.sweep import sweep
from modscope.cli.sweep_report import sweep_report
from modscope.cli.train import train
from modscope.cli.view import view
from modscope.errors import InputError, ModscopeError

app = typer.Typer(
    name="modscope",
    help="An oscilloscope for transformers that do modular arithmetic.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"modscope {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit."),
    ] = False,
) -> None:
    pass


app.command()(demo)
app.command()(report)
app.command()(train)
app.command()(inspect)
app.command()(convert)
app.command()(view)
app.command()(ablate)
app.command()(findings)
app.command()(measure)
app.add_typer(sweep)
app.command()(progress)
app.command()(sweep_report)
app.command()(live)


def main() -> None:
    """Run a command; an error that modscope raises on purpose is one line on standard error."""
    try:
        app()
    except ModscopeError as error:
        print(f"modscope: {error}", file=sys.stderr)
        sys.exit(2 if isinstance(error, InputError) else 1)
    except BrokenPipeError:
        sys.exit(1)
