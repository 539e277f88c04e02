"""`modscope report` from the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from modscope.checkpoints import save_safetensors
from modscope.cli import app
from modscope.errors import InputError
from modscope.model import Transformer, TransformerConfig
from modscope.task import ModularTask


@pytest.fixture
def network(tmp_path: Path) -> Path:
    model = Transformer.initialised(TransformerConfig(11, d_model=16, n_heads=2, d_mlp=24))
    return save_safetensors(tmp_path / "mine.safetensors", model, ModularTask(11))


def test_json_is_one_object_and_nothing_else(network: Path) -> None:
    result = CliRunner().invoke(app, ["report", str(network), "--json"])
    assert result.exit_code == 0
    values = json.loads(result.stdout)
    assert values["p"] == 11
    assert values["checkpoint"]["source"] == str(network)


def test_page_is_written_and_named(network: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    page = tmp_path / "look.html"
    options = ["--out", str(page), "--no-open", "--frequencies", "2,5"]
    result = CliRunner().invoke(app, ["report", str(network), *options])
    assert result.exit_code == 0
    assert (
        f"modscope report {network.parent.name}/{network.name} --frequencies 2,5</code>" in page.read_text()
    )
    assert str(network.parent) not in page.read_text(), "nobody's folders are on the page"
    assert str(page) in result.stdout
    assert page.read_text().startswith("<!doctype html>")


def test_without_a_name_the_page_is_called_after_the_network(
    network: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert CliRunner().invoke(app, ["report", str(network), "--no-open"]).exit_code == 0
    assert (tmp_path / "mine.report.html").is_file()


def test_frequencies_can_be_named(network: Path) -> None:
    result = CliRunner().invoke(app, ["report", str(network), "--json", "--frequencies", "2,5"])
    values = json.loads(result.stdout)
    assert values["key_frequencies"] == [2, 5]
    assert values["key_frequency_rule"] == "given"
    assert values["restricted_loss"]["all"] > 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--frequencies", "2,x"], "expected whole numbers"),
        (["--frequencies", "9"], "from 1 to 5"),
        (["--rule", "logit_shares"], "did you mean 'logit_share'"),
    ],
)
def test_bad_options_are_one_sentence(network: Path, options: list[str], message: str) -> None:
    result = CliRunner().invoke(app, ["report", str(network), *options])
    assert isinstance(result.exception, InputError)
    assert message in str(result.exception)


def test_a_network_that_is_not_there(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["report", str(tmp_path / "nothing.pth")])
    assert isinstance(result.exception, InputError)
    assert "no such file" in str(result.exception)


def test_without_a_path_it_is_the_network_that_ships() -> None:
    result = CliRunner().invoke(app, ["report", "--json"])
    assert result.exit_code == 0
    values = json.loads(result.stdout)
    assert values["p"] == 113
    assert values["accuracy"] == {"train": 1.0, "test": 1.0, "all": 1.0}
    assert len(values["key_frequencies"]) >= 3
    assert values["cautions"] == []
    assert isinstance(CliRunner().invoke(app, ["report", "-p", "7"]).exception, InputError)
