"""However a command ends, it is one sentence and an exit code; nothing is half-written."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from modscope import cli
from modscope.training.seeds import parsed_seeds


@pytest.fixture
def ended(monkeypatch, capsys, tmp_path) -> Callable[..., tuple[int, str]]:
    monkeypatch.chdir(tmp_path)

    def run(*words: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["modscope", *words])
        with pytest.raises(SystemExit) as left:
            cli.main()
        code = left.value.code
        return (code if isinstance(code, int) else 1), capsys.readouterr().err

    return run


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (["train", "--p", "1000000", "--out", "x"], 2, "would take 64 TB of memory"),
        (["train", "--p", "99999999999999999999", "--out", "x"], 2, "task.p"),
        (["train", "--set", "network.d_mlp=1e12", "--out", "x"], 2, "would take 5.1 PB of memory"),
        (["train", "--set", "network.d_mlp=1e400", "--out", "x"], 2, "expected a whole number"),
        (["train", "--device", "meta", "--out", "x"], 2, "unknown device 'meta'"),
        (["train", "--seeds", "0:100000000000000000000", "--out", "x"], 2, "expected at most 10000 runs"),
        (["train", "--seeds", "0:1000000000", "--out", "x"], 2, "expected at most 10000 runs"),
        (["train", "--seeds", "9" * 5000, "--out", "x"], 2, "expected 0:8 or 3,5,8"),
        (["train", "--threads", "100000", "--out", "x"], 2, "expected at most 1024"),
        (["train", "--set", "network.attention_rate=5", "--out", "x"], 2, "from 0 to 1"),
        (["train", "--p", "7", "--steps", "1", "--out", "n" * 300], 2, "File name too long"),
        (["train", "--p", "7", "--steps", "1", "--out", "/proc/nowhere/x"], 1, "cannot be written"),
        (["train", "--recipe", "/", "--out", "x"], 2, "no such file"),
        (["inspect", "n" * 300], 2, "File name too long"),
        (["inspect", "a\x1b[31m.pt"], 2, "a\\x1b[31m.pt: no such file"),
        (["report", "--out", "n" * 300 + ".html", "--no-findings", "--no-open"], 2, "File name too long"),
    ],
)  # fmt: skip
def test_what_is_too_much_is_one_sentence(
    ended, tmp_path: Path, words: list[str], code: int, sentence: str
) -> None:
    left, said = ended(*words)
    assert (left, sentence in said) == (code, True), said
    assert said.count("\n") == 1
    assert len(said) < 600
    assert list(tmp_path.rglob("*.safetensors")) == []


@pytest.mark.parametrize(
    ("error", "code", "sentence"),
    [
        (KeyboardInterrupt(), 130, "modscope: stopped\n"),
        (MemoryError(), 1, "modscope: there is not enough memory for this"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), 1, "there is not enough memory"),
        (OverflowError("int too large"), 1, "a number is too large for this: int too large"),
        (OSError(errno.EIO, "Input/output error", "net.pt"), 1, "modscope: net.pt: Input/output error\n"),
        (
            PermissionError(errno.EACCES, os.strerror(errno.EACCES), "a"),
            1,
            "modscope: a: Permission denied\n",
        ),
        (RecursionError(), 1, "nested too deeply"),
    ],
)
def test_what_the_machine_refuses_is_one_sentence(
    ended, monkeypatch, error, code: int, sentence: str
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("modscope.checkpoints.open_checkpoint", fail)
    left, said = ended("inspect", "net.pt")
    assert (left, sentence in said, said.count("\n")) == (code, True, 1), said


def test_seeds_are_a_list_within_bounds() -> None:
    assert parsed_seeds("0:10000")[-1] == 9999
