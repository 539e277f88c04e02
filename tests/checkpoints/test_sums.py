"""A file that is not what was written is refused: a flipped bit, another epoch's file, a state with other numbers."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from tests.checkpoints.written import flat_state, random_transformer
from tests.training.small import small

from modscope.checkpoints import open_checkpoint, read_safetensors, reading, save_safetensors
from modscope.checkpoints.judging import NOT_VERIFIED
from modscope.errors import CheckpointError, RunError
from modscope.runs import Run
from modscope.shipped import shipped_folder, shipped_network
from modscope.task import ModularTask
from modscope.training.running import resume, train

NETWORK = random_transformer(3, p=11, d_model=12, n_heads=3, d_head=5, d_mlp=7)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sums") / "run"
    train(small(), folder)
    return folder


def flipped(path: Path, bit: int) -> None:
    data = bytearray(path.read_bytes())
    data[bit // 8] ^= 1 << bit % 8
    path.write_bytes(data)


def places(path: Path, count: int) -> list[int]:
    size = 8 * path.stat().st_size
    return [size * i // count + 7 * i % 64 for i in range(count)]


def test_every_flipped_bit_of_an_own_file_is_seen(tmp_path: Path) -> None:
    path = save_safetensors(tmp_path / "net.safetensors", NETWORK, ModularTask(11), {"epoch": 3})
    assert NOT_VERIFIED not in open_checkpoint(path).notes
    for bit in places(path, 60):
        flipped(path, bit)
        with pytest.raises(CheckpointError):
            read_safetensors(path)
        flipped(path, bit)


def test_every_flipped_bit_of_the_network_that_ships_is_seen(tmp_path: Path) -> None:
    shutil.copytree(shipped_folder(), tmp_path / "add113")
    assert not [note for note in shipped_network().notes if "verified" in note]
    path = next((tmp_path / "add113" / "checkpoints").glob("*_settled.safetensors"))
    for bit in places(path, 40):
        flipped(path, bit)
        for whole in (path, tmp_path / "add113"):
            with pytest.raises(CheckpointError):
                open_checkpoint(whole)
        flipped(path, bit)


def test_the_file_of_one_epoch_under_the_name_of_another(trained: Path, tmp_path: Path) -> None:
    shutil.copytree(trained, tmp_path / "run")
    run = tmp_path / "run"
    shutil.copy(
        run / "checkpoints" / "epoch_000006.safetensors", run / "checkpoints" / "epoch_000060.safetensors"
    )
    for opened in (
        lambda: Run.open(run).model(60),
        lambda: open_checkpoint(run),
        lambda: open_checkpoint(run, epoch=60),
    ):
        with pytest.raises(CheckpointError, match=r"epoch_000060.safetensors: damaged"):
            opened()
    manifest = json.loads((run / "manifest.json").read_text())
    for entry in manifest["checkpoints"]:
        del entry["sha256"], entry["bytes"]
    (run / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(CheckpointError, match=r"is of epoch 6, and manifest.json lists it for epoch 60"):
        Run.open(run).model(60)


@pytest.mark.parametrize("bits", [30])
def test_every_flipped_bit_of_the_state_to_go_on_from_is_seen(
    trained: Path, tmp_path: Path, bits: int
) -> None:
    shutil.copytree(trained, tmp_path / "run")
    path = tmp_path / "run" / "resume.safetensors"
    for bit in places(path, bits):
        flipped(path, bit)
        with pytest.raises(RunError, match=r"resume.safetensors: is damaged"):
            resume(tmp_path / "run", steps=80)
        flipped(path, bit)
    assert resume(tmp_path / "run", steps=80).epochs[-1] == 80


def test_runs_of_earlier_versions_open_without_sums(trained: Path, tmp_path: Path) -> None:
    """A manifest with neither bytes nor sha256, a checkpoint and a state without sums."""
    shutil.copytree(trained, tmp_path / "run")
    run = tmp_path / "run"
    path = run / "checkpoints" / "epoch_000060.safetensors"
    saved = read_safetensors(path)
    text = json.dumps(
        {"format": 1, "network": saved.model.to_dict(), "task": saved.task.to_dict(), "record": saved.record}
    )
    save_file(saved.model.weights, path, {"modscope": text})
    listed = [{"epoch": 60, "file": "checkpoints/epoch_000060.safetensors"}]
    (run / "manifest.json").write_text(
        json.dumps({"format": 1, "checkpoints": listed, "finished": "last step"})
    )
    assert NOT_VERIFIED in open_checkpoint(run).notes
    assert Run.open(run).model(60).config.p == 7


def test_a_foreign_file_without_sums_says_so_unless_its_losses_agree(tmp_path: Path) -> None:
    state = {name: tensor.contiguous() for name, tensor in flat_state(NETWORK).items()}
    save_file(state, tmp_path / "net.safetensors")
    assert NOT_VERIFIED in open_checkpoint(tmp_path / "net.safetensors").notes
    torch.save(state, tmp_path / "net.pt")
    opened = open_checkpoint(tmp_path / "net.pt")
    assert NOT_VERIFIED not in opened.notes
    stated = {"model": state, "all_loss": opened.measured["all_loss"]}
    torch.save(stated, tmp_path / "old.pt", _use_new_zipfile_serialization=False)
    assert NOT_VERIFIED not in open_checkpoint(tmp_path / "old.pt").notes


def test_a_large_file_that_changes_while_it_is_open_is_refused_before_it_is_read(
    tmp_path: Path, monkeypatch
) -> None:
    """Reading on in a file that is mapped into memory and was cut short ends the process."""
    monkeypatch.setattr(reading, "WHOLE", 1000)
    state = flat_state(NETWORK)
    torch.save({"state_dicts": [state, state], "epochs": [0, 5]}, tmp_path / "net.pt")
    opened = open_checkpoint(tmp_path / "net.pt")
    assert opened.network_at(0).config.p == 11
    with (tmp_path / "net.pt").open("r+b") as file:
        file.truncate(5000)
    with pytest.raises(CheckpointError, match="has changed since it was opened"):
        opened.network_at(0)


def test_a_small_file_that_is_taken_away_stays_readable(tmp_path: Path) -> None:
    state = flat_state(NETWORK)
    torch.save({"state_dicts": [state, state], "epochs": [0, 5]}, tmp_path / "net.pt")
    opened = open_checkpoint(tmp_path / "net.pt")
    (tmp_path / "net.pt").write_bytes(b"")
    assert opened.network_at(0).config.p == 11
