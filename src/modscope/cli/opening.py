"""What several commands read from their arguments: a checkpoint, and a list of frequencies."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from modscope.errors import InputError

if TYPE_CHECKING:
    from modscope.activations import Activations
    from modscope.checkpoints import Checkpoint
    from modscope.grounds import Grounds

__all__ = [
    "ConfigOption",
    "EpochOption",
    "FrequenciesOption",
    "MappingOption",
    "ModulusOption",
    "OperationOption",
    "arrays_of_pairs",
    "command",
    "frequency_list",
    "names_without_path",
    "opened_checkpoint",
    "opened_record",
    "said_first",
    "use_one_thread",
]


MappingOption = Annotated[
    Path | None, typer.Option("--mapping", help="A TOML file that names the tensors of an unknown layout.")
]
ConfigOption = Annotated[
    Path | None, typer.Option("--config", help="A config to read instead of the one beside it.")
]
ModulusOption = Annotated[int | None, typer.Option("-p", help="The modulus, where the file does not say.")]
EpochOption = Annotated[int | None, typer.Option("--epoch", help="Which epoch of a file that holds several.")]
FrequenciesOption = Annotated[
    str | None,
    typer.Option("--frequencies", help="The key frequencies, such as 14,35,41; found if not given."),
]
OperationOption = Annotated[
    str | None,
    typer.Option(
        "--operation",
        help='What the answer is: add, subtract, divide, max, an expression such as "2*a+3*b", a group such as D14, or '
        "a table of answers (.npy, .csv); recognised from the network's answers if not given.",
    ),
]


def command() -> str:
    """How this command line was called, for sentences that say what to type next."""
    return os.environ.get("MODSCOPE_COMMAND", "modscope")


def opened_checkpoint(
    path: Path | None,
    *,
    mapping: Path | None = None,
    config: Path | None = None,
    p: int | None = None,
    epoch: int | None = None,
    operation: str | None = None,
) -> Checkpoint:
    """The checkpoint at a path, or the network that ships with modscope where none is given."""
    from modscope.checkpoints import open_checkpoint
    from modscope.operations import operation_from
    from modscope.shipped import shipped_network

    if path is None:
        if any(option is not None for option in (mapping, config, p, epoch, operation)):
            raise InputError("--mapping, --config, -p, --epoch and --operation need the PATH of a checkpoint")
        return shipped_network()
    return open_checkpoint(
        path,
        p=p,
        config=config,
        mapping=mapping,
        epoch=epoch,
        operation=None if operation is None else operation_from(operation),
    )


def names_without_path(
    path: Path | None, names: list[str] | None, known: Callable[[str], bool]
) -> tuple[Path | None, list[str] | None]:
    """The path and the names where the first argument, meant as the path, is a known name and no file: then the network is
    the one that ships.
    """
    if path is not None and not path.exists() and known(str(path)):
        return None, [str(path), *(names or [])]
    return path, names


def said_first(judged: Checkpoint | Grounds, *, quiet: bool = False) -> None:
    """Writes why nothing can be judged, before everything else: to standard output, or to standard error where quiet."""
    import textwrap

    grounds = judged.grounds if hasattr(judged, "grounds") else judged
    for problem in grounds.problems:
        text = textwrap.fill(f"cannot be judged: {problem.says}", 80, subsequent_indent="  ")
        print(text, file=sys.stderr if quiet else sys.stdout)


def opened_record(
    path: Path | None,
    *,
    mapping: Path | None = None,
    config: Path | None = None,
    p: int | None = None,
    epoch: int | None = None,
    operation: str | None = None,
) -> tuple[Activations, tuple[str, ...], Grounds | None]:
    """The record at a path, of a network or of the activations in a file of arrays, what has to be said of it, and the
    grounds on which it can be judged; None where it has no logits."""
    from modscope.activations import record
    from modscope.activations.files import holds_arrays
    from modscope.grounds import grounds_of

    if path is not None and holds_arrays(path):
        if any(option is not None for option in (mapping, config, epoch)):
            raise InputError(
                f"{path} holds activations, not weights: leave --mapping, --config and --epoch away"
            )
        acts, notes = arrays_of_pairs(path, p=p, operation=operation)
        if acts is None:
            raise InputError(
                f"{path}: its arrays are not over pairs: expected the first two axes of each to be p x p"
            )
        grounds = grounds_of(acts.at("logits").values, acts.task) if "logits" in acts else None
        return acts, notes, grounds
    checkpoint = opened_checkpoint(
        path, mapping=mapping, config=config, p=p, epoch=epoch, operation=operation
    )
    return record(checkpoint.model, checkpoint.task), checkpoint.notes, checkpoint.grounds


def arrays_of_pairs(
    path: Path, *, p: int | None = None, operation: str | None = None
) -> tuple[Activations | None, tuple[str, ...]]:
    """The record of the activations in a file of arrays, and which operation was taken; None where its arrays are of
    other shapes and neither p nor an operation says that they should not be."""
    from modscope.activations import Activations
    from modscope.activations.files import arrays_in, pairs_of
    from modscope.operations import operation_from, recognise
    from modscope.task import ModularTask, Split

    arrays = arrays_in(path)
    found = pairs_of([x.shape for x in arrays.values()])
    if found is None and p is None and operation is None:
        return None, ()
    size, logits = p or found or len(next(iter(arrays.values()))), arrays.get("logits")
    if operation is not None:
        what, note = operation_from(operation), ""
    else:
        what, note = (
            operation_from("add"),
            "operation not stated: taken to be add, for the order (c, a) and what is said of c",
        )
        if (
            logits is not None
            and logits.ndim == 3
            and logits.shape[:2] == (size, size)
            and logits.shape[2] >= size
        ):
            recognised = recognise(logits[..., :size].argmax(axis=-1))
            if recognised.fits:
                what, note = recognised.best.operation, f"operation not stated: {recognised}"
    acts = Activations.from_arrays(arrays, ModularTask(size, what, Split("none")))
    return acts, tuple([note] if note else [])


def use_one_thread() -> None:
    """Linear algebra on one thread, unless the environment says otherwise; call it before numpy is imported.

    An analysis is many small products: threads spend more time waiting for each other than they save.
    """
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(name, "1")


def frequency_list(text: str | None) -> list[int] | None:
    """The whole numbers of a text such as 14,35,41; None for None.

    >>> frequency_list("14, 35 41")
    [14, 35, 41]
    """
    if text is None:
        return None
    try:
        return [int(word) for word in text.replace(",", " ").split()]
    except ValueError:
        raise InputError(
            f"frequencies {text!r}: expected whole numbers with commas, such as 14,35,41"
        ) from None
