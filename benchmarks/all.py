"""Every benchmark, one after another, and one table of what they found.

    python benchmarks/all.py [--quick] [--only NAME ...] [--seconds 600]

Each runs as a process of its own; its ratio is its last line (theirs divided by ours). A row without a ratio says why: what
the benchmark needs is not installed, the machine has none of it, it measures no ratio, or it took too long. --quick: the
short form of each, and those that have none are left out. --seconds: the longest that one may take. CPU seconds and the peak
of memory are those of the process and of those that it started; a peak that is no new record of the run is not known.
"""

from __future__ import annotations

import argparse
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import torch

HERE = Path(__file__).resolve().parent
PARTS = ("all", "memory", "pairs", "plain_findings")  # no benchmarks: parts of others, and this file
# benchmark -> what it compares; modules, commands and devices that it cannot do without
AGAINST = {
    "accelerations": "seeds of one way of training against another; hours",
    "compiled": "the kernel in C",
    "cuda": "a stack of networks on CUDA against one after another",
    "findings": "the same quantities as a notebook computes them",
    "gradients": "float64",
    "kinds": "networks of `quick` and of the published recipe; hours",
    "large": "the limits of memory and time at p = 499 and 1009",
    "live": "training without a page",
    "many": "one network after another",
    "measures": "one forward pass over all pairs",
    "painting": "no other; milliseconds of a paint",
    "progress": "one forward pass over all pairs",
    "recording": "TransformerLens run_with_cache",
    "serving": "the server of another version of the source",
    "spectrum": "torch.fft.rfft",
    "sweep": "a plain PyTorch loop",
    "training": "TransformerLens, where installed; else plain PyTorch",
    "viewer": "plotly, hvplot",
}
# benchmarks that are another's file with other words
FILES = {"cuda": ("many", ("--device", "cuda"))}
NEEDS = {
    "compiled": ("command cc",),
    "cuda": ("cuda",),
    "painting": ("module playwright", "command chromium"),
    "recording": ("module transformer_lens",),
    "viewer": ("module plotly",),
}


@dataclass(frozen=True)
class Row:
    """What one benchmark said."""

    name: str
    ratio: str
    cpu: float = 0.0
    megabytes: float = 0.0

    def text(self) -> str:
        """The row of the table."""
        peak = f"{self.megabytes:.0f}" if self.megabytes else ""
        spent = f"{self.cpu:8.1f} {peak:>8}" if self.cpu else " " * 17
        return f"{self.name:<14} {self.ratio:<22} {spent}  {AGAINST.get(self.name, '')}"


def lacking(name: str) -> str | None:
    """What a benchmark needs and this machine has not."""
    for need in NEEDS.get(name, ()):
        kind, _, what = need.partition(" ")
        if kind == "module" and find_spec(what) is None:
            return f"needs {what}"
        if kind == "command" and shutil.which(what) is None:
            return f"needs {what}"
        if kind == "cuda" and not torch.cuda.is_available():
            return "needs CUDA"
    return None


def run(name: str, *, quick: bool, seconds: float) -> Row:
    """One benchmark in a process group of its own, so that nothing of it outlives its time."""
    stem, more = FILES.get(name, (name, ()))
    file = HERE / f"{stem}.py"
    if (missing := lacking(name)) is not None:
        return Row(name, missing)
    if quick and '"--quick"' not in file.read_text():
        return Row(name, "has no short form")
    command = [sys.executable, str(file), *more, *(["--quick"] if quick else [])]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )
    try:
        said, _ = process.communicate(timeout=seconds)
    except (subprocess.TimeoutExpired, KeyboardInterrupt) as ended:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        if isinstance(ended, KeyboardInterrupt):
            raise
        return Row(name, f"more than {seconds:.0f} s")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    lines = [line for line in said.splitlines() if line.strip()]
    found = re.search(r" ratio ([\d.]+)", lines[-1]) if lines else None
    if process.returncode:
        return Row(name, f"failed: {lines[-1][:60] if lines else process.returncode}", cpu)
    # the kernel tells the largest of all children so far: only a new record is this one's own
    own = after.ru_maxrss / 1024 if after.ru_maxrss > before.ru_maxrss else 0.0
    return Row(name, found[1] if found else "no ratio", cpu, own)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="the short form of each")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="these alone")
    parser.add_argument("--seconds", type=float, default=600.0, help="the longest that one may take")
    arguments = parser.parse_args()
    every = sorted({file.stem for file in HERE.glob("*.py")} - set(PARTS) | set(FILES))
    unknown = set(arguments.only or ()) - set(every)
    if unknown:
        raise SystemExit(f"no benchmark {', '.join(sorted(unknown))}: expected some of {', '.join(every)}")
    began = time.monotonic()
    print(f"{'benchmark':<14} {'ratio':<22} {'CPU s':>8} {'peak MB':>8}  against", flush=True)
    for name in arguments.only or every:
        print(run(name, quick=arguments.quick, seconds=arguments.seconds).text(), flush=True)
    print(f"{time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()
