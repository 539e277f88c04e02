"""What each acceleration does to grokking: steps to test losses, to being settled, and the network that comes out.

    python benchmarks/accelerations.py runs/accelerations [--only quick,published]

Trains every case into its own run folder (one that has ended is not trained again), then prints the table of
docs/training.md from the folders. Steps are counted where the test loss is evaluated (every 25 or 50).
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from modscope.errors import TrainingError
from modscope.runs import Run
from modscope.training.presets import preset
from modscope.training.recipe import Recipe
from modscope.training.running import INTERRUPTED, resume, train

BRIEF = {"stop.steps": 3000, "keep.log": 0, "keep.test": 25, "keep.resume": 1000}


@dataclass(frozen=True)
class Case:
    """One row of the table: a preset, what is changed, and over what it is repeated."""

    name: str
    preset: str = "nanda"
    changes: dict[str, Any] = field(default_factory=dict)
    seeds: range = range(3)
    tasks: tuple[tuple[int, str], ...] = ((113, "add"),)

    def recipes(self) -> Iterator[tuple[str, Recipe]]:
        for p, operation in self.tasks:
            for seed in self.seeds:
                own = {"task.p": p, "task.operation": operation, "seed": seed, "threads": 1}
                folder = f"{self.name.replace(' ', '_')}/{operation}{p}_seed{seed}"
                yield folder, preset(self.preset).changed(BRIEF | self.changes | own)


FOUR = ((113, "add"), (113, "subtract"), (97, "add"), (97, "subtract"))
CASES = (
    *(
        Case(f"quick {op} {p}", "quick", {"stop.steps": 4000}, range(8 if p == 113 else 4), ((p, op),))
        for p, op in FOUR
    ),
    Case("published", changes={"stop.steps": 20_000}),
    Case("learning rate 3e-3", changes={"optimiser.learning_rate": 3e-3, "stop.steps": 5000}),
    Case("learning rate 5e-3", changes={"optimiser.learning_rate": 5e-3}),
    Case(
        "learning rate 1e-2",
        changes={"optimiser.learning_rate": 1e-2},
        tasks=((113, "add"), (113, "subtract")),
    ),
    Case("learning rate 2e-2", changes={"optimiser.learning_rate": 2e-2}),
    Case("weight decay 3", changes={"optimiser.weight_decay": 3.0, "stop.steps": 5000}),
    Case(
        "orthogonal gradient 400 steps", changes={"optimiser.orthogonal_steps": 400, "stop.test_loss": 1e-3}
    ),
    Case(
        "orthogonal gradient throughout",
        changes={"optimiser.orthogonal_steps": 10**6, "stop.test_loss": 1e-3, "stop.steps": 2000},
    ),
    Case("Grokfast 2", changes={"optimiser.grokfast": 2.0, "stop.test_loss": 1e-3}),
    Case("initial scale 0.5", changes={"network.init_scale": 0.5, "stop.test_loss": 1e-3}),
    Case("Muon 1e-2", changes={"optimiser.name": "muon", "optimiser.learning_rate": 1e-2}),
    Case(
        "StableMax at 1e-2",
        "quick",
        {"optimiser.loss": "stablemax", "stop.steps": 1000, "stop.test_loss": 1e-3},
        range(2),
    ),
)


def trained(folder: Path, recipe: Recipe) -> Run | None:
    """The run in a folder, trained to its end; None where training failed."""
    try:
        if not (folder / "manifest.json").is_file():
            run = train(recipe, folder)
        else:
            run = Run.open(folder)
            if run.finished in ("", INTERRUPTED):
                run = resume(folder)
    except TrainingError:
        return None
    if run.finished == INTERRUPTED:
        raise SystemExit("interrupted; the same command goes on")
    return run


def first_below(run: Run, loss: float) -> int | None:
    """The first evaluated step with a test loss below a number."""
    test = run.losses.test_loss.dropna("epoch")
    below = test.epoch.values[test.values < loss]
    return int(below[0]) if len(below) else None


def frequencies_above(run: Run, share: float) -> int:
    """How many frequencies hold more than a share of the embedding's energy outside DC."""
    p = run.task.p
    W_E = run.model().weight("W_E").detach().numpy()[:p].astype(float)
    energy = np.square(np.abs(np.fft.rfft(W_E, axis=0)[1:])).sum(1)
    return int((energy > share * energy.sum()).sum())


def row(case: Case, runs: list[Run]) -> str:
    """One line of the table."""
    count = len(runs)

    def steps(values: list[int | None]) -> str:
        reached = [value for value in values if value is not None]
        if not reached:
            return f"0 of {count}"
        text = f"{min(reached)} / {median(reached):.0f} / {max(reached)}"
        return text if len(reached) == count else f"{text} ({len(reached)} of {count})"

    settled = [int(run.epochs[-1]) if run.finished == "settled" else None for run in runs]
    last = [float(run.losses.test_loss.dropna("epoch")[-1]) for run in runs]
    number = [frequencies_above(run, 0.01) for run in runs]
    cells = [
        case.name,
        str(count),
        steps([first_below(run, 0.01) for run in runs]),
        steps([first_below(run, 1e-4) for run in runs]),
        steps(settled),
        f"{min(last):.0e} to {max(last):.0e}" if last else "-",
        f"{min(number)} to {max(number)}" if number else "-",
    ]
    return "| " + " | ".join(cells) + " |"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path)
    parser.add_argument(
        "--only", default="", help="names of cases, or beginnings of them, with commas between"
    )
    parser.add_argument(
        "--table", action="store_true", help="print the table of what has been trained; train nothing"
    )
    arguments = parser.parse_args()
    wanted = arguments.only.split(",")
    rows = []
    for case in CASES:
        if not any(case.name.startswith(name) for name in wanted):
            continue
        runs = []
        for folder, recipe in case.recipes():
            path = arguments.out / folder
            if arguments.table and not (path / "manifest.json").is_file():
                continue
            run = Run.open(path) if arguments.table else trained(path, recipe)
            if run is not None and run.finished not in ("", INTERRUPTED):
                runs.append(run)
                print(f"{folder}: {run.finished} at step {run.epochs[-1]}", flush=True)
        if runs:
            rows.append(row(case, runs))
    print(
        "\n| case | networks | test loss < .01 (min / median / max) | < 1e-4 | settled | last test loss | frequencies |"
    )
    print("|---|---|---|---|---|---|---|")
    print("\n".join(rows))


if __name__ == "__main__":
    main()
