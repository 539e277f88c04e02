"""`python -m tests.fuzz.soak --minutes 60 --kills 1000`: trainings that are killed at random moments, a server under requests.

Each training is killed again and again (KILL, TERM, INT, HUP in turn) and gone on with until it ends, and must end at
the bits of one that was not disturbed. The server is asked for random slices of the network that ships by several
threads for the rest of the time; its memory must not grow after the first tenth of them. Ends with a line of what was done.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from multiprocessing.process import BaseProcess
from pathlib import Path

from tests.fuzz.forked import started
from tests.training.small import assert_same_bits, environment_of_a_process

SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
TRAIN = ("--preset", "quick", "--p", "11", "--steps", "240", "--seed", "1", "--quiet", "--threads", "1", "--set", "stop.settled=false")  # fmt: skip
SIZES = ("--set", "network.d_model=16", "--set", "network.n_heads=2", "--set", "network.d_mlp=32", "--set", "keep.resume=20", "--set", "keep.every=40")  # fmt: skip
GROWTH = 1.25  # of the server's memory after the first tenth of the requests


def main() -> int:
    reader = argparse.ArgumentParser(prog="python -m tests.fuzz.soak", description=__doc__)
    reader.add_argument("--minutes", type=float, default=60)
    reader.add_argument("--kills", type=int, default=1000)
    reader.add_argument("--seed", type=int, default=0)
    reader.add_argument("--engine", default="plain", help="plain, exact or fast")
    options = reader.parse_args()
    end = time.monotonic() + 60 * options.minutes
    chance = random.Random(options.seed)
    with tempfile.TemporaryDirectory() as place:
        kills, runs = _kills(
            Path(place), chance, options.kills, options.engine, time.monotonic() + 30 * options.minutes
        )
        print(
            f"{kills} kills over {runs} trainings ({options.engine}): the same bits, losses and measures",
            flush=True,
        )
        asked, first, last = _requests(chance, max(30.0, end - time.monotonic()))
    print(
        f"{asked} requests: memory {first / 1e6:.0f} MB after a tenth of them, {last / 1e6:.0f} MB at the end"
    )
    return 0 if last <= GROWTH * first else 1


def _command(words: tuple[str, ...]) -> None:
    """`modscope` with these words, in this process."""
    from modscope.cli import main as modscope

    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    sys.argv = ["modscope", *words]
    sys.exit(modscope())


def _training(folder: Path, engine: str) -> BaseProcess:
    resumed = (folder / "manifest.json").is_file()
    words = (
        ("--resume", str(folder), "--quiet")
        if resumed
        else (*TRAIN, *SIZES, "--engine", engine, "--out", str(folder))
    )
    return started(_command, ("train", *words))


def _kills(place: Path, chance: random.Random, wanted: int, engine: str, end: float) -> tuple[int, int]:
    process, start = _training(place / "whole", engine), time.monotonic()
    process.join()
    assert process.exitcode == 0
    seconds = time.monotonic() - start
    kills = runs = 0
    while kills < wanted and time.monotonic() < end:
        folder = place / "killed"
        while True:
            process = _training(folder, engine)
            process.join(chance.uniform(0.01, 0.5) * seconds)
            if process.exitcode is None:
                assert process.pid is not None
                os.kill(process.pid, SIGNALS[kills % len(SIGNALS)])
                process.join()
                kills += 1
                continue
            assert process.exitcode == 0, f"a training that went on ended with {process.exitcode}"
            break
        assert_same_bits(place / "whole", folder)
        assert (folder / "losses.csv").read_bytes() == (place / "whole" / "losses.csv").read_bytes()
        shutil.rmtree(folder)
        runs += 1
    return kills, runs


def _requests(chance: random.Random, seconds: float) -> tuple[int, int, int]:
    server = subprocess.Popen(
        [sys.executable, "-m", "modscope", "view", "--no-open"], env=environment_of_a_process(), stdout=subprocess.PIPE, text=True
    )  # fmt: skip
    assert server.stdout is not None
    address = next(found[1] for line in server.stdout if (found := re.search(r"Open (http://\S+)", line)))
    base, token = address.split("/?token=")
    picks = ["weights/W_E/-/-?keep=1,2&index={e},0,0", "weights/W_U/-/-?keep=1,2&index={e},0,0"]
    picks += [
        f"activations/{hook}/%3D/c%2Ca?keep=2,3&index={{e}},{{i}},0,0"
        for hook in ("mlp_post", "resid_post", "logits")
    ]
    stop, asked, samples = time.monotonic() + seconds, [0], []

    def ask(seed: int) -> None:
        own = random.Random(seed)
        while time.monotonic() < stop:
            path = own.choice(picks).format(e=own.randrange(11), i=own.randrange(100))
            try:
                urllib.request.urlopen(f"{base}/t/{path}&token={token}", timeout=120).read()
            except urllib.error.HTTPError as error:
                if error.code not in (400, 404, 503):
                    raise
            asked[0] += 1

    threads = [threading.Thread(target=ask, args=(chance.randrange(10**9),)) for _ in range(6)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        pages = int(Path(f"/proc/{server.pid}/statm").read_text().split()[1])
        samples.append((asked[0], pages * os.sysconf("SC_PAGE_SIZE")))
        time.sleep(min(1.0, max(0.05, seconds / 100)))
    server.send_signal(signal.SIGINT)
    server.wait(20)
    tenth = max(size for done, size in samples if done <= asked[0] / 10)
    return asked[0], tenth, samples[-1][1]


if __name__ == "__main__":
    sys.exit(main())
