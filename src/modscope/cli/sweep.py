"""`modscope sweep`: many networks, trained and looked at, to one table; where it stands; what failed."""

from __future__ import annotations

import importlib.util
import json
import logging
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from modscope.cli.opening import command, use_one_thread
from modscope.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable

    from modscope.sweep import Plan, Stand, Storage, Sweep

__all__ = ["sweep"]


class _RunUnlessNamed(TyperGroup):
    """`modscope sweep FILE` is `modscope sweep run FILE`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and args[0] not in {*self.commands, "-h", "--help"}:
            args = ["run", *args]
        return super().parse_args(ctx, args)


sweep = typer.Typer(
    name="sweep",
    cls=_RunUnlessNamed,
    no_args_is_help=True,
    help="Many networks, trained and looked at, to one table: sweep FILE --out DIR.",
)

_Where = Annotated[str, typer.Argument(help="The folder of the sweep, or its address.")]
_AsJson = Annotated[bool, typer.Option("--json", help="Write JSON to standard output instead.")]


@sweep.command("run")
def run(
    file: Annotated[
        Path | None, typer.Argument(help="The sweep as TOML (docs/sweeps.md); none where --axis says it all.")
    ] = None,
    out: Annotated[
        str | None, typer.Option(help="Where to write: a folder, or an address that fsspec opens.")
    ] = None,
    preset: Annotated[
        str | None, typer.Option(help="Without FILE: nanda, transformer_lens, pizza or quick.")
    ] = None,
    axis: Annotated[
        list[str] | None,
        typer.Option(help="Without FILE: an axis, seed=0:8 or task.p=53,59; may be repeated."),
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", help="A setting of every recipe, stop.steps=5000; may be repeated."),
    ] = None,
    scheduler: Annotated[
        str,
        typer.Option(
            help="A running Dask scheduler, tcp://HOST:8786; a cluster on this machine if not given."
        ),
    ] = "",
    workers: Annotated[
        int,
        typer.Option(help="Processes on this machine, one thread each; 0 for as many as there are threads."),
    ] = 0,
    retries: Annotated[int, typer.Option(help="How often what failed is tried again.")] = 2,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Try again what failed in an earlier call.")
    ] = False,
    adopt: Annotated[
        list[Path] | None,
        typer.Option(help="A folder of finished runs: those of a wanted recipe are not trained again."),
    ] = None,
    only: Annotated[str, typer.Option(help="Only cases whose name fits this pattern, such as quick*.")] = "*",
    timeout: Annotated[float, typer.Option(help="Seconds to wait for the scheduler.")] = 10.0,
    plan: Annotated[bool, typer.Option("--plan", help="Only say what would be done.")] = False,
    as_json: _AsJson = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing of progress.")] = False,
) -> None:
    """Train and look at every network of a plan; the same command goes on after any end.

    modscope sweep study.toml --out sweeps/study
    modscope sweep --preset quick --axis task.p=53,59 --axis seed=0:8 --out sweeps/small
    """
    use_one_thread()
    if workers < 0 or retries < 0 or timeout <= 0:
        raise InputError(
            "--workers, --retries and --timeout: expected no number below 0, and a time above it"
        )
    wanted = _plan(file, preset, axis or [], set_ or [])
    if plan:
        _say_plan(wanted, as_json)
        return
    if out is None:
        raise InputError("no place to write to: give --out DIR")
    from modscope.sweep import run_sweep

    def work(storage: Storage, watch: Callable[[Stand], None]) -> Sweep:
        return run_sweep(
            wanted,
            storage,
            scheduler=scheduler,
            workers=workers,
            retries=retries,
            forgive=retry_failed,
            adopt=adopt or [],
            only=only,
            watch=watch,
            timeout=timeout,
        )

    _done(work, out, as_json, quiet)


@sweep.command("look")
def look(
    where: _Where,
    scheduler: Annotated[str, typer.Option(help="A running Dask scheduler.")] = "",
    workers: Annotated[
        int, typer.Option(help="Processes on this machine; 0 for as many as there are threads.")
    ] = 0,
    only: Annotated[str, typer.Option(help="Only cases whose name fits this pattern.")] = "*",
    as_json: _AsJson = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing of progress.")] = False,
) -> None:
    """Judge the networks of a sweep again, by this version of modscope; nothing is trained."""
    use_one_thread()
    from modscope.sweep import look_again

    def work(storage: Storage, watch: Callable[[Stand], None]) -> Sweep:
        return look_again(storage, scheduler=scheduler, workers=workers, only=only, watch=watch)

    _done(work, where, as_json, quiet)


def _plan(file: Path | None, preset: str | None, axes: list[str], sets: list[str]) -> Plan:
    from modscope.checkpoints.reading import read_table
    from modscope.sweep.plan import Plan

    if file is not None and (preset or axes):
        raise InputError("--preset and --axis stand in place of FILE: give one or the other")
    if file is None and not (preset or axes):
        raise InputError("no sweep to run: give FILE, or --preset and --axis")
    values: dict[str, Any] = dict(read_table(file)) if file else {"preset": preset or "nanda"}
    if axes:
        values["axes"] = dict(_axis(text) for text in axes)
    if sets:
        from modscope.cli.train import setting

        values["settings"] = {**values.get("settings", {}), **dict(setting(text) for text in sets)}
    return Plan.from_dict(values, beside=file.parent if file else Path())


def _axis(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not equals or not value:
        raise InputError(f"--axis {text}: expected NAME=VALUE,VALUE or seed=0:8")
    if ":" in value and "," not in value:
        return name, value
    return name, [_value(word) for word in value.split(",")]


def _value(word: str) -> Any:
    try:
        return json.loads(word)
    except ValueError:
        return word


def _say_plan(plan: Plan, as_json: bool) -> None:
    if as_json:
        json.dump([{"key": unit.key, **unit.to_dict()} for unit in plan.units], sys.stdout, indent=1)
        print()
        return
    for case in plan.cases:
        axes = " x ".join(f"{name} {len(values)}" for name, values in case.axes.items())
        print(f"{case.name or 'networks'}: {axes or 'one network'}")
    different = len({unit.key for unit in plan.units})
    print(
        f"{len(plan.units)} networks"
        + ("" if different == len(plan.units) else f", {different} different ones")
    )


def _done(
    work: Callable[[Storage, Callable[[Stand], None]], Sweep], out: str, as_json: bool, quiet: bool
) -> None:
    """Work on a sweep before the eyes of a terminal, and say how it ended."""
    from modscope.cli.sweeping import sweep_on_terminal
    from modscope.sweep import Storage, Sweep
    from modscope.sweep.cluster import absolute
    from modscope.sweep.running import write_table

    # What Dask says of connections that end is said in one sentence here; when it is imported it sets its own levels.
    if importlib.util.find_spec("distributed"):
        importlib.import_module("distributed")
    for name in ("distributed", "distributed.client", "distributed.core"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    storage = Storage(absolute(out))
    try:
        with sweep_on_terminal(quiet=quiet) as watch:
            found = work(storage, watch)
    except KeyboardInterrupt:
        write_table(Sweep(storage))
        print("stopped; the same command goes on", file=sys.stderr)
        raise typer.Exit(130) from None
    _say_end(found, out, as_json)


def _say_end(found: Sweep, out: str, as_json: bool) -> None:
    from modscope.sweep.status import standing

    stands = standing(found)
    if as_json:
        json.dump(stands.to_dict(), sys.stdout, indent=1)
        print()
    else:
        print(f"{out.rstrip('/')}/table.parquet")
    if stands.failed:
        print(f"{stands.failed} failed: {command()} sweep failed {out}", file=sys.stderr)
        raise typer.Exit(1)


@sweep.command("status")
def status(where: _Where, as_json: _AsJson = False) -> None:
    """How far a sweep is: done, running, failed, time left."""
    from modscope.sweep import Storage, Sweep
    from modscope.sweep.running import refuse_without_libraries
    from modscope.sweep.status import standing

    refuse_without_libraries()
    stands = standing(Sweep(Storage(where)), now=time.time())
    if as_json:
        json.dump(stands.to_dict(), sys.stdout, indent=1)
        print()
        return
    for line in stands.lines():
        print(line)


@sweep.command("failed")
def failed(
    where: _Where,
    as_json: _AsJson = False,
    short: Annotated[bool, typer.Option("--short", help="Without the tracebacks.")] = False,
) -> None:
    """What failed, with the traceback of the last attempt of each network."""
    from modscope.sweep import Storage, Sweep
    from modscope.sweep.running import refuse_without_libraries

    refuse_without_libraries()
    found = Sweep(Storage(where)).failures()
    if as_json:
        json.dump(found, sys.stdout, indent=1)
        print()
        return
    last = {failure["key"]: failure for failure in found}
    for failure in last.values():
        times = f" ({failure['attempt']} attempts)" if failure["attempt"] > 1 else ""
        print(f"{failure['label']}{times}: {failure['error']}")
        if not short and failure["traceback"]:
            print("\n".join(f"    {line}" for line in failure["traceback"].rstrip().splitlines()))
    if not last:
        print("nothing failed")
