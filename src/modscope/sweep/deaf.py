"""What the workers of this machine load first: Ctrl-C is for the process that gives out the work, not for them."""

from __future__ import annotations

import signal

__all__ = ["dask_setup"]


def dask_setup(worker: object) -> None:
    """Called by Dask in a worker's main thread."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
