"""How numba compiles the kernel."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numba import njit

__all__ = ["compiled", "part"]

# Reassociation lets loops over a row become SIMD; NaN and infinity keep their meaning, the loss reports them.
_OPTIONS: dict[str, Any] = {
    "nogil": True,
    "boundscheck": False,
    "error_model": "numpy",
    "fastmath": {"reassoc", "contract", "nsz", "arcp"},
}
# Parts are always inlined: one that stays a function of its own is optimised on its own, and then code fresh
# from the compiler and the same code loaded from its cache can differ in the last bit.
part = njit(forceinline=True, **_OPTIONS)


def compiled(function: Callable[..., Any]) -> Any:
    """The function compiled, and kept on disk for the next process where numba may write."""
    try:
        return njit(cache=True, **_OPTIONS)(function)
    except RuntimeError:
        return njit(**_OPTIONS)(function)
