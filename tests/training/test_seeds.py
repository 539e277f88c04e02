"""Several runs at once: the same bits as alone, refusals, and an end at Ctrl-C."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.processes import modscope_running
from tests.training.small import assert_same_bits, environment_of_a_process, small, wait_until
from typer.testing import CliRunner

from modscope.cli import app
from modscope.errors import InputError
from modscope.runs import Run
from modscope.training.running import train
from modscope.training.seeds import Progress, train_each, train_seeds

LONG = {"stop.steps": 2_000_000, "task.p": 23, "keep.log": 0}


def test_several_seeds_are_those_trained_alone(tmp_path):
    path = tmp_path / "recipe.toml"
    path.write_text(small().to_toml())
    result = CliRunner().invoke(
        app, ["train", "--recipe", str(path), "--seeds", "1:3", "--out", str(tmp_path / "many")]
    )
    assert result.exit_code == 0, result.output
    assert "networks in" in result.stderr
    train(small(seed=2), tmp_path / "alone")
    assert_same_bits(tmp_path / "alone", tmp_path / "many" / "seed2")


def test_one_of_several_runs_that_fails_does_not_end_the_others(tmp_path):
    lost = small(optimiser__learning_rate=1e30)
    ended = {e.folder.name: e for e in train_each({tmp_path / "lost": lost, tmp_path / "well": small()})}
    assert (ended["lost"].finished, ended["well"].finished) == ("failed", "last step")
    assert "no longer a number" in ended["lost"].line or "is nan" in ended["lost"].line
    assert Run.open(tmp_path / "well").epochs[-1] == 60
    (tmp_path / "well" / "manifest.json").write_text("{}")
    again = {e.folder.name: e for e in train_each({tmp_path / "well": small(), tmp_path / "new": small()})}
    assert (again["well"].finished, again["new"].finished) == ("failed", "last step")
    assert "expected a list of checkpoints" in again["well"].line


def test_those_that_are_trained_say_how_they_stand(tmp_path):
    told: list[Progress] = []
    recipe = small().changed({"stop.steps": 4000, "task.p": 23})
    ended = list(train_seeds(recipe, [0, 1], tmp_path, watch=told.append))
    assert {one.finished for one in ended} == {"last step"}
    assert {one.seed for one in told} == {0, 1}
    assert all(0 <= one.epoch < one.steps == 4000 for one in told)


def test_runs_of_another_recipe_are_refused_and_left_as_they_are(tmp_path):
    list(train_seeds(small(), [0], tmp_path / "runs"))
    before = {path: path.read_bytes() for path in (tmp_path / "runs").rglob("*") if path.is_file()}
    with pytest.raises(InputError, match=r"seed0: holds a run of another recipe: stop.steps = 60, not 70"):
        list(train_seeds(small(stop__steps=70), [0, 1], tmp_path / "runs"))
    assert before == {path: path.read_bytes() for path in (tmp_path / "runs").rglob("*") if path.is_file()}
    (again,) = train_seeds(small(), [0], tmp_path / "runs")
    assert (again.finished, again.trained) == ("last step", False)
    with pytest.raises(InputError, match="holds a run itself"):
        list(train_seeds(small(), [0], tmp_path / "runs" / "seed0"))


def test_what_is_given_up_by_the_caller_is_not_trained_on(tmp_path):
    recipes = {tmp_path / "brief": small(), tmp_path / "long": small().changed(LONG)}
    start = time.monotonic()
    for ended in train_each(recipes, workers=2):
        assert ended.folder.name == "brief"
        break
    assert time.monotonic() - start < 60
    assert Run.open(tmp_path / "long").finished in ("", "interrupted")


def test_a_script_that_would_start_itself_again_is_told_why_it_cannot(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "from pathlib import Path\n"
        "from modscope.training.presets import preset\n"
        "from modscope.training.seeds import train_seeds\n"
        f"list(train_seeds(preset('quick'), [0, 1], Path({str(tmp_path / 'runs')!r})))\n"
    )
    done = subprocess.run(
        [sys.executable, str(script)],
        env=environment_of_a_process(),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 1
    assert 'needs `if __name__ == "__main__":`' in done.stderr.strip().splitlines()[-1]


@pytest.mark.parametrize("terminal", [False, True])
def test_ctrl_c_stops_those_under_way_begins_no_other_and_the_same_command_goes_on(tmp_path, terminal):
    """In a terminal every process gets the signal; from `kill` the first one alone."""
    path = tmp_path / "recipe.toml"
    path.write_text(small().changed(LONG).to_toml())
    out = tmp_path / "runs"
    words = ["train", "--recipe", str(path), "--seeds", "0:5", "--out", str(out)]
    with modscope_running(*words, stdout=subprocess.DEVNULL) as process:
        wait_until(lambda: any(file.stat().st_size > 200 for file in out.glob("*/losses.csv")))
        if terminal:
            os.killpg(process.pid, signal.SIGINT)
        else:
            process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=60)
    assert process.returncode == 130, stderr
    assert "Traceback" not in stderr
    assert stderr.rstrip().endswith("stopped; the same command goes on")
    assert "seed 4: not begun" in stderr
    assert not (out / "seed4").exists()
    reached = {folder.name: last_epoch(folder) for folder in out.iterdir()}
    first = min(reached)
    with modscope_running(*words) as again:
        wait_until(lambda: last_epoch(out / first) > reached[first])
        again.send_signal(signal.SIGTERM)
        again.communicate(timeout=60)
    assert again.returncode == 130


def last_epoch(folder: Path) -> int:
    lines = (folder / "losses.csv").read_text().splitlines()
    return int(lines[-1].split(",")[0]) if len(lines) > 1 and lines[-1].count(",") == 5 else 0
