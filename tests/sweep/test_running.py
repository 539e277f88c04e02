"""A sweep does what is missing, once, and its table does not tell how often it was interrupted."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import fsspec
import pytest
from tests.sweep.objects import ObjectStore
from tests.sweep.tiny import SETTINGS, tiny

from modscope.checkpoints import open_checkpoint
from modscope.errors import InputError, SweepError, UnknownName
from modscope.sweep import Plan, Storage, Sweep, look_again, run_sweep
from modscope.sweep.running import chosen, write_table
from modscope.sweep.status import standing
from modscope.sweep.unit import Ended, Made, made_by, worked_off
from modscope.training.running import train

distributed = pytest.importorskip("distributed")
fsspec.register_implementation("objects", ObjectStore, clobber=True)


@pytest.fixture(scope="module")
def client() -> Iterator[Any]:
    with distributed.Client(
        processes=False, n_workers=1, threads_per_worker=2, dashboard_address=":0", set_as_default=False
    ) as client:
        yield client


@pytest.fixture(scope="module")
def undisturbed(client: Any, tmp_path_factory: pytest.TempPathFactory) -> Sweep:
    return run_sweep(tiny(), Storage(tmp_path_factory.mktemp("undisturbed")), client=client)


def csv_of(sweep: Sweep) -> bytes:
    return sweep.storage.read("table.csv")


def test_every_network_has_its_rows(undisturbed: Sweep) -> None:
    table = undisturbed.table().to_pandas()
    assert table.groupby(["task.p", "seed"], observed=True).size().tolist() == [11] * 4
    steps = table[table.measure == "steps"].value
    assert steps.tolist() == [40.0] * 4
    assert set(table.commit) == {made_by().commit}
    assert table.recipe[0].startswith("quick engine=plain keep.log=0")
    assert standing(undisturbed).to_dict() | {"cases": 0} == {
        "total": 4,
        "done": 4,
        "failed": 0,
        "cases": 0,
        "clients": 0,
        "running": 0,
        "left": None,
        "unplanned": 0,
    }


def test_the_last_network_is_kept_and_opens(undisturbed: Sweep) -> None:
    unit = undisturbed.plan.units[3]
    opened = open_checkpoint(undisturbed.storage.folder / "networks" / f"{unit.key}.safetensors")
    assert (opened.task.p, opened.epoch) == (6, 40)
    assert list((undisturbed.storage.folder / "work").iterdir()) == []


@pytest.mark.parametrize("kind", ["memory", "objects"])
def test_object_stores_hold_the_same_table(
    kind: str, client: Any, undisturbed: Sweep, tmp_path: Path
) -> None:
    sweep = run_sweep(tiny(), Storage(f"{kind}://{tmp_path.name}"), client=client)
    assert csv_of(sweep) == csv_of(undisturbed)
    assert sweep.storage.read("table.parquet") == undisturbed.storage.read("table.parquet")


def test_a_second_call_does_only_what_is_missing(client: Any, undisturbed: Sweep, tmp_path: Path) -> None:
    storage, told = Storage(tmp_path), []
    run_sweep(tiny(seeds="0:1"), storage, client=client)
    sweep = run_sweep(tiny(), storage, client=client, watch=told.append)
    assert [stand.last[1].how for stand in told if stand.last] == ["done", "done"]
    assert csv_of(sweep) == csv_of(undisturbed)
    told.clear()
    run_sweep(tiny(), storage, watch=told.append)  # nothing is missing: no cluster is started
    assert [stand.last for stand in told] == [None]


def test_gathered_results_are_results(client: Any, undisturbed: Sweep, tmp_path: Path) -> None:
    storage = Storage(tmp_path)
    sweep = run_sweep(tiny(seeds="0:1"), storage, client=client)
    before = storage.read(f"results/{sweep.plan.units[0].key}.json")
    assert sweep.gather() == 2
    assert (storage.names("results"), len(storage.names("segments"))) == ([], 1)
    storage.replace(f"results/{sweep.plan.units[0].key}.json", before)  # as if killed while it removed them
    sweep = run_sweep(tiny(), storage, client=client)
    assert csv_of(sweep) == csv_of(undisturbed)
    sweep.gather()
    assert sweep.table().equals(undisturbed.table())


def test_two_clients_on_one_sweep_do_no_harm(client: Any, undisturbed: Sweep, tmp_path: Path) -> None:
    import threading

    errors: list[BaseException] = []

    def one() -> None:
        try:
            run_sweep(tiny(), Storage(tmp_path), client=client)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=one) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert csv_of(Sweep(Storage(tmp_path))) == csv_of(undisturbed)


def test_a_training_that_was_killed_is_gone_on_with(client: Any, undisturbed: Sweep, tmp_path: Path) -> None:
    unit = tiny().units[0]
    place = tmp_path / "work" / unit.key / "run"
    place.parent.mkdir(parents=True)
    train(unit.recipe, place, stop=iter([False] * 25 + [True] * 9).__next__)
    sweep = run_sweep(tiny(), Storage(tmp_path), client=client)
    assert csv_of(sweep) == csv_of(undisturbed)


@pytest.mark.parametrize("name", ["resume.safetensors", "manifest.json", "recipe.toml"])
def test_a_training_that_was_damaged_is_begun_again(name: str, undisturbed: Sweep, tmp_path: Path) -> None:
    unit = tiny().units[0]
    place = tmp_path / "work" / unit.key / "run"
    place.parent.mkdir(parents=True)
    train(unit.recipe, place, stop=iter([False] * 25 + [True] * 9).__next__)
    (place / name).write_bytes(b"{")
    ended = worked_off(unit.to_dict(), Storage(tmp_path), made_by())
    assert ended.how == "done", ended.trace
    result = Sweep(Storage(tmp_path)).results([unit.key])
    theirs = undisturbed.results([unit.key])
    assert next(iter(result))["rows"] == next(iter(theirs))["rows"]


def test_finished_runs_are_adopted(client: Any, undisturbed: Sweep, tmp_path: Path) -> None:
    for unit in tiny().units[:2]:
        train(unit.recipe, tmp_path / "runs" / unit.key)
    train(tiny().units[2].recipe, tmp_path / "runs" / "not ended", stop=lambda: True)

    def work(values: dict, storage: Storage, made: Made, trained: str) -> Ended:
        storage.write_once(
            f"taken/{bool(trained)}-{values['recipe']['task']['p']}{values['recipe']['seed']}", b""
        )
        return worked_off(values, storage, made, trained)

    sweep = run_sweep(tiny(), Storage(tmp_path / "s"), client=client, adopt=[tmp_path / "runs"], work=work)
    assert sweep.storage.names("taken") == ["False-60", "False-61", "True-50", "True-51"]
    assert csv_of(sweep) == csv_of(undisturbed)


def failing(times: int, *, error: str = "torn", again: bool = True, fatal: bool = False) -> Any:
    def work(values: dict, storage: Storage, made: Made, trained: str) -> Ended:
        unit = tiny().units[0]
        failed = len(storage.names("failed"))
        if values["recipe"] == unit.recipe.to_dict() and failed < times:
            storage.write_once(f"failed/{failed}", b"")
            return Ended(unit.key, "failed", error=error, trace="Traceback: here", again=again, fatal=fatal)
        return worked_off(values, storage, made, trained)

    return work


def test_what_fails_is_tried_again_and_not_for_ever(client: Any, undisturbed: Sweep, tmp_path: Path) -> None:
    sweep = run_sweep(tiny(), Storage(tmp_path / "a"), client=client, work=failing(2), retries=2)
    assert csv_of(sweep) == csv_of(undisturbed)
    assert sweep.failures() == []  # it has a result
    sweep = run_sweep(tiny(), Storage(tmp_path / "b"), client=client, work=failing(9), retries=1)
    assert [f["attempt"] for f in sweep.failures()] == [1, 2]
    assert sweep.failures()[0]["traceback"] == "Traceback: here"
    assert standing(sweep).failed == 1
    assert len(sweep.done()) == 3
    run_sweep(tiny(), Storage(tmp_path / "b"), client=client, work=failing(9))
    assert len(sweep.failures()) == 2  # not touched again
    assert "1 failed" in standing(sweep).lines()[0]
    run_sweep(tiny(), Storage(tmp_path / "b"), client=client, forgive=True)
    assert csv_of(sweep) == csv_of(undisturbed)


def test_what_fails_for_good_is_not_tried_again(client: Any, tmp_path: Path) -> None:
    plan = tiny(optimiser__learning_rate=1e30, optimiser__weight_decay=0.0, ps=(5,), seeds="0:1")
    sweep = run_sweep(plan, Storage(tmp_path), client=client)
    (failure,) = sweep.failures()
    assert "the training loss is nan" in failure["error"]
    assert "TrainingError" in failure["traceback"]


def test_a_full_disk_ends_the_sweep_and_keeps_what_is_done(
    client: Any, undisturbed: Sweep, tmp_path: Path
) -> None:
    storage = Storage(tmp_path)
    with pytest.raises(SweepError, match="p 5, seed 0: no room"):
        run_sweep(tiny(), storage, client=client, work=failing(1, error="no room", fatal=True))
    sweep = run_sweep(tiny(), storage, client=client)
    assert csv_of(sweep) == csv_of(undisturbed)


def test_workers_of_another_modscope_are_refused(
    client: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("modscope.sweep.cluster.made_by", lambda: replace(made_by(), modscope="0.0.1"))
    with pytest.raises(SweepError, match="install the same one everywhere"):
        # the worker of this process sees the changed function too: it answers for the real one
        run_sweep(tiny(), Storage(tmp_path), client=_Other(client))
    ended = worked_off(tiny().units[0].to_dict(), Storage(tmp_path), Made("0.0.1", ""))
    assert (ended.how, ended.fatal) == ("failed", True)


class _Other:
    """A client whose workers are of the modscope that is installed."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def run(self, *_: object, **__: object) -> dict[str, Any]:
        return {"tcp://worker": (made_by(), True)}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)


def test_no_sweep_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no sweep is here: there is no plan\.json in it"):
        standing(Sweep(Storage(tmp_path)))


def test_findings_are_in_the_table(client: Any, tmp_path: Path) -> None:
    plan = tiny(ps=(7,), seeds="0:1", look={"findings": ["which-mechanism", "sparse-embedding"]})
    table = run_sweep(plan, Storage(tmp_path), client=client).table().to_pandas()
    found = table[table.kind == "finding"]
    assert found.measure.tolist() == ["which-mechanism", "sparse-embedding"]
    assert found.verdict.notna().all()
    assert Plan.from_dict(plan.to_dict()).units == plan.units


def test_cases_go_on_at_the_same_pace() -> None:
    cases = [{"name": "many", "axes": {"seed": "0:8"}}, {"name": "few", "axes": {"seed": "50:52"}}]
    plan = Plan.from_dict({"preset": "quick", "settings": SETTINGS, "case": cases})
    order = [unit.case[0] for unit in chosen(plan).values()]
    assert "".join(order) == "mmfmmmmfmm"
    assert {unit.case for unit in chosen(plan, "f*").values()} == {"few"}
    with pytest.raises(UnknownName, match="unknown case 'fw'"):
        chosen(plan, "fw")


def test_networks_are_judged_again_by_another_modscope(client: Any, tmp_path: Path) -> None:
    looks = {"findings": ["sparse-embedding"]}
    sweep = run_sweep(tiny(look=looks, ps=(7,)), Storage(tmp_path), client=client)
    before, (key, other) = csv_of(sweep), [unit.key for unit in sweep.plan.units]
    result = next(iter(sweep.results([key])))
    old = [row if row[0] == "training" else ["finding", "older", *[None] * 7] for row in result["rows"]]
    sweep.storage.replace(
        f"results/{key}.json", json.dumps(result | {"rows": old, "modscope": "0.0.1"}).encode()
    )
    sweep.gather()
    assert b"older" in csv_of(write_and_return(sweep))
    told: list[Any] = []
    look_again(Storage(tmp_path), client=client, watch=told.append)
    assert {stand.last[0].key: stand.last[1].how for stand in told if stand.last} == {
        key: "done",
        other: "there",
    }
    assert csv_of(sweep) == before


def write_and_return(sweep: Sweep) -> Sweep:
    write_table(sweep)
    return sweep


@pytest.mark.parametrize(
    "words", [["run", "--axis", "seed=0:2", "--out", "x"], ["status", "x"], ["failed", "x"]]
)
def test_without_the_extra_it_is_said_in_one_sentence(
    words: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import importlib.util

    from typer.testing import CliRunner

    from modscope.cli import app

    real = importlib.util.find_spec
    monkeypatch.setattr(
        "importlib.util.find_spec", lambda name, *a: None if name == "pyarrow" else real(name, *a)
    )
    done = CliRunner().invoke(app, ["sweep", *words])
    assert isinstance(done.exception, InputError)
    assert str(done.exception) == "sweeps need pyarrow, which is not installed: pip install 'modscope[sweep]'"
