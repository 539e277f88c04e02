"""Measures of every epoch of a run as one dataset over `epoch`; an epoch that cannot be measured is a gap."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from modscope.activations import Activations, record
from modscope.analysis.answer.keys import DEFAULT_RULE, key_frequencies
from modscope.analysis.plane.marginals import checked_frequencies
from modscope.boundary import public
from modscope.errors import CheckpointError, InputError, ModscopeError, RunError
from modscope.losses import accuracies
from modscope.progress.kept import Entry, Kept, Numbers
from modscope.progress.measures import MEASURES, chosen_measures
from modscope.progress.moment import Frame, Moment
from modscope.runs import Run

__all__ = ["Keys", "measured", "progress", "run_keys"]

ANSWERED = 0.99  # accuracy above which an epoch is one of a network that knows the answer

Watch = Callable[[int, int, int], None]


def _nobody(done: int, of: int, epoch: int) -> None:
    """Watches nothing."""


@dataclass(frozen=True)
class Keys:
    """Key frequencies of a run, the epoch that they are of (None: named by the reader) and the rule that found them."""

    frequencies: tuple[int, ...]
    epoch: int | None
    rule: str
    note: str = ""


@public
def progress(
    run: Run,
    *,
    measures: Iterable[str] | str | None = None,
    frequencies: Sequence[int] | None = None,
    rule: str = DEFAULT_RULE,
    epochs: Sequence[int] | None = None,
    keep: bool = True,
    watch: Watch = _nobody,
) -> xr.Dataset:
    """Every measure of `MEASURES` at every epoch of a run, over (epoch, ...).

    measures: names, "fast" (all but the slow ones) or "all". frequencies: the key frequencies; if not given, those of the
    last epoch that answers (accuracy .99 or more on the test pairs, or on all where there is no split) under a rule of
    `modscope.analysis.RULES`. epochs: some of the run's. keep: write what was measured into the folder of the run and
    take from there what was measured of the same checkpoint. watch(done, of, epoch) is called after each epoch.

    Attributes: `key_frequencies`, `key_epoch` (-1 where they were given) and `key_rule`, with `key_note`; `gaps`, epoch: why for every epoch that
    could not be measured, whose numbers are NaN; `not_applicable`, measure: why; `begun_anew`; `notes`.
    Raises UnknownName for a measure that there is not, InputError for an epoch that is not in the run (nearest given).
    """
    names, at = chosen_measures(measures), _epochs(run, epochs)
    kept = Kept(run, use=keep)
    keys = run_keys(run, frequencies=frequencies, rule=rule, kept=kept)
    frame = Frame(run.task, keys.frequencies)
    config = _last_readable(run)[1]
    rows: dict[int, dict[str, Entry]] = {}
    gaps: dict[int, str] = {}
    refused: dict[str, dict[int, str]] = {}
    for done, epoch in enumerate(at, 1):
        try:
            rows[epoch] = _of_epoch(run, epoch, names, frame, kept, refused, config)
        except (ModscopeError, OSError) as error:
            gaps[epoch] = str(error)
        watch(done, len(at), epoch)
    dataset = _stacked(at, rows)
    return dataset.assign_attrs(_attributes(run, keys, rows, gaps, refused, kept))


def _epochs(run: Run, epochs: Sequence[int] | None) -> tuple[int, ...]:
    if epochs is None:
        return run.epochs
    for epoch in epochs:
        if epoch not in run.epochs:
            nearest = min(run.epochs, key=lambda known: abs(known - epoch))
            raise InputError(
                f"epoch {epoch}: this run has {len(run.epochs)} checkpoints from {run.epochs[0]} to "
                f"{run.epochs[-1]}; the nearest is {nearest}"
            )
    return tuple(sorted(set(epochs)))


@public
def run_keys(
    run: Run, *, frequencies: Sequence[int] | None = None, rule: str = DEFAULT_RULE, kept: Kept | None = None
) -> Keys:
    """The key frequencies that all epochs of a run are measured with.

    Those given, or those of its last epoch that answers; where none does, those of its last epoch, with a note.
    """
    if frequencies is not None:
        return Keys(checked_frequencies(frequencies, run.task.p), None, "given")
    kept = Kept(run) if kept is None else kept
    answering = next(_readable(run, _answering(run)), None)
    epoch, _ = answering or _last_readable(run)
    note, name = "", f"keys {rule}"
    entry = kept.get(epoch, name)
    if entry is None or isinstance(entry, str):
        acts = record(run.model(epoch), run.task)
        found = key_frequencies(acts, rule)
        right = accuracies(acts.at("logits").values, run.task)
        entry = {
            "keys": Numbers(np.array(found.frequencies, dtype=np.float64), ("key",)),
            "accuracy": Numbers.of(right.test if right.test is not None else right.all),
        }
        kept.put(epoch, {name: entry})
    ks = tuple(int(k) for k in entry["keys"].values)
    accuracy = float(entry["accuracy"].values)
    if not answering and accuracy < ANSWERED:
        note = f"no epoch of this run answers: the key frequencies are those of epoch {epoch}, right on {accuracy:.0%} of the pairs"
    return Keys(ks, epoch, rule, note)


def _answering(run: Run) -> list[int]:
    """The epochs at which the losses say that nearly all test pairs are answered rightly."""
    name = "test_accuracy"
    if name not in run.losses or not run.losses.sizes["epoch"]:
        return []
    known = run.losses[name].dropna("epoch")
    at = [epoch for epoch in run.epochs if epoch in known.epoch.values]
    return [epoch for epoch in at if float(known.sel(epoch=epoch)) >= ANSWERED]


def _last_readable(run: Run) -> tuple[int, Any]:
    """The last epoch that can be read, and the config of its network."""
    for readable in _readable(run, run.epochs):
        return readable
    try:
        run.model(run.epochs[-1])
    except (ModscopeError, OSError) as error:
        why = str(error)
    raise RunError(f"{run.path}: none of the {len(run.epochs)} checkpoints can be read: {why}")


def _readable(run: Run, epochs: Sequence[int]) -> Iterator[tuple[int, Any]]:
    """Those of the epochs that can be read, the last first, and the configs of their networks."""
    for epoch in reversed(epochs):
        try:
            yield epoch, run.model(epoch).config
        except (ModscopeError, OSError):
            continue


def _of_epoch(
    run: Run,
    epoch: int,
    names: Sequence[str],
    frame: Frame,
    kept: Kept,
    refused: dict[str, dict[int, str]],
    config: Any,
) -> dict[str, Entry]:
    """The numbers of each measure of one epoch, from what was kept or from its network; in `refused` what does not apply."""
    keys = {name: f"{name} {','.join(map(str, frame.keys))}" for name in names}
    found = {name: entry for name in names if (entry := kept.get(epoch, keys[name])) is not None}
    missing = [name for name in names if name not in found]
    if missing:
        network = run.model(epoch)
        if network.config != config:
            raise CheckpointError(f"epoch {epoch} is of another network ({network.config}) than the last one")
        moment = Moment(record(network, run.task), frame)
        fresh = {name: _measured(moment, name) for name in missing}
        moment.close()
        kept.put(epoch, {keys[name]: entry for name, entry in fresh.items()})
        found |= fresh
    for name, entry in found.items():
        if isinstance(entry, str):
            refused.setdefault(name, {})[epoch] = entry
    return {name: entry for name, entry in found.items() if not isinstance(entry, str)}


def _measured(moment: Moment, name: str) -> Entry | str:
    """The numbers of a measure, or why it does not apply."""
    try:
        with np.errstate(all="ignore"):  # what is not a number becomes a gap
            return _numbers(MEASURES[name].of(moment))
    except InputError as error:
        return str(error)


def _numbers(values: Mapping[str, Any]) -> Entry:
    return {str(name): Numbers.of(value) for name, value in values.items()}


def _stacked(epochs: Sequence[int], rows: Mapping[int, Mapping[str, Entry]]) -> xr.Dataset:
    """Numbers by epoch and name as one dataset; what an epoch does not have is NaN."""
    like: dict[str, Numbers] = {}
    for row in rows.values():
        for entry in row.values():
            for name, value in entry.items():
                known = like.setdefault(name, value)
                if known.values.shape != value.values.shape:
                    raise InputError(
                        f"{name}: shapes {known.values.shape} and {value.values.shape} at different epochs"
                    )
    columns: dict[str, xr.DataArray] = {}
    for name, one in like.items():
        values = np.full((len(epochs), *one.values.shape), np.nan)
        for i, epoch in enumerate(epochs):
            for entry in rows.get(epoch, {}).values():
                if name in entry:
                    values[i] = entry[name].values
        columns[name] = xr.DataArray(
            values, dims=("epoch", *one.dims), coords={"epoch": list(epochs), **one.coords}, name=name
        )
    return xr.Dataset(columns, coords={"epoch": list(epochs)})


def _attributes(
    run: Run,
    keys: Keys,
    rows: Mapping[int, object],
    gaps: Mapping[int, str],
    refused: Mapping[str, Mapping[int, str]],
    kept: Kept,
) -> dict[str, Any]:
    everywhere = {name: next(iter(whys.values())) for name, whys in refused.items() if len(whys) == len(rows)}
    notes = [*run.notes]
    if len(run.epochs) == 1:
        notes.append("this run has one checkpoint: there is nothing to see over training")
    if keys.note:
        notes.append(keys.note)
    if gaps:
        notes.append(f"{len(gaps)} of {len(gaps) + len(rows)} epochs cannot be measured and are gaps")
    if kept.refused:
        notes.append(kept.refused)
    return {
        "p": run.task.p,
        "operation": run.task.operation,
        "key_frequencies": list(keys.frequencies),
        "key_epoch": -1 if keys.epoch is None else keys.epoch,
        "key_rule": keys.rule,
        "gaps": dict(gaps),
        "not_applicable": everywhere,
        "begun_anew": list(run.begun_anew),
        "notes": notes,
    }


Measured = float | xr.DataArray | xr.Dataset | Mapping[str, Any]


@public
def measured(
    run: Run,
    of: Callable[[Activations], Measured],
    *,
    epochs: Sequence[int] | None = None,
    watch: Watch = _nobody,
) -> xr.Dataset:
    """Any function of a record at every epoch of a run, over (epoch, ...).

    of: takes the record of an epoch and gives a number, a DataArray, or several by name (a Dataset or a mapping); a single
    one is called by its name, or `value`. An epoch that cannot be read is NaN and stands in the attribute `gaps`; an
    error of the function is the caller's and is not held back.
    """
    at = _epochs(run, epochs)
    rows: dict[int, dict[str, Entry]] = {}
    gaps: dict[int, str] = {}
    for done, epoch in enumerate(at, 1):
        try:
            network = run.model(epoch)
        except (ModscopeError, OSError) as error:
            gaps[epoch] = str(error)
        else:
            rows[epoch] = {"": _named(of(record(network, run.task)))}
        watch(done, len(at), epoch)
    if gaps and not rows:
        raise RunError(f"{run.path}: none of the {len(at)} epochs can be read: {next(iter(gaps.values()))}")
    return _stacked(at, rows).assign_attrs(gaps=gaps, begun_anew=list(run.begun_anew))


def _named(value: Measured) -> Entry:
    if isinstance(value, xr.Dataset):
        return _numbers({str(name): x for name, x in value.data_vars.items()})
    if isinstance(value, Mapping):
        return _numbers({str(name): xr.DataArray(one) for name, one in value.items()})
    if isinstance(value, xr.DataArray):
        return _numbers({str(value.name or "value"): value})
    return _numbers({"value": xr.DataArray(value)})
