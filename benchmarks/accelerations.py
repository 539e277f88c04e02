"""What each acceleration does to grokking: steps to test losses, to being settled, and the network that comes out.

    python benchmarks/accelerations.py runs/accelerations [--only quick,published] [--table]

Trains every case into run folders, one network a core (one that has ended is not trained again), then prints the
table of docs/training.md from the folders. Steps are counted where the test loss is evaluated (every 25). What the
networks have become is asked by kinds.py.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from modscope.runs import Run, written
from modscope.training.presets import preset
from modscope.training.recipe import Recipe
from modscope.training.running import INTERRUPTED
from modscope.training.seeds import train_each

BRIEF = {"keep.log": 0, "keep.test": 25, "keep.resume": 1000}
SHORT = {"stop.steps": 3000}
TO_GROKKING = {"stop.steps": 3000, "stop.test_loss": 1e-3}


@dataclass(frozen=True)
class Case:
    """One row of the table: a preset, what is changed, and over what it is repeated."""

    name: str
    preset: str = "nanda"
    changes: dict[str, Any] = field(default_factory=dict)
    seeds: range = range(3)
    p: int = 113
    operation: str = "add"

    def recipes(self) -> Iterator[tuple[str, Recipe]]:
        for seed in self.seeds:
            own = {"task.p": self.p, "task.operation": self.operation, "seed": seed, "threads": 1}
            recipe = preset(self.preset).changed(BRIEF | self.changes | own)
            yield f"{self.name.replace(' ', '_')}/seed{seed}", recipe

    def runs(self, folder: Path) -> list[Run]:
        """Those of its runs that are in a folder, ended or not."""
        return [Run.open(folder / name) for name, _ in self.recipes() if (folder / name).is_dir()]


CASES = (
    Case("quick add 113", "quick", seeds=range(8)),
    Case("quick subtract 113", "quick", seeds=range(8), operation="subtract"),
    Case("quick add 97", "quick", seeds=range(8), p=97),
    Case("quick subtract 97", "quick", seeds=range(8), p=97, operation="subtract"),
    *(
        Case(f"quick {operation} {p}", "quick", seeds=range(4), p=p, operation=operation)
        for p in (59, 149, 227)
        for operation in ("add", "subtract")
    ),
    Case("published add 113", changes={"stop.steps": 14_000}, seeds=range(8)),
    Case("published subtract 113", changes={"stop.steps": 20_000}, seeds=range(8), operation="subtract"),
    Case("published add 97", changes={"stop.steps": 14_000}, seeds=range(8), p=97),
    Case("published subtract 97", changes={"stop.steps": 20_000}, seeds=range(8), p=97, operation="subtract"),
    Case("learning rate 3e-3", changes={"optimiser.learning_rate": 3e-3, "stop.steps": 6000}),
    Case("learning rate 5e-3", changes=SHORT | {"optimiser.learning_rate": 5e-3}),
    Case("learning rate 1e-2", changes=SHORT | {"optimiser.learning_rate": 1e-2}, seeds=range(8)),
    Case(
        "learning rate 1e-2 subtract",
        changes=SHORT | {"optimiser.learning_rate": 1e-2},
        seeds=range(8),
        operation="subtract",
    ),
    Case("learning rate 2e-2", changes=SHORT | {"optimiser.learning_rate": 2e-2}),
    Case("weight decay 3", changes={"optimiser.weight_decay": 3.0, "stop.steps": 6000}),
    Case("orthogonal gradient 400 steps", changes=TO_GROKKING | {"optimiser.orthogonal_steps": 400}),
    Case("orthogonal gradient throughout", changes=TO_GROKKING | {"optimiser.orthogonal_steps": 10**6}),
    Case("Grokfast 2", changes=TO_GROKKING | {"optimiser.grokfast": 2.0}),
    Case("initial scale 0.5", changes=TO_GROKKING | {"network.init_scale": 0.5}),
    Case("Muon 1e-2", changes=TO_GROKKING | {"optimiser.name": "muon", "optimiser.learning_rate": 1e-2}),
    Case(
        "StableMax at 1e-2",
        changes=TO_GROKKING | {"optimiser.loss": "stablemax", "optimiser.learning_rate": 1e-2},
    ),
)


def first_below(run: Run, loss: float) -> int | None:
    """The first evaluated step with a test loss below a number."""
    test = written(run.losses, "test_loss")
    below = test.epoch.values[test.values < loss]
    return int(below[0]) if len(below) else None


def frequencies_above(run: Run, share: float) -> int:
    """How many frequencies hold more than a share of the embedding's energy outside DC."""
    p = run.task.p
    W_E = run.model().weight("W_E").detach().numpy()[:p].astype(float)
    energy = np.square(np.abs(np.fft.rfft(W_E, axis=0)[1:])).sum(1)
    return int((energy > share * energy.sum()).sum())


def spread(values: list[int | None], count: int) -> str:
    """Smallest, median and largest, and how many of all they are."""
    reached = [value for value in values if value is not None]
    if not reached:
        return f"0 of {count}"
    text = f"{min(reached)} / {median(reached):.0f} / {max(reached)}"
    return text if len(reached) == count else f"{text} ({len(reached)} of {count})"


def row(case: Case, opened: list[Run]) -> str:
    """One line of the table of steps; a run that is not at its end counts as one that did not get there."""
    runs = [run for run in opened if run.finished not in ("", INTERRUPTED)]
    count = len(opened)
    settled = [int(run.epochs[-1]) if run.finished == "settled" else None for run in runs]
    last = [float(written(run.losses, "test_loss")[-1]) for run in runs]
    number = [frequencies_above(run, 0.01) for run in runs]
    rules = next(case.recipes())[1].stop
    anew = sum(bool(run.begun_anew) for run in runs)
    return line(
        case.name,
        f"{count} ({anew} begun anew)" if anew else str(count),
        spread([first_below(run, 0.01) for run in runs], count),
        spread([first_below(run, 1e-4) for run in runs], count) if not rules.test_loss else "-",
        spread(settled, count) if not rules.test_loss else "-",
        f"{min(last):.0e} to {max(last):.0e}" if last else "-",
        f"{min(number)} to {max(number)}" if number else "-",
    )


def line(*cells: str) -> str:
    return "| " + " | ".join(cells) + " |"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path)
    parser.add_argument(
        "--only", default="", help="names of cases, or beginnings of them, with commas between"
    )
    parser.add_argument("--table", action="store_true", help="print what has been trained; train nothing")
    arguments = parser.parse_args()
    wanted = [name.strip() for name in arguments.only.split(",")]
    cases = [case for case in CASES if any(case.name.startswith(name) for name in wanted)]
    recipes = {arguments.out / name: recipe for case in cases for name, recipe in case.recipes()}
    if not arguments.table:
        stopped = False
        for ended in train_each(recipes):
            print(f"{ended.folder.relative_to(arguments.out)}: {ended.line}", flush=True)
            stopped |= ended.finished == INTERRUPTED
        if stopped:
            raise SystemExit("interrupted; the same command goes on")
    rows = [row(case, runs) for case in cases if (runs := case.runs(arguments.out))]
    print(
        "\n"
        + line(
            "case", "networks", "test loss < .01", "< 1e-4", "settled", "last test loss", "frequencies > 1 %"
        )
    )
    print("|---|---|---|---|---|---|---|")
    print("\n".join(rows))


if __name__ == "__main__":
    main()
