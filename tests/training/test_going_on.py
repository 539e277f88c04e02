"""What resuming must not do: lose what is there, or go on from something else."""

from __future__ import annotations

import errno
import fcntl
import json
import math
import os
import shutil
import threading
from pathlib import Path

import pytest
from tests.training.small import small
from typer.testing import CliRunner

from modscope.cli import app
from modscope.errors import CheckpointError, InputError, ModscopeError, RunError
from modscope.runs import Run
from modscope.runs.folder import COLUMNS, read_losses
from modscope.shipped import shipped_network
from modscope.training.engines import Batch
from modscope.training.running import resume, train
from modscope.training.stopping import Settling


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.name != "lock"}


def test_a_run_that_has_ended_stays_as_it_is(tmp_path):
    train(small(), tmp_path / "run")
    before = contents(tmp_path / "run")
    resume(tmp_path / "run")
    resume(tmp_path / "run", steps=50)
    result = CliRunner().invoke(app, ["train", "--resume", str(tmp_path / "run")])
    assert result.exit_code == 0
    assert "it has ended already, at step 60 (last step)" in result.stderr
    assert contents(tmp_path / "run") == before


def test_the_network_that_ships_stays_as_it_is(tmp_path):
    """A run folder without the state to go on from; deleting a damaged one leaves the same."""
    shutil.copytree(shipped_network().source.parents[1], tmp_path / "run")
    before = contents(tmp_path / "run")
    assert resume(tmp_path / "run").finished == "settled"
    assert contents(tmp_path / "run") == before


def test_without_its_state_a_run_is_not_trained_again_from_nothing(tmp_path):
    train(small(), tmp_path / "run")
    (tmp_path / "run" / "resume.safetensors").unlink()
    before = contents(tmp_path / "run")
    with pytest.raises(RunError, match=r"there is no resume\.safetensors.*up to epoch 60 stay"):
        resume(tmp_path / "run", steps=80)
    assert contents(tmp_path / "run") == before


def test_killed_before_its_first_state_was_written_a_run_begins_from_nothing(tmp_path):
    train(small(stop__steps=1), tmp_path / "run")
    manifest = json.loads((tmp_path / "run" / "manifest.json").read_text())
    first = [entry for entry in manifest["checkpoints"] if entry["epoch"] == 0]
    (tmp_path / "run" / "manifest.json").write_text(
        json.dumps(manifest | {"checkpoints": first, "finished": ""})
    )
    (tmp_path / "run" / "resume.safetensors").unlink()
    assert resume(tmp_path / "run").epochs == (0, 1)


def test_a_later_last_step_is_written_into_the_recipe(tmp_path):
    train(small(), tmp_path / "run")
    assert resume(tmp_path / "run", steps=80).recipe["stop"]["steps"] == 80


@pytest.mark.parametrize(
    ("file", "damage", "kind", "message"),
    [
        ("resume.safetensors", b"\x00" * 100, RunError, "is damaged.*can be opened"),
        ("manifest.json", b'{"checkpoints": 3}', CheckpointError, "expected a list of checkpoints"),
        (
            "manifest.json",
            b'{"checkpoints": [], "begun_anew": 5}',
            CheckpointError,
            "begun_anew = 5: expected",
        ),
        ("environment.json", b"{", InputError, "environment.json: not readable as JSON"),
        (
            "losses.csv",
            b"0,1,1,0,0,1\n1,what,,,,\n",
            RunError,
            "line 2 below the head is '1,what,,,,': expected epoch, train_loss",
        ),
    ],
)
def test_a_damaged_file_is_named_and_nothing_is_written(tmp_path, file, damage, kind, message):
    train(small(), tmp_path / "run")
    (tmp_path / "run" / file).write_bytes(damage)
    before = contents(tmp_path / "run")
    with pytest.raises(kind, match=message) as caught:
        resume(tmp_path / "run", steps=80)
    assert isinstance(caught.value, ModscopeError)
    assert contents(tmp_path / "run") == before


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda text: text.replace("p = 7", "p = 11"), r"recipe\.toml: is not .* task\.p = 11, not 7"),
        (lambda text: text.replace("seed = 0\n", "seed = 5\n", 1), "seed = 5, not 0"),
        (
            lambda text: text.replace("weight_decay = 1.0", "weight_decay = 2.0"),
            "weight_decay = 2.0, not 1.0",
        ),
        (lambda text: text.replace('"adamw"', '"muon"'), "optimiser.name = 'muon', not 'adamw'"),
        (lambda text: "", "preset = '', not 'quick'"),
        (lambda text: text[: text.index("d_model")], "network.d_model = 128, not 8"),
    ],
)
def test_a_run_goes_on_by_the_recipe_that_it_was_trained_with_alone(tmp_path, edit, message):
    train(small(), tmp_path / "run")
    recipe = tmp_path / "run" / "recipe.toml"
    assert edit(recipe.read_text()) != recipe.read_text()
    recipe.write_text(edit(recipe.read_text()))
    before = contents(tmp_path / "run")
    with pytest.raises(RunError, match=message):
        resume(tmp_path / "run", steps=80)
    assert contents(tmp_path / "run") == before


def test_when_to_stop_and_what_to_keep_may_be_edited(tmp_path):
    train(small(), tmp_path / "run")
    recipe = tmp_path / "run" / "recipe.toml"
    recipe.write_text(recipe.read_text().replace("test = 10", "test = 5"))
    run = resume(tmp_path / "run", steps=80)
    assert (run.recipe["keep"]["test"], run.epochs[-1]) == (5, 80)


@pytest.mark.parametrize("text", ["", ",".join(COLUMNS) + "\n", None])
def test_losses_that_are_missing_are_said(tmp_path, text):
    train(small(), tmp_path / "run")
    losses = tmp_path / "run" / "losses.csv"
    losses.unlink() if text is None else losses.write_text(text)
    before = contents(tmp_path / "run")
    with pytest.raises(RunError, match=r"losses\.csv: has no losses in it, and the state .* is of step 60"):
        resume(tmp_path / "run", steps=80)
    assert contents(tmp_path / "run") == before


@pytest.mark.parametrize(
    "left",
    [
        ["checkpoints"],
        ["lock", "checkpoints"],
        ["lock", "checkpoints", "environment.json", "recipe.toml"],
        ["lock", "checkpoints", "environment.json", "recipe.toml", "losses.csv", "manifest.json"],
    ],
)
def test_a_folder_whose_making_was_ended_is_made_again(tmp_path, left):
    folder = tmp_path / "run"
    (folder / "checkpoints").mkdir(parents=True)
    for name in left:
        if name != "checkpoints":
            (folder / name).write_text("")
    assert train(small(), folder).finished == "last step"


def test_a_folder_with_a_recipe_of_ones_own_is_not_one_whose_making_was_ended(tmp_path):
    (tmp_path / "recipe.toml").write_text(small().to_toml())
    with pytest.raises(InputError, match="is not empty"):
        train(small(), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["recipe.toml"]


def test_a_disk_that_is_full_at_once_leaves_a_folder_to_begin_in(tmp_path, monkeypatch):
    real = Path.write_bytes

    def write(path: Path, data: bytes) -> int:
        if data.startswith(b"epoch,train_loss"):
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(path, data)

    monkeypatch.setattr(Path, "write_bytes", write)
    with pytest.raises(RunError, match="No space left"):
        train(small(), tmp_path / "run")
    monkeypatch.undo()
    assert train(small(), tmp_path / "run").finished == "last step"


def test_a_report_on_a_run_whose_last_checkpoint_is_damaged_offers_the_one_before(tmp_path):
    run = train(small(keep__every=20, keep__log=0), tmp_path / "run")
    last = tmp_path / "run" / "checkpoints" / f"epoch_{run.epochs[-1]:06d}.safetensors"
    last.write_bytes(last.read_bytes()[:500])
    result = CliRunner().invoke(app, ["report", str(tmp_path / "run"), "--no-open"])
    assert result.exit_code != 0
    assert "the checkpoint before it is of epoch 40" in str(result.exception)


def test_one_who_watches_and_fails_does_not_cost_the_end_of_a_run(tmp_path):
    def watch(status) -> None:
        if status.finished:
            raise OSError("the terminal is gone")

    with pytest.raises(OSError, match="terminal"):
        train(small(), tmp_path / "run", watch=watch)
    run = Run.open(tmp_path / "run")
    assert (run.finished, run.epochs[-1], int(run.losses.epoch[-1])) == ("last step", 60, 60)


def test_a_run_that_fails_at_its_first_step_leaves_the_folder_free(tmp_path):
    exploding = small(network__init_scale=1e30)
    with pytest.raises(ModscopeError, match="no longer a number"):
        train(exploding, tmp_path / "run")
    assert train(small(), tmp_path / "run").finished == "last step"


def test_losses_that_are_taken_away_while_a_run_trains_keep_their_head_and_every_later_row(tmp_path):
    path, gone = tmp_path / "run" / "losses.csv", []

    def take_away(status):
        if status.epoch == 20 and not gone:
            gone.append(path.unlink())

    train(small(keep__losses=5), tmp_path / "run", watch=take_away)
    assert path.read_text().startswith(",".join(COLUMNS) + "\n")
    assert list(read_losses(path)["epoch"])[-2:] == [55, 60]


def test_a_run_whose_checkpoints_were_taken_away_goes_on(tmp_path):
    train(small(), tmp_path / "run")
    shutil.rmtree(tmp_path / "run" / "checkpoints")
    run = resume(tmp_path / "run", steps=80)
    assert run.finished == "last step"
    assert run.epochs[-1] == 80
    assert run.model(80).config.p == 7


def test_only_left_overs_of_modscope_are_swept_away(tmp_path):
    train(small(), tmp_path / "run")
    theirs = [
        tmp_path / "run" / ".notes.part",
        tmp_path / "run" / "mine" / ".x.123.part",
        tmp_path / "run" / ".a.1.part",
    ]
    ours = [
        tmp_path / "run" / ".modscope-12-0123abcd.part",
        tmp_path / "run" / "checkpoints" / ".epoch_000001.safetensors.77.part",
    ]
    (tmp_path / "run" / "mine").mkdir()
    for path in (*theirs, *ours):
        path.write_text("")
    resume(tmp_path / "run", steps=80)
    assert [path.exists() for path in theirs] == [True] * 3
    assert [path.exists() for path in ours] == [False] * 2


def test_what_goes_on_with_a_run_is_written_down(tmp_path):
    train(small(), tmp_path / "run")
    resume(tmp_path / "run", steps=80)
    run = resume(tmp_path / "run", steps=90)
    assert [entry["epoch"] for entry in run.environment["resumed"]] == [60, 80]
    assert run.environment["resumed"][0]["torch"] == run.environment["torch"]


@pytest.mark.parametrize(
    ("number", "known"), [(errno.EWOULDBLOCK, True), (errno.ENOLCK, False), (errno.EOPNOTSUPP, False)]
)
def test_only_a_lock_that_is_held_is_another_process(tmp_path, monkeypatch, number, known):
    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("fcntl.flock", refuse)
    if known:
        with pytest.raises(RunError, match="another process is writing"):
            train(small(), tmp_path / "run")
        return
    with pytest.warns(UserWarning, match="this file system has no locks"):
        assert train(small(), tmp_path / "run").finished == "last step"


def test_a_lock_that_is_held_for_a_moment_longer_is_waited_for(tmp_path):
    """A process that is killed while it starts another leaves it the lock until that one has begun."""
    train(small(), tmp_path / "run")
    with (tmp_path / "run" / "lock").open("a") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        ending = threading.Timer(0.3, held.close)
        ending.start()
        assert resume(tmp_path / "run", steps=80).finished == "last step"
        ending.join()


def test_a_network_whose_answers_all_tie_is_not_settled():
    """One of zeros has the loss log p, and an engine that counts ties as right gives it the accuracy 1."""
    tied, sure = Settling(), Settling()
    for epoch in range(0, 301, 50):
        tied.add(epoch, Batch(math.log(7), 1.0), weight_norm=30.0, decay_time=100)
        sure.add(epoch, Batch(1e-3, 1.0), weight_norm=30.0, decay_time=100)
    assert (tied.settled, sure.settled) == (False, True)


def test_a_manifest_that_names_what_no_file_can_be_called_is_refused_before_anything_is_done(tmp_path):
    train(small(engine="plain", stop__steps=10), tmp_path / "run")
    path = tmp_path / "run" / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["checkpoints"][0]["file"] = "x" * 3000
    path.write_text(json.dumps(manifest))
    before = path.read_bytes()
    for act in (Run.open, lambda folder: resume(folder, steps=12)):
        with pytest.raises(CheckpointError, match="names a file that cannot be"):
            act(tmp_path / "run")
    assert path.read_bytes() == before
