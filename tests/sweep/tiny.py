"""A sweep that is done in a blink, and what its tests ask of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from modscope.sweep import Plan
from modscope.sweep.plan import Unit
from modscope.sweep.results import Sweep
from modscope.sweep.storage import Storage
from modscope.sweep.table import segment_of, written
from modscope.sweep.unit import Ended

SETTINGS: dict[str, Any] = {
    "network": {"d_model": 8, "n_heads": 2, "d_mlp": 16},
    "optimiser.learning_rate_schedule": [],
    "stop": {"steps": 40, "settled": False, "begin_anew": 0},
    "keep": {"losses": 5, "test": 10, "resume": 20, "log": 0},
    "engine": "plain",
}


def tiny(*, seeds: str = "0:2", ps: tuple[int, ...] = (5, 6), look: Any = None, **settings: Any) -> Plan:
    changed = SETTINGS | {name.replace("__", "."): value for name, value in settings.items()}
    return Plan.from_dict(
        {
            "preset": "quick",
            "settings": changed,
            "axes": {"task.p": list(ps), "seed": seeds},
            "look": {"claims": False} if look is None else look,
        }
    )


def result_of(unit: Unit) -> dict[str, Any]:
    """What a unit that was trained leaves behind, by hand."""
    row = ["training", "test loss", 0.5, None, None, None, None, None, None]
    return {
        "format": 1, "key": unit.key, "recipe": unit.recipe.to_dict(), "said": "tiny", "modscope": "1", "commit": "", "trained by": "1",
        "environment": {}, "seconds": {}, "rows": [row, ["finding", "one-frequency", 0.5, 0.1, None, None, "holds", None, "share"]],
    }  # fmt: skip


def three_networks(folder: Path) -> Sweep:
    """A sweep of three networks: one with a result, one with a failure, one gathered into a segment."""
    plan = tiny(seeds="0:3", ps=(5,))
    made = Sweep(Storage(folder))
    made.write_plan(plan)
    one, two, three = plan.units
    made.storage.write_once(f"results/{one.key}.json", json.dumps(result_of(one)).encode())
    made.write_failure(two, Ended(two.key, "failed", error="no reason"))
    made.storage.write_once("segments/x.parquet", written(segment_of([result_of(three)])))
    made.storage.write_once("clients/x.json", json.dumps({"time": 1.0, "running": 2, "left": None}).encode())
    return Sweep(Storage(folder))
