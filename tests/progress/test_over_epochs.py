"""A run is measured epoch by epoch: kept by content, gone on with after an end, gaps where an epoch cannot be read."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from tests.training.small import small
from typer.testing import CliRunner

import modscope as ms
from modscope.cli import app
from modscope.errors import CheckpointError, InputError, RunError
from modscope.progress import measures, over_epochs, run_keys
from modscope.runs import Run
from modscope.training.running import train

SOME = ["loss", "margin", "sparsity", "restricted"]


def list_anew(folder: Path) -> None:
    """The manifest of a run whose checkpoints were changed on purpose, in step with them."""
    manifest = json.loads((folder / "manifest.json").read_text())
    for entry in manifest["checkpoints"]:
        file = folder / entry["file"]
        entry |= {"bytes": file.stat().st_size, "sha256": hashlib.sha256(file.read_bytes()).hexdigest()}
    (folder / "manifest.json").write_text(json.dumps(manifest))


@pytest.fixture
def copy(grokked: Path, tmp_path: Path) -> Path:
    """A copy of the run that may be written into, without what was kept of it."""
    return Path(shutil.copytree(grokked, tmp_path / "run", ignore=shutil.ignore_patterns("progress")))


@pytest.fixture
def counted(monkeypatch) -> list[int]:
    """The epochs that were really measured, in order."""
    seen: list[int] = []
    original = over_epochs._measured

    def watched(moment, name):
        if name == "loss":
            seen.append(len(seen))
        return original(moment, name)

    monkeypatch.setattr(over_epochs, "_measured", watched)
    return seen


def test_a_second_call_measures_nothing_and_says_the_same(copy: Path, counted: list[int]) -> None:
    run = Run.open(copy)
    first = run.progress(measures=SOME)
    assert len(counted) == len(run.epochs)
    again = Run.open(copy).progress(measures=SOME)
    assert len(counted) == len(run.epochs)
    xr.testing.assert_identical(first, again)


def test_only_what_changed_is_measured_again(copy: Path, counted: list[int]) -> None:
    run = Run.open(copy)
    first = run.progress(measures=SOME)
    counted.clear()
    second, third = run.epochs[1:3]
    ms.save_safetensors(run.files[second], run.model(third), run.task, {"epoch": second})
    list_anew(copy)
    again = Run.open(copy).progress(measures=SOME)
    assert len(counted) == 1
    np.testing.assert_array_equal(again.loss[1], first.loss[2])
    np.testing.assert_array_equal(again.loss[2:], first.loss[2:])


def test_what_was_measured_before_an_interruption_is_not_measured_again(copy: Path, counted) -> None:
    run = Run.open(copy)

    def stop(done: int, of: int, epoch: int) -> None:
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run.progress(measures=SOME, watch=stop)
    before = len(counted)
    run.progress(measures=SOME)
    assert (before, len(counted)) == (3, len(run.epochs))


def test_a_measure_more_is_measured_alone(copy: Path, counted) -> None:
    run = Run.open(copy)
    run.progress(measures=SOME)
    counted.clear()
    more = run.progress(measures=[*SOME, "circularity"])
    assert not counted
    assert np.isfinite(more.circularity).all()


def test_other_key_frequencies_are_measured_anew(copy: Path) -> None:
    run = Run.open(copy)
    own, given = run.progress(measures=SOME), run.progress(measures=SOME, frequencies=[1])
    assert given.attrs["key_frequencies"] == [1]
    assert given.attrs["key_epoch"] == -1
    assert not np.allclose(own.restricted_loss, given.restricted_loss)


@pytest.mark.parametrize(
    "text", ["", "{", '{"checkpoint": "x"}', '{"checkpoint": 1, "entries": {"loss": 3}}']
)
def test_damaged_notes_are_measured_again(copy: Path, text: str) -> None:
    run = Run.open(copy)
    first = run.progress(measures=SOME)
    kept = copy / "progress" / f"epoch_{run.epochs[1]:06d}.json"
    kept.write_text(text)
    xr.testing.assert_identical(run.progress(measures=SOME), first)
    assert json.loads(kept.read_text())["entries"]


def test_a_half_written_checkpoint_is_a_gap_that_is_said(copy: Path) -> None:
    run = Run.open(copy)
    whole = run.progress(measures=SOME, keep=False)
    file = run.files[run.epochs[4]]
    file.write_bytes(file.read_bytes()[:1000])
    run.files[run.epochs[5]].unlink()
    found = Run.open(copy).progress(measures=SOME)
    assert list(found.attrs["gaps"]) == list(run.epochs[4:6])
    assert np.isnan(found.loss[4:6]).all()
    np.testing.assert_array_equal(found.loss[6:], whole.loss[6:])
    assert any("2 of 11 epochs" in note for note in found.attrs["notes"])


def test_where_the_last_checkpoint_is_torn_the_keys_are_of_the_one_before(copy: Path) -> None:
    run = Run.open(copy)
    run.files[run.epochs[-1]].write_bytes(b"torn")
    found = Run.open(copy).progress(measures=SOME)
    assert found.attrs["key_epoch"] == run.epochs[-2]
    assert list(found.attrs["gaps"]) == [run.epochs[-1]]


def test_keys_are_of_an_epoch_that_answers_and_can_be_read(copy: Path) -> None:
    # The losses say that the last checkpoint that can be read does not answer, the one before is gone.
    *before, last = (copy / "losses.csv").read_text().splitlines()
    columns = before[0].split(",")
    values = [
        "0.5" if name == "test_accuracy" else value
        for name, value in zip(columns, last.split(","), strict=True)
    ]
    run = Run.open(copy)
    answering = f"{run.epochs[-3]},"
    before = [
        ",".join([*line.split(",")[:4], "1.0", line.split(",")[5]]) if line.startswith(answering) else line
        for line in before
    ]
    (copy / "losses.csv").write_text("\n".join([*before, ",".join(values)]) + "\n")
    run.files[run.epochs[-2]].unlink()
    found = Run.open(copy).progress(measures=SOME)
    assert found.attrs["key_epoch"] == run.epochs[-3]
    assert list(found.attrs["gaps"]) == [run.epochs[-2]]


def test_many_gaps_are_a_few_lines_of_the_table(copy: Path) -> None:
    run = Run.open(copy)
    for epoch in run.epochs[1:-1]:
        run.files[epoch].unlink()
    said = CliRunner().invoke(app, ["progress", str(copy), "--measures", "loss"]).stdout
    assert said.count("  gap at epoch") == 6
    assert f"and {len(run.epochs) - 8} gaps more, the last at epoch {run.epochs[-2]}: --json says why" in said
    rows = [line.split()[0] for line in said.splitlines() if re.match(r" +\d+ +[\d.]", line)]
    assert rows == [str(run.epochs[0]), str(run.epochs[-1])], "what could not be measured has no row"


def test_a_checkpoint_of_another_network_is_a_gap(copy: Path, tmp_path: Path) -> None:
    train(small(task__p=13), tmp_path / "small")
    train(small(task__p=7), tmp_path / "seven")
    run = Run.open(copy)
    for epoch, other in zip(run.epochs[1:3], ("small", "seven"), strict=True):
        network, task = Run.open(tmp_path / other).model(0), Run.open(tmp_path / other).task
        ms.save_safetensors(run.files[epoch], network, task, {"epoch": epoch})
    list_anew(copy)
    found = Run.open(copy).progress(measures=SOME)
    first, second = found.attrs["gaps"].values()
    assert "another network" in first
    assert "p = 7" in second


def test_doubled_checkpoints_are_refused_and_unordered_ones_are_one_curve(copy: Path) -> None:
    manifest = json.loads((copy / "manifest.json").read_text())
    listed = manifest["checkpoints"]
    (copy / "manifest.json").write_text(json.dumps(manifest | {"checkpoints": listed + listed[:2]}))
    with pytest.raises(CheckpointError, match="each once"):
        Run.open(copy)
    (copy / "manifest.json").write_text(json.dumps(manifest | {"checkpoints": listed[::-1]}))
    found = Run.open(copy).progress(measures=SOME)
    epochs = found.epoch.values.tolist()
    assert epochs == sorted(set(epochs))


def test_epochs_that_do_not_exist_name_the_nearest(run: Run) -> None:
    with pytest.raises(InputError, match="the nearest is 80"):
        run.progress(epochs=[79], keep=False)


def test_a_run_without_any_readable_checkpoint_says_so(copy: Path) -> None:
    run = Run.open(copy)
    for file in run.files.values():
        file.write_bytes(b"torn")
    with pytest.raises(RunError, match="none of the 11 checkpoints can be read"):
        run.progress()


@pytest.mark.skipif(os.geteuid() == 0, reason="root can write everywhere")
def test_a_read_only_folder_is_measured_without_keeping_said_once(copy: Path) -> None:
    copy.chmod(0o555)
    try:
        found = Run.open(copy).progress(measures=SOME)
    finally:
        copy.chmod(0o755)
    assert sum("cannot be written" in note for note in found.attrs["notes"]) == 1
    assert not (copy / "progress").exists()


def test_a_folder_that_cannot_be_written_is_measured_all_the_same(copy: Path) -> None:
    (copy / "progress").write_text("a file where the folder should be")
    found = Run.open(copy).progress(measures=SOME)
    assert np.isfinite(found.loss).all()
    assert sum("cannot be written" in note for note in found.attrs["notes"]) == 1


def test_one_checkpoint_says_that_there_is_nothing_to_see(grokked: Path) -> None:
    run = Run.open(grokked)
    alone = Run.open(run.files[run.epochs[-1]])
    found = alone.progress()
    assert any("one checkpoint" in note for note in found.attrs["notes"])
    assert found.sizes["epoch"] == 1


def test_keys_are_those_of_the_last_epoch_that_answers(run: Run) -> None:
    keys = run_keys(run)
    assert keys.epoch == run.epochs[-1]
    early = Run(run.path, run.task, run.epochs[:2], run.losses, files=run.files, _network_at=run._network_at)
    found = run_keys(early)
    assert found.epoch == run.epochs[1]
    assert "no epoch of this run answers" in found.note


def test_any_function_of_a_record_can_be_measured(run: Run) -> None:
    found = run.measure(lambda acts: float(acts.at("mlp_post").mean()))
    assert found.value.dims == ("epoch",)
    last = ms.record(run.model(), run.task)
    assert float(found.value[-1]) == float(last.at("mlp_post").mean())
    several = run.measure(lambda acts: {"norm": acts.at("mlp_post").std(("a", "b")), "one": 1.0})
    assert several.norm.dims == ("epoch", "neuron")
    assert several.one.values.tolist() == [1.0] * len(run.epochs)
    with pytest.raises(ZeroDivisionError):
        run.measure(lambda acts: 1 / 0)


def test_measures_refused_everywhere_are_named(tmp_path: Path) -> None:
    run = train(small(task__operation="x^2+xy+y^2", stop__steps=20), tmp_path / "run")
    found = run.progress()
    assert "mechanism" in found.attrs["not_applicable"]
    assert "mechanism" not in found
    assert np.isfinite(found.loss).all()
    xr.testing.assert_identical(found, run.progress())


def test_the_command_writes_a_table_csv_and_json(copy: Path) -> None:
    runner = CliRunner()
    text = runner.invoke(app, ["progress", str(copy), "--measures", "loss,margin"])
    assert text.exit_code == 0, text.output
    assert "settled: " in text.stdout
    assert "phases: memorising 0-" in text.stdout
    assert max(map(len, text.stdout.splitlines())) <= 110
    csv = runner.invoke(app, ["progress", str(copy), "--measures", "loss,margin", "--csv"])
    lines = csv.stdout.splitlines()
    assert lines[0].startswith("epoch,loss.train,loss.test")
    assert len(lines) == 12
    values = json.loads(runner.invoke(app, ["progress", str(copy), "--measures", "loss", "--json"]).stdout)
    assert values["measures"]["loss.train"][0] == float(lines[1].split(",")[1])
    assert values["phases"][0]["name"] == "memorising"
    assert values["movements"]["loss.train"]["verdict"] in ("settled", "still moves")


def test_the_command_names_what_it_does_not_know(copy: Path) -> None:
    found = CliRunner().invoke(app, ["progress", str(copy), "--measures", "los"])
    assert found.exit_code != 0
    assert "loss" in str(found.exception)
    listed = CliRunner().invoke(app, ["progress", "--list"])
    assert len(listed.stdout.splitlines()) == len(measures.MEASURES)
