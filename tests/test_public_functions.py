"""Every public function, found by walking the rooms, with a table of wrong things in the place of each argument.

A function without a right call here fails the test, so the table is as long as modscope's list of public names. What is
called must answer or say why not in an error of modscope's own.
"""

from __future__ import annotations

import contextlib
import inspect
import re
import shutil
import types
import warnings
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.right_calls import P, Right
from tests.sweep.tiny import tiny
from tests.test_wrong_arguments import WRONG

from modscope import report, sweep
from modscope.errors import ModscopeError

ROOMS = (
    "activations", "analysis", "circle", "findings", "grounds", "losses", "operations", "orders", "planted", "progress", "report",
    "reproduce", "residues", "signal", "sweep",
)  # fmt: skip
# What begins long work or writes is asked below, in a way of its own.
ELSEWHERE = {"run_sweep", "look_again", "write_page"}
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


class Begun(BaseException):
    """Work has begun: workers were asked for."""


@pytest.mark.parametrize("name", ["run_sweep", "look_again"])
def test_a_sweep_that_cannot_be_done_is_refused_before_workers_are_asked_for_or_anything_is_written(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("distributed")

    def asked_for(*_: Any, **__: Any) -> None:
        raise Begun

    monkeypatch.setattr(sweep.running, "cluster", asked_for)
    function, plan = getattr(sweep, name), tiny(ps=(5,))
    given = {
        "storage": sweep.Storage(str(tmp_path / "out")), "scheduler": "", "workers": 1, "only": "*", "timeout": 1.0, "client": None
    }  # fmt: skip
    if name == "run_sweep":
        given |= {"plan": plan, "retries": 1, "forgive": False, "adopt": ()}
    else:
        sweep.Sweep(given["storage"]).write_plan(plan)
    before = sorted(tmp_path.rglob("*"))
    for argument in given:
        begun = []
        for wrong in MORE:
            try:
                function(**given | {argument: wrong})
            except ModscopeError as error:
                assert sorted(tmp_path.rglob("*")) == before, f"{argument} = {wrong!r}: {error}"  # noqa: PT017
            except Begun:
                begun.append(wrong)
                shutil.rmtree(tmp_path / "out")
                if name == "look_again":
                    sweep.Sweep(given["storage"]).write_plan(plan)
        assert len(begun) < len(MORE) / 2 or argument == "scheduler", f"{argument} = {begun} was let through"
    with pytest.raises(Begun):
        function(**given)


def test_a_page_that_cannot_be_written_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for wrong in MORE:
        for given in ((wrong, "page.html"), ("<p>", wrong)):
            try:
                written = report.write_page(*given)
            except ModscopeError:
                assert list(tmp_path.iterdir()) == []
                continue
            assert isinstance(wrong, str | Path)
            assert written.read_bytes() == given[0].encode(errors="backslashreplace")
            written.unlink()


def figures() -> dict[str, int]:
    """How many wrong things are given in how many places of functions."""
    places = (
        one
        for function in FUNCTIONS.values()
        for one in inspect.signature(function).parameters.values()
        if one.kind not in (one.VAR_POSITIONAL, one.VAR_KEYWORD)
    )
    return {"things": len(MORE), "places": sum(1 for _ in places), "functions": len(FUNCTIONS)}


def test_the_document_says_how_much_is_tried() -> None:
    text = (Path(__file__).parents[1] / "docs" / "reliability.md").read_text()
    things, places, functions = map(
        int, re.search(r"(\d+) things, more than (\d+) places of (\d+) functions and more", text).groups()
    )
    assert things == figures()["things"]
    assert 0.8 * figures()["places"] < places <= figures()["places"]
    assert 0.8 * figures()["functions"] < functions <= figures()["functions"]


def test_a_function_that_states_no_type_for_a_number_is_found() -> None:
    """The test above on functions that do what it looks for."""

    def careless(k: Any) -> Any:
        return {1: "one"}[k]

    with pytest.raises(KeyError), refused_or_answered():
        careless(2)


if __name__ == "__main__":
    print(figures())
