"""Units that are trained in one stack come out as those trained alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.sweep.tiny import tiny

from modscope.sweep import Storage, Sweep, run_sweep
from modscope.sweep.together import bundles, worked_off_together
from modscope.sweep.unit import made_by, worked_off

distributed = pytest.importorskip("distributed")


def test_small_networks_of_one_shape_are_given_out_together() -> None:
    units = tiny(seeds="0:10", engine="auto").units
    together = bundles(units)
    assert [[u.recipe.task.p for u in bundle] for bundle in together] == [[5] * 10, [6] * 10]
    assert [len(bundle) for bundle in bundles(tiny(seeds="0:10").units)] == [
        1
    ] * 20  # engine plain is asked for
    assert [len(bundle) for bundle in bundles(tiny(seeds="0:4", engine="auto").units)] == [1] * 8  # too few
    large = tiny(seeds="0:10", ps=(113,), engine="auto", network__d_mlp=512).units
    assert {len(bundle) for bundle in bundles(large)} == {1}


def test_a_bundle_has_the_results_of_its_units(tmp_path: Path) -> None:
    units = tiny(seeds="0:8", ps=(5,), engine="auto").units
    one, many = Storage(tmp_path / "one"), Storage(tmp_path / "many")
    alone = [worked_off(unit.to_dict(), one, made_by()) for unit in units[:2]]
    ended = worked_off_together([unit.to_dict() for unit in units], many, made_by())
    assert [e.how for e in alone] == ["done"] * 2
    assert [e.how for e in ended] == ["done"] * 8, ended
    for unit in units[:2]:
        mine, other = (next(iter(Sweep(s).results([unit.key])))["rows"] for s in (many, one))
        assert [row[:2] for row in mine] == [row[:2] for row in other]
        loss = next(row[2] for row in mine if row[1] == "train loss")
        assert loss == pytest.approx(next(row[2] for row in other if row[1] == "train loss"), rel=0.2)
    again = worked_off_together([unit.to_dict() for unit in units], many, made_by())
    assert {e.how for e in again} == {"there"}
    assert list((tmp_path / "many" / "work").iterdir()) == []


def test_one_of_a_bundle_that_fails_leaves_the_others(tmp_path: Path) -> None:
    plan = tiny(seeds="0:8", ps=(5,), engine="auto")
    values = [unit.to_dict() for unit in plan.units]
    values[3]["recipe"]["optimiser"] |= {"learning_rate": 1e30, "weight_decay": 0.0}
    ended = worked_off_together(values, Storage(tmp_path), made_by())
    assert [e.how for e in ended] == ["done"] * 3 + ["failed"] + ["done"] * 4
    assert not ended[3].again


def test_a_sweep_of_small_networks(tmp_path: Path) -> None:
    told: list[Any] = []
    with distributed.Client(
        processes=False, n_workers=1, threads_per_worker=1, dashboard_address=":0"
    ) as client:
        plan = tiny(seeds="0:8", ps=(5,), engine="auto")
        sweep = run_sweep(plan, Storage(tmp_path), client=client, watch=told.append)
    table = sweep.table().to_pandas()
    assert table.network.nunique() == 8
    assert sum(stand.last is not None for stand in told) == 8
