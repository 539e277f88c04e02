"""A real scheduler and workers, each a process of its own, over TCP; killed at random moments, the table is the same."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.processes import running
from tests.sweep.tiny import tiny
from tests.training.small import environment_of_a_process, wait_until

from modscope.sweep import Storage, Sweep, run_sweep

distributed = pytest.importorskip("distributed")

UNITS = 12


class Cluster:
    """Processes that are killed without a word when the test ends."""

    def __init__(self, place: Path) -> None:
        self.place, self.processes = place, []
        self.ends = contextlib.ExitStack()
        self.count = 0

    def start(self, *command: str) -> subprocess.Popen:
        self.count += 1
        log = self.ends.enter_context((self.place / f"{self.count}.log").open("w"))
        environment = environment_of_a_process() | {
            "OMP_NUM_THREADS": "1",
            "DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT": "2s",
        }
        started = running(
            [sys.executable, "-m", *command],
            stdout=log,
            stderr=log,
            env=environment,
            cwd=self.place,
            # A shell that starts pytest in the background has its children not hear Ctrl-C.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )
        process = self.ends.enter_context(started)
        self.processes.append(process)
        return process

    def scheduler(self) -> tuple[subprocess.Popen, str]:
        file = self.place / f"scheduler-{self.count}.json"
        command = ("distributed.cli.dask_scheduler", "--port", "0", "--no-dashboard", "--host", "127.0.0.1")
        process = self.start(*command, "--scheduler-file", str(file))
        wait_until(lambda: file.exists() and file.read_text().strip().endswith("}"))
        return process, json.loads(file.read_text())["address"]

    def worker(self, address: str) -> subprocess.Popen:
        flags = ("--nthreads", "1", "--no-nanny", "--no-dashboard", "--death-timeout", "60")
        return self.start("distributed.cli.dask_worker", address, *flags)

    def client(self, address: str, out: Path) -> subprocess.Popen:
        flags = ("--scheduler", address, "--timeout", "60", "--quiet")
        return self.start("modscope", "sweep", "sweep.json", "--out", str(out), *flags)

    def log_of(self, process: subprocess.Popen) -> str:
        return (self.place / f"{self.processes.index(process) + 1}.log").read_text()


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    place = tmp_path / "cluster"
    place.mkdir()
    found = Cluster(place)
    with found.ends:
        yield found


def results(out: Path) -> int:
    return len(os.listdir(out / "results")) if (out / "results").is_dir() else 0


@pytest.mark.slow
def test_killed_workers_client_and_scheduler_change_nothing(cluster: Cluster, tmp_path: Path) -> None:
    plan = tiny(seeds=f"0:{UNITS // 2}", stop__steps=400, keep__resume=50)
    (cluster.place / "sweep.json").write_text(json.dumps(plan.to_dict()))
    out, chance = tmp_path / "out", random.Random(7)

    def after(count: int) -> None:
        """Some moment after so many results are there."""
        wait_until(lambda: results(out) >= count, seconds=150)
        time.sleep(chance.uniform(0.0, 0.5))

    scheduler, address = cluster.scheduler()
    workers = [cluster.worker(address), cluster.worker(address)]
    client = cluster.client(address, out)
    after(2)
    workers[0].send_signal(signal.SIGKILL)
    after(4)
    scheduler.send_signal(signal.SIGKILL)
    assert client.wait(120) == 1
    assert cluster.log_of(client) == (
        "modscope: the scheduler was lost; what is done is kept, and the same command goes on\n"
    )

    _, address = cluster.scheduler()
    cluster.worker(address)
    client = cluster.client(address, out)
    after(7)
    client.send_signal(signal.SIGKILL)
    assert results(out) < UNITS, "all was done before the last was killed"
    with distributed.Client(
        processes=False, n_workers=1, threads_per_worker=1, dashboard_address=":0"
    ) as calm:
        run_sweep(plan, Storage(out), client=calm)
        undisturbed = run_sweep(plan, Storage(tmp_path / "undisturbed"), client=calm)
    assert (out / "table.csv").read_bytes() == undisturbed.storage.read("table.csv")
    assert sorted(os.listdir(out / "work")) == []
    assert Sweep(Storage(out)).failures() == []


def test_ctrl_c_stops_and_the_same_command_goes_on(cluster: Cluster, tmp_path: Path) -> None:
    plan = tiny(seeds="0:8", stop__steps=1000, keep__resume=50)
    (cluster.place / "sweep.json").write_text(json.dumps(plan.to_dict()))
    out = tmp_path / "out"
    command = ("modscope", "sweep", "sweep.json", "--out", str(out), "--workers", "1")
    client = cluster.start(*command)
    wait_until(lambda: results(out) >= 1, seconds=150)
    os.killpg(client.pid, signal.SIGINT)  # as a terminal does, to the workers too
    assert client.wait(120) == 130
    log = cluster.log_of(client)
    assert log.endswith("stopped; the same command goes on\n")
    assert "Traceback" not in log
    assert (out / "table.csv").is_file()
    assert 1 <= results(out) < 16
