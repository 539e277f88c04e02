"""`modscope demo`: train, then report."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from modscope.cli import app
from modscope.cli.live import curve
from modscope.cli.scope import free_folder
from modscope.runs import Run


def test_demo_of_the_shipped_network_writes_its_report(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, ["demo", "--shipped", "--no-open"])
    assert result.exit_code == 0, result.output
    assert (tmp_path / "modscope-demo.html").stat().st_size > 10_000
    assert "The report is in" in result.stdout


@pytest.mark.slow
def test_demo_trains_a_network_that_adds_and_reports_on_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, ["demo", "--no-open"])
    assert result.exit_code == 0, result.output
    run = Run.open(tmp_path / "runs" / "demo")
    assert run.finished == "settled"
    assert float(run.losses.test_loss[-1]) < 1e-5
    assert (tmp_path / "runs" / "demo" / "report.html").is_file()


def test_demo_never_writes_into_an_earlier_run(tmp_path):
    assert free_folder(tmp_path, "demo").name == "demo"
    (tmp_path / "demo").mkdir()
    assert free_folder(tmp_path, "demo").name == "demo-2"


def test_the_curve_rises_where_its_values_do():
    lines = curve([(x, x) for x in range(100)], width=10, height=5, low=0, high=99, end=99)
    assert [line.strip("\u2800") != "" for line in lines] == [True] * 5
    assert lines[0].rstrip("\u2800")[-1] != "\u2800"
    assert lines[0].startswith("\u2800" * 8)
    assert lines[-1].endswith("\u2800" * 8)
