"""A sweep as data: cases of recipes, the axes along which they vary, and the units of work that follow."""

from __future__ import annotations

import copy
import hashlib
import itertools
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from modscope.boundary import public
from modscope.checkpoints.reading import read_table
from modscope.errors import InputError, UnknownName
from modscope.findings import CLAIMS
from modscope.schema import built
from modscope.training.presets import preset, recipe_from_toml
from modscope.training.recipe import Recipe
from modscope.training.seeds import parsed_seeds

__all__ = ["Case", "Looks", "Plan", "Unit", "said_shortly"]

_HEAD = ("preset", "recipe", "settings", "axes", "look", "case")
_CASE = ("name", "preset", "recipe", "settings", "axes")
_MOST = 1_000_000  # seeds of one axis: planning a million takes minutes and gigabytes
_SEEDS = ("seed", "task.split_seed", "task.label_seed")


@dataclass(frozen=True)
class Looks:
    """What is looked at in each trained network.

    findings: the ids of the claims, all of them if empty; claims: whether they are judged at all. seed: for their
    controls and intervals. networks: whether the last network of each is kept.
    """

    claims: bool = True
    findings: tuple[str, ...] = ()
    seed: int = 0
    networks: bool = True

    def __post_init__(self) -> None:
        for name in self.findings:
            if name not in CLAIMS:
                raise UnknownName.of("finding", name, CLAIMS)


@dataclass(frozen=True)
class Unit:
    """One network to be trained and looked at. axes: the value that it has on each axis of its case."""

    case: str
    axes: Mapping[str, Any]
    recipe: Recipe
    looks: Looks
    changes: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @cached_property
    def key(self) -> str:
        """A name that follows from all that the result depends on: recipe and looks, and neither case nor order.

        Settings that have their defaults are left out: a later modscope with more of them finds the same names.
        """
        looks = {"claims": self.looks.claims, "findings": self.looks.findings, "seed": self.looks.seed}
        own = self.changes or _changes(self.recipe, Recipe())
        text = json.dumps({"recipe": own, "looks": looks}, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:20]

    @property
    def label(self) -> str:
        """The unit in words."""
        axes = ", ".join(f"{name.split('.')[-1]} {_plain(value)}" for name, value in self.axes.items())
        return f"{self.case}: {axes}" if self.case and axes else self.case or axes or "the one network"

    def to_dict(self) -> dict[str, Any]:
        """The unit as plain JSON values."""
        looks = {**vars(self.looks), "findings": list(self.looks.findings)}
        return {
            "case": self.case,
            "axes": dict(self.axes),
            "recipe": self.recipe.to_dict(),
            "looks": looks,
        }

    @classmethod
    @public
    def from_dict(cls, values: Mapping[str, Any]) -> Unit:
        """The unit that `to_dict` described."""
        recipe = Recipe.from_dict(values["recipe"])
        return cls(values["case"], dict(values["axes"]), recipe, built(Looks, values["looks"]))


@dataclass(frozen=True)
class Case:
    """Recipes that share all but the settings named in axes, of which every combination is trained.

    >>> case = Case("small", preset("quick"), {"task.p": [5, 7], "seed": [0, 1, 2]})
    >>> [(unit.recipe.task.p, unit.recipe.seed) for unit in case.units(Looks())][:4]
    [(5, 0), (5, 1), (5, 2), (7, 0)]
    """

    name: str
    recipe: Recipe
    axes: Mapping[str, Sequence[Any]]

    @public
    def units(self, looks: Looks) -> Iterator[Unit]:
        """Each point of the grid as a unit, the last axis fastest; an error names the point.

        A recipe is built and checked once for all seeds: a sweep of many is mostly of seeds, and a check takes longer than
        handing out the work.
        """
        known: dict[str, tuple[Recipe, dict[str, Any]]] = {}
        for values in itertools.product(*self.axes.values()):
            point = dict(zip(self.axes, values, strict=True))
            seed = point.get("seed")
            name = json.dumps([value for axis, value in point.items() if axis != "seed"])
            if name not in known or not isinstance(seed, int) or not 0 <= seed < 2**62:
                recipe = self._checked(point)
                known[name] = recipe, _changes(recipe, Recipe())
            recipe, changes = known[name]
            if isinstance(seed, int) and recipe.seed != seed:
                recipe = copy.copy(recipe)
                object.__setattr__(recipe, "seed", seed)  # nothing else of a recipe depends on it
                changes = {axis: value for axis, value in changes.items() if axis != "seed"}
                changes |= {"seed": seed} if seed else {}
            yield Unit(self.name, point, recipe, looks, changes)

    def _checked(self, point: Mapping[str, Any]) -> Recipe:
        try:
            # A network is trained on one thread: as many at once as there are threads gain more.
            recipe = self.recipe.changed(point)
            return replace(recipe, threads=recipe.threads or 1)
        except UnknownName as error:
            raise UnknownName(f"{self._at(point)}: {error}") from error
        except InputError as error:
            raise InputError(f"{self._at(point)}: {error}") from error

    def to_dict(self) -> dict[str, Any]:
        """The case as plain JSON values: the preset that its recipe starts from, and what differs."""
        start, changes = _differences(self.recipe)
        head = {"preset": start} if start else {}
        axes = {name: list(values) for name, values in self.axes.items()}
        return {"name": self.name, **head, "settings": changes, "axes": axes}

    def _at(self, point: Mapping[str, Any]) -> str:
        where = ", ".join(f"{name} = {_plain(value)}" for name, value in point.items())
        return (
            " at ".join(part for part in (self.name and f"case {self.name!r}", where) if part) or "the recipe"
        )


@dataclass(frozen=True)
class Plan:
    """All that a sweep asks for.

    >>> plan = Plan.from_dict({"preset": "quick", "axes": {"task": {"p": [5, 7]}, "seed": "0:3"}})
    >>> len(plan.units), plan.units[4].label
    (6, 'p 7, seed 1')
    """

    cases: tuple[Case, ...]
    looks: Looks = field(default_factory=Looks)

    @cached_property
    def units(self) -> tuple[Unit, ...]:
        """The units in the order of the cases; one that two cases ask for is there twice and is trained once."""
        return tuple(unit for case in self.cases for unit in case.units(self.looks))

    @property
    def axes(self) -> tuple[str, ...]:
        """The names of all axes, in the order in which they are named first."""
        return tuple(dict.fromkeys(name for case in self.cases for name in case.axes))

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values from which `from_dict` makes the plan again, without the recipes beside it."""
        looks = {**vars(self.looks), "findings": list(self.looks.findings)}
        tables = [case.to_dict() for case in self.cases]
        if len(tables) == 1 and not tables[0]["name"]:
            return {**{name: value for name, value in tables[0].items() if name != "name"}, "look": looks}
        return {"look": looks, "case": tables}

    @classmethod
    @public
    def from_file(cls, path: str | os.PathLike[str]) -> Plan:
        """The plan in a TOML or JSON file. Recipes that it names are looked for beside it.

        Raises InputError with the name of the setting, UnknownName with the nearest one.
        """
        return cls.from_dict(read_table(Path(path)), beside=Path(path).parent)

    @classmethod
    @public
    def from_dict(cls, values: Mapping[str, Any], *, beside: Path = Path()) -> Plan:
        """The plan that a table of plain values describes; every recipe of it is built, and so checked."""
        _known(values, _HEAD, "a sweep")
        shared = {name: values[name] for name in ("preset", "recipe", "settings", "axes") if name in values}
        cases = values.get("case", [])
        if not isinstance(cases, list) or any(not isinstance(case, Mapping) for case in cases):
            raise InputError("case: expected tables, each under [[case]]")
        if any(not case.get("name") for case in cases):
            raise InputError("a [[case]] without a name: each needs one, for the table")
        names = [str(case["name"]) for case in cases]
        if len(set(names)) < len(names):
            raise InputError(f"two cases are named {max(names, key=names.count)!r}: expected different names")
        built_cases = [_case(shared, case, beside) for case in cases or [{}]]
        look = values.get("look", {})
        if not isinstance(look, Mapping):
            raise InputError(f"look = {look!r}: expected a table")
        plan = cls(tuple(built_cases), built(Looks, look, "look."))
        plan.units  # noqa: B018 - raises where a recipe cannot train
        return plan


def _case(shared: Mapping[str, Any], own: Mapping[str, Any], beside: Path) -> Case:
    name = str(own.get("name", ""))
    where = f"case {name!r}" if name else "a sweep"
    _known(own, _CASE, where)
    start = {**shared, **own}
    if own.get("preset") or own.get("recipe"):
        start = {**start, "preset": own.get("preset"), "recipe": own.get("recipe")}
    if start.get("preset") and start.get("recipe"):
        raise InputError(f"{where}: preset and recipe: give one of the two; a recipe may name a preset")
    file = start.get("recipe")
    recipe = recipe_from_toml(beside / str(file)) if file else preset(str(start.get("preset") or "nanda"))
    settings: dict[str, Any] = {}
    axes: dict[str, Any] = {}
    for part in (shared, own):
        settings |= _flat(part.get("settings", {}), f"{where}: settings")
        axes |= _flat(part.get("axes", {}), f"{where}: axes")
    return Case(
        name, recipe.changed(settings), {axis: _values(axis, given, where) for axis, given in axes.items()}
    )


def _known(values: Mapping[str, Any], names: Sequence[str], where: str) -> None:
    for name in values:
        if name not in names:
            raise UnknownName.of(f"key of {where}", name, names)


def _flat(values: Any, where: str) -> dict[str, Any]:
    """Settings by their dotted paths, written so or as tables in tables."""
    if not isinstance(values, Mapping):
        raise InputError(f"{where} = {values!r}: expected a table")
    flat: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            flat |= {f"{name}.{inner}": inside for inner, inside in value.items()}
        else:
            flat[name] = value
    return flat


def _values(axis: str, given: Any, where: str) -> list[Any]:
    if isinstance(given, str) and axis in _SEEDS:
        return list(parsed_seeds(given, most=_MOST))
    if not isinstance(given, list | tuple):
        also = ", or seeds as 0:8" if axis in _SEEDS else ""
        raise InputError(f"{where}: axis {axis} = {given!r}: expected a list of values{also}")
    if not given:
        raise InputError(f"{where}: axis {axis} has no value: the grid is empty")
    seen = [json.dumps(value, sort_keys=True) for value in given]
    if len(set(seen)) < len(seen):
        raise InputError(f"{where}: axis {axis} has the value {max(seen, key=seen.count)} twice")
    return list(given)


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def said_shortly(recipe: Recipe) -> str:
    """A recipe as the preset that it starts from and the settings that differ: from this it can be made again.

    >>> said_shortly(preset("quick").changed({"task.p": 53, "seed": 3}))
    'quick seed=3 task.p=53'
    """
    start, changes = _differences(recipe)
    named = [f"{name}={_plain(value)}" for name, value in sorted(changes.items()) if name != "threads"]
    return " ".join([start or "recipe", *named])


def _differences(recipe: Recipe) -> tuple[str, dict[str, Any]]:
    """The preset that a recipe starts from, and the settings in which it differs."""
    return recipe.preset, _changes(recipe, preset(recipe.preset) if recipe.preset else Recipe())


def _changes(recipe: Recipe, start: Recipe) -> dict[str, Any]:
    mine, others = (_flat(one.to_dict(), "recipe") for one in (recipe, start))
    return {name: value for name, value in mine.items() if value != others[name]}
