"""Several runs at once: one single-threaded trainer a core, taken from a queue."""

from __future__ import annotations

import multiprocessing
import os
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, replace
from pathlib import Path

from modscope.errors import InputError, TrainingError
from modscope.training.recipe import Recipe
from modscope.training.running import INTERRUPTED, resume, train
from modscope.training.trainer import available_threads

__all__ = ["Ended", "parsed_seeds", "train_each", "train_seeds"]


@dataclass(frozen=True)
class Ended:
    """How one of several runs ended: its folder, the reason, and a line that says so."""

    folder: Path
    finished: str
    line: str


def parsed_seeds(text: str) -> list[int]:
    """Seeds as written on a command line.

    >>> parsed_seeds("0:4"), parsed_seeds("3,5,8")
    ([0, 1, 2, 3], [3, 5, 8])
    """
    try:
        if ":" in text:
            start, end = (int(part) for part in text.split(":"))
            seeds = list(range(start, end))
        else:
            seeds = [int(part) for part in text.split(",")]
    except ValueError as error:
        raise InputError(f"seeds {text!r}: expected 0:8 or 3,5,8") from error
    if not seeds:
        raise InputError(f"seeds {text!r}: there is none")
    return seeds


def train_each(recipes: Mapping[Path, Recipe], *, workers: int = 0) -> Iterator[Ended]:
    """Train each recipe into its folder, one thread each; yields how each one ended, as it ends.

    A run that has not ended is gone on with, one that has is left as it is, so the same call continues after an
    interruption. A run whose loss is no longer a number is said to have failed and the others go on. Ends
    after the first run that was interrupted.
    """
    workers = min(workers or available_threads(), len(recipes))
    # Processes: threads would share one interpreter between the parts that are not compiled.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context, initializer=_end_with_parent) as pool:
        jobs = [
            pool.submit(_train_one, replace(recipe, threads=1), folder) for folder, recipe in recipes.items()
        ]
        for job in as_completed(jobs):
            ended = job.result()
            if ended.finished == INTERRUPTED:
                pool.shutdown(wait=True, cancel_futures=True)
            yield ended
            if ended.finished == INTERRUPTED:
                return


def train_seeds(
    recipe: Recipe, seeds: Sequence[int], out: str | os.PathLike[str], *, workers: int = 0
) -> Iterator[str]:
    """Train each seed into OUT/seedN; yields a line as each one ends, and at last the networks per minute."""
    folder = Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    recipes = {folder / f"seed{seed}": recipe.with_seed(seed) for seed in seeds}
    start = time.monotonic()
    for ended in train_each(recipes, workers=workers):
        yield ended.line
        if ended.finished == INTERRUPTED:
            yield "interrupted; the same command goes on"
            return
    minutes = (time.monotonic() - start) / 60
    cores = min(workers or available_threads(), len(seeds))
    yield f"{len(seeds)} networks in {minutes:.2f} min on {cores} cores: {len(seeds) / minutes:.1f} a minute"


def _end_with_parent() -> None:
    """A trainer ends when the process that started it does: killed, that one can no longer tell it to."""
    parent = multiprocessing.parent_process()
    assert parent is not None

    def wait() -> None:
        parent.join()
        os._exit(1)  # a run folder survives any end

    threading.Thread(target=wait, daemon=True).start()


def _train_one(recipe: Recipe, folder: Path) -> Ended:
    try:
        run = resume(folder) if (folder / "manifest.json").is_file() else train(recipe, folder)
    except TrainingError as error:
        return Ended(folder, "failed", f"seed {recipe.seed}: {error}")
    last = run.losses.isel(epoch=-1)
    begun = f" (begun anew at step {', '.join(map(str, run.begun_anew))})" if run.begun_anew else ""
    line = (
        f"seed {recipe.seed}: step {int(last.epoch)}, train loss {float(last.train_loss):.3g}, "
        f"test loss {float(last.test_loss):.3g}; {run.finished}{begun}"
    )
    return Ended(folder, run.finished, line)
