"""From a path, a checkpoint, a run or a record to the workbench."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from modscope.activations import Activations, record
from modscope.boundary import public
from modscope.checkpoints import Checkpoint, open_checkpoint
from modscope.errors import InputError
from modscope.runs import Run
from modscope.shipped import shipped_folder
from modscope.workbench.net import Net

__all__ = ["open"]

Source = str | os.PathLike[str] | Checkpoint | Run | Activations | None


@public
def open(
    source: Source = None,
    *,
    epoch: int | None = None,
    keys: str | Sequence[int] | None = None,
    replace: Mapping[str, object] | None = None,
    **how: Any,
) -> Net:
    """A network on the workbench: from a path, a checkpoint, a run or a record; the shipped one if nothing is given.

    epoch: which of a run or of a file with several; the last one if none is named. keys: the key frequencies
    themselves, or the name of the rule that finds them (`modscope.analysis.answer.RULES`). replace: activations that are
    replaced from the start (`Net.with_`). how: what `open_checkpoint` takes besides (p, config, mapping, operation).
    Raises what `open_checkpoint` and `Run.open` raise.

    >>> net = open()
    >>> net.task.p, net.epochs[0], net.keys
    (113, 0, (1, 5, 7, 29))
    """
    if how and not isinstance(source, str | os.PathLike):
        raise InputError(f"{', '.join(how)}: these tell how a file is read, and the source is no path")
    if isinstance(source, Activations):
        if epoch is not None:
            raise InputError(f"epoch {epoch}: a record of activations has no epochs")
        net = Net(source, keys=keys)
    else:
        net = _of_run_or_checkpoint(source, epoch, keys, how)
    return net.with_(replace) if replace else net


def _of_run_or_checkpoint(
    source: str | os.PathLike[str] | Checkpoint | Run | None,
    epoch: int | None,
    keys: str | Sequence[int] | None,
    how: Mapping[str, Any],
) -> Net:
    if source is None:
        source = shipped_folder()
    if isinstance(source, Run):
        return Net(
            record(source.model(epoch), source.task), run=source, epoch=_last(source, epoch), keys=keys
        )
    if isinstance(source, str | os.PathLike):
        checkpoint = open_checkpoint(source, epoch=epoch, **how)
        run = Run.open(source) if Run.is_folder(source) else Run.of(checkpoint)
    elif isinstance(source, Checkpoint):
        checkpoint, run = source, Run.of(source)
        if epoch not in (None, source.epoch):
            return Net(record(run.model(epoch), run.task), run=run, epoch=epoch, keys=keys)
    else:
        raise InputError(
            f"{type(source).__name__}: expected a path, a checkpoint, a run or a record of activations, or nothing"
        )
    acts = record(checkpoint.model, checkpoint.task)
    return Net(acts, checkpoint=checkpoint, run=run, epoch=checkpoint.epoch, keys=keys)


def _last(run: Run, epoch: int | None) -> int:
    return run.epochs[-1] if epoch is None else epoch
