"""The command line: one module a command, nothing heavy imported before it is needed."""

from __future__ import annotations

import atexit
import gc
import io
import sys
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperGroup

from modscope._version import __version__
from modscope.bars import shown_work
from modscope.cli.ablate import ablate
from modscope.cli.cite import cite
from modscope.cli.compare import compare
from modscope.cli.convert import convert
from modscope.cli.demo import demo
from modscope.cli.findings import findings
from modscope.cli.inspect import inspect
from modscope.cli.measure import measure
from modscope.cli.progress import progress
from modscope.cli.report import report
from modscope.cli.reproduce import reproduce
from modscope.cli.scope import live
from modscope.cli.sweep import sweep
from modscope.cli.sweep_report import sweep_report
from modscope.cli.train import train
from modscope.cli.view import view
from modscope.errors import InputError, ModscopeError, cause, printable

# Commands that look at one network: they make no array larger than memory and read no table of a sweep.
_OF_ONE_NETWORK = ("report", "findings", "inspect", "measure", "ablate")


class Interrupted(Exception):  # noqa: N818 - what happened, not a fault
    """Ctrl-C, outside of what has its own answer to it."""


class _Commands(TyperGroup):
    """The commands: long work is shown, and Ctrl-C is an exception that reaches `main`."""

    def invoke(self, ctx: Any) -> Any:
        try:
            with shown_work():
                return super().invoke(ctx)
        except KeyboardInterrupt as error:
            raise Interrupted from error


app = typer.Typer(
    name="modscope",
    cls=_Commands,
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
app.command()(reproduce)
app.command()(cite)
app.command()(compare)


def main() -> None:
    """Run a command; whatever ends it too early is one line on standard error and an exit code that says so.

    2: an argument that cannot be used. 1: a file, a run or the machine. 130: Ctrl-C.
    """
    # A command makes little garbage in cycles: looking for it, and through all of torch when it ends, is a tenth of its time.
    gc.set_threshold(100_000, 20, 20)
    atexit.register(gc.freeze)
    if sys.argv[1:2] and sys.argv[1] in _OF_ONE_NETWORK:
        _expect_little()
    if isinstance(sys.stdout, io.TextIOWrapper):
        # The name of a folder need not be text; it is printed as it is.
        sys.stdout.reconfigure(errors="surrogateescape")
    try:
        app()
    except BrokenPipeError:
        sys.exit(1)
    except (Interrupted, KeyboardInterrupt):
        _end("stopped", 130)
    except ModscopeError as error:
        _end(str(error), 2 if isinstance(error, InputError) else 1)
    except (OSError, MemoryError, OverflowError, RecursionError) as error:
        _end(_of_machine(error), 1)
    except RuntimeError as error:
        if "allocate memory" not in str(error):
            raise
        _end(_of_machine(error), 1)


def _expect_little() -> None:
    """Leaves out what a command on one network, seconds long, does not need."""
    gc.set_threshold(1_000_000, 20, 20)
    if "xarray" not in sys.modules:
        # xarray and pandas import these where they are installed, and nothing here uses them: 0.3 s
        for name in ("dask", "pyarrow"):
            sys.modules.setdefault(name, None)  # type: ignore[arg-type]


def _end(text: str, code: int) -> NoReturn:
    # What a file calls its tensors must not steer a terminal.
    print(f"modscope: {printable(text)}", file=sys.stderr)
    sys.exit(code)


def _of_machine(error: BaseException) -> str:
    """What the system refused, in one sentence."""
    if isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename else ""
        return f"{where}{error.strerror or error}"
    if isinstance(error, OverflowError):
        return f"a number is too large for this: {cause(error)}"
    if isinstance(error, RecursionError):
        return "what was given is nested too deeply"
    return "there is not enough memory for this: give a smaller p or a smaller network, or free some"
