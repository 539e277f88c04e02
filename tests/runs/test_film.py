"""An activation over the epochs of a run is, at each epoch, the activation of that epoch's network."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from tests.training.small import small

import modscope as ms
from modscope.errors import CheckpointError, InputError, RunError, UnknownName
from modscope.runs import Run
from modscope.training.running import train


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Run:
    """A run of p = 7 with a checkpoint every ten steps, and losses that miss some of them."""
    folder = tmp_path_factory.mktemp("film") / "run"
    return train(small(keep__every=10, keep__log=0, keep__losses=7, keep__test=14), folder)


@pytest.mark.parametrize("hook", ["mlp_post", "logits", "pattern", "embed", "q", "pos_embed"])
def test_each_epoch_is_the_record_of_its_network(run: Run, hook: str) -> None:
    film = run.record(hook)
    assert film.epoch.values.tolist() == list(run.epochs)
    for epoch in run.epochs[::3]:
        acts = ms.record(run.model(epoch), run.task)
        alone = acts.at(hook) if hook in acts.joint_hooks else acts[hook]
        np.testing.assert_array_equal(film.sel(epoch=epoch).values, alone.values)
        assert film.dims[1:] == alone.dims


def test_features_are_chosen_by_name(run: Run) -> None:
    one = run.record("mlp_post", neuron=3)
    assert one.dims == ("epoch", "a", "b")
    # one neuron is computed alone: the same but for the last digit of float32
    np.testing.assert_allclose(one.values, run.record("mlp_post").isel(neuron=3).values, rtol=2e-6, atol=1e-6)
    some = run.record("pattern", head=1, key_pos="b")
    np.testing.assert_array_equal(some.values, run.record("pattern").isel(head=1, key_pos=1).values)
    two = run.record("mlp_post", neuron=[5, 2])
    np.testing.assert_array_equal(two.values, run.record("mlp_post").isel(neuron=[5, 2]).values)


def test_another_position_is_the_record_of_every_position(run: Run) -> None:
    acts = ms.record(run.model(), run.task, positions="all")
    film = run.record("resid_post", pos="b", d_model=1)
    np.testing.assert_allclose(film.isel(epoch=-1).values, acts.at("resid_post", "b").isel(d_model=1).values)
    assert run.record("v", pos="b").dims == ("epoch", "token", "head", "d_head")


def test_the_order_c_a_is_in_order_of_every_epoch(run: Run) -> None:
    film = run.record("mlp_post", neuron=3, order=("c", "a"))
    assert film.dims == ("epoch", "c", "a")
    np.testing.assert_array_equal(film.values, ms.in_order(run.record("mlp_post", neuron=3), "c", "a").values)


def test_it_can_be_shown_and_played_over_the_epochs(run: Run) -> None:
    view = ms.show(run.record("mlp_post", neuron=3), play="epoch")
    assert view.state["play"] == "epoch"
    assert view.state["x"] == "b"


def test_only_the_epochs_asked_for_are_read(run: Run) -> None:
    read: list[int] = []

    def counted(epoch: int):
        read.append(epoch)
        return run._network_at(epoch)

    watched = Run(run.path, run.task, run.epochs, run.losses, _network_at=counted)
    film = watched.record("mlp_post", neuron=0)
    read.clear()
    film.isel(epoch=2).values, film.isel(epoch=slice(4, 6)).values
    assert read == [run.epochs[2], *run.epochs[4:6]]


def test_what_is_not_there_is_said(run: Run) -> None:
    with pytest.raises(UnknownName, match="mlp_post"):
        run.record("mlp_pos")
    with pytest.raises(UnknownName, match="neuron"):
        run.record("mlp_post", neurons=3)
    with pytest.raises(InputError, match="expected a whole number from 0 to 15"):
        run.record("mlp_post", neuron=16)
    with pytest.raises(UnknownName, match="key_pos"):
        run.record("pattern", key_pos="c")
    with pytest.raises(InputError, match="depends on one token"):
        run.record("q", pos="a", order=("c", "a"))


def test_networks_of_other_shapes_are_told_apart(run: Run, tmp_path: Path) -> None:
    other = train(small(network__d_mlp=32), tmp_path / "wide").model()

    def mixed(epoch: int):
        return other if epoch == run.epochs[1] else run._network_at(epoch)

    film = Run(run.path, run.task, run.epochs, run.losses, _network_at=mixed).record("mlp_post")
    with pytest.raises(RunError, match=f"epoch {run.epochs[1]}"):
        film.load()


def test_a_checkpoint_of_another_p_is_told_apart(tmp_path: Path) -> None:
    train(small(), tmp_path / "seven")
    train(small(task__p=11), tmp_path / "eleven")
    name = "checkpoints/epoch_000001.safetensors"
    (tmp_path / "seven" / name).write_bytes((tmp_path / "eleven" / name).read_bytes())
    with pytest.raises(CheckpointError, match="damaged"):
        Run.open(tmp_path / "seven").model(1)
    manifest = tmp_path / "seven" / "manifest.json"
    listed = [{"epoch": e, "file": f"checkpoints/epoch_{e:06d}.safetensors"} for e in (0, 1)]
    manifest.write_text(json.dumps({"checkpoints": listed}))
    with pytest.raises(CheckpointError, match="p = 11, and the run is of p = 7"):
        Run.open(tmp_path / "seven").model(1)


def test_losses_can_be_selected_by_every_epoch_of_the_run(run: Run) -> None:
    chosen = run.losses.sel(epoch=list(run.epochs))
    assert bool(chosen.train_loss.notnull().all())
    ten = run.losses.sel(epoch=10)
    assert (int(ten.train_step), int(ten.test_step)) == (7, 14)
    assert float(ten.train_loss) == float(run.losses.train_loss.sel(epoch=7))
    assert float(ten.test_loss) == float(run.losses.test_loss.sel(epoch=14))
    assert int(run.losses.sel(epoch=7).train_step) == 7
    assert bool(chosen.test_loss.notnull().all())


def test_an_epoch_whose_test_pairs_were_not_scored_has_the_nearest_test_loss(tmp_path: Path) -> None:
    recipe = small(stop__steps=12, keep__losses=2, keep__test=6, keep__every=4, keep__log=0)
    losses = train(recipe, tmp_path / "run").losses
    assert losses.test_loss.sel(epoch=4).item() == losses.test_loss.sel(epoch=6).item()
    assert (int(losses.sel(epoch=4).train_step), int(losses.sel(epoch=4).test_step)) == (4, 6)
    assert bool(losses.test_loss.sel(epoch=2).isnull()), "no checkpoint is kept there"


def test_a_film_needs_no_more_memory_than_what_is_kept(run: Run) -> None:
    film = run.record("mlp_post", neuron=0)
    assert isinstance(film.variable._data, xr.core.indexing.LazilyIndexedArray)
