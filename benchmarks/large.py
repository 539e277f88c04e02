"""Memory and time of `modscope report` and `modscope inspect` on networks of large moduli.

    python benchmarks/large.py [--quick] [--report-1009]

The networks are planted rectified sums of 512 neurons, in float32, written to a temporary folder: they answer every pair
right, so every finding is measured. Each command runs as a process of its own; its peak of memory is what the system says of
it, its time the CPU seconds of all its threads. Nothing is compared: the limits stand beside. --quick: p = 251 alone;
--report-1009: the report at p = 1009 too, whose logits, 4.1 GB, are made in blocks and never held: minutes.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch

from modscope import planted
from modscope.checkpoints import save_safetensors

# p -> megabytes and seconds on two cores that a report with findings may take
LIMITS = {499: (2500, 60), 1009: (6000, None)}
_CHILD = """
import json, resource, subprocess, sys
done = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(json.dumps([done.returncode, used.ru_maxrss / 1024, used.ru_utime + used.ru_stime, done.stderr[-200:]]))
"""


def written(folder: Path, p: int) -> Path:
    """A planted network for p in a file."""
    ks = sorted({3, p // 20, p // 9, p // 5, p // 4 + 1, p // 3 + 2, 2 * p // 5, p // 2 - 11})
    network, task = planted.rectified_sum(p, ks)
    return save_safetensors(folder / f"planted{p}.safetensors", network.to(torch.float32), task)


def measure(words: list[str]) -> tuple[int, float, float, float, str]:
    """Exit status, peak megabytes, CPU seconds, seconds and the last words of one command."""
    began = time.perf_counter()
    command = [sys.executable, "-c", _CHILD, sys.executable, "-m", "modscope", *words]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    status, megabytes, cpu, said = json.loads(done.stdout)
    return status, megabytes, cpu, time.perf_counter() - began, said


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="p = 251 alone")
    parser.add_argument("--report-1009", action="store_true", help="the report at p = 1009 too")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for p in (251,) if arguments.quick else (251, 499, 1009):
            path = str(written(folder, p))
            jobs = [["inspect", path]]
            if p < 1009 or arguments.report_1009:
                jobs.append(["report", path, "--no-open", "--out", str(folder / "page.html")])
            for words in jobs:
                status, megabytes, cpu, seconds, said = measure(words)
                limit = LIMITS.get(p, (None, None)) if words[0] == "report" or p == 1009 else (None, None)
                beside = "".join(
                    f"; at most {most} {unit}"
                    for most, unit in zip(limit, ("MB", "s"), strict=True)
                    if most is not None
                )
                wrong = f"; ended with {status}: {said.strip()}" if status else ""
                print(
                    f"modscope {words[0]} at p = {p}: {megabytes:.0f} MB, {cpu:.1f} s of CPU in {seconds:.1f} s{beside}{wrong}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
