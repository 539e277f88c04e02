"""Runs on disk: bit-identical resumption after any end, schedules, refusals."""

from __future__ import annotations

import errno
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from tests.processes import modscope_running
from tests.training.small import assert_same_bits, small, wait_until
from typer.testing import CliRunner

from modscope.checkpoints import open_checkpoint
from modscope.cli import app
from modscope.errors import CheckpointError, InputError, RunError, TrainingError, UnknownName
from modscope.runs import Run, RunFolder
from modscope.training.engine import Batch
from modscope.training.fast import FastEngine
from modscope.training.presets import PRESETS, preset, recipe_from_toml
from modscope.training.recipe import Recipe
from modscope.training.running import resume, train
from modscope.training.trainer import Trainer


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"optimiser__name": "muon"},
        {"optimiser__grokfast": 2.0, "optimiser__orthogonal_steps": 30},
        {"optimiser__batch": 5},
        {"optimiser__update_clipping": True},
        {"optimiser__brake_below": 1.0},
        {"optimiser__loss": "stablemax"},
        {"engine": "plain"},
        {"engine": "exact"},
        {"optimiser__learning_rate_schedule": ((0, 1e-3), (40, 1e-2))},
        {"threads": 2},
    ],
)
def test_a_stopped_run_goes_on_to_the_same_bits(tmp_path, changes):
    recipe = small(**changes)
    train(recipe, tmp_path / "whole")
    train(recipe.changed({"stop.steps": 37}), tmp_path / "parts")
    resume(tmp_path / "parts", steps=60)
    assert_same_bits(tmp_path / "whole", tmp_path / "parts")
    whole, parts = (Run.open(tmp_path / name) for name in ("whole", "parts"))
    steps = [run.losses.epoch.values[run.losses.epoch % 5 == 0] for run in (whole, parts)]
    np.testing.assert_array_equal(*steps)


def test_killed_at_random_moments_a_run_goes_on_to_the_same_bits(tmp_path):
    recipe = small(stop__steps=800, keep__resume=50, keep__every=50)
    train(recipe, tmp_path / "whole")
    folder = tmp_path / "killed"
    (tmp_path / "recipe.toml").write_text(recipe.to_toml())
    begin = ["train", "--recipe", str(tmp_path / "recipe.toml"), "--out", str(folder)]
    draw = random.Random(0)
    for _ in range(3):
        arguments = ["train", "--resume", str(folder)] if (folder / "manifest.json").exists() else begin
        with modscope_running(*arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            wait_until((folder / "resume.safetensors").exists)
            time.sleep(draw.uniform(0.0, 1.5))
            process.kill()
            process.wait()
        run = Run.open(folder)
        for epoch in run.epochs:
            assert run.model(epoch).weights.keys() == Trainer(recipe).weights.keys()
    resume(folder)
    assert_same_bits(tmp_path / "whole", folder)
    whole = (tmp_path / "whole" / "losses.csv").read_text()
    assert (folder / "losses.csv").read_text() == whole


def test_an_interruption_between_steps_keeps_the_last_step(tmp_path):
    recipe = small(stop__steps=400)

    def interrupt(status) -> None:
        if status.epoch == 105 and not status.finished:
            os.kill(os.getpid(), signal.SIGINT)

    run = train(recipe, tmp_path / "stopped", watch=interrupt)
    assert run.finished == "interrupted"
    state = json.loads(safetensors_metadata(tmp_path / "stopped" / "resume.safetensors")["state"])
    assert state["epoch"] == 106
    resume(tmp_path / "stopped")
    train(recipe, tmp_path / "whole")
    assert_same_bits(tmp_path / "whole", tmp_path / "stopped")


def test_an_end_of_the_terminal_stops_a_run_and_what_was_asked_to_be_ignored_is_ignored(tmp_path):
    def hang_up(status) -> None:
        if status.epoch == 20 and not status.finished:
            os.kill(os.getpid(), signal.SIGHUP)

    assert train(small(), tmp_path / "stopped", watch=hang_up).finished == "interrupted"
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        assert train(small(), tmp_path / "nohup", watch=hang_up).finished == "last step"
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_who_asks_can_stop_a_run_between_two_steps(tmp_path):
    steps = iter(range(1000))
    run = train(small(), tmp_path / "run", stop=lambda: next(steps) == 25)
    assert (run.finished, resume(tmp_path / "run").finished) == ("interrupted", "last step")


def safetensors_metadata(path: Path) -> dict[str, str]:
    header = path.read_bytes()
    return json.loads(header[8 : 8 + int.from_bytes(header[:8], "little")])["__metadata__"]


def test_a_full_disk_leaves_a_valid_run(tmp_path, monkeypatch):
    recipe = small()
    train(recipe, tmp_path / "whole")
    real, calls = Path.write_bytes, []

    def write(path: Path, data: bytes) -> int:
        calls.append(path)
        if len(calls) > 12:
            real(path, data[: len(data) // 2])
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(path, data)

    monkeypatch.setattr(Path, "write_bytes", write)
    with pytest.raises((RunError, CheckpointError), match="No space left"):
        train(recipe, tmp_path / "full")
    monkeypatch.undo()
    assert not list((tmp_path / "full").glob("**/.*.part"))
    run = Run.open(tmp_path / "full")
    for epoch in run.epochs:
        run.model(epoch)
    resume(tmp_path / "full")
    assert_same_bits(tmp_path / "whole", tmp_path / "full")


ANEW = {
    "task.p": 5,
    "task.fraction": 0.4,
    "optimiser.weight_decay": 0.0,
    "stop.begin_anew": 40,
    "stop.steps": 150,
}


def test_a_network_with_wrong_test_pairs_begins_anew_from_the_next_weights(tmp_path):
    """Without weight decay and with ten pairs of twenty-five nothing generalises, so every trial fails."""
    recipe = small().changed(ANEW | {"keep.every": 10})
    run = train(recipe, tmp_path / "run")
    assert run.begun_anew == (40, 80, 120)
    later = train(recipe.changed({"seed": recipe.seed + 2000, "stop.begin_anew": 0}), tmp_path / "later")
    for age in (10, 30):
        first, second = run.model(80 + age).weights, later.model(age).weights
        assert all(torch.equal(first[name], second[name]) for name in first), age
    assert float(run.losses.train_loss.sel(epoch=80)) == pytest.approx(
        float(later.losses.train_loss.sel(epoch=0))
    )
    assert float(run.losses.test_loss.sel(epoch=80)) == pytest.approx(
        float(later.losses.test_loss.sel(epoch=0))
    )


def test_what_began_anew_says_so_wherever_it_is_opened(tmp_path):
    run = train(small().changed(ANEW), tmp_path / "run")
    assert run.losses.attrs["begun_anew"] == run.weights("W_E").attrs["begun_anew"] == [40, 80, 120]
    first = Trainer(small().changed(ANEW | {"seed": small().seed + 1000})).weights
    assert all(torch.equal(weight, first[name]) for name, weight in run.model(40).weights.items())
    note = "training began anew at step 40, 80, 120: epochs before the last of these are of other networks"
    assert run.notes == (note,)
    assert note in open_checkpoint(tmp_path / "run").notes
    assert train(small(), tmp_path / "other").notes == ()


@pytest.mark.parametrize("stopped", [40, 41, 60, 97])
def test_a_run_that_began_anew_goes_on_to_the_same_bits(tmp_path, stopped):
    recipe = small().changed(ANEW)
    train(recipe, tmp_path / "whole")
    train(recipe.changed({"stop.steps": stopped}), tmp_path / "parts")
    resume(tmp_path / "parts", steps=150)
    assert_same_bits(tmp_path / "whole", tmp_path / "parts")
    assert Run.open(tmp_path / "parts").begun_anew == (40, 80, 120)


def test_a_network_that_answers_every_test_pair_does_not_begin_anew(tmp_path, monkeypatch):
    monkeypatch.setattr(FastEngine, "scores", lambda *_: Batch(1.0, 1.0))
    assert train(small().changed(ANEW), tmp_path / "run").begun_anew == ()


def test_a_second_process_is_refused(tmp_path):
    train(small(), tmp_path / "run")
    with RunFolder.reopen(tmp_path / "run"), pytest.raises(RunError, match="another process"):
        resume(tmp_path / "run")


def test_a_loss_that_is_not_a_number_stops_with_the_step_and_keeps_the_last_checkpoint(tmp_path):
    recipe = small(optimiser__learning_rate=1e30, keep__every=1)
    with pytest.raises(TrainingError, match=r"(at step \d+).*last checkpoint, of epoch \d+, is kept"):
        train(recipe, tmp_path / "lost")
    run = Run.open(tmp_path / "lost")
    assert all(bool(torch.isfinite(w).all()) for w in run.model().weights.values())


def test_stops_at_a_test_loss(tmp_path):
    run = train(small(stop__test_loss=100.0), tmp_path / "run")
    assert (run.finished, run.epochs[-1]) == ("test loss below 100", 0)


def test_a_run_reads_back_what_was_trained(tmp_path):
    recipe = small(keep__every=20, keep__log=0)
    run = train(recipe, tmp_path / "run")
    assert run.epochs == (0, 20, 40, 60)
    assert Recipe.from_dict(run.recipe) == recipe.changed({"engine": "fast"})
    assert torch.__version__.startswith(run.environment["torch"])
    assert run.environment["device"] == "cpu"
    assert "answers in registers" in run.environment["kernel"]
    W_E = run.weights("W_E")
    assert W_E.dims == ("epoch", "token", "d_model")
    np.testing.assert_array_equal(W_E.sel(epoch=40), run.model(40).weight("W_E"))
    np.testing.assert_array_equal(W_E[:, 2, 3], [run.model(e).weight("W_E")[2, 3] for e in run.epochs])
    assert W_E.isel(epoch=slice(1, 3), token=0).shape == (2, 8)
    exact = torch.nn.functional.cross_entropy(
        run.model(40)(torch.from_numpy(run.task.tokens()[run.task.train_mask.ravel()])).double(),
        torch.from_numpy(run.task.labels[run.task.train_mask]),
    )
    assert float(run.losses.train_loss.sel(epoch=40)) == pytest.approx(exact.item(), rel=1e-4)
    with pytest.raises(InputError, match="nearest is 40"):
        run.model(41)
    with pytest.raises(UnknownName, match="W_E"):
        run.weights("W_e")


def test_a_corrupt_checkpoint_is_named_and_the_one_before_is_offered(tmp_path):
    run = train(small(keep__every=20, keep__log=0), tmp_path / "run")
    broken = tmp_path / "run" / "checkpoints" / "epoch_000040.safetensors"
    broken.write_bytes(broken.read_bytes()[:1000])
    with pytest.raises(CheckpointError, match=r"epoch_000040.*before it is of epoch 20"):
        run.model(40)
    assert run.model(60) is not None


@pytest.mark.parametrize("name", PRESETS)
def test_presets_survive_toml(tmp_path, name):
    path = tmp_path / "recipe.toml"
    path.write_text(PRESETS[name].to_toml())
    assert recipe_from_toml(path) == PRESETS[name]


def test_a_recipe_starts_from_its_preset(tmp_path):
    path = tmp_path / "recipe.toml"
    path.write_text('preset = "pizza"\n[network]\nattention_rate = 1.0\n')
    assert recipe_from_toml(path) == PRESETS["pizza"].changed({"network.attention_rate": 1.0})


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--p", "2"], "modulus p = 2"),
        (["--fraction", "0"], "leaves none to train on"),
        (["--fraction", "1"], "leaves none to test on"),
        (["--set", "network.d_model=130"], "d_model = 130 is not divisible by n_heads = 4"),
        (["--operation", "sub"], "did you mean 'subtract'"),
        (["--preset", "pizzza"], "did you mean 'pizza'"),
        (["--set", "optimiser.learning_rat=1"], "did you mean 'optimiser.learning_rate'"),
        (["--set", "optimizer.grokfast=1"], "did you mean 'optimiser'"),
        (["--set", "stop.steps=many"], "expected a whole number"),
        (["--set", "grokfast"], "expected NAME=VALUE"),
        (["--lr", "0"], "learning_rate = 0.0: expected a number above 0"),
        (["--engine", "fats"], "did you mean 'fast'"),
        (["--batch", "5000"], "there are 3830 training pairs"),
        (["--device", "tpu0"], "expected one of cpu, cuda, mps"),
        (["--seeds", "4:4"], "there is none"),
        (["--seeds", "1,2,1"], "one is there twice"),
        (["--seeds", "0:2", "--seed", "5"], "--seed and --threads do not go with it"),
        (
            ["--preset", "quick", "--lr", "1e-3"],
            "would change nothing: optimiser.learning_rate_schedule says 0.03",
        ),
        (["--set", "keep.steps=[5, -1]"], "keep.steps = -1: expected 0 or a number above it"),
        (["--set", "preset=pizza"], "give it with --preset"),
        (["--batch", "-1"], "optimiser.batch = -1: expected 0 or a number above it"),
        (["--threads", "-1"], "threads = -1: expected 0 or a number above it"),
        (["--weight-decay", "-1"], "optimiser.weight_decay = -1.0: expected 0"),
        (["--test-loss", "-1"], "stop.test_loss = -1.0: expected 0"),
        (["--lr", "nan"], "learning_rate = nan: expected a finite number"),
        (["--set", "optimiser.learning_rate=Infinity"], "learning_rate = inf: expected a finite number"),
        (["--set", "optimiser.betas=[0.9, 1.5]"], "betas[1] = 1.5: expected a number from 0 to below 1"),
        (["--seed", "99999999999999999999"], "seed = 99999999999999999999: expected a whole number"),
        (["--set", "optimiser.learning_rate_schedule=[0.1, 2]"], "schedule[0] = 0.1: expected a list"),
        (["--set", "optimiser.learning_rate_schedule=[[5, 1], [5, 2]]"], "expected steps in ascending order"),
        (["--set", "optimiser.weight_decay_schedule=[[0, 1], [5, -1]]"], "schedule has -1 in it"),
        (["--recipe", "nowhere.toml"], "no such file"),
    ],
)
def test_bad_input_is_one_sentence_and_writes_nothing(tmp_path, arguments, message):
    result = CliRunner().invoke(app, ["train", "--out", str(tmp_path / "run"), *arguments])
    assert isinstance(result.exception, InputError)
    assert message in str(result.exception)
    assert not (tmp_path / "run" / "manifest.json").exists()


def test_a_folder_in_use_is_left_as_it_is(tmp_path):
    train(small(), tmp_path / "run")
    before = {path: path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file()}
    with pytest.raises(InputError, match="holds another run"):
        train(small(), tmp_path / "run")
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "letter.txt").write_text("x")
    with pytest.raises(InputError, match="is not empty"):
        train(small(), tmp_path / "notes")
    with pytest.raises(InputError, match="no run to resume"):
        resume(tmp_path / "notes")
    assert before == {path: path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file()}


def test_piped_training_says_only_how_it_ended(tmp_path):
    path = tmp_path / "recipe.toml"
    path.write_text(small().to_toml())
    result = CliRunner().invoke(app, ["train", "--recipe", str(path), "--out", str(tmp_path / "run")])
    assert result.exit_code == 0, result.output
    assert result.stderr.startswith("step 60: train loss")
    assert len(result.stderr.splitlines()) == 1
    assert result.stdout.strip() == str(tmp_path / "run")


def test_without_numba_the_plain_engine_trains_and_says_why(tmp_path):
    (tmp_path / "recipe.toml").write_text(small().to_toml())
    program = (
        "import sys, importlib.metadata as m\n"
        "sys.modules['numba'] = sys.modules['llvmlite'] = None\n"
        "found = m.version\n"
        "def version(name):\n"
        "    if name in ('numba', 'llvmlite'): raise m.PackageNotFoundError(name)\n"
        "    return found(name)\n"
        "m.version = version\n"
        "from modscope.cli import main\n"
        "main()\n"
    )
    arguments = ["train", "--recipe", str(tmp_path / "recipe.toml"), "--out", str(tmp_path / "run")]
    subprocess.run([sys.executable, "-c", program, *arguments], check=True, capture_output=True)
    run = Run.open(tmp_path / "run")
    assert (run.finished, run.recipe["engine"]) == ("last step", "plain")
    assert "numba cannot be used here" in run.environment["engine"]
    assert run.environment["numba"] == "not installed"


def test_foreign_run_files_open_as_runs(tmp_path):
    recipe = small(keep__every=20, keep__log=0)
    own = train(recipe, tmp_path / "own")
    states = [own.model(epoch).weights for epoch in own.epochs]
    torch.save(
        {"state_dicts": states, "epochs": list(own.epochs), "train_losses": [2.0, 1.0], "config": {"p": 7}},
        tmp_path / "foreign.pth",
    )
    run = Run.open(tmp_path / "foreign.pth")
    assert run.epochs == own.epochs
    np.testing.assert_array_equal(run.weights("W_E"), own.weights("W_E"))
    assert run.losses.train_loss.values[:2].tolist() == [2.0, 1.0]
    assert run.losses.train_step.values.max() == 1


def test_foreign_states_without_epochs_are_numbered_and_too_few_epochs_are_said(tmp_path):
    weights = Trainer(small()).network().weights
    for name, epochs, found in (("none", [], (0, 1, 2)), ("few", [10, 20], (10, 20))):
        torch.save(
            {"state_dicts": [dict(weights)] * 3, "epochs": epochs, "config": {"p": 7}},
            tmp_path / f"{name}.pth",
        )
        checkpoint = open_checkpoint(tmp_path / f"{name}.pth", epoch=found[0])
        assert checkpoint.epochs == found
        assert any("numbered from 0" in note or "cannot be chosen" in note for note in checkpoint.notes)


def test_saved_files_are_plain_safetensors(tmp_path):
    run = train(small(), tmp_path / "run")
    file = tmp_path / "run" / "checkpoints" / "epoch_000060.safetensors"
    assert set(load_file(file)) == set(run.model().weights)


@pytest.mark.slow
def test_code_fresh_from_the_compiler_and_from_its_cache_give_the_same_bits(tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(small().to_toml())
    environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path / "cache")}
    for name in ("compiled", "loaded"):
        command = ["-m", "modscope", "train", "--recipe", str(recipe), "--out", str(tmp_path / name)]
        subprocess.run([sys.executable, *command], env=environment, check=True, capture_output=True)
    assert_same_bits(tmp_path / "compiled", tmp_path / "loaded")


@pytest.mark.slow
def test_quick_settles_where_commuting_is_no_help(tmp_path: Path) -> None:
    run = train(preset("quick").changed({"task.operation": "subtract", "task.p": 97}), tmp_path / "run")
    assert run.finished == "settled"
    assert float(run.losses.test_loss[-1]) < 1e-5
