"""A folder of one file per epoch is a run, and losses belong to the epochs that they were stated for."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.checkpoints.written import lens_state, random_transformer, same_logits, saved

from modscope.checkpoints import moments, open_checkpoint, opening, save_safetensors
from modscope.checkpoints.reading import Contents, read_file
from modscope.checkpoints.series import series_of
from modscope.checkpoints.stated import histories, stated_by
from modscope.errors import CheckpointError, InputError
from modscope.model import Transformer
from modscope.runs import Run
from modscope.task import ModularTask

CASES = Path(__file__).resolve().parents[2] / ".." / "shared" / "cases"
NETWORKS = [random_transformer(seed, p=5, d_model=6, n_heads=2, d_head=3, d_mlp=4) for seed in range(3)]
EPOCHS = (9, 10, 200)


def cases() -> Path:
    if not CASES.is_dir():
        pytest.skip("the small networks of shared/cases are not here")
    return CASES.resolve()


def epochs_of(*names: str) -> tuple[int, ...] | None:
    series = series_of(Path(), [Path(name) for name in names])
    return None if series is None else series.epochs


@pytest.mark.parametrize(
    ("names", "epochs"),
    [
        (("checkpoint_epoch_9.pt", "checkpoint_epoch_100.pt"), (9, 100)),
        (("100.pt", "0020.pt"), (20, 100)),
        (("net-p113-e5.pt", "net-p113-e10.pt"), (5, 10)),
        (("epoch=1-step=100.ckpt", "epoch=2-step=200.ckpt"), (1, 2)),
        (("epoch=1-loss=0.51.ckpt", "epoch=2-loss=0.32.ckpt"), (1, 2)),
        (("step_3_test_4.pt", "step_5_test_4.pt"), (3, 5)),
        (("seed1.pt", "seed2.pt"), None),
        (("model_seed1_epoch_5.pt", "model_seed2_epoch_5.pt"), None),
        (("seed1_epoch_5.pt", "seed2_epoch_6.pt"), None),
        (("model_1.pt", "model_2.pt"), None),
        (("p113.pt", "p97.pt"), None),
        (("run_1_3.pt", "run_2_4.pt"), None),
        (("a.pt", "b.pt"), None),
        (("epoch_1.pt", "epoch_01.pt"), None),
        (("epoch_1.pt",), None),
    ],
)
def test_which_number_is_the_epoch(names: tuple[str, ...], epochs: tuple[int, ...] | None) -> None:
    assert epochs_of(*names) == epochs


@given(epochs=st.lists(st.integers(0, 10**6), min_size=2, max_size=6, unique=True), width=st.integers(1, 8))
def test_any_epochs_are_found_in_order(epochs: Sequence[int], width: int) -> None:
    names = [f"net_p13_step{epoch:0{width}}.pt" for epoch in epochs]
    assert epochs_of(*names) == tuple(sorted(epochs))


def folder_of(tmp_path: Path, name: str = "net_epoch_{}.pt", **more: Any) -> Path:
    for epoch, network in zip(EPOCHS, NETWORKS, strict=True):
        saved(
            {"model": lens_state(network), "test_loss": float(epoch), **more}, tmp_path / name.format(epoch)
        )
    return tmp_path


def test_a_folder_of_files_is_a_run(tmp_path: Path) -> None:
    folder = folder_of(tmp_path)
    checkpoint = open_checkpoint(folder)
    assert (checkpoint.epoch, checkpoint.epochs) == (200, EPOCHS)
    assert any(
        "3 files, net_epoch_9.pt to net_epoch_200.pt, were taken as one run" in n for n in checkpoint.notes
    )
    for epoch, network in zip(EPOCHS, NETWORKS, strict=True):
        assert same_logits(checkpoint.network_at(epoch), network)
        one = open_checkpoint(folder, epoch=epoch)
        assert same_logits(one.model, network)
        assert (one.epoch, one.stated["test_loss"]) == (epoch, epoch)
    run = Run.open(folder)
    assert run.path == folder
    assert run.epochs == EPOCHS
    assert run.losses.test_loss.sel(epoch=list(EPOCHS)).values.tolist() == [9, 10, 200]
    weights = run.weights("W_E")
    assert np.array_equal(weights.sel(epoch=10).values, NETWORKS[1].weight("W_E").numpy())
    with pytest.raises(InputError, match="not one of them is of epoch 11; the nearest is 10"):
        open_checkpoint(folder, epoch=11)


def test_only_the_files_that_are_asked_for_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []

    def counted(path: Path) -> Contents:
        read.append(path.name)
        return read_file(path)

    monkeypatch.setattr(opening, "read_file", counted)
    monkeypatch.setattr(moments, "read_file", counted)
    checkpoint = open_checkpoint(folder_of(tmp_path))
    assert read == ["net_epoch_200.pt"]
    checkpoint.network_at(9)
    assert read == ["net_epoch_200.pt", "net_epoch_9.pt"]


def test_a_damaged_file_of_a_series_names_the_one_before(tmp_path: Path) -> None:
    folder = folder_of(tmp_path)
    (folder / "net_epoch_200.pt").write_bytes(b"x")
    with pytest.raises(CheckpointError, match="the checkpoint before it is of epoch 10"):
        open_checkpoint(folder)
    assert open_checkpoint(folder, epoch=10).epoch == 10


def test_files_in_a_folder_of_checkpoints_with_the_config_above(tmp_path: Path) -> None:
    (tmp_path / "checkpoints").mkdir()
    folder_of(tmp_path / "checkpoints")
    (tmp_path / "config.json").write_text('{"model_config": {"act_fn": "GELU"}}')
    checkpoint = open_checkpoint(tmp_path)
    assert checkpoint.epochs == EPOCHS
    assert checkpoint.model.config.activation == "gelu"


def test_epochs_that_files_state_come_before_numbers_that_count_the_saves(tmp_path: Path) -> None:
    for count, (epoch, network) in enumerate(zip(EPOCHS, NETWORKS, strict=True)):
        saved({"model": lens_state(network), "epoch": epoch * 1000}, tmp_path / f"save_{count}.pt")
    checkpoint = open_checkpoint(tmp_path)
    assert checkpoint.epochs == (9000, 10000, 200000)
    assert same_logits(open_checkpoint(tmp_path, epoch=10000).model, NETWORKS[1])


def test_own_files_without_their_manifest(tmp_path: Path) -> None:
    for epoch, network in zip(EPOCHS, NETWORKS, strict=True):
        save_safetensors(tmp_path / f"epoch_{epoch}.safetensors", network, ModularTask(5), {"epoch": epoch})
    checkpoint = open_checkpoint(tmp_path)
    assert (checkpoint.epoch, checkpoint.epochs) == (200, EPOCHS)
    assert same_logits(checkpoint.network_at(9), NETWORKS[0])


@pytest.mark.parametrize("states", ["ema.net", "ema.history"])
def test_states_of_a_mapping_keep_the_epoch(states: str, tmp_path: Path) -> None:
    one = {"net": _plain(NETWORKS[0])} if states == "ema.net" else {
        "history": [_plain(network) for network in NETWORKS], "saved_steps": list(EPOCHS)}  # fmt: skip
    path = saved({"ema": one, "epoch": 77}, tmp_path / "net.pt")
    names = {name.split(".")[-1]: name for name in _plain(NETWORKS[0])}
    lines = [f'{short} = {{tensor = "{full}"}}' for short, full in names.items()]
    (tmp_path / "map.toml").write_text(f'states = "{states}"\n[weights]\n' + "\n".join(lines))
    checkpoint = open_checkpoint(path, mapping=tmp_path / "map.toml")
    assert checkpoint.epochs == ((77,) if states == "ema.net" else EPOCHS)


def _plain(network: Transformer) -> dict[str, torch.Tensor]:
    return {name: weight.clone() for name, weight in network.weights.items()}


def test_a_list_of_states_with_their_own_epochs_and_losses(tmp_path: Path) -> None:
    listed = [
        {"epoch": epoch, "model_state_dict": lens_state(network), "test_loss": float(epoch)}
        for epoch, network in zip(EPOCHS, NETWORKS, strict=True)
    ]
    path = saved({"checkpoints": listed}, tmp_path / "net.pt")
    assert open_checkpoint(path).epochs == EPOCHS
    early = open_checkpoint(path, epoch=10)
    assert same_logits(early.model, NETWORKS[1])
    assert early.stated["test_loss"] == 10
    by_name = {f"epoch_{epoch}": lens_state(network) for epoch, network in zip(EPOCHS, NETWORKS, strict=True)}
    assert open_checkpoint(saved(by_name, tmp_path / "names.pt")).epochs == EPOCHS


def test_a_number_of_the_end_says_nothing_of_earlier_epochs(tmp_path: Path) -> None:
    states = {"state_dicts": [lens_state(n) for n in NETWORKS], "epochs": list(EPOCHS), "test_loss": 7.0}
    path = saved(states, tmp_path / "net.pt")
    assert open_checkpoint(path).stated == {"test_loss": 7.0}
    assert open_checkpoint(path, epoch=9).stated == {}


def test_losses_listed_for_each_checkpoint(tmp_path: Path) -> None:
    listed = {"checkpoint_epochs": list(EPOCHS), "test_losses": torch.tensor([3.0, 2.0, 1.0])}
    path = saved({"checkpoints": [lens_state(n) for n in NETWORKS], **listed}, tmp_path / "net.pt")
    for epoch, loss in zip(EPOCHS, (3.0, 2.0, 1.0), strict=True):
        assert open_checkpoint(path, epoch=epoch).stated["test_loss"] == loss
    assert Run.open(path).losses.test_loss.sel(epoch=list(EPOCHS)).values.tolist() == [3, 2, 1]


@pytest.mark.parametrize("epoch", [-1, -3, -(2**63)])
def test_a_negative_epoch_has_no_entry_in_a_list_of_losses(epoch: int, tmp_path: Path) -> None:
    contents = Contents(tmp_path / "x.pt", {"train_losses": [3.0, 2.0, 1.0]})
    assert stated_by(contents, epoch) == {}
    assert stated_by(contents, 0) == {"train_loss": 2.0}


def test_histories_by_their_axes() -> None:
    found = histories({"train_losses": [1.0] * 300, "test_losses": [1.0] * 30, "test_accs": [50.0, 100.0]})
    assert found["test_loss"][0] == list(range(0, 300, 10))
    assert found["test_accuracy"] == ([0, 150], [0.5, 1.0])
    assert histories({"train_losses": "none", "test_losses": 3.0}) == {}


def test_the_small_networks_of_one_run() -> None:
    folder = open_checkpoint(cases() / "network_w")
    file = open_checkpoint(cases() / "network_v.pt")
    assert folder.epochs == file.epochs == (1, 100, 300, 800, 2000)
    for epoch in folder.epochs:
        assert same_logits(folder.network_at(epoch), file.network_at(epoch))
    assert open_checkpoint(cases() / "network_v.pt", epoch=100).agrees
    beside = open_checkpoint(cases() / "network_x")
    assert same_logits(beside.model, file.model)
    assert any("passed over: group: unknown operation 'baseline'" in note for note in beside.notes)


def test_the_file_with_a_config_of_a_class_that_is_gone(tmp_path: Path) -> None:
    checkpoint = open_checkpoint(cases() / "network_y.pth")
    assert checkpoint.agrees
    assert checkpoint.epoch == 2000
    assert any("HookedTransformerConfig" in note for note in checkpoint.notes)
    shutil.copy(cases() / "network_y.pth", tmp_path / "copy.pth")
    assert same_logits(open_checkpoint(tmp_path / "copy.pth").model, checkpoint.model)
