"""What the live page costs: steps per second with a page open, over those without.

    python benchmarks/live.py [--quick]

Both sides train the quick recipe at p = 113 from the same weights for as many steps, in alternating pairs; one with a live scope
and a page that asks for the next picture as soon as it has one and reads the stream, the other with the same callback and no
page. The page is a thread of another process, as a browser is. The last line is `live ratio R`: the pace
with the page over the pace without, 1 if it costs nothing.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from modscope.model import Transformer
from modscope.training.presets import preset
from modscope.training.running import train
from modscope.viewer.live import LiveServer, Scope

PAGE = """
import sys, threading, urllib.request
base, token = sys.argv[1].split("/?token=")
def stream():
    for line in urllib.request.urlopen(f"{base}/stream?token={token}", timeout=600):
        pass
threading.Thread(target=stream, daemon=True).start()
last = -1
while True:
    try:
        with urllib.request.urlopen(f"{base}/frame?token={token}&after={last}&row=0", timeout=60) as answer:
            data = answer.read()
    except OSError:
        break
    if data:
        import json, struct
        (length,) = struct.unpack_from("<I", data)
        last = json.loads(data[4 : 4 + length])["step"]
"""


def pace(steps: int, *, page: bool, threads: int) -> float:
    """Steps per second after the first recorded ones."""
    recipe = preset("quick").changed(
        {"stop.steps": steps, "stop.settled": False, "keep.log": 0, "keep.resume": steps, "threads": threads}
    )
    times: dict[int, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        network = Transformer.initialised(recipe.config)
        scope = Scope(recipe.modular_task, Path(folder) / "run", title="benchmark", network=network)
        with LiveServer(scope) as server:
            command = [sys.executable, "-c", PAGE, server.address]
            browser = subprocess.Popen(command, stderr=subprocess.DEVNULL) if page else None

            def watch(status: object) -> None:
                times[status.epoch] = time.perf_counter()  # type: ignore[attr-defined]
                scope.watch(status)  # type: ignore[arg-type]

            train(recipe, Path(folder) / "run", watch=watch)
        if browser is not None:
            browser.terminate()
            browser.wait()
    first, *_, last = sorted(times)[1:]
    return (last - first) / (times[last] - times[first])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer steps and pairs")
    parser.add_argument("--threads", type=int, default=0, help="threads of the training; 0 for all cores")
    chosen = parser.parse_args()
    steps, pairs = (200, 3) if chosen.quick else (500, 5)
    pace(30, page=False, threads=chosen.threads)  # compiles
    with_page, without = [], []
    for number in range(pairs):
        for page in (True, False) if number % 2 else (False, True):
            (with_page if page else without).append(pace(steps, page=page, threads=chosen.threads))
    ratios = [a / b for a, b in zip(with_page, without, strict=True)]
    print(f"quick recipe, p = 113, {steps} steps, {pairs} alternating pairs, medians")
    print(f"  with the page open: {statistics.median(with_page):.1f} steps/s")
    print(f"  without: {statistics.median(without):.1f} steps/s")
    print(f"  ratios of the pairs {min(ratios):.3f} to {max(ratios):.3f}")
    print(f"live ratio {statistics.median(with_page) / statistics.median(without):.3f}")


if __name__ == "__main__":
    main()
