"""What requests to the server of a run take, beside another version of the source: alternating, each answered by both.

    python benchmarks/serving.py --against SRC [--rounds 15] [--only WORD]

SRC is the folder `src` of the other version, e.g. of `git worktree add /tmp/other v0.5.0`. Both serve the network that
ships. Each kind of request is asked of both in turn; first those that have to be computed, at an epoch that was not asked
for before in this round, then those that are kept. The last line is the other's time over ours, the median of all kinds.
"""

from __future__ import annotations

import argparse
import os
import re
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

EPOCHS = 11
# At epoch {e}, feature {f}; what has more than one is asked for over both.
KINDS = {
    "the page": "/",
    "the description of a pick": "/spec.json?group=activations&name=mlp_post&position=%3D&order=c%2Ca",
    "a weight [113, 128]": "/t/weights/W_E/-/-?keep=1,2&index={e},0,0",
    "a wave of one feature": "/t/activations/resid_post/%3D/a%2Cb?keep=3&index={e},{f},5,0",
    "a picture [113, 113], computed": "/t/activations/mlp_post/%3D/c%2Ca?keep=2,3&index={e},{f},0,0",
    "a picture at another position, computed": "/t/activations/resid_post/a/c%2Ca?keep=2,3&index={e},{f},0,0",
    "a picture [113, 113], kept": "/t/activations/mlp_post/%3D/c%2Ca?keep=2,3&index={e},{f},0,0",
    "an activation [128, 113, 113], 6.5 MB": "/t/activations/resid_post/%3D/c%2Ca?keep=1,2,3&index={e},0,0,0",
    "an activation [512, 113, 113], 26 MB": "/t/activations/mlp_post/%3D/c%2Ca?keep=1,2,3&index={e},0,0,0",
}


@contextmanager
def server(source: Path) -> Iterator[tuple[str, str]]:
    """The base address of a server of that source, and its token."""
    command = [sys.executable, "-m", "modscope", "view", "--no-open"]
    environment = {**os.environ, "PYTHONPATH": str(source), "PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        found = next(m for line in process.stdout if (m := re.search(r"Open (\S+)/\?token=(\S+)", line)))
        yield found[1], found[2]
    finally:
        process.terminate()
        process.wait(20)


def seconds(at: tuple[str, str], path: str) -> float:
    address = f"{at[0]}{path}{'&' if '?' in path else '?'}token={at[1]}"
    start = time.perf_counter()
    urllib.request.urlopen(urllib.request.Request(address, headers={"Accept-Encoding": "gzip"})).read()
    return time.perf_counter() - start


def main() -> None:
    reader = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    reader.add_argument("--against", type=Path, required=True, help="the folder src of another version")
    reader.add_argument("--rounds", type=int, default=15)
    reader.add_argument("--only", default="", help="a word of the kinds that are asked for")
    options = reader.parse_args()
    own = Path(__file__).resolve().parents[1] / "src"
    kinds = {kind: path for kind, path in KINDS.items() if options.only in kind}
    times: dict[str, tuple[list[float], list[float]]] = {kind: ([], []) for kind in kinds}
    with ExitStack() as stack:
        both = [stack.enter_context(server(source)) for source in (own, options.against)]
        for at in both:
            seconds(at, "/")
        for number in range(options.rounds):
            for kind, path in kinds.items():
                asked = path.format(e=number % EPOCHS, f=number % 128)
                for side in (0, 1) if number % 2 else (1, 0):
                    times[kind][side].append(seconds(both[side], asked))
    ratios = []
    for kind, (ours, theirs) in times.items():
        ratios.append(statistics.median(t / o for o, t in zip(ours, theirs, strict=True)))
        mine, other = 1000 * statistics.median(ours), 1000 * statistics.median(theirs)
        print(f"{kind}: {mine:.1f} ms, the other {other:.1f} ms, ratio {ratios[-1]:.2f}")
    print(f"requests ratio {statistics.median(ratios):.2f}")


if __name__ == "__main__":
    main()
