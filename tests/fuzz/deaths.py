"""A process that dies at its n-th operation on a file: before it, or half-way through a write."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

__all__ = ["DIED", "die_at"]

DIED = 99
_OPERATIONS = ("open", "os.rename", "os.mkdir", "os.remove", "os.link", "os.truncate")


def die_at(number: int, folder: str, *, halfway: bool = False) -> None:
    """From now on count what is done to files below a folder, and end this process, as kill -9 does, at one of them.

    halfway: half of what a write would have written is there.
    """
    count = 0

    def hear(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal count
        if event not in _OPERATIONS or not str(arguments[0]).startswith(folder):
            return
        flags = arguments[2] if event == "open" else os.O_WRONLY
        if not (isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR)):
            return
        count += 1
        if count == number:
            os._exit(DIED)

    write = Path.write_bytes

    def half(path: Path, data: Any) -> int:
        nonlocal count
        if str(path).startswith(folder) and count + 1 >= number:
            count = -(10**9)
            write(path, bytes(data)[: len(data) // 2])
            os._exit(DIED)
        return write(path, data)

    if halfway:
        Path.write_bytes = half  # type: ignore[method-assign]
    sys.addaudithook(hear)
