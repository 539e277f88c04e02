"""Imports point one way only: from what draws and schedules down to facts about integers."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parents[1] / "src" / "modscope"

# Each part may import the parts named; every part may import errors, boundary, residues, operations, provenance and the
# version.
ALLOWED: dict[str, set[str]] = {
    "errors": set(),
    "boundary": set(),
    "pace": set(),
    "bars": set(),
    "display": set(),
    "schema": set(),
    "memory": set(),
    "writing": set(),
    "residues": set(),
    "operations": set(),
    "provenance": set(),
    "task": set(),
    "losses": {"task"},
    "circle": {"task"},
    "grounds": {"task", "losses"},
    "model": {"task"},
    "networks": {"task", "model"},
    "checkpoints": {"task", "model", "networks", "losses"},
    "runs": {"task", "model", "networks", "losses", "checkpoints", "orders", "activations"},
    "training": {"task", "model", "networks", "losses", "checkpoints", "runs"},
    "signal": set(),
    "orders": set(),
    "activations": {"task", "model", "networks", "losses", "orders"},
    "analysis": {"task", "model", "networks", "losses", "orders", "activations", "signal"},
    "findings": {"task", "model", "networks", "losses", "activations", "signal", "analysis"},
    "viewer": {
        "task",
        "model",
        "networks",
        "losses",
        "checkpoints",
        "runs",
        "orders",
        "activations",
        "signal",
        "progress",
    },
    "sweep": {
        "task",
        "model",
        "networks",
        "losses",
        "checkpoints",
        "runs",
        "training",
        "activations",
        "analysis",
        "findings",
    },
    "progress": {
        "task",
        "model",
        "networks",
        "losses",
        "checkpoints",
        "runs",
        "orders",
        "activations",
        "signal",
        "analysis",
    },
    "shipped": {"task", "model", "losses", "checkpoints", "runs"},
    "accessor": {"orders", "signal", "viewer"},
    "planted": {"task", "model", "networks"},
    "citing": {"checkpoints"},
    "reproduce": {"activations", "analysis", "losses"},
    "workbench": {
        "task",
        "model",
        "networks",
        "checkpoints",
        "runs",
        "shipped",
        "orders",
        "activations",
        "analysis",
        "findings",
        "report",
        "viewer",
    },
    "report": {
        "task",
        "model",
        "networks",
        "checkpoints",
        "runs",
        "orders",
        "activations",
        "signal",
        "analysis",
        "progress",
        "findings",
        "viewer",
    },
}
EVERYWHERE = {
    "errors",
    "boundary",
    "pace",
    "bars",
    "display",
    "memory",
    "writing",
    "schema",
    "residues",
    "operations",
    "circle",
    "grounds",
    "provenance",
    "_version",
}
UNBOUND = {"cli", "__init__", "__main__", "_version"}


def part_of(path: Path) -> str:
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


def imported_parts(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name}: write imports out in full"
            names.add(node.module or "")
            if node.module == "modscope":
                names |= {f"modscope.{alias.name}" for alias in node.names}
    return {name.split(".")[1] for name in names if name.startswith("modscope.")}


@pytest.mark.parametrize("path", sorted(SOURCE.rglob("*.py")), ids=lambda path: str(path.relative_to(SOURCE)))
def test_imports_point_down(path: Path) -> None:
    part = part_of(path)
    if part in UNBOUND:
        return
    wrong = imported_parts(path) - ALLOWED[part] - EVERYWHERE - {part}
    assert not wrong, f"{part} must not import {', '.join(sorted(wrong))}"


def test_no_module_is_a_drawer_for_everything() -> None:
    names = {path.stem for path in SOURCE.rglob("*.py")}
    assert not names & {"utils", "helpers", "common", "misc"}


# The wings of analysis along the signal's path: each may import its own rooms, the ground floor and the wings named.
GROUND = {"tables", "controls"}
WINGS: dict[str, set[str]] = {
    "plane": set(),
    "weights": {"plane"},
    "inputs": {"plane"},
    "stream": {"plane"},
    "neurons": {"plane", "weights"},
    "answer": {"plane", "weights", "neurons"},
    "causes": {"plane", "weights", "inputs", "stream", "neurons", "answer"},
    "overview": {"plane", "weights", "inputs", "stream", "neurons", "answer", "causes"},
}


def imported_wings(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module or "")
            if node.module == "modscope.analysis":
                names |= {f"modscope.analysis.{alias.name}" for alias in node.names}
    return {name.split(".")[2] for name in names if name.startswith("modscope.analysis.")}


@pytest.mark.parametrize(
    "path",
    sorted((SOURCE / "analysis").rglob("*.py")),
    ids=lambda path: str(path.relative_to(SOURCE / "analysis")),
)
def test_wings_of_analysis_import_upwards_only(path: Path) -> None:
    wing = path.relative_to(SOURCE / "analysis").parts[0].removesuffix(".py")
    if wing == "__init__":
        return
    wrong = imported_wings(path) - WINGS.get(wing, set()) - GROUND - {wing}
    assert not wrong, f"{wing} must not import {', '.join(sorted(wrong))}"


def module_of(path: Path) -> str:
    return ".".join(["modscope", *path.relative_to(SOURCE).with_suffix("").parts]).removesuffix(".__init__")


def imported_modules(path: Path, known: set[str]) -> set[str]:
    """The modules of modscope that a module imports, also within its functions; a package's own list of names is no room."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names & known


# The abstract record offers one constructor of a kind behind it; everything else imports one way.
CIRCLES = {frozenset({"modscope.activations.face", "modscope.activations.of_arrays"})}


def test_no_module_imports_itself_by_way_of_others() -> None:
    paths = {module_of(path): path for path in SOURCE.rglob("*.py") if path.name != "__init__.py"}
    typing_only = {name: _for_types(path) for name, path in paths.items()}
    graph = {name: imported_modules(path, set(paths)) - typing_only[name] for name, path in paths.items()}
    found = {circle for circle in _circles(graph) if len(circle) > 1}
    assert found == CIRCLES


def _for_types(path: Path) -> set[str]:
    """What is imported under TYPE_CHECKING only."""
    names: set[str] = set()
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            names |= {inner.module or "" for inner in ast.walk(node) if isinstance(inner, ast.ImportFrom)}
    return names


def _circles(graph: dict[str, set[str]]) -> set[frozenset[str]]:
    """The strongly connected sets of modules."""
    reach: dict[str, set[str]] = {}
    for start in graph:
        seen: set[str] = set()
        todo = [start]
        while todo:
            for other in graph[todo.pop()] - seen:
                seen.add(other)
                todo.append(other)
        reach[start] = seen
    return {frozenset({name} | {other for other in reach[name] if name in reach[other]}) for name in graph}
