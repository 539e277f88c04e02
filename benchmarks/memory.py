"""The peak memory of a process, as it sees it itself."""

from __future__ import annotations

import resource
import sys
from pathlib import Path

__all__ = ["own_peak_megabytes"]


def own_peak_megabytes() -> float:
    """The peak memory of this process; Linux counts it from the start of the program, other systems from its fork."""
    status = Path("/proc/self/status")
    if status.exists():
        (line,) = [line for line in status.read_text().splitlines() if line.startswith("VmHWM")]
        return int(line.split()[1]) / 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1024 * 1024 if sys.platform == "darwin" else 1024)
