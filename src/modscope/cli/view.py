"""`modscope view`: a run or a network in the browser."""

from __future__ import annotations

import contextlib
import os
import secrets
import sys
import webbrowser
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from modscope.cli.opening import (
    ConfigOption,
    MappingOption,
    ModulusOption,
    OperationOption,
    arrays_of_pairs,
    opened_checkpoint,
)
from modscope.errors import InputError

if TYPE_CHECKING:
    from modscope.model import Network
    from modscope.task import ModularTask
    from modscope.viewer.serve import RunPage

__all__ = ["has_display", "page_shown", "view"]


def view(
    path: Annotated[
        Path | None,
        typer.Argument(
            help="A run folder, a file of weights, or one of activations (.npz, .npy, .safetensors); none for the network that ships."
        ),
    ] = None,
    port: Annotated[int, typer.Option(help="The port on 127.0.0.1; 0 takes a free one.")] = 0,
    no_open: Annotated[bool, typer.Option("--no-open", help="Do not show the page in a browser.")] = False,
    mapping: MappingOption = None,
    config: ConfigOption = None,
    p: ModulusOption = None,
    operation: OperationOption = None,
    turn: Annotated[
        bool,
        typer.Option(
            "--turn", help="Turn the key circles of the embedding instead, and see the answer move."
        ),
    ] = False,
) -> None:
    """Look at every activation and weight of a run, at all its epochs, in the browser; Ctrl-C ends it."""
    from modscope.viewer.early import Early, listening

    options = {"mapping": mapping, "config": config, "p": p, "operation": operation}
    if path is None and any(value is not None for value in options.values()):
        raise InputError("--mapping, --config, -p and --operation need the PATH of a file of weights")
    if path is not None and not path.exists():
        _opened(path, **options)  # says what is wrong with it, before there is an address
    with contextlib.closing(listening(port)) as made:
        token = secrets.token_urlsafe(24)
        host, taken = made.getsockname()[:2]
        address = f"http://{host}:{taken}/?token={token}"
        what = "the network that ships with modscope" if path is None else path.name
        with (
            contextlib.suppress(KeyboardInterrupt),
            Early(made, token=token, what=what) as early,
            page_shown(address, wanted=not no_open),
        ):
            typer.echo(f"Open {address}\nCtrl-C ends it.")
            sys.stdout.flush()
            page = _opened(path, **options)
            page = _turning(page) if turn else page
            _say(page)
            from modscope.viewer.serve import serve

            serve(page, on=made, token=token, waiting=early.taken_over())
    typer.echo("\nended")


def _say(page: RunPage) -> None:
    """What has been opened, and what has to be known of it."""
    typer.echo(_described(page))
    for note in page.notes:
        typer.echo(f"  {note}")
    sys.stdout.flush()


def _opened(path: Path | None, **options: Any) -> RunPage:
    from modscope.activations.files import arrays_in, holds_arrays
    from modscope.runs import Run
    from modscope.shipped import shipped_run
    from modscope.viewer.arrays import page_of_arrays, page_of_record
    from modscope.viewer.serve import RunPage

    given = {name: value for name, value in options.items() if value is not None}
    if path is None:
        return RunPage(shipped_run(), "the shipped network", keys=_keys)
    if holds_arrays(path):
        if {"mapping", "config"} & set(given):
            raise InputError(f"{path} holds activations, not weights: leave --mapping and --config away")
        acts, notes = arrays_of_pairs(path, p=options["p"], operation=options["operation"])
        if acts is None:
            return page_of_arrays(
                arrays_in(path), path, ("its arrays are not over pairs: axes are numbered",)
            )
        return page_of_record(acts, path, notes)
    if Run.is_folder(path):
        if given:
            raise InputError(
                f"{path} is a run folder, which says these itself: leave --mapping, --config, -p and --operation away"
            )
        run = Run.open(path)
        return RunPage(run, path.resolve().name, run.notes, _keys)
    checkpoint = opened_checkpoint(path, **options)
    return RunPage(Run.of(checkpoint), checkpoint.run_path.name, checkpoint.notes, _keys)


def _turning(page: RunPage) -> RunPage:
    """The page on which the key circles of a network can be turned."""
    import numpy as np

    from modscope.activations import record
    from modscope.analysis.causes.turning import turning_of
    from modscope.viewer.turns import TurnPage, Turns

    acts = record(page.run.model(), page.run.task)
    turning, keys = turning_of(acts), _keys(page.run.model(), page.run.task)
    if not keys:
        raise InputError("--turn: the network has no key frequencies to turn")
    every = ("logits", "answer", *(hook for hook in acts.joint_hooks if hook != "logits"))
    hooks = {
        hook: {}
        if hook == "answer"
        else {str(d): n for d, n in acts.at(hook).sizes.items() if d not in ("a", "b")}
        for hook in every
    }
    readers = turning.readers

    def values(hook: str, shift: float, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        turned = turning.turned(keys, shift, readers)
        return turned.run(a, b).argmax(-1) if hook == "answer" else turned.run(a, b, hook)

    moves = turning.moves(1.0, readers)
    who = "" if readers == "both" else ", as a alone reads them"
    note = f"the circles {', '.join(map(str, keys))} of the embedding turned{who}: by s, the answer moves by {moves:g} s"
    setup = (
        "import modscope as ms\nfrom modscope.analysis.causes.turning import turned_pictures\n\n"
        f"turned = turned_pictures(acts, {list(keys)}, range({turning.n}), hook='HOOK')"
    )
    shifts = tuple(float(s) for s in range(turning.n))
    return TurnPage(page.run, page.title, (note, *page.notes), turns=Turns(shifts, hooks, values, setup))


def _keys(network: Network, task: ModularTask) -> tuple[int, ...]:
    """The key frequencies of a network; none where the rule does not apply to it."""
    from modscope.activations import record
    from modscope.analysis import key_frequencies
    from modscope.errors import ModscopeError

    try:
        return key_frequencies(record(network, task)).frequencies
    except ModscopeError:
        return ()


def _described(page: RunPage) -> str:
    from modscope.viewer.arrays import ArrayCatalogue

    run = page.run
    if isinstance(page.catalogue, ArrayCatalogue):
        return f"{page.title}: {', '.join(offer.name for offer in page.catalogue.offers)}"
    several = (
        f"{len(run.epochs)} epochs from {run.epochs[0]} to {run.epochs[-1]}"
        if len(run.epochs) > 1
        else "one epoch"
    )
    return f"{page.title}: {run.task.operation} mod {run.task.p}, {several}"


def has_display() -> bool:
    """Whether a browser can be seen here."""
    return bool(
        sys.platform in ("darwin", "win32") or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    )


@contextlib.contextmanager
def page_shown(address: str, *, wanted: bool = True) -> Iterator[None]:
    """Opens the page in the browser, where somebody can see it, by a file that only this user can read."""
    if not wanted or not has_display():
        yield
        return
    from modscope.viewer.bounds import redirecting

    with redirecting(address) as page:
        webbrowser.open(page)
        yield
