"""Units of work that are trained in one stack: what `worked_off` does to one, to many at once."""

from __future__ import annotations

import contextlib
import shutil
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from modscope.errors import ModscopeError, TrainingError
from modscope.runs import Run
from modscope.sweep.plan import Unit
from modscope.sweep.storage import Storage
from modscope.sweep.unit import (
    RESULTS,
    Ended,
    Made,
    failed_unit,
    place_of,
    refuse_other_version,
    write_result,
)
from modscope.training.many import pays, shape_of, train_many
from modscope.training.many.training import AT_ONCE
from modscope.training.seeds import FAILED

__all__ = ["bundles", "worked_off_together"]

_SHARED = ("task", "network", "keep", "device", "engine")


def bundles(units: Iterable[Unit]) -> list[list[Unit]]:
    """Units as they are to be given out: those that are trained faster together in one list, any other alone.

    The order is that of each list's first unit.
    """
    kinds: dict[Any, list[Unit]] = {}
    found: list[list[Unit]] = []
    for unit in units:
        recipe = unit.recipe
        if recipe.engine not in ("auto", "many"):
            found.append([unit])
            continue
        kind = (repr([getattr(recipe, name) for name in _SHARED]), unit.looks)
        at_once = AT_ONCE.get(recipe.device.partition(":")[0], AT_ONCE["cpu"])
        if kind not in kinds or len(kinds[kind]) >= at_once:
            kinds[kind] = []
            found.append(kinds[kind])
        kinds[kind].append(unit)
    return [part for bundle in found for part in _as_it_pays(bundle)]


def _as_it_pays(bundle: list[Unit]) -> list[list[Unit]]:
    recipe = bundle[0].recipe
    if pays(recipe, len(bundle)) or (recipe.engine == "many" and len(bundle) > 1):
        return [bundle]
    return [[unit] for unit in bundle]


def worked_off_together(several: Sequence[dict[str, Any]], storage: Storage, made: Made) -> list[Ended]:
    """Train and look at units (`Unit.to_dict`) of one shape, those whose result is not there; never raises."""
    units = [Unit.from_dict(values) for values in several]
    start = time.monotonic()
    ended: dict[str, Ended] = {}
    try:
        refuse_other_version(made)
        with contextlib.ExitStack() as stack:
            folders: dict[Path, Unit] = {}
            for unit in units:
                if storage.exists(f"{RESULTS}/{unit.key}.json"):
                    ended[unit.key] = Ended(unit.key, "there")
                    continue
                folder = stack.enter_context(place_of(unit, storage))
                if folder is None:
                    ended[unit.key] = Ended(unit.key, "elsewhere")
                else:
                    folders[folder] = unit
            ended |= _trained(folders, storage, made, start)
    except Exception as error:  # whatever it is, the others go on
        ended |= {
            unit.key: failed_unit(unit.key, error, time.monotonic() - start)
            for unit in units
            if unit.key not in ended
        }
    return [ended[unit.key] for unit in units]


def _trained(folders: dict[Path, Unit], storage: Storage, made: Made, start: float) -> dict[str, Ended]:
    shapes = {shape_of(unit.recipe) for unit in folders.values()}
    assert len(shapes) <= 1, "units of one bundle have one shape"
    found: dict[str, Ended] = {}
    for one in train_many({folder: unit.recipe for folder, unit in folders.items()}):
        unit = folders[one.folder]
        seconds = (time.monotonic() - start) / len(folders)
        if one.finished == FAILED:
            found[unit.key] = failed_unit(unit.key, TrainingError(one.line), seconds)
            continue
        try:
            line = write_result(unit, Run.open(one.folder), storage, made, {"training": seconds})
            found[unit.key] = Ended(unit.key, "done", line, seconds)
        except (ModscopeError, OSError) as error:
            found[unit.key] = failed_unit(unit.key, error, seconds)
        shutil.rmtree(one.folder, ignore_errors=True)
    return found
