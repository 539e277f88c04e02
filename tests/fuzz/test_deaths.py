"""Whatever operation on a file a training dies in, going on ends at the same bits; so with several at once."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.fuzz.deaths import DIED, die_at
from tests.training.small import assert_same_bits, environment_of_a_process, settling, small

from modscope.runs import Run
from modscope.training.presets import preset
from modscope.training.running import resume, train
from modscope.training.seeds import _Wire

# Every n-th of some sixty operations; the compiled engines take a second to begin with.
EVERY = {"plain": 5, "exact": 37, "fast": 37}
KEEP = {"keep__log": 2, "stop__steps": 24, "keep__resume": 8, "keep__test": 4, "keep__losses": 4}


def _train(engine: str, folder: str, number: int, halfway: bool) -> None:
    die_at(number, folder, halfway=halfway)
    if Run.is_folder(folder):
        resume(folder)
    else:
        train(small(engine=engine, **KEEP), folder)


def _ended(engine: str, folder: Path, number: int, halfway: bool) -> int:
    """The exit code of a process of its own that trains, or goes on, and dies at an operation."""
    context = multiprocessing.get_context("fork" if engine == "plain" else "spawn")
    process = context.Process(target=_train, args=(engine, str(folder), number, halfway))
    process.start()
    process.join(120)
    assert process.exitcode is not None
    return process.exitcode


@pytest.mark.parametrize("engine", ["plain", "exact", "fast"])
def test_a_death_at_any_operation_on_a_file_costs_no_bit(tmp_path: Path, engine: str) -> None:
    train(small(engine=engine, **KEEP), tmp_path / "whole")
    deaths = 0
    for number in range(1, 1000, EVERY[engine]):
        folder = tmp_path / f"dies{number}"
        code = _ended(engine, folder, number, halfway=number % 2 == 0)
        assert code in (0, DIED)
        if code == DIED:
            deaths += 1
            # The process that goes on dies too, somewhere else, before the third comes to the end.
            assert _ended(engine, folder, 5 + number % 7, halfway=number % 3 == 0) in (0, DIED)
            resume(folder) if Run.is_folder(folder) else train(small(engine=engine, **KEEP), folder)
        assert_same_bits(tmp_path / "whole", folder)
        assert (folder / "losses.csv").read_bytes() == (tmp_path / "whole" / "losses.csv").read_bytes()
        if code == 0:
            break
    assert deaths >= 2


SITE = """
import os, sys
from pathlib import Path
once = Path(os.environ["DIE_ONCE"])
if not once.exists() and "spawn_main" in " ".join(sys.orig_argv):
    sys.path.insert(0, os.environ["DIE_FROM"])
    import importlib.util
    spec = importlib.util.spec_from_file_location("deaths", os.environ["DIE_FROM"])
    deaths = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(deaths)
    end = os._exit
    def exit_once(code):
        if code == deaths.DIED:
            once.touch()
        end(code)
    os._exit = exit_once
    deaths.die_at(int(os.environ["DIE_AT"]), os.environ["DIE_IN"])
"""
SEVERAL = ("train", "--preset", "quick", "--p", "5", "--steps", "30", "--seeds", "0:2", "--quiet", "--set", "stop.settled=false")  # fmt: skip
TINY = ("--set", "network.d_model=8", "--set", "network.n_heads=2", "--set", "network.d_mlp=8", "--set", "engine=plain")  # fmt: skip


def _several(folder: Path, environment: dict[str, str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "modscope", *SEVERAL, *TINY, "--out", str(folder)],
        env=environment_of_a_process() | environment,
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def test_a_trainer_among_several_that_dies_costs_no_bit(tmp_path: Path) -> None:
    site = tmp_path / "site"
    site.mkdir()
    (site / "sitecustomize.py").write_text(SITE)
    paths = f"{site}{os.pathsep}{environment_of_a_process()['PYTHONPATH']}"
    dying = {
        "PYTHONPATH": paths,
        "DIE_ONCE": str(tmp_path / "died"),
        "DIE_FROM": str(Path(__file__).with_name("deaths.py")),
        "DIE_AT": "19",
        "DIE_IN": str(tmp_path / "runs"),
    }
    first = _several(tmp_path / "runs", dying)
    said = first.communicate(timeout=120)[1]
    assert first.returncode == 1, said
    assert said.count("\n") == 1
    assert "a trainer was ended from outside; the same call goes on" in said
    again = _several(tmp_path / "runs", {})
    assert again.communicate(timeout=120)[1].count("Traceback") == 0
    assert again.returncode == 0
    sizes = {"task.p": 5, "network.d_model": 8, "network.n_heads": 2, "network.d_mlp": 8}
    recipe = preset("quick").changed(
        {**sizes, "stop.steps": 30, "stop.settled": False, "engine": "plain", "threads": 1}
    )
    for seed in (0, 1):
        train(recipe.with_seed(seed), tmp_path / f"whole{seed}")
        assert_same_bits(tmp_path / f"whole{seed}", tmp_path / "runs" / f"seed{seed}")


@pytest.mark.parametrize(("number", "seconds"), [(signal.SIGINT, 2.0), (signal.SIGHUP, 3.0)])
def test_a_signal_to_all_in_the_first_seconds_is_one_sentence_and_130(
    tmp_path: Path, number: signal.Signals, seconds: float
) -> None:
    process = _several(tmp_path / "runs", {"OMP_NUM_THREADS": "1"})
    time.sleep(seconds)
    os.killpg(process.pid, number)
    said = process.communicate(timeout=120)[1]
    # Before Python has begun, and for a hangup before training has, the system's own answer is right.
    assert process.returncode in (130, -number, 0), said
    assert "Traceback" not in said
    deadline = time.monotonic() + 20
    while _members(process.pid):
        assert time.monotonic() < deadline, f"orphans: {_members(process.pid)}"
        time.sleep(0.1)


def _members(group: int) -> list[str]:
    """The processes of a group that are still there."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and os.getpgid(int(entry.name)) == group and _runs(entry):
                found.append((entry / "cmdline").read_text().replace("\0", " "))
        except (ProcessLookupError, FileNotFoundError, PermissionError):
            continue
    return found


def _runs(entry: Path) -> bool:
    return (entry / "stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"


class Gone:
    """Stands for a queue or an event whose process has been killed."""

    def is_set(self) -> bool:
        raise EOFError

    def put(self, _: object) -> None:
        raise ConnectionResetError


def test_a_trainer_whose_parent_is_gone_stops_without_a_traceback(tmp_path: Path) -> None:
    wire = _Wire(tmp_path, Gone(), Gone())
    run = train(small(engine="plain"), tmp_path / "run", watch=wire.watch, stop=wire.stopped)
    assert run.finished == "interrupted"
    assert settling(tmp_path / "run") is not None
