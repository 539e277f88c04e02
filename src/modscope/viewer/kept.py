"""Memory that is bounded by its bytes."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Generic, TypeVar

__all__ = ["Kept"]

T = TypeVar("T")


class Kept(Generic[T]):
    """Things by key up to a number of bytes; the ones used longest ago are dropped first. Safe among threads."""

    def __init__(self, budget: int) -> None:
        self.budget = budget
        self._things: OrderedDict[object, tuple[T, int]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: object) -> T | None:
        """The thing of a key, or None."""
        with self._lock:
            if key not in self._things:
                return None
            self._things.move_to_end(key)
            return self._things[key][0]

    def put(self, key: object, thing: T, nbytes: int) -> None:
        """Keeps a thing that holds so many bytes; one larger than the budget is kept alone."""
        with self._lock:
            self._things[key] = thing, nbytes
            self._things.move_to_end(key)
            while self.nbytes > self.budget and len(self._things) > 1:
                self._things.popitem(last=False)

    @property
    def nbytes(self) -> int:
        """Bytes held at this moment."""
        return sum(size for _, size in self._things.values())
