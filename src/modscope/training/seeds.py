"""Several runs at once: one single-threaded trainer a core, taken from a queue."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from multiprocessing import resource_tracker
from multiprocessing.managers import SyncManager
from pathlib import Path
from typing import Any

from modscope.checkpoints.reading import read_table
from modscope.errors import InputError, ModscopeError, TrainingError, shown
from modscope.runs import Run, written
from modscope.runs.folder import RECIPE
from modscope.training.interruption import interruption
from modscope.training.recipe import Recipe
from modscope.training.running import INTERRUPTED, Status, resume, train
from modscope.training.trainer import available_threads

__all__ = ["FAILED", "Ended", "Progress", "ended_run", "pace", "parsed_seeds", "train_each", "train_seeds"]

FAILED = "failed"
MOST_SEEDS = 10_000
# What is raised where the process between the trainers is no longer there.
_GONE = (EOFError, ConnectionError)
_EVERY = 0.25  # seconds between two words of a trainer and the process that started it


@dataclass(frozen=True)
class Ended:
    """How one of several runs ended: its folder, the reason, a line that says so, and whether a step was taken."""

    folder: Path
    finished: str
    line: str
    trained: bool = True


@dataclass(frozen=True)
class Progress:
    """How one of several runs stands. steps: the last step, if no other rule ends it before."""

    folder: Path
    seed: int
    epoch: int
    steps: int
    test_loss: float | None
    steps_per_second: float


def parsed_seeds(text: str, *, most: int = MOST_SEEDS) -> list[int]:
    """Seeds as written on a command line.

    >>> parsed_seeds("0:4"), parsed_seeds("3,5,8")
    ([0, 1, 2, 3], [3, 5, 8])
    """
    try:
        if ":" in text:
            start, end = (int(part) for part in text.split(":"))
            seeds: Sequence[int] = range(start, end) if end - start < 2**62 else range(2**62)
        else:
            seeds = [int(part) for part in text.split(",")]
    except (ValueError, AttributeError, TypeError) as error:
        raise InputError(f"seeds {shown(text)}: expected 0:8 or 3,5,8") from error
    if not seeds:
        raise InputError(f"seeds {shown(text)}: there is none")
    if len(seeds) > most:
        raise InputError(f"seeds {shown(text)}: expected at most {most} runs at once")
    if len(set(seeds)) < len(seeds):
        raise InputError(f"seeds {shown(text)}: one is there twice")
    return list(seeds)


def train_each(
    recipes: Mapping[Path, Recipe],
    *,
    workers: int = 0,
    watch: Callable[[Progress], None] = lambda progress: None,
) -> Iterator[Ended]:
    """Train each recipe into its folder, one thread each; yields how each one ended, as it ends.

    Where the recipes ask for engine "many", or for "auto" and it pays, they are trained in a stack (`train_many`).

    A run that has not ended is gone on with, one that has is left as it is, so the same call continues after an
    interruption. A run that fails, such as by a loss that is no longer a number, is said to have and the others go on. After
    Ctrl-C or SIGTERM those that train stop between two steps and are yielded, and no other is begun. Raises InputError
    before anything is trained where a folder holds a run of another recipe.
    """
    single = {folder: replace(recipe, threads=1) for folder, recipe in recipes.items()}
    for folder, recipe in single.items():
        _refuse_another_recipe(folder, recipe)
    from modscope.training.many import pays, train_many

    if all(_in_a_stack(recipe, pays(recipe, len(recipes))) for recipe in recipes.values()):
        yield from train_many(single, watch=watch)
        return
    workers = min(workers or available_threads(), len(recipes))
    # Processes: threads would share one interpreter between the parts that are not compiled.
    context = multiprocessing.get_context("spawn")
    with interruption() as interrupted, contextlib.ExitStack() as opened:
        # Started with the terminal's signals blocked, the others hear none before they can say what it means.
        with _signals_held():
            manager = opened.enter_context(_manager(context))
            stop, told = manager.Event(), manager.Queue()
            pool = opened.enter_context(
                ProcessPoolExecutor(
                    workers, mp_context=context, initializer=_follow_parent, initargs=(signal.SIGINT,)
                )
            )
            jobs = {
                pool.submit(_train_one, recipe, folder, stop, told): _not_begun(recipe, folder)
                for folder, recipe in single.items()
            }
        try:
            waiting = set(jobs)
            while waiting:
                done, waiting = wait(waiting, timeout=_EVERY, return_when=FIRST_COMPLETED)
                if interrupted() and not stop.is_set():
                    _stop(stop, jobs)
                while not told.empty():
                    watch(told.get())
                yield from (jobs[job] if job.cancelled() else job.result() for job in done)
        except (BrokenProcessPool, *_GONE) as error:
            raise TrainingError("a trainer was ended from outside; the same call goes on") from error
        finally:
            _stop(stop, jobs)


def _in_a_stack(recipe: Recipe, pays: bool) -> bool:
    return recipe.engine == "many" or (recipe.engine == "auto" and pays)


@contextlib.contextmanager
def _signals_held() -> Iterator[None]:
    """Ctrl-C and the end of the terminal wait; processes that are started meanwhile never hear of them."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    resource_tracker.ensure_running()  # started later, by the first process, it would let Ctrl-C through again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGHUP})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _stop(stop: threading.Event, jobs: Iterable[Future[Ended]]) -> None:
    """Nothing that waits is begun, and what trains stops between two steps."""
    for job in jobs:
        job.cancel()
    with contextlib.suppress(*_GONE):
        stop.set()


def _not_begun(recipe: Recipe, folder: Path) -> Ended:
    return Ended(folder, INTERRUPTED, f"seed {recipe.seed}: not begun", trained=False)


def _refuse_another_recipe(folder: Path, recipe: Recipe) -> None:
    if not (folder / RECIPE).is_file():
        return
    kept = Recipe.from_dict(read_table(folder / RECIPE))
    asked = replace(recipe, engine=kept.engine) if recipe.engine == "auto" else recipe
    unlike = kept.unlike(asked)
    if unlike:
        raise InputError(f"{folder}: holds a run of another recipe: {'; '.join(unlike)}: give another folder")


def train_seeds(
    recipe: Recipe,
    seeds: Sequence[int],
    out: str | os.PathLike[str],
    *,
    workers: int = 0,
    watch: Callable[[Progress], None] = lambda progress: None,
) -> Iterator[Ended]:
    """Train each seed into OUT/seedN; yields each one as it ends. See `train_each`."""
    folder = Path(out)
    if Run.is_folder(folder):
        raise InputError(f"{folder}: holds a run itself: give the folder that the seeds' runs shall be in")
    recipes = {folder / f"seed{seed}": recipe.with_seed(seed) for seed in seeds}
    yield from train_each(recipes, workers=workers, watch=watch)


def pace(ended: Sequence[Ended], seconds: float) -> str:
    """One line on several runs that took that long: how many were trained, and how many that is a minute.

    >>> pace([Ended(Path("a"), "settled", ""), Ended(Path("b"), "settled", "", trained=False)], 30.0)
    '1 network in 0.50 min: 2.0 a minute; 1 had been trained before'
    """
    trained = sum(one.trained for one in ended)
    before = len(ended) - trained
    networks = f"{trained} network{'s' * (trained != 1)}"
    line = f"{networks} in {seconds / 60:.2f} min: {60 * trained / seconds:.1f} a minute"
    if not before:
        return line
    return f"{line}; {before} had been trained before" if trained else f"all {before} had been trained before"


def _follow_parent(*signals: signal.Signals) -> None:
    """This process ends when the one that started it does: killed, that one can no longer tell it to.

    signals: those that reach every process of a terminal, and of which the parent says what is to be done.
    """
    for number in signals:
        signal.signal(number, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    assert parent is not None

    def wait_for_end() -> None:
        parent.join()
        os._exit(1)  # a run folder survives any end

    threading.Thread(target=wait_for_end, daemon=True).start()


def _manager(context: Any) -> SyncManager:
    manager = SyncManager(ctx=context)
    try:
        manager.start(_follow_parent, (signal.SIGINT, signal.SIGTERM))
    except EOFError as error:
        raise TrainingError(
            "other processes could not be started: a script that trains several runs needs "
            '`if __name__ == "__main__":` before it does'
        ) from error
    return manager


class _Wire:
    """What a trainer tells the process that started it, and hears from it, a few times a second."""

    def __init__(self, folder: Path, stop: Any, told: Any) -> None:
        self.folder, self._stop, self._told = folder, stop, told
        self._asked = self._wrote = 0.0
        self.trained = False

    def stopped(self) -> bool:
        """Whether the trainer shall stop."""
        now = time.monotonic()
        if now - self._asked < _EVERY:
            return False
        self._asked = now
        try:
            return bool(self._stop.is_set())
        except _GONE:
            return True

    def watch(self, status: Status) -> None:
        """Tell how training stands."""
        self.trained = True
        now = time.monotonic()
        if now - self._wrote < _EVERY or status.finished:
            return
        self._wrote = now
        test = status.test.loss if status.test else None
        recipe = status.recipe
        with contextlib.suppress(*_GONE):
            self._told.put(
                Progress(
                    self.folder, recipe.seed, status.epoch, recipe.stop.steps, test, status.steps_per_second
                )
            )


def _train_one(recipe: Recipe, folder: Path, stop: Any, told: Any) -> Ended:
    """One run to its end, or to where it is stopped."""
    wire = _Wire(folder, stop, told)
    if wire.stopped():
        return _not_begun(recipe, folder)
    try:
        if Run.is_folder(folder):
            run = resume(folder, watch=wire.watch, stop=wire.stopped)
        else:
            run = train(recipe, folder, watch=wire.watch, stop=wire.stopped)
    except ModscopeError as error:
        return Ended(folder, FAILED, f"seed {recipe.seed}: {error}")
    return _ended(run, folder, recipe, trained=wire.trained)


def ended_run(folder: Path, recipe: Recipe) -> Ended:
    """How the run in a folder has ended."""
    return _ended(Run.open(folder), folder, recipe)


def _ended(run: Run, folder: Path, recipe: Recipe, *, trained: bool = True) -> Ended:
    begun = f" (begun anew at step {', '.join(map(str, run.begun_anew))})" if run.begun_anew else ""
    return Ended(folder, run.finished, f"seed {recipe.seed}: {_losses(run)}{run.finished}{begun}", trained)


def _losses(run: Run) -> str:
    """The last losses of a run; nothing where it was stopped before there were any."""
    if not run.losses.sizes["epoch"]:
        return ""
    train, test = (written(run.losses, name) for name in ("train_loss", "test_loss"))
    return (
        f"step {int(train.epoch[-1])}, train loss {float(train[-1]):.3g}, test loss {float(test[-1]):.3g}; "
    )
