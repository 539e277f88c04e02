"""`modscope ablate` on a small saved network: table, JSON, CSV, and errors of one line."""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path

import pytest

from modscope.checkpoints import save_safetensors
from modscope.cli import main
from modscope.model import Transformer, TransformerConfig
from modscope.task import ModularTask


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("network") / "small.safetensors"
    config = TransformerConfig(7, d_model=8, n_heads=2, d_mlp=12)
    save_safetensors(path, Transformer.initialised(config, seed=1), ModularTask(7))
    return path


def run(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *words: object
) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of `modscope ablate ...`, without a new process."""
    monkeypatch.setattr(sys, "argv", ["modscope", "ablate", *map(str, words)])
    with pytest.raises(SystemExit) as ended:
        main()
    out, err = capsys.readouterr()
    return int(ended.value.code or 0), out, err


def test_json_holds_every_control_and_the_table_the_same_numbers(
    saved: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    options = (saved, "pattern-mean", "mlp-mean", "--controls", 3, "--frequencies", "1,3")
    code, out, err = run(capsys, monkeypatch, *options, "--json")
    assert code == 0, err
    values = json.loads(out)
    assert values["key_frequencies"] == [1, 3]
    assert [a["name"] for a in values["ablations"]] == ["pattern-mean", "mlp-mean"]
    assert all(len(a["controls"]) == 3 for a in values["ablations"])
    rows = list(csv.DictReader(run(capsys, monkeypatch, *options, "--csv", "--split", "all")[1].splitlines()))
    assert float(rows[0]["loss"]) == values["ablations"][0]["ablated"]["loss"]["all"]
    table = run(capsys, monkeypatch, *options)[1]
    assert "mlp-mean" in table
    assert max(map(len, table.splitlines())) <= 80


def test_names_are_listed_and_bad_ones_cost_one_line(
    saved: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = run(capsys, monkeypatch, saved, "--list", "--frequencies", "1 2")[1]
    assert "pattern-mean/head=1: head 1: " in listed
    for words, says in (
        (("patern-mean",), "did you mean 'pattern-mean'"),
        (("--frequencies", "x"), "expected whole numbers"),
        (("--json", "--csv"), "expected one of them"),
        (("--matched", "sise", "mlp-mean"), "unknown way to match controls 'sise'"),
    ):
        if "--frequencies" not in words:
            words = (*words, "--frequencies", "2")
        code, out, err = run(capsys, monkeypatch, saved, *words)
        assert code == 2
        assert says in err
        assert len(err.splitlines()) == 1
        assert out == ""
