"""`modscope inspect` and `modscope convert`, as a user runs them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from tests.checkpoints.written import old_state, random_transformer, same_logits, saved
from typer.testing import CliRunner

from modscope.checkpoints import open_checkpoint
from modscope.cli import app, main
from modscope.errors import InputError

NETWORK = random_transformer(3, p=11, d_model=12, n_heads=3, d_head=5, d_mlp=7)


@pytest.fixture
def network_file(tmp_path: Path) -> Path:
    return saved({"model": old_state(NETWORK), "epoch": 40, "test_loss": 0.25}, tmp_path / "net.pt")


def run(*arguments: object) -> str:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_inspect_shows_what_a_file_is(network_file: Path) -> None:
    text = run("inspect", network_file)
    assert "layout    old" in text
    assert "add mod 11" in text
    assert "epoch     40" in text
    assert "at chance" in text
    values = json.loads(run("inspect", network_file, "--json"))
    checkpoint = open_checkpoint(network_file)
    assert values["measured"] == dict(checkpoint.measured)
    assert values["stated"] == {"test_loss": 0.25}
    assert values["network"]["d_mlp"] == 7
    assert values["at_chance"] is True


def test_convert_writes_what_opens_as_the_same_network(network_file: Path, tmp_path: Path) -> None:
    for name, layout in (("own.safetensors", "modscope"), ("lens.pt", "transformer-lens")):
        run("convert", network_file, tmp_path / name)
        again = open_checkpoint(tmp_path / name)
        assert again.layout == layout
        assert same_logits(again.model, NETWORK)
    assert open_checkpoint(tmp_path / "own.safetensors").agrees
    assert open_checkpoint(tmp_path / "own.safetensors").epoch == 40
    assert json.loads((tmp_path / "lens.json").read_text())["d_vocab"] == 12


def test_convert_replaces_nothing_unasked(network_file: Path, tmp_path: Path) -> None:
    out = tmp_path / "own.safetensors"
    out.write_text("mine")
    with pytest.raises(InputError, match="there already"):
        run("convert", network_file, out)
    assert out.read_text() == "mine"
    run("convert", network_file, out, "--force")
    assert open_checkpoint(out).layout == "modscope"
    with pytest.raises(InputError, match=r"ends in \.safetensors"):
        run("convert", network_file, tmp_path / "net.onnx")


def test_an_error_is_one_line_and_a_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for path, code in ((tmp_path / "none.pt", 2), (saved(torch.zeros(2), tmp_path / "one.pt"), 1)):
        monkeypatch.setattr("sys.argv", ["modscope", "inspect", str(path)])
        with pytest.raises(SystemExit) as caught:
            main()
        assert caught.value.code == code
        error = capsys.readouterr().err
        assert error.startswith(f"modscope: {path}")
        assert error.count("\n") == 1
