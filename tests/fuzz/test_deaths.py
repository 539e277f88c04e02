"""Whatever operation on a file a training dies in, going on ends at the same bits; so with several at once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.fuzz.deaths import DIED, die_at
from tests.fuzz.forked import exit_code_of
from tests.processes import modscope_running
from tests.training.small import assert_same_bits, environment_of_a_process, settling, small

from modscope.errors import TrainingError
from modscope.runs import Run
from modscope.training.running import resume, train
from modscope.training.seeds import _Wire, train_seeds

# Every n-th of some sixty operations.
EVERY = {"plain": 3, "exact": 13, "fast": 13}
KEEP = {"keep__log": 2, "stop__steps": 24, "keep__resume": 8, "keep__test": 4, "keep__losses": 4}


def _train(engine: str, folder: str, number: int, halfway: bool) -> None:
    die_at(number, folder, halfway=halfway)
    if Run.is_folder(folder):
        resume(folder)
    else:
        train(small(engine=engine, **KEEP), folder)


@pytest.mark.parametrize("engine", ["plain", "exact", "fast"])
def test_a_death_at_any_operation_on_a_file_costs_no_bit(tmp_path: Path, engine: str) -> None:
    train(small(engine=engine, **KEEP), tmp_path / "whole")
    deaths = 0
    for number in range(1, 1000, EVERY[engine]):
        folder = tmp_path / f"dies{number}"
        code = exit_code_of(_train, engine, str(folder), number, number % 2 == 0)
        assert code in (0, DIED)
        if code == DIED:
            deaths += 1
            # The process that goes on dies too, somewhere else, before the third comes to the end.
            again = exit_code_of(_train, engine, str(folder), 5 + number % 7, number % 3 == 0)
            assert again in (0, DIED)
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


def test_a_trainer_among_several_that_dies_costs_no_bit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = tmp_path / "site"
    site.mkdir()
    (site / "sitecustomize.py").write_text(SITE)
    for name, value in {
        "PYTHONPATH": f"{site}{os.pathsep}{environment_of_a_process()['PYTHONPATH']}",
        "DIE_ONCE": str(tmp_path / "died"),
        "DIE_FROM": str(Path(__file__).with_name("deaths.py")),
        "DIE_AT": "19",
        "DIE_IN": str(tmp_path / "runs"),
    }.items():
        monkeypatch.setenv(name, value)
    recipe = small(engine="plain", **KEEP)
    with pytest.raises(TrainingError, match="a trainer was ended from outside; the same call goes on"):
        list(train_seeds(recipe, [0, 1], tmp_path / "runs", workers=2))
    assert (tmp_path / "died").exists()
    for seed in (0, 1):
        own, whole = recipe.with_seed(seed), tmp_path / f"whole{seed}"
        folder = tmp_path / "runs" / f"seed{seed}"
        resume(folder) if Run.is_folder(folder) else train(own, folder)
        train(own, whole)
        assert_same_bits(whole, folder)


@pytest.mark.parametrize(
    ("number", "seconds"), [(signal.SIGINT, 2.0), pytest.param(signal.SIGHUP, 3.0, marks=pytest.mark.slow)]
)
def test_a_signal_to_all_in_the_first_seconds_is_one_sentence_and_130(
    tmp_path: Path, number: signal.Signals, seconds: float
) -> None:
    words = (*SEVERAL, *TINY, "--out", str(tmp_path / "runs"))
    with modscope_running(*words, environment={"OMP_NUM_THREADS": "1"}) as process:
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


def test_processes_are_started_deaf_to_the_terminal() -> None:
    script = """
import multiprocessing, signal
from modscope.training.seeds import _signals_held
with _signals_held():
    process = multiprocessing.get_context("spawn").Process(target=print)
    process.start()
    print(signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, []))
"""
    said = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert said.stdout.split() == ["True"], said.stderr


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
