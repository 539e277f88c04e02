"""All findings on one network: modscope.findings against the same quantities computed as a notebook does it.

    python benchmarks/findings.py [--quick] [--threads N] [PATH]

PATH: a checkpoint of addition with "="; without it the main run of Nanda et al. 2023 if $MODSCOPE_CHECKPOINTS (or
../shared/checkpoints) has it, else the network that ships with modscope. The other side is `plain_findings.py`: a cache
of every hook at all positions, each ablation a full forward pass, torch.fft along the axes, cubes of cosines, loops. Before
timing, the effects of both sides are compared. Each side is also run alone in a fresh process for its peak memory.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import torch

from memory import own_peak_megabytes
from modscope.checkpoints import Checkpoint, open_checkpoint
from modscope.findings import findings
from modscope.model import Transformer
from modscope.shipped import shipped_path
from pairs import compare
from plain_findings import plain_findings

HERE = Path(__file__).resolve().parent


def default_path() -> Path:
    folder = Path(os.environ.get("MODSCOPE_CHECKPOINTS", HERE.parent.parent / "shared" / "checkpoints"))
    main_run = folder / "nanda_mainline"
    return main_run if main_run.is_dir() else shipped_path()


def check(checkpoint: Checkpoint) -> None:
    """Both sides measure the same: the effects agree (controls are drawn from different random numbers)."""
    assert isinstance(checkpoint.model, Transformer)
    theirs = plain_findings(checkpoint.model, checkpoint.task)
    found = findings(checkpoint)
    assert set(theirs) == set(found.ids), set(theirs) ^ set(found.ids)
    for finding in found:
        effect, _ = theirs[finding.id]
        np.testing.assert_allclose(effect, finding.effect.value, rtol=2e-3, atol=2e-3, err_msg=finding.id)
    print(f"{len(found)} effects agree: {', '.join(f'{f.id} {f.effect}' for f in found[:4])}, ...")


def peak_megabytes(side: str, path: Path, threads: int) -> float:
    """The peak memory of a fresh process that opens the network and runs one side once."""
    words = [sys.executable, __file__, str(path), "--threads", str(threads), "--alone", side]
    done = subprocess.run(words, check=True, capture_output=True, text=True)
    return float(done.stdout.split()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("path", nargs="?", type=Path)
    parser.add_argument("--quick", action="store_true", help="fewer pairs of runs")
    parser.add_argument("--threads", type=int, default=1, help="threads of both sides")
    parser.add_argument("--alone", choices=("ours", "theirs"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    path = arguments.path or default_path()
    checkpoint = open_checkpoint(path)
    model, task = checkpoint.model, checkpoint.task
    assert isinstance(model, Transformer)

    def ours() -> object:
        return findings(checkpoint)

    def theirs() -> object:
        return plain_findings(model, task)

    if arguments.alone:
        (ours if arguments.alone == "ours" else theirs)()
        print(own_peak_megabytes())
        return
    print(f"{path.name}: {task.operation} mod {task.p}; threads, both sides: {torch.get_num_threads()}")
    check(checkpoint)
    for side in ("ours", "theirs"):
        print(f"peak memory of a process, {side}: {peak_megabytes(side, path, arguments.threads):.0f} MB")
    result = compare(ours, theirs, pairs=2 if arguments.quick else 5, warm=0)
    print(result.lines("all findings", "modscope.findings", "as a notebook does it"))
    print(f"findings ratio {result.ratio:.2f}")


if __name__ == "__main__":
    main()
