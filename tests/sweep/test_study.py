"""The study that ships: its table is read, its plan is one, and its page says what the table says."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

from modscope.sweep import Plan
from modscope.sweep.study import study_table

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("study_page", ROOT / "tools" / "study_page.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_network_of_the_table_is_of_the_plan(tool: ModuleType) -> None:
    plan, table = Plan.from_file(tool.DATA / "study.toml"), study_table()
    keys = {unit.key: unit for unit in plan.units}
    assert set(table.network) <= set(keys)
    for network, rows in table.groupby("network", observed=True):
        unit = keys[str(network)]
        assert (set(rows.case), set(rows["task.p"])) == ({unit.case}, {unit.recipe.task.p})


def test_the_page_is_what_the_tool_writes_of_the_table(tool: ModuleType) -> None:
    plan = Plan.from_file(tool.DATA / "study.toml")
    written = (ROOT / "docs" / "study.md").read_text(encoding="utf-8")
    # How a claim is worded is not the table's.
    plain = [re.sub("“[^”]*”", "", text) for text in (tool.page(study_table(), plan), written)]
    assert plain[0] == plain[1]
