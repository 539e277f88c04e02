"""`modscope measure` on small saved networks: tables, JSON, CSV, what does not apply, and errors of one line."""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path

import pytest

from modscope.analysis.overview.measures import MEASURES
from modscope.checkpoints import save_safetensors
from modscope.cli import main
from modscope.model import PairMLP, PairMLPConfig, Transformer, TransformerConfig
from modscope.task import ModularTask

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    config = TransformerConfig(7, d_model=8, n_heads=2, d_mlp=12)
    path = tmp_path_factory.mktemp("network") / "small.safetensors"
    return save_safetensors(path, Transformer.initialised(config, seed=1), ModularTask(7))


@pytest.fixture(scope="module")
def without_attention(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("network") / "mlp.safetensors"
    return save_safetensors(
        path, PairMLP.initialised(PairMLPConfig(8, d_hidden=6)), ModularTask(8, "subtract")
    )


def run(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *words: object
) -> tuple[int, str, str]:
    monkeypatch.setattr(sys, "argv", ["modscope", "measure", *map(str, words)])
    with pytest.raises(SystemExit) as ended:
        main()
    out, err = capsys.readouterr()
    return int(ended.value.code or 0), out, err


def test_every_measure_is_a_table_of_eighty_columns(
    saved: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    code, out, err = run(capsys, monkeypatch, saved, *MEASURES, "--frequencies", "1,3")
    assert code == 0, err
    assert max(map(len, out.splitlines())) <= 80, max(out.splitlines(), key=len)
    assert out.count("resid_post") >= 2


def test_the_page_on_measures_has_them_all() -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "measures.md").read_text()
    described = [line.split("`")[1] for line in page.splitlines() if line.startswith("| `")]
    assert sorted(described) == sorted(MEASURES)


def test_json_and_csv_hold_the_same_numbers(
    saved: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    options = (saved, "pattern", "--frequencies", "1,3")
    values = json.loads(run(capsys, monkeypatch, *options, "--json")[1])
    assert values["key_frequencies"] == [1, 3]
    rows = list(csv.DictReader(run(capsys, monkeypatch, *options, "--csv")[1].splitlines()))
    found = values["measures"]["pattern"]["rows"]
    assert [float(row["mean a"]) for row in rows] == [row["mean a"] for row in found]
    whole = json.loads(run(capsys, monkeypatch, saved, "--frequencies", "1 2", "--json")[1])
    assert list(whole["measures"]) == [name for name in MEASURES if name not in ("waves", "periods")]


def test_what_does_not_apply_says_why(
    without_attention: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    code, out, err = run(capsys, monkeypatch, without_attention, "--frequencies", "1,2")
    assert code == 0, err
    assert "pattern: not applicable: this network has no attention" in out
    assert "Neurons by frequency" in out
    values = json.loads(run(capsys, monkeypatch, without_attention, "--frequencies", "1", "--json")[1])
    assert "no attention" in values["measures"]["pattern"]["not_applicable"]
    code, out, err = run(capsys, monkeypatch, without_attention, "pattern", "--frequencies", "1,2")
    assert code == 2
    assert err.count("\n") == 1


def test_multiplication_is_measured_in_the_exponents(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for p, code, says in ((7, 0, "addition of exponents"), (8, 2, "do not lie on a circle")):
        config = TransformerConfig(p, d_model=8, n_heads=2, d_mlp=12)
        path = tmp_path / f"times{p}.safetensors"
        save_safetensors(path, Transformer.initialised(config), ModularTask(p, "multiply"))
        found = run(capsys, monkeypatch, path, "symmetry", "--frequencies", "1,2")
        assert found[0] == code, found
        assert says in found[1] + found[2]


def test_names_are_listed_and_bad_requests_cost_one_line(
    saved: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "tiling: " in run(capsys, monkeypatch, "--list")[1]
    for words, says in (
        ((saved, "patern"), "did you mean 'pattern'"),
        ((saved, "--csv"), "--csv is for one measure"),
        ((saved, "pattern", "--frequencies", "x"), "expected whole numbers"),
        ((saved, "scores", "--frequencies", "9"), "from 1 to 3"),
    ):
        code, out, err = run(capsys, monkeypatch, *words)
        assert (code, out) == (2, "")
        assert says in err
        assert err.count("\n") == 1
