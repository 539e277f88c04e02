"""Commands on networks of which nothing is known: said first, in text and in JSON, and nothing breaks."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from modscope import planted
from modscope.checkpoints import save_safetensors
from modscope.cli import main
from modscope.task import ModularTask


@pytest.fixture
def wrong(tmp_path: Path) -> Path:
    """A network of max that is said to add."""
    network, _ = planted.pair_table(11, operation="max")
    return save_safetensors(tmp_path / "max.safetensors", network, ModularTask(11))


def run(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *words: object
) -> tuple[int, str, str]:
    monkeypatch.setattr(sys, "argv", ["modscope", *map(str, words)])
    with pytest.raises(SystemExit) as ended:
        main()
    out, err = capsys.readouterr()
    return int(ended.value.code or 0), out, err


def test_every_command_says_first_that_there_is_nothing_to_judge(
    wrong: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    says = "the answers are those of max(a,b)"
    page = tmp_path / "page.html"
    for words in (
        ("inspect", wrong),
        ("findings", wrong),
        ("measure", wrong, "clusters", "--frequencies", "1,2"),
        ("ablate", wrong, "nonlinearity-removed", "--controls", 0),
        ("report", wrong, "--no-open", "--out", page),
    ):
        code, out, err = run(capsys, monkeypatch, *words)
        assert code == 0, (words, err)
        assert says in " ".join(out.split()), words
    assert "was opened as one that adds mod 11" in page.read_text()
    code, out, err = run(capsys, monkeypatch, "ablate", wrong, "--json", "--controls", 0)
    assert code == 0, err
    values = json.loads(out)
    assert values["can_be_judged"] is False
    assert values["key_frequencies"] == [] or values["ablations"]
    code, out, err = run(capsys, monkeypatch, "findings", wrong, "--json")
    assert {finding["verdict"] for finding in json.loads(out)} == {"not applicable"}
    assert code == 0
    right = run(capsys, monkeypatch, "report", wrong, "--operation", "max", "--no-open", "--out", page)
    assert "computes max(a,b) of 0 to 10 without an error" in right[1]


def test_the_name_of_an_ablation_or_a_measure_is_no_path(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    code, out, err = run(capsys, monkeypatch, "ablate", "cluster-mean/k=29", "--controls", 0)
    assert code == 0, err
    assert "cluster-mean/k=29" in out
    code, out, err = run(capsys, monkeypatch, "ablate", "no_such_file.pt")
    assert code == 2
    assert "no_such_file.pt: no such file" in err
