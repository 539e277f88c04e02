"""Every public function, found by walking the rooms, with a table of wrong things in the place of each argument.

A function without a right call here fails the test, so the table is as long as modscope's list of public names. What is
called must answer or say why not in an error of modscope's own.
"""

from __future__ import annotations

import contextlib
import inspect
import types
import warnings
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.right_calls import P, Right
from tests.test_wrong_arguments import WRONG

from modscope.errors import ModscopeError

ROOMS = (
    "activations", "analysis", "circle", "findings", "grounds", "losses", "operations", "orders", "planted", "progress", "report",
    "reproduce", "residues", "signal", "sweep",
)  # fmt: skip
# What runs for long or waits for others has tests of its own.
ELSEWHERE = {"run_sweep", "look_again", "write_page", "report_page"}
MORE: tuple[Any, ...] = (
    *WRONG, 0.5, 999, [999], [-1], [2.5], [[1], [1, 2]], ["x"], np.array([0.5]), np.full((P, P, P), np.nan), np.zeros((P, P)), range(0), iter("ab"),
)  # fmt: skip


def public_functions() -> dict[str, Callable[..., Any]]:
    """Name in its room -> function, for every public function that takes something."""
    found: dict[Callable[..., Any], str] = {}

    def walk(module: types.ModuleType, room: str) -> None:
        for name in module.__all__:
            value = getattr(module, name)
            if isinstance(value, types.ModuleType):
                walk(value, f"{room}.{name}")
            elif inspect.isfunction(value) and name not in ELSEWHERE:
                found.setdefault(value, f"{room}.{name}")

    for room in ROOMS:
        walk(import_module(f"modscope.{room}"), room)
    return {name: function for function, name in found.items() if inspect.signature(function).parameters}


FUNCTIONS = public_functions()


@pytest.fixture(scope="module")
def right(tmp_path_factory: pytest.TempPathFactory) -> Right:
    return Right(tmp_path_factory.mktemp("right"))


def right_arguments(right: Right, name: str) -> dict[str, Any]:
    """The arguments of the shortest right call of a function."""
    function = FUNCTIONS[name]
    special = right.special.get(function.__name__, {})
    needed = {
        one.name: special.get(one.name, right.values.get(one.name))
        for one in inspect.signature(function).parameters.values()
        if one.default is one.empty
        and one.kind in (one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD, one.KEYWORD_ONLY)
    }
    return {**needed, **special}


# What is given together belongs together: a measure of one network does not take a part of it from another.
TOGETHER = (
    {"logits", "task"},
    {"acts", "waves"},
    {"acts", "values"},
    {"logits", "labels"},
    {"values", "task"},
    {"found", "x"},
)
UNLIKE = {
    name
    for name in FUNCTIONS
    if any(set(inspect.signature(FUNCTIONS[name]).parameters) >= both for both in TOGETHER)
}
COSTLY = {"p", "controls", "draws"}  # of which 999 is right, and long


@contextlib.contextmanager
def refused_or_answered() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            yield
        except ModscopeError as error:
            assert len(str(error)) < 3000  # noqa: PT017 - an error is one of two good outcomes


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_wrong_thing_in_any_place_is_a_sentence_or_an_answer(
    name: str, right: Right, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    function, given = FUNCTIONS[name], right_arguments(right, name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        function(**given)  # a function that refuses everything would pass the rest
    for one in inspect.signature(function).parameters.values():
        if one.kind in (one.VAR_POSITIONAL, one.VAR_KEYWORD):
            continue
        for wrong in MORE if one.name not in COSTLY else WRONG:
            with refused_or_answered():
                function(**{**given, one.name: wrong})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", sorted(UNLIKE))
def test_parts_of_two_networks_are_not_measured_together(name: str, right: Right) -> None:
    function, given = FUNCTIONS[name], right_arguments(right, name)
    for both in TOGETHER:
        for argument in both if both <= set(given) else ():
            for stranger in right.strangers(argument):
                with pytest.raises(ModscopeError):
                    function(**{**given, argument: stranger})


def test_a_function_that_states_no_type_for_a_number_is_found() -> None:
    """The test above on functions that do what it looks for."""

    def careless(k: Any) -> Any:
        return {1: "one"}[k]

    with pytest.raises(KeyError), refused_or_answered():
        careless(2)
