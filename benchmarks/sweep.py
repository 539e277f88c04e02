"""Sweeps: networks an hour against a plain PyTorch loop, what a unit costs besides its training, and large tables.

    python benchmarks/sweep.py [--quick] [--networks N] [--units N] [--stored N]

Ours: `modscope.sweep.run_sweep` of quick at p = 59 for some hundred steps, every claim left out, on two workers of this
machine. Theirs: the same recipes one after another in a plain PyTorch loop (all positions, one autograd graph, AdamW), as
many steps, no evaluation, no files. The last line is `sweep ratio R`.
Besides: seconds a unit of a sweep whose work is to write a result, whole (--units, 100,000 without --quick), with the time
to plan, gather and make the table; and the time to read a table of 10,000 networks.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

from memory import own_peak_megabytes
from modscope.sweep import Plan, Storage, Sweep, run_sweep
from modscope.sweep.table import as_csv, planned, read_table, segment_of, written
from modscope.sweep.unit import RESULTS, Ended, Made
from modscope.training.trainer import Trainer
from training import naive_step

ROWS = 120  # of a network with all findings and their numbers


def plan_of(networks: int, **settings: Any) -> Plan:
    return Plan.from_dict(
        {
            "preset": "quick",
            "settings": {"task.p": 59, "keep.log": 0, **settings},
            "axes": {"seed": f"0:{networks}"},
            "look": {"claims": False, "networks": False},
        }
    )


def networks_an_hour(networks: int, steps: int) -> tuple[float, float]:
    """Seconds a network, ours and theirs, in alternating pairs of a sweep and a loop."""
    settings = {"stop": {"steps": steps, "settled": False, "begin_anew": 0}}
    ours, theirs = [], []
    for _ in range(2):
        with tempfile.TemporaryDirectory() as out:
            started = time.monotonic()
            run_sweep(plan_of(networks, **settings), Storage(out), workers=2)
            ours.append((time.monotonic() - started) / networks)
        loop = networks // 4 or 1  # one after another: a part of them tells the pace
        started = time.monotonic()
        for unit in plan_of(loop, **settings).units:
            step = naive_step(Trainer(unit.recipe.changed({"engine": "plain"})))
            for _ in range(steps):
                step()
        theirs.append((time.monotonic() - started) / loop)
    return min(ours), min(theirs)


def result_of(values: dict[str, Any], key: str, rows: int) -> dict[str, Any]:
    """A result of the size of a real one."""
    body = [
        ["number", f"measure {i}", 0.123456789 + i, 0.5, None, None, None, None, None] for i in range(rows)
    ]
    return {
        "format": 1,
        "key": key,
        "recipe": values["recipe"],
        "said": f"quick seed={values['axes'].get('seed', 0)} task.p=59",
        "modscope": "0",
        "commit": "0" * 40,
        "trained by": "0" * 40,
        "rows": body,
    }


def write_at_once(values: dict[str, Any], storage: Storage, made: Made, trained: str = "") -> Ended:
    """The work of a unit that takes no time: its result is written and nothing else is done."""
    from modscope.sweep.plan import Unit

    key = Unit.from_dict(values).key
    storage.write_once(f"{RESULTS}/{key}.json", json.dumps(result_of(values, key, 11)).encode())
    return Ended(key, "done", "", 0.0)


def many_units(count: int) -> None:
    """Time of a sweep with that many units of no work, by its parts."""
    started = time.monotonic()
    plan = plan_of(count)
    keys = {unit.key for unit in plan.units}
    planning = time.monotonic() - started
    with tempfile.TemporaryDirectory() as out:
        sweep = Sweep(Storage(out))
        began = time.monotonic()
        run_sweep(plan, sweep.storage, workers=1, work=write_at_once)
        working = time.monotonic() - began
        began = time.monotonic()
        sweep.gather()
        done = sweep.done()
        listing = time.monotonic() - began
        began = time.monotonic()
        table = sweep.table()
        making = time.monotonic() - began
        size = sum(path.stat().st_size for path in Path(out).rglob("*.parquet"))
    assert done == keys, "units are missing"
    print(
        f"{count} units that do nothing but write their result: {1000 * working / count:.2f} ms each, table included"
    )
    print(
        f"  planning {planning:.1f} s, finding what is done {listing:.2f} s, the table of {len(table)} rows {making:.1f} s"
    )
    print(f"  {size / count:.0f} bytes a unit when gathered; peak {own_peak_megabytes():.0f} MB")


def stored_units(count: int) -> None:
    """Time to find what is done of a sweep with that many results, gathered a thousand to a file, and to make its table."""
    began = time.process_time()
    plan = plan_of(count)
    keys = [unit.key for unit in plan.units]
    planning = time.process_time() - began
    with tempfile.TemporaryDirectory() as out:
        sweep = Sweep(Storage(out))
        sweep.write_plan(plan)
        for i in range(0, count, 1000):
            results = [result_of(u.to_dict(), u.key, 11) for u in plan.units[i : i + 1000]]
            sweep.storage.write_once(f"segments/{i:08d}.parquet", written(segment_of(results)))
        began = time.process_time()
        assert sweep.done() == set(keys)
        finding = time.process_time() - began
        began = time.process_time()
        table = sweep.table()
        making = time.process_time() - began
        size = sum(path.stat().st_size for path in Path(out).rglob("*.parquet"))
    print(
        f"{count} units stored: CPU time to plan {planning:.1f} s, to find what is done {finding:.1f} s, to make the table "
        f"of {len(table)} rows {making:.1f} s; {size / count:.0f} bytes a unit; peak {own_peak_megabytes():.0f} MB"
    )


def large_table(networks: int) -> None:
    """Time to read the table of that many networks."""
    plan = plan_of(networks)
    segment = segment_of([result_of(unit.to_dict(), unit.key, ROWS) for unit in plan.units])
    table = planned([segment], plan)
    data = written(table)
    times = []
    for _ in range(5):
        began = time.process_time()
        frame = read_table(data, "table.parquet")
        times.append(time.process_time() - began)
    print(
        f"the table of {networks} networks, {len(frame)} rows, {len(data) / 1e6:.1f} MB of Parquet: "
        f"read in {sorted(times)[2]:.2f} s; as CSV {len(as_csv(table.slice(0, 12000))) * len(table) / 12000 / 1e6:.0f} MB"
    )


def paces(networks: int, steps: int) -> None:
    """How many networks of so many steps an hour makes, ours and theirs."""
    ours, theirs = networks_an_hour(networks, steps)
    print(f"networks an hour: sweep {3600 / ours:.0f}, plain loop {3600 / theirs:.0f}")
    print(f"sweep ratio {theirs / ours:.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--units", type=int, default=0)
    parser.add_argument(
        "--networks", type=int, default=0, help="only this: networks an hour, with so many in a sweep"
    )
    parser.add_argument("--stored", type=int, default=0, help="only this: a sweep with so many results")
    given = parser.parse_args()
    torch.set_num_threads(1)
    if given.stored:
        stored_units(given.stored)
        return
    if given.networks:
        paces(given.networks, 400)
        return
    many_units(given.units or (300 if given.quick else 100_000))
    large_table(1_000 if given.quick else 10_000)
    if given.units:
        return
    paces(*((4, 60) if given.quick else (16, 400)))


if __name__ == "__main__":
    sys.exit(main())
