"""`modscope findings`: table, JSON, Markdown, and errors of one line."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from modscope import planted
from modscope.checkpoints import save_safetensors
from modscope.cli import main
from modscope.findings import CLAIMS, VERDICTS, findings
from modscope.findings.markdown import findings_markdown


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("network") / "pizza.safetensors"
    save_safetensors(path, *planted.pizza(23, (1, 4, 7)))
    return path


def run(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *words: object
) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of `modscope findings ...`, without a new process."""
    monkeypatch.setattr(sys, "argv", ["modscope", "findings", *map(str, words)])
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("NO_COLOR", "1")
    with pytest.raises(SystemExit) as ended:
        main()
    out, err = capsys.readouterr()
    return int(ended.value.code or 0), out, err


def test_json_is_a_list_of_findings(
    saved: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    code, out, _ = run(capsys, monkeypatch, saved, "--json")
    rows = json.loads(out)
    assert code == 0
    assert [row["id"] for row in rows] == list(CLAIMS)
    for row in rows:
        assert row["verdict"] in VERDICTS
        assert {"value", "unit", "definition", "interval"} <= set(row["effect"])
        assert "value" in row["control"]


def test_the_table_fits_80_columns_and_holds_every_claim(
    saved: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    code, out, _ = run(capsys, monkeypatch, saved, "--explain")
    assert code == 0
    lines = out.splitlines()[1:]  # the first names the file, however long its path
    assert max(map(len, lines)) <= 80
    table = out[: out.index("Which mechanism? rectified")]
    for claim in CLAIMS.values():
        (line,) = [line for line in table.splitlines() if line.startswith(claim.title)]
        assert line.rstrip().endswith(VERDICTS)
    assert "rectified sum 100 %" in " ".join(out.split())


def test_markdown_puts_networks_side_by_side(saved: Path) -> None:
    found = {name: findings_of(saved) for name in ("one", "two")}
    text = findings_markdown(found)
    assert text.startswith("| finding | one | two |\n|---|---|---|\n")
    for claim in CLAIMS.values():
        assert f"## {claim.title} (`{claim.id}`)" in text
    assert findings_markdown({}) == ""


def findings_of(path: Path):  # type: ignore[no-untyped-def]
    from modscope.checkpoints import open_checkpoint

    return findings(open_checkpoint(path), only=list(CLAIMS))


def test_only_some_claims_and_other_frequencies(
    saved: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    options = ("--only", "key-frequencies-suffice", "--frequencies", "2,5", "--json")
    code, out, _ = run(capsys, monkeypatch, saved, *options)
    (row,) = json.loads(out)
    assert code == 0
    assert row["verdict"] == "does not hold"


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (("--only", "nothing"), "unknown finding 'nothing'"),
        (("--frequencies", "a"), "frequencies 'a': expected whole numbers"),
        (("--frequencies", "12"), "key frequency 12 mod 23"),
        (("--json", "--markdown"), "--json and --markdown together"),
    ],
)
def test_errors_are_one_line(
    saved: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    words: tuple[str, ...],
    error: str,
) -> None:
    code, out, err = run(capsys, monkeypatch, saved, *words)
    assert code == 2
    assert out == ""
    assert err.startswith(f"modscope: {error}")
    assert err.count("\n") == 1
