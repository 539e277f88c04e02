"""One unit of work: train a network, look at it, write what was seen, once."""

from __future__ import annotations

import contextlib
import json
import shutil
import tempfile
import time
import traceback
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, Literal

from modscope._version import __version__
from modscope.checkpoints import read_safetensors
from modscope.checkpoints.manifest import read_manifest
from modscope.checkpoints.reading import read_table
from modscope.errors import CheckpointError, InputError, ModscopeError, RunError, SweepError, TrainingError
from modscope.provenance import source_commit
from modscope.runs import Run
from modscope.runs.folder import RECIPE
from modscope.sweep.measures import TRAINING, judged_rows, rows_of
from modscope.sweep.plan import Unit, said_shortly
from modscope.sweep.records import result_in
from modscope.sweep.storage import Storage
from modscope.training.recipe import Recipe
from modscope.training.running import INTERRUPTED, resume, train

__all__ = [
    "NETWORKS",
    "RESULTS",
    "Ended",
    "Made",
    "failed_unit",
    "finished_runs",
    "is_same",
    "looked_again",
    "made_by",
    "place_of",
    "refuse_other_version",
    "worked_off",
    "write_result",
]

RESULTS, NETWORKS, WORK = "results", "networks", "work"
FORMAT = 1


@dataclass(frozen=True)
class Made:
    """Which modscope this is: what all workers of a sweep have to agree on."""

    modscope: str
    commit: str


@dataclass(frozen=True)
class Ended:
    """How a unit ended.

    how: "done"; "there" where its result was there already; "elsewhere" where another process has it in hand; "failed",
    and then error and trace say why, again whether trying again may help, and fatal that the others would fail too.
    """

    key: str
    how: Literal["done", "there", "elsewhere", "failed"]
    line: str = ""
    seconds: float = 0.0
    error: str = ""
    trace: str = ""
    again: bool = False
    fatal: bool = False


@cache  # files of a checkout may change under a process that has long read them
def made_by() -> Made:
    """The version and commit of this process."""
    return Made(__version__, source_commit())


def worked_off(values: dict[str, Any], storage: Storage, made: Made, trained: str = "") -> Ended:
    """Train and look at one unit (`Unit.to_dict`) unless its result is there; never raises.

    trained: the folder of a finished run of this recipe, if there is one: it is looked at, and nothing is trained.
    """
    unit = Unit.from_dict(values)
    start = time.monotonic()
    try:
        refuse_other_version(made)
        if storage.exists(f"{RESULTS}/{unit.key}.json"):
            return Ended(unit.key, "there")
        with place_of(unit, storage) as folder:
            if folder is None:
                return Ended(unit.key, "elsewhere")
            run = Run.open(trained) if trained else _trained(unit.recipe, folder)
            seconds = {"training": time.monotonic() - start}
            line = write_result(unit, run, storage, made, seconds)
        return Ended(unit.key, "done", line, time.monotonic() - start)
    except Exception as error:  # whatever it is, the others go on
        return failed_unit(unit.key, error, time.monotonic() - start)


def failed_unit(key: str, error: Exception, seconds: float) -> Ended:
    """A unit that ended with an error; called where it was caught."""
    said = str(error) if isinstance(error, ModscopeError) else f"{type(error).__name__}: {error}"
    # The same recipe on the same data fails in the same way.
    again = not isinstance(error, InputError | TrainingError)
    fatal = bool(getattr(error, "fatal", False))
    return Ended(key, "failed", "", seconds, said, traceback.format_exc(), again, fatal)


def refuse_other_version(made: Made) -> None:
    """Raise SweepError where this process is of another modscope than the one that began the sweep."""
    own = made_by()
    if own != made:
        raise SweepError(
            f"a worker has modscope {_named(own)}, and the sweep was begun by {_named(made)}", fatal=True
        )


def _named(made: Made) -> str:
    return f"{made.modscope} (commit {made.commit[:12]})" if made.commit else made.modscope


@contextlib.contextmanager
def place_of(unit: Unit, storage: Storage) -> Iterator[Path | None]:
    """A folder of this machine to train in, gone afterwards; None while another process has it.

    Beside the results, where these are in a folder: then the training of a worker that was killed is gone on with.
    """
    if storage.folder is None:
        with tempfile.TemporaryDirectory(prefix="modscope-") as folder:
            yield Path(folder) / "run"
        return
    place = storage.folder / WORK / unit.key
    place.mkdir(parents=True, exist_ok=True)
    claim = (storage.folder / WORK / f"{unit.key}.claim").open("a", encoding="ascii")
    with claim:
        if not _claimed(claim):
            yield None
            return
        yield place / "run"
        # What fails stays, to be gone on with or looked at.
        shutil.rmtree(place, ignore_errors=True)
        Path(claim.name).unlink(missing_ok=True)


def _claimed(file: Any) -> bool:
    """Whether this process alone has the file; the system frees it when the process dies, however it dies."""
    try:
        import fcntl
    except ImportError:
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _trained(recipe: Recipe, folder: Path) -> Run:
    if not Run.is_folder(folder):
        shutil.rmtree(folder, ignore_errors=True)
        run = train(recipe, folder)
    else:
        try:
            run = resume(folder)
        except (RunError, CheckpointError, InputError):
            # Half of a state, or a disk that was full: what was trained there is of no use.
            shutil.rmtree(folder)
            run = train(recipe, folder)
    if run.finished == INTERRUPTED:
        raise SweepError("the training was interrupted")
    return run


def finished_runs(folder: Path) -> dict[Path, Recipe]:
    """The runs in a folder that have ended, with their recipes."""
    found = {}
    for path in sorted(folder.glob(f"*/{RECIPE}")):
        if Run.is_folder(path.parent) and read_manifest(path.parent).finished not in (
            None,
            "",
            INTERRUPTED,
        ):
            found[path.parent] = Recipe.from_dict(read_table(path))
    return found


def is_same(kept: Recipe, asked: Recipe) -> bool:
    """Whether a run was made by the recipe that is asked for; which engine "auto" came to is not asked."""
    return kept == (replace(asked, engine=kept.engine) if asked.engine == "auto" else asked)


def looked_again(values: dict[str, Any], storage: Storage, made: Made, _: str = "") -> Ended:
    """Judge the kept network of a unit by this modscope, in place of how it was judged; never raises.

    How training went stays as it was written down.
    """
    unit = Unit.from_dict(values)
    start = time.monotonic()
    try:
        refuse_other_version(made)
        name = f"{RESULTS}/{unit.key}.json"
        result = result_in(storage.read(name), storage.place(name))
        if (result["modscope"], result["commit"]) == (made.modscope, made.commit):
            return Ended(unit.key, "there")
        with tempfile.TemporaryDirectory(prefix="modscope-") as folder:
            path = Path(folder) / "network.safetensors"
            path.write_bytes(storage.read(f"{NETWORKS}/{unit.key}.safetensors"))
            kept = [row for row in result["rows"] if row[0] == TRAINING]
            saved = read_safetensors(path)
            rows = [*kept, *(list(row) for row in judged_rows(saved.model, saved.task, unit.looks))]
        result |= {"rows": rows, "modscope": made.modscope, "commit": made.commit}
        storage.replace(name, json.dumps(result, allow_nan=False).encode())
        return Ended(unit.key, "done", "judged again", time.monotonic() - start)
    except Exception as error:
        return failed_unit(unit.key, error, time.monotonic() - start)


def write_result(unit: Unit, run: Run, storage: Storage, made: Made, seconds: dict[str, float]) -> str:
    """Look at a finished run and write what was seen; returns the outcome in a line."""
    start = time.monotonic()
    rows = rows_of(run, unit.looks)
    seconds = seconds | {"looking": time.monotonic() - start}
    if unit.looks.networks:
        network = run.path / "checkpoints" / f"epoch_{run.epochs[-1]:06d}.safetensors"
        storage.write_once(f"{NETWORKS}/{unit.key}.safetensors", network.read_bytes())
    result = {
        "format": FORMAT,
        "key": unit.key,
        "recipe": unit.recipe.to_dict(),
        "said": said_shortly(unit.recipe),
        "modscope": made.modscope,
        "commit": made.commit,
        "trained by": run.environment.get("commit") or run.environment.get("modscope", ""),
        "environment": dict(run.environment),
        "seconds": seconds,
        "rows": [list(row) for row in rows],
    }
    storage.write_once(f"{RESULTS}/{unit.key}.json", json.dumps(result, allow_nan=False).encode())
    of = {row.measure: row.value for row in rows if row.kind == TRAINING}
    loss = of["test loss"]
    return f"step {of['steps']:.0f}, {'' if loss is None else f'test loss {loss:.3g}, '}{run.finished}"
