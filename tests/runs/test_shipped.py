"""The network in the package is what its record says."""

from __future__ import annotations

import numpy as np
import torch

from modscope.shipped import shipped_folder, shipped_network, shipped_run
from modscope.training.presets import PRESETS
from modscope.training.recipe import Recipe


def test_the_shipped_network_is_what_its_record_says():
    checkpoint = shipped_network()
    assert checkpoint.agrees
    assert checkpoint.measured["all_accuracy"] == 1.0
    assert checkpoint.measured["test_loss"] < 1e-6
    assert checkpoint.task.train_mask.sum() == 3830


def test_the_shipped_recipe_is_the_published_one():
    recipe = Recipe.from_dict(shipped_run().recipe)
    assert recipe.optimiser == PRESETS["nanda"].optimiser
    assert (recipe.task, recipe.network) == (PRESETS["nanda"].task, PRESETS["nanda"].network)


def test_the_shipped_training_goes_from_memorising_to_settled():
    run = shipped_run()
    size = sum(path.stat().st_size for path in shipped_folder().rglob("*") if path.is_file())
    assert size < 6e6
    W_E = run.weights("W_E")
    assert W_E.shape == (len(run.epochs), 114, 128)
    assert W_E.dtype == np.float32
    assert {run.model(epoch).dtype for epoch in run.epochs} == {torch.float32}
    test = run.losses.test_loss.dropna("epoch")
    memorised = test.sel(epoch=run.epochs[1], method="nearest")
    assert run.losses.train_loss.sel(epoch=run.epochs[1], method="nearest") < 1e-4
    assert memorised > 5
    assert test[-1] < 1e-6
