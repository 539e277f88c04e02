"""`modscope live` from the outside: the address, the run folder, Ctrl-C, going on."""

from __future__ import annotations

import json
import signal
import subprocess
import urllib.request
from pathlib import Path

import pytest
from tests.processes import modscope_running
from tests.training.small import wait_until
from typer.testing import CliRunner

from modscope.cli import app
from modscope.runs import Run

SMALL = [
    *(
        "--p",
        "7",
        "--steps",
        "1000000",
        "--set",
        "engine=plain",
        "--set",
        "network.d_model=8",
        "--set",
        "network.n_heads=2",
    ),
    *(
        "--set",
        "network.d_mlp=16",
        "--set",
        "keep.resume=100",
        "--set",
        "threads=1",
        "--set",
        "stop.settled=false",
    ),
    *("--set", "stop.begin_anew=0"),
]


def address_of(process: subprocess.Popen) -> tuple[str, str]:
    base, token = process.stderr.readline().split()[1].split("/?token=")
    return base, token


def test_it_can_be_watched_turned_ended_and_gone_on_with(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    with modscope_running("live", "--no-open", "--out", str(folder), *SMALL) as process:
        base, token = address_of(process)
        with urllib.request.urlopen(f"{base}/frame?token={token}&row=0", timeout=120) as picture:
            assert picture.status in (200, 204)
        body = json.dumps({"kind": "weight_decay", "value": 0.25}).encode()
        urllib.request.urlopen(f"{base}/knob?token={token}", data=body, timeout=30).close()
        wait_until((folder / "events.json").exists, seconds=120)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert f"live --resume {folder}" in errors
    ended = Run.open(folder)
    step = ended.events[0]["step"]
    words = ["live", "--no-open", "--resume", str(folder), "--no-stay", "--steps", str(ended.epochs[-1] + 30)]
    again = CliRunner().invoke(app, words)
    assert again.exit_code == 0, again.output
    assert again.stdout.strip() == str(folder)
    run = Run.open(folder)
    assert run.finished == "last step"
    assert [event["step"] for event in run.events] == [step]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--resume", "runs/none", "--p", "7"], "only --steps"),
        (["--resume", "runs/none"], "no such file"),
        (["--port", "99999", "--out", "x"], "port 99999"),
        (["--preset", "quik", "--out", "x"], "quick"),
    ],
)
def test_what_cannot_be_is_one_sentence(tmp_path: Path, monkeypatch, words: list[str], said: str) -> None:
    monkeypatch.chdir(tmp_path)
    found = CliRunner().invoke(app, ["live", "--no-open", *words])
    assert found.exit_code != 0
    assert said in str(found.exception)
    assert not (tmp_path / "x").exists()
