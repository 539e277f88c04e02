"""How numba compiles the kernel, and where what it compiled is kept.

numba looks only at the file that a function stands in to see whether what it has on disk is still that function. Our
kernel takes in parts from other files, so what is kept lies in a folder that is named after all files of the kernel's
package: a change in any of them finds nothing there. And numba lists what it holds without a lock, so two processes that
compile at once could list one function under the name of the other: here one compiles, the others wait and load.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import inspect
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from filelock import FileLock
from numba import config, njit
from platformdirs import user_cache_path

__all__ = ["compiled", "part"]

_settings: Any = config  # of numba; it sets them by name, so types do not know of them
# Reassociation lets loops over a row become SIMD; NaN and infinity keep their meaning, the loss reports them.
_OPTIONS: dict[str, Any] = {
    "nogil": True,
    "boundscheck": False,
    "error_model": "numpy",
    "fastmath": {"reassoc", "contract", "nsz", "arcp"},
}
# Parts are always inlined: one that stays a function of its own is optimised on its own, and then code fresh
# from the compiler and the same code loaded from its cache can differ in the last bit.
_INLINED: dict[str, Any] = {"forceinline": True, "no_cpython_wrapper": True, "no_cfunc_wrapper": True}
part = njit(**_INLINED, **_OPTIONS)


def compiled(function: Callable[..., Any]) -> Any:
    """The function compiled at its first call, and kept on disk for the next process where one may write."""
    folder = _kept_in(Path(inspect.getfile(function)).parent)
    if folder is None:
        return njit(**_OPTIONS)(function)
    with _cache_of_numba(folder):
        dispatcher: Any = njit(cache=True, **_OPTIONS)(function)
    compile_or_load = dispatcher.compile

    def one_at_a_time(signature: Any) -> Any:
        with _alone(folder):
            return compile_or_load(signature)

    dispatcher.compile = one_at_a_time
    return dispatcher


@functools.cache
def _kept_in(package: Path) -> Path | None:
    """The folder for what is compiled from the files of a package as they are now; None where nothing can be written."""
    name = f"kernel-{_sum(package)}"
    places = (
        [Path(_settings.CACHE_DIR)]
        if _settings.CACHE_DIR
        else [package / "__pycache__", user_cache_path("modscope")]
    )
    for place in places:
        with contextlib.suppress(OSError):
            (place / name).mkdir(parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=place / name).close()
            return place / name
    return None


def _sum(package: Path) -> str:
    """Of the names and contents of all Python files of a package, 16 letters."""
    found = hashlib.sha256()
    for file in sorted(package.glob("*.py")):
        content = file.read_bytes()
        found.update(f"{file.name} {len(content)} ".encode() + content)
    return found.hexdigest()[:16]


@contextlib.contextmanager
def _cache_of_numba(folder: Path) -> Iterator[None]:
    """What is decorated meanwhile is kept in this folder."""
    before, _settings.CACHE_DIR = _settings.CACHE_DIR, str(folder)
    try:
        yield
    finally:
        _settings.CACHE_DIR = before


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """No other process compiles or loads; where the file system has no locks, nothing keeps one from it."""
    lock = FileLock(folder / "lock")
    with contextlib.suppress(OSError, NotImplementedError):
        lock.acquire()
    try:
        yield
    finally:
        lock.release()
