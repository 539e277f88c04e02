"""Training on other devices than the CPU: what can be seen without one, and the whole of it where there is CUDA."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.training.test_shapes import SMALL, SWITCHES

import modscope as ms
from modscope.errors import InputError
from modscope.runs.events import Event
from modscope.training.optimisers import Stepper
from modscope.training.plain import LOSSES, pair_logits
from modscope.training.recipe import Recipe
from modscope.training.running import resume, train
from modscope.training.steering import Steering
from modscope.training.tables import Pairs
from modscope.training.trainer import Trainer, first_weights

META = torch.device(
    "meta"
)  # tensors without numbers, which meet tensors of the CPU no more than those of a card do
NETWORKS: dict[str, dict[str, Any]] = {
    # Deep MLPs look at their tokens first, which META does not have.
    **{name: switches for name, switches in SWITCHES.items() if not any("mlp." in key for key in switches)},
    "one layer": {"network.biases": ["b_Q", "b_K", "b_V", "b_O", "b_in", "b_out", "b_U"]},
    "half attention": {"network.attention_rate": 0.5, "network.activation": "gelu"},
    "no equals sign": {"network.equals": False},
    "one hidden layer": {"mlp.hidden": [9]},
}
cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")


@pytest.mark.parametrize("changes", NETWORKS.values(), ids=list(NETWORKS))
def test_a_step_makes_nothing_on_the_cpu(changes: dict[str, Any]) -> None:
    recipe = Recipe().changed({**SMALL, **changes})
    weights = {name: w.to(META).requires_grad_() for name, w in first_weights(recipe, 0).items()}
    task = recipe.modular_task
    pairs = Pairs.of(task, task.train_mask).tiled().to(META)
    logits = pair_logits(weights, recipe.config, pairs)
    for loss in LOSSES.values():
        grads = torch.autograd.grad(
            loss(logits, pairs.labels), list(weights.values()), retain_graph=True, allow_unused=True
        )
        assert {grad.device for grad in grads if grad is not None} == {META}


@pytest.mark.parametrize("optimiser", [{"name": "muon"}, {"grokfast": 2.0}, {"brake_below": 1.0}])
def test_a_state_is_taken_back_to_the_device_of_the_weights(optimiser: dict[str, Any]) -> None:
    recipe = Recipe().changed({**SMALL, **{f"optimiser.{name}": value for name, value in optimiser.items()}})
    trainer = Trainer(recipe.changed({"engine": "plain"}))
    for _ in range(2):
        trainer.advance()
    kept = trainer.stepper.state()
    weights = {name: w.detach().to(META).requires_grad_() for name, w in trainer.weights.items()}
    there = Stepper(weights, trainer.recipe.optimiser)
    there.restore(kept)
    found = there.state()
    assert found.keys() == kept.keys()
    sized = {name: value for name, value in found.items() if value.ndim}
    assert {value.device for value in sized.values()} == {META}


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is CUDA")
def test_a_device_that_is_not_there_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="device 'cuda' cannot be used here"):
        train(Recipe().changed({**SMALL, "device": "cuda"}), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def _recipe(**changes: Any) -> Recipe:
    common = {"optimiser.learning_rate": 1e-2, "stop.steps": 60, "keep.resume": 20, "keep.test": 10}
    given = {name.replace("__", "."): value for name, value in changes.items()}
    return Recipe().changed({**SMALL, "network.d_mlp": 40, **common, "engine": "plain", **given})


@cuda
@pytest.mark.parametrize("optimiser", [{}, {"optimiser__grokfast": 2.0}, {"optimiser__name": "muon"}])
@pytest.mark.parametrize("changes", [{}, {"layers__n_layers": 2}, {"mlp__hidden": [9]}])
def test_cuda_takes_the_steps_of_the_cpu(changes, optimiser, tmp_path: Path) -> None:
    runs = [
        train(_recipe(device=device, **changes, **optimiser), tmp_path / device) for device in ("cpu", "cuda")
    ]
    here, there = (run.losses for run in runs)
    for name in ("train_loss", "test_loss"):
        np.testing.assert_allclose(there[name], here[name], rtol=5e-3, atol=1e-6)
    assert runs[1].environment["device"].startswith("cuda")
    logits = [ms.open(run.path)["logits"] for run in runs]
    np.testing.assert_allclose(logits[1], logits[0], atol=0.05)


@cuda
def test_cuda_goes_on_where_it_stopped(tmp_path: Path) -> None:
    """Brake, clipping, batches and a change by hand: each keeps something from step to step."""
    events = Steering(events=[Event(35, "remove_frequency", 2)])
    changes = {"optimiser__brake_below": 1.0, "optimiser__update_clipping": True, "optimiser__batch": 10}
    recipe = _recipe(device="cuda", **changes)
    whole = train(recipe, tmp_path / "whole", steering=events)
    counted = iter(range(1000))
    train(recipe, tmp_path / "cut", steering=events, stop=lambda: next(counted) >= 30)
    gone_on = resume(tmp_path / "cut")
    np.testing.assert_allclose(gone_on.losses["train_loss"], whole.losses["train_loss"], rtol=1e-3)


@cuda
def test_the_weights_of_cuda_begin_as_those_of_the_cpu() -> None:
    here, there = (Trainer(_recipe(device=device)) for device in ("cpu", "cuda"))
    for name, weight in here.weights.items():
        assert torch.equal(there.weights[name].cpu(), weight)
    assert torch.equal(there.train_pairs.a.cpu(), here.train_pairs.a)
