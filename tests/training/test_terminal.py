"""Training in a real terminal of 80 columns."""

from __future__ import annotations

import re
from pathlib import Path

from tests.processes import in_terminal
from tests.training.small import small

from modscope.runs import Run


def recipe_file(folder: Path, **changes: object) -> str:
    path = folder / "recipe.toml"
    path.write_text(small(**changes).to_toml())
    return str(path)


def last_panel(drawn: str) -> list[str]:
    """The lines of the panel that was drawn last."""
    lines = drawn.replace("\r", "\n").split("\n")
    start = max(i for i, line in enumerate(lines) if line.startswith("╭"))
    end = next(i for i, line in enumerate(lines) if i > start and line.startswith("╰"))
    return [line for line in lines[start : end + 1] if line]


def test_a_run_is_drawn_to_its_end(tmp_path):
    recipe = recipe_file(tmp_path, stop__steps=900)
    code, drawn = in_terminal(["train", "--recipe", recipe, "--out", str(tmp_path / "run")])
    assert (code, "Traceback" in drawn) == (0, False), drawn
    assert Run.open(tmp_path / "run").finished == "last step"
    panel = last_panel(drawn)
    assert {len(line) for line in panel} == {len(panel[0])}
    assert len(panel[0]) <= 80
    assert len(panel) == 2 + 9 + 3, "a line is too long for the panel"
    assert "p = 7, add, seed 0: fast engine, 1 thread" in panel[0]
    assert "1000 steps" in panel[-4]
    assert "step 900" in panel[-3]
    assert "last step" in panel[-2]
    assert str(tmp_path / "run") in drawn.replace("\r\n", "")


def test_the_reason_for_a_slower_engine_is_shown(tmp_path):
    recipe = recipe_file(tmp_path, network__activation="gelu")
    _, drawn = in_terminal(["train", "--recipe", recipe, "--out", str(tmp_path / "run")])
    assert "plain engine: the compiled kernel knows ReLU, not gelu: slower" in " ".join(last_panel(drawn))


def test_ctrl_c_leaves_the_run_to_be_gone_on_with(tmp_path):
    recipe = recipe_file(tmp_path, stop__steps=2_000_000, keep__log=0)
    losses = tmp_path / "run" / "losses.csv"
    code, drawn = in_terminal(
        ["train", "--recipe", recipe, "--out", str(tmp_path / "run")],
        interrupt=lambda drawn: losses.exists() and losses.stat().st_size > 200,
    )
    assert (code, "Traceback" in drawn) == (130, False), drawn
    assert "stopped; go on with: modscope train --resume" in drawn
    assert Run.open(tmp_path / "run").finished == "interrupted"


def test_several_runs_are_listed_as_they_end(tmp_path):
    recipe = recipe_file(tmp_path)
    code, drawn = in_terminal(
        ["train", "--recipe", recipe, "--seeds", "0:3", "--out", str(tmp_path / "runs")]
    )
    assert (code, "Traceback" in drawn) == (0, False), drawn
    for seed in range(3):
        assert f"seed {seed}: step 60, train loss" in drawn
    assert "3 of 3 ended" in drawn
    assert re.search(r"3 networks in \d", drawn)
