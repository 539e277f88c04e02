"""Networks in a stack train as each would alone: against the plain engine, and through every end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.training.small import assert_same_bits, small

from modscope.errors import InputError
from modscope.runs import Run
from modscope.training.many import train_many
from modscope.training.many.engine import ManyEngine
from modscope.training.many.pairs import ManyPairs, most_in_a_row
from modscope.training.many.slots import Slot, Slots
from modscope.training.many.training import steps_until_due
from modscope.training.recipe import Recipe
from modscope.training.running import train
from modscope.training.trainer import Trainer

DIFFERENT: list[dict[str, Any]] = [
    {"seed": 1},
    {"seed": 2, "task__split_seed": 5, "task__operation": "subtract"},
    {"seed": 3, "optimiser__update_clipping": False, "optimiser__brake_below": 0.0},
    {
        "seed": 4,
        "optimiser__learning_rate_schedule": [[0, 5e-3], [40, 1e-2]],
        "optimiser__learning_rate": 5e-3,
        "optimiser__weight_decay": 0.5,
        "optimiser__betas": [0.8, 0.95],
    },
]


def recipes(**more: Any) -> list[Recipe]:
    return [
        small(
            **{
                "stop__steps": 200,
                "optimiser__brake_below": 1.25e-2,
                "optimiser__learning_rate": 5e-3,
                **more,
                **one,
            }
        )
        for one in DIFFERENT
    ]


def alone(recipe: Recipe, steps: int) -> tuple[np.ndarray, Trainer]:
    trainer = Trainer(recipe.changed({"engine": "plain"}))
    return np.array([trainer.advance().loss for _ in range(steps)]), trainer


@pytest.mark.parametrize(
    "more", [{}, {"network__attention_rate": 0.0}, {"network__equals": False, "task__p": 8}]
)
def test_losses_follow_the_plain_engine_for_a_hundred_steps(more: dict[str, Any]) -> None:
    several = recipes(**more)
    slots = Slots(several, steps=200)
    for i, recipe in enumerate(several):
        Slot(slots, i, recipe)
    found = slots.advance(60)
    found = np.concatenate([found, slots.advance(40)], axis=1)
    for i, recipe in enumerate(several):
        losses, trainer = alone(recipe, 100)
        np.testing.assert_allclose(found[0, :, i], losses, rtol=2e-3, atol=1e-6)
        np.testing.assert_allclose(found[0, :10, i], losses[:10], rtol=1e-5)
        for name, scores in trainer.scores().items():
            assert slots.scores(i)[name].loss == pytest.approx(scores.loss, rel=1e-2, abs=1e-6)


@settings(max_examples=8, deadline=None)
@given(p=st.integers(5, 9), networks=st.integers(1, 4), seed=st.integers(0, 99))
def test_rows_by_products_are_rows_by_look_up(p: int, networks: int, seed: int) -> None:
    several = [small(task__p=p, seed=seed + i, task__split_seed=i) for i in range(networks)]
    trainers = [Trainer(recipe) for recipe in several]
    pairs = [trainer.train_pairs for trainer in trainers]
    stack = {name: torch.stack([t.weights[name].detach() for t in trainers]) for name in trainers[0].weights}
    engine, cpu = ManyEngine(several[0].config), torch.device("cpu")
    by_look_up = ManyPairs.of(pairs, cpu)
    places = max(most_in_a_row(one, p) for one in pairs)
    by_products = ManyPairs.of(pairs, cpu, cells_for=p, places=places + seed % 2)
    one, two = (engine.gradients_of(stack, kind) for kind in (by_look_up, by_products))
    torch.testing.assert_close(one[1], two[1])
    for name in stack:
        torch.testing.assert_close(one[0][name], two[0][name], rtol=1e-4, atol=1e-6)


def test_a_network_in_a_stack_does_not_feel_its_neighbours() -> None:
    several = recipes()
    together, apart = Slots(several, steps=200), Slots(several[:1], steps=200)
    for i, recipe in enumerate(several):
        Slot(together, i, recipe)
    Slot(apart, 0, several[0])
    together.stack["embed.W_E"][2] *= torch.nan
    np.testing.assert_allclose(together.advance(20)[:, :, 0], apart.advance(20)[:, :, 0], rtol=1e-5)


def test_the_state_of_a_slot_is_that_of_a_trainer() -> None:
    recipe = recipes()[1]
    slots = Slots([recipe] * 2, steps=200)
    slot = Slot(slots, 1, recipe)
    slots.advance(30)
    slot.epoch = 30
    plain = Trainer(recipe.changed({"engine": "plain"}))
    plain.restore(slot.state(), 30)
    expected = [plain.advance().loss for _ in range(10)]
    other = Slot(slots, 0, recipe)
    other.restore(slot.state(), 30)
    found = slots.advance(10)[0]
    np.testing.assert_allclose(found[:, 0], found[:, 1], rtol=1e-5)
    np.testing.assert_allclose(found[:, 0], expected, rtol=1e-4)


def test_runs_pass_through_few_places_and_are_as_alone(tmp_path: Path) -> None:
    several = {tmp_path / f"seed{r.seed}": r for r in recipes(stop__steps=60)}
    ended = list(train_many(several, at_once=2))
    assert sorted(one.folder.name for one in ended) == ["seed1", "seed2", "seed3", "seed4"]
    assert {one.finished for one in ended} == {"last step"}
    for folder, recipe in several.items():
        run, single = (
            Run.open(folder),
            train(recipe.changed({"engine": "plain"}), tmp_path / "one" / folder.name),
        )
        assert run.epochs == single.epochs
        assert run.environment["engine"] == "many engine, 2 networks at once on cpu"
        for name in single.losses.data_vars:
            np.testing.assert_allclose(run.losses[name], single.losses[name], rtol=2e-3, atol=1e-4)
    assert [one.trained for one in train_many(several)] == [False] * 4


def test_stopped_and_gone_on_with_to_the_same_bits(tmp_path: Path) -> None:
    one = {tmp_path / "a" / str(r.seed): r for r in recipes(stop__steps=60)}
    two = {tmp_path / "b" / str(r.seed): r for r in recipes(stop__steps=60)}
    list(train_many(one, at_once=4))
    asked = iter([False] * 3 + [True] * 99)
    assert {ended.finished for ended in train_many(two, at_once=4, stop=lambda: next(asked))} == {
        "interrupted"
    }
    assert {ended.finished for ended in train_many(two, at_once=4)} == {"last step"}
    for mine, other in zip(one, two, strict=True):
        assert_same_bits(mine, other)
        assert (mine / "losses.csv").read_bytes() == (other / "losses.csv").read_bytes()


def test_a_network_that_fails_or_begins_anew_leaves_the_others_alone(tmp_path: Path) -> None:
    several = {
        tmp_path / "fails": small(optimiser__learning_rate=1e30, optimiser__weight_decay=0.0),
        tmp_path / "anew": small(seed=1, stop__begin_anew=20, stop__steps=50),
        tmp_path / "well": small(seed=2),
    }
    ended = {one.folder.name: one for one in train_many(several, at_once=3)}
    assert "loss is no longer a number" in ended["fails"].line or "loss is nan" in ended["fails"].line
    assert Run.open(tmp_path / "anew").begun_anew == (20, 40)
    single = train(small(seed=1, stop__begin_anew=20, stop__steps=50, engine="plain"), tmp_path / "one")
    np.testing.assert_allclose(
        Run.open(tmp_path / "anew").losses.train_loss, single.losses.train_loss, rtol=2e-3, atol=1e-5
    )
    assert ended["well"].finished == "last step"


def test_without_room_half_of_them_wait(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    real = Slots.advance

    def advance(self: Slots, steps: int) -> np.ndarray:
        sizes.append(self.size)
        if self.size > 2 and len(sizes) > 3:
            raise torch.OutOfMemoryError("out of memory")
        return real(self, steps)

    monkeypatch.setattr(Slots, "advance", advance)
    several = {tmp_path / str(r.seed): r for r in recipes(stop__steps=60)}
    assert [one.finished for one in train_many(several, at_once=4)] == ["last step"] * 4
    assert sorted(set(sizes)) == [2, 4]
    list(train_many({tmp_path / "c" / str(r.seed): r for r in recipes(stop__steps=60)}, at_once=2))
    for folder in several:
        mine, other = (Run.open(f).losses.train_loss for f in (folder, tmp_path / "c" / folder.name))
        np.testing.assert_allclose(mine, other, rtol=1e-3)


def test_due_is_the_nearest_of_all_rhythms(tmp_path: Path) -> None:
    class At:
        def __init__(self, recipe: Recipe, epoch: int, age: int) -> None:
            self.recipe = recipe
            self.trainer = type("T", (), {"epoch": epoch, "age": age})()

    recipe = small(keep__test=10, keep__resume=15, keep__log=0, stop__steps=97, stop__begin_anew=33)
    due = {e for e in range(1, 98) if e % 10 == 0 or e % 15 == 0 or e % 33 == 0 or e == 97}
    for epoch in range(97):
        k = steps_until_due(At(recipe, epoch, epoch))  # type: ignore[arg-type]
        assert epoch + k == min(e for e in due if e > epoch)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"optimiser__name": "muon"}, "it does not know optimiser.name = muon"),
        ({"optimiser__grokfast": 2.0}, "it does not know optimiser.grokfast = 2"),
        ({"network__activation": "gelu"}, "it knows ReLU, not gelu"),
    ],
)
def test_what_it_cannot_train_is_said_before(change: dict[str, Any], said: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=said):
        list(train_many({tmp_path / "a": small(**change)}))
    assert not (tmp_path / "a").exists()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_a_recorded_step_is_a_step(tmp_path: Path) -> None:
    several = [recipe.changed({"device": "cuda"}) for recipe in recipes()]
    slots = Slots(several, steps=200)
    for i, recipe in enumerate(several):
        Slot(slots, i, recipe)
    found = slots.advance(100)
    for i, recipe in enumerate(recipes()):
        losses, _ = alone(recipe, 100)
        np.testing.assert_allclose(found[0, :, i], losses, rtol=5e-3, atol=1e-6)
