"""Every public method of every class, with the same wrong things in the place of each argument as public functions."""

from __future__ import annotations

import ast
import inspect
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.right_calls import KEYS, P, Right
from tests.sweep.tiny import tiny
from tests.test_public_functions import COSTLY, MORE, refused_or_answered
from tests.test_wrong_arguments import WRONG

import modscope as ms
from modscope import analysis, findings, operations, progress
from modscope.analysis.answer.keys import evidence_of
from modscope.analysis.causes.turning import turning_of
from modscope.operations import parsed
from modscope.workbench import Page

SOURCE = Path(__file__).parents[1] / "src" / "modscope"
WRITES = {"View.save", "View.figure", "View.frames", "Page.save"}  # where a name that can be one is right
# What these need is not here: a run that is being trained, or one of several epochs.
NEVER_RIGHT = {"Run.live", "Net.at_epoch", "Checkpoint.network_at"}


def public_methods() -> set[str]:
    """Class.method of all that are asked at modscope's boundary."""
    return {
        f"{one.name}.{method.name}"
        for path in SOURCE.rglob("*.py")
        for one in ast.walk(ast.parse(path.read_text()))
        if isinstance(one, ast.ClassDef)
        for method in one.body
        if isinstance(method, ast.FunctionDef)
        and any(ast.unparse(word) == "public" for word in method.decorator_list)
        and len(method.args.args) + len(method.args.kwonlyargs) + len(method.args.posonlyargs) > 1
    }


class Instances:
    """One of each class that has public methods, and what a right call of each method is given."""

    def __init__(self, right: Right, folder: Path) -> None:
        acts, x, run, network = (right.values[name] for name in ("acts", "x", "run", "network"))
        plan, net, view = tiny(ps=(5,)), ms.open(acts), ms.show(x)
        evidence = evidence_of(acts)
        phases = right.special["phases_of"]
        self.of: dict[str, Any] = {
            "SignalAccessor": x.ms, "LogitFit": evidence.fit, "AblationResult": right.special["ablation_table"]["results"][0],
            "Turning": turning_of(acts), "Clusters": evidence.clusters, "Marginals": analysis.plane.marginals(acts, "mlp_post"),
            "StreamModel": analysis.stream.stream_model(acts, KEYS), "Relations": analysis.weights.relations(KEYS, P), "Checkpoint": right.values["checkpoint"],
            "Circle": acts.circle, "Findings": findings.findings(acts, only=["one-frequency"]), "Network": network, "Expression": parsed("a + b"),
            "Operation": operations.Operation.of("add"), "Comparison": progress.compare({"one": run, "two": run}), "Phases": progress.phases_of(**phases),
            "Run": run, "Unit": plan.units[0], "Case": plan.cases[0], "Plan": plan, "Split": ms.Split(), "View": view, "Net": net,
            "Page": Page("net", "<p>"),
        }  # fmt: skip
        (folder / "plan.json").write_text("{}")
        self.values = right.values | {
            "epoch": 0, "shift": 1.0, "by": 1, "looks": plan.looks, "measure": "loss.all", "path": "made.svg", "folder": "made", "name": "W_E",
            "frequencies": KEYS, "table": np.eye(P),
        }  # fmt: skip
        self.special: dict[str, dict[str, Any]] = {
            "SignalAccessor.split": {"axes": "a"}, "SignalAccessor.resample": {"n": 14, "axis": "a"}, "SignalAccessor.even": {"about": "c", "axis": "a"},
            "SignalAccessor.odd": {"about": "c", "axis": "a"}, "SignalAccessor.shift": {"by": 1, "axis": "a"}, "Net.ablate": {"controls": 2}, "Net.__getitem__": {"name": "mlp_post"},
            "Net.with_": {"replace": {"mlp_post": "zero"}}, "Net.finding": {"name": "one-frequency"}, "Net.measure": {"name": "clusters"},
            "Net.show": {"what": "mlp_post"}, "Net.report": {"with_findings": False}, "Findings.__getitem__": {"which": "one-frequency"},
            "Network.hook_name": {"name": "mlp_post"}, "Network.run": {"tokens": network.pair_tokens(*torch.zeros(2, 3, dtype=torch.int64))},
            "Plan.from_file": {"path": folder / "plan.json"}, "Unit.from_dict": {"values": plan.units[0].to_dict()}, "Page.save": {"path": "made.html"},
            "Plan.from_dict": {"values": plan.to_dict()}, "Split.of_mask": {"mask": np.eye(P, dtype=bool)}, "Operation.of": {"given": "add"},
            "Run.open": {"path": right.values["checkpoint"].source}, "Circle.pairs": {"x": x.values}, "View.save": {"path": "made.html"},
        }  # fmt: skip

    def given(self, name: str) -> dict[str, Any]:
        """The arguments of the shortest right call of a method."""
        special = self.special.get(name, {})
        needed = {
            one.name: self.values[one.name]
            for one in inspect.signature(self.method(name)).parameters.values()
            if one.default is one.empty and one.kind not in (one.VAR_POSITIONAL, one.VAR_KEYWORD)
            if one.name not in special
        }
        return {**needed, **special}

    def method(self, name: str) -> Callable[..., Any]:
        owner, method = name.split(".")
        return getattr(self.of[owner], method)


@pytest.fixture(scope="module")
def instances(tmp_path_factory: pytest.TempPathFactory) -> Instances:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return Instances(Right(tmp_path_factory.mktemp("right")), tmp_path_factory.mktemp("plans"))


@pytest.mark.parametrize("name", sorted(public_methods()))
def test_a_wrong_thing_in_any_place_of_a_method_is_a_sentence_or_an_answer(
    name: str, instances: Instances, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    method, given = instances.method(name), instances.given(name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if name not in NEVER_RIGHT:
            called(method, given)  # a method that refuses everything would pass the rest
    for one in inspect.signature(method).parameters.values():
        if one.kind in (one.VAR_POSITIONAL, one.VAR_KEYWORD):
            continue
        for wrong in MORE if one.name not in COSTLY | {"dpi"} else WRONG:
            with refused_or_answered():
                called(method, {**given, one.name: wrong})
    assert name in WRITES or list(tmp_path.iterdir()) == []


def called(method: Callable[..., Any], given: dict[str, Any]) -> Any:
    """The answer of a method, some arguments of which may have no name to the outside."""
    kinds = inspect.signature(method).parameters
    places = [
        name for name in given if name in kinds and kinds[name].kind is inspect.Parameter.POSITIONAL_ONLY
    ]
    return method(*(given[name] for name in places), **{n: x for n, x in given.items() if n not in places})
