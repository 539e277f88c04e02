"""Whether something fits into the memory that is free, asked before it is made; what was let go of is given back."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

from modscope.errors import InputError

__all__ = ["free_bytes", "in_words", "release_freed", "require"]

# On a system that does not say, as much as a laptop has.
_ASSUMED = 8 * 2**30


def free_bytes() -> int:
    """Bytes that this process can still take without the system swapping or ending it."""
    known = [found for found in (_of_system(), _of_group(), _of_process()) if found is not None]
    return min(known, default=_ASSUMED)


def require(needed: int, what: str) -> None:
    """InputError, with how much it would take, where that is more than is free.

    >>> require(10**18, "p = 1000003: the table of all pairs")
    Traceback (most recent call last):
    modscope.errors.InputError: p = 1000003: the table of all pairs would take 1 EB of memory, and ... free
    """
    free = free_bytes()
    if needed > free:
        raise InputError(f"{what} would take {in_words(needed)} of memory, and {in_words(free)} are free")


def release_freed() -> bool:
    """Give back to the system what the C library keeps of freed memory; whether it could be asked to.

    glibc keeps freed blocks of up to 32 MB for later. Work that goes through large arrays of many sizes again and
    again leaves holes that the next round does not fit, and grows. Other C libraries are left as they are.
    """
    try:
        trim = ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):
        return False
    trim(0)
    return True


def in_words(count: int) -> str:
    """A number of bytes with the unit that reads best.

    >>> in_words(8_460_000_000), in_words(300)
    ('8.5 GB', '300 B')
    """
    size, units = float(min(count, 10**30)), iter(("B", "kB", "MB", "GB", "TB", "PB", "EB", "ZB"))
    unit = next(units)
    while size >= 1000 and unit != "ZB":
        size, unit = size / 1000, next(units)
    return f"{size:.2g} {unit}" if size < 100 else f"{size:.0f} {unit}"


def _of_system() -> int | None:
    try:
        for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
        return None
    except (OSError, ValueError, IndexError):
        pass
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return None


def _of_group() -> int | None:
    """What a container leaves."""
    try:
        folder = Path("/sys/fs/cgroup")
        limit, used = ((folder / f"memory.{word}").read_text().strip() for word in ("max", "current"))
        return None if limit == "max" else max(0, int(limit) - int(used))
    except (OSError, ValueError):
        return None


def _of_process() -> int | None:
    """What `ulimit -v` leaves."""
    try:
        import resource

        limit = resource.getrlimit(resource.RLIMIT_AS)[0]
        if limit in (resource.RLIM_INFINITY, -1):
            return None
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
        return max(0, limit - pages * resource.getpagesize())
    except (ImportError, OSError, ValueError, IndexError):
        return None
