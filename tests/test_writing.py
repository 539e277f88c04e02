"""Files are written whole; links are followed; a device stays a device and a pipe a pipe."""

from __future__ import annotations

import os
import stat
import threading
from pathlib import Path

import pytest
from typer.testing import CliRunner

from modscope.checkpoints import save_safetensors
from modscope.cli import app
from modscope.errors import CheckpointError, InputError
from modscope.model import Transformer, TransformerConfig
from modscope.task import ModularTask
from modscope.writing import write_whole

NETWORK = Transformer.initialised(TransformerConfig(5, d_model=8, n_heads=2, d_mlp=4))


def test_a_link_is_followed_and_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").write_text("old")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    write_whole(tmp_path / "link", "new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_text() == "new"
    (tmp_path / "nowhere").symlink_to(tmp_path / "later")
    write_whole(tmp_path / "nowhere", b"x")
    assert (tmp_path / "later").read_bytes() == b"x"


def test_a_pipe_is_written_into(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    heard: list[bytes] = []
    listener = threading.Thread(target=lambda: heard.append((tmp_path / "pipe").read_bytes()))
    listener.start()
    write_whole(tmp_path / "pipe", "said")
    listener.join(10)
    assert heard == [b"said"]
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)


@pytest.mark.parametrize(
    "write",
    [lambda path: write_whole(path, "x"), lambda path: save_safetensors(path, NETWORK, ModularTask(5))],
)
def test_the_null_device_stays_one(write, tmp_path: Path) -> None:
    (tmp_path / "null").symlink_to("/dev/null")
    for path in ("/dev/null", tmp_path / "null"):
        write(path)
        assert stat.S_ISCHR(os.stat("/dev/null").st_mode)


def test_a_command_that_writes_to_the_null_device() -> None:
    result = CliRunner().invoke(app, ["report", "--json", "--out", "/dev/null", "--no-findings"])
    assert result.exit_code == 0
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)


def test_the_mode_of_a_file_stays_and_names_may_be_as_long_as_the_system_takes(tmp_path: Path) -> None:
    path = tmp_path / ("n" * 255)
    write_whole(path, "1")
    path.chmod(0o640)
    write_whole(path, "2")
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("name", ["n" * 256, "a/b", "nul\0"])
def test_what_cannot_be_written_is_one_sentence(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError):
        write_whole(f"{tmp_path}/{name}", "x")
    with pytest.raises((InputError, CheckpointError)):
        save_safetensors(f"{tmp_path}/{name}", NETWORK, ModularTask(5))
    assert list(tmp_path.iterdir()) == []


def test_a_folder_is_not_replaced(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="it is a folder"):
        write_whole(tmp_path, "x")
