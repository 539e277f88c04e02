"""A plan says what will be trained, and refuses what cannot be before anything is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.sweep.tiny import SETTINGS, tiny

from modscope.errors import InputError, UnknownName
from modscope.sweep import Plan, Unit
from modscope.sweep.plan import said_shortly
from modscope.training.presets import preset
from modscope.training.recipe import Recipe


@settings(max_examples=10, deadline=None)
@given(
    ps=st.lists(st.integers(5, 12), min_size=1, max_size=3, unique=True),
    seeds=st.lists(st.integers(0, 99), min_size=1, max_size=4, unique=True),
)
def test_grid_is_every_combination_once(ps: list[int], seeds: list[int]) -> None:
    plan = Plan.from_dict({"preset": "quick", "settings": SETTINGS, "axes": {"task.p": ps, "seed": seeds}})
    assert [(u.recipe.task.p, u.recipe.seed) for u in plan.units] == [(p, s) for p in ps for s in seeds]
    assert len({unit.key for unit in plan.units}) == len(plan.units)


def test_key_follows_from_recipe_and_looks_alone() -> None:
    unit, other = tiny().units[:2]
    assert unit.key != other.key
    assert Unit("another case", {}, unit.recipe, unit.looks).key == unit.key
    assert tiny(look={"claims": True}).units[0].key != unit.key
    assert Unit.from_dict(unit.to_dict()).key == unit.key


def test_recipes_of_other_seeds_are_what_they_would_be_alone() -> None:
    for axes in ({"seed": [3, 0, 5], "task.p": [5, 6]}, {"task.p": [5, 6], "seed": [3, 0, 5]}):
        for unit in Plan.from_dict({"preset": "quick", "settings": SETTINGS, "axes": axes}).units:
            alone = Plan.from_dict({"preset": "quick", "settings": SETTINGS | dict(unit.axes)}).units[0]
            assert unit.recipe == alone.recipe
            assert unit.key == alone.key == Unit("", {}, unit.recipe, unit.looks).key


def test_cases_share_what_stands_above_them(tmp_path: Path) -> None:
    (tmp_path / "own.toml").write_text('preset = "quick"\n[stop]\nsteps = 77\n')
    plan = Plan.from_dict(
        {
            "preset": "pizza",
            "settings": {"task.p": 11},
            "axes": {"seed": "0:2"},
            "case": [
                {"name": "as above"},
                {"name": "published", "preset": "nanda", "axes": {"seed": [5]}},
                {"name": "own", "recipe": "own.toml", "settings": {"keep": {"log": 0}}},
            ],
        },
        beside=tmp_path,
    )
    found = [(u.case, u.recipe.preset, u.recipe.task.p, u.recipe.seed) for u in plan.units]
    assert found == [
        ("as above", "pizza", 11, 0),
        ("as above", "pizza", 11, 1),
        ("published", "nanda", 11, 5),
        ("own", "quick", 11, 0),
        ("own", "quick", 11, 1),
    ]
    assert plan.units[3].recipe.stop.steps == 77
    assert plan.units[3].recipe.keep.log == 0
    # the plan that is kept stands alone: recipes beside it are in it
    assert Plan.from_dict(plan.to_dict()).units == plan.units


def test_a_recipe_said_shortly_can_be_made_again() -> None:
    recipe = tiny().units[3].recipe
    start, *words = said_shortly(recipe).split(" ")
    changes = {}
    for word in words:
        name, _, value = word.partition("=")
        changes[name] = __import__("json").loads(value) if value[0] in "[0123456789tf-" else value
    assert preset(start).changed(changes | {"threads": 1}) == recipe


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"axis": {}}, "unknown key of a sweep 'axis' (did you mean 'axes'?)"),
        ({"axes": {"task.pp": [5]}}, "task.pp = 5: unknown setting 'task.pp' (did you mean 'task.p'?)"),
        ({"axes": {"task.p": []}}, "axis task.p has no value: the grid is empty"),
        ({"axes": {"task.p": 5}}, "axis task.p = 5: expected a list of values"),
        ({"axes": {"task.p": [5, 5]}}, "axis task.p has the value 5 twice"),
        ({"axes": {"seed": "3:3"}}, "seeds '3:3': there is none"),
        ({"axes": {"network.d_model": [7]}}, "network.d_model = 7: d_model = 7 is not divisible by n_heads"),
        ({"axes": {"task.fraction": [0.3, 1.0]}}, "task.fraction = 1.0: train fraction 1"),
        ({"preset": "quik"}, "unknown preset 'quik' (did you mean 'quick'?)"),
        ({"look": {"findings": ["sparse"]}}, "unknown finding 'sparse'"),
        ({"look": {"claim": True}}, "unknown setting 'look.claim'"),
        ({"case": [{}]}, "a [[case]] without a name"),
        ({"case": [{"name": "x"}, {"name": "x"}]}, "two cases are named 'x'"),
        ({"case": [{"name": "x", "axe": {}}]}, "unknown key of case 'x' 'axe' (did you mean 'axes'?)"),
    ],
)
def test_what_cannot_be_is_refused_with_its_name(values: dict, said: str) -> None:
    with pytest.raises(InputError, match=re.escape(said)) as caught:
        Plan.from_dict(values)
    assert isinstance(caught.value, UnknownName) == ("unknown" in said)


def test_recipes_train_on_one_thread_unless_said() -> None:
    assert {unit.recipe.threads for unit in tiny().units} == {1}
    assert {unit.recipe.threads for unit in tiny(threads=2).units} == {2}


def test_planning_draws_no_split(monkeypatch: pytest.MonkeyPatch) -> None:
    def drawn(*_: object) -> None:
        raise AssertionError("a split was drawn")

    monkeypatch.setattr("modscope.task.Split.order", drawn)
    assert len(Recipe().changed({"task.p": 97}).to_dict()) > 3
