"""What was freed goes back to the system."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

HOLES = """
import numpy as np
from modscope.memory import release_freed
def resident():
    return int(open("/proc/self/statm").read().split()[1]) * 4096
blocks = [np.ones(8000) for _ in range(4000)]
pins = blocks[1::40] + blocks[-1:]
full = resident()
del blocks
held = resident()
assert release_freed()
print(full - held, full - resident())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries are left as they are")
def test_freed_blocks_between_others_go_back_to_the_system() -> None:
    held, released = map(int, subprocess.check_output([sys.executable, "-c", HOLES], text=True).split())
    print(f"went back by itself {held / 1e6:.0f} MB, when asked {released / 1e6:.0f} of 256 MB")
    assert held < 50e6
    assert released > 200e6
