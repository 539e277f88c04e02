"""How far long work is, told to whoever watches: the work says how many steps it has and when each is done, and draws nothing."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterable, Iterator, Sized
from contextvars import ContextVar
from typing import Protocol, TypeVar

from modscope.errors import InputError

__all__ = ["Reached", "Watcher", "is_watched", "paced", "told", "watched_by"]

Step = TypeVar("Step")


class Reached(Protocol):
    """How far a stretch of work is: steps done, and, where that has become known, of how many and at what."""

    def __call__(self, done: int, of: int | None = None, what: str | None = None) -> None: ...


class Watcher(Protocol):
    """Who is told. Stretches of work lie within each other: measuring epochs, within it the rows of a picture."""

    def begun(self, what: str, of: int | None) -> int:
        """A stretch of work begins; the number by which it is spoken of."""

    def reached(self, stretch: int, done: int, of: int | None, what: str | None) -> None:
        """So many of its steps are done."""

    def ended(self, stretch: int) -> None:
        """It has ended, or was given up."""


# who is told, and in which thread: a server's threads are given the context of the one that started it
_WATCHER: ContextVar[tuple[Watcher, int] | None] = ContextVar("modscope_watcher", default=None)


def _watcher() -> Watcher | None:
    known = _WATCHER.get()
    return known[0] if known is not None and known[1] == threading.get_ident() else None


def is_watched() -> bool:
    """Whether somebody is told here."""
    return _watcher() is not None


@contextlib.contextmanager
def watched_by(watcher: Watcher) -> Iterator[None]:
    """Within it `watcher` is told of all long work, in this thread alone."""
    before = _WATCHER.set((watcher, threading.get_ident()))
    try:
        yield
    finally:
        _WATCHER.reset(before)


@contextlib.contextmanager
def told(what: str, of: int | None = None) -> Iterator[Reached]:
    """A stretch of work of so many steps, and the function by which it says how far it is."""
    watcher = _watcher()
    if watcher is None:
        yield _nobody
        return
    stretch = watcher.begun(what, of)

    def reached(done: int, of: int | None = None, what: str | None = None) -> None:
        watcher.reached(stretch, done, of, what)

    try:
        yield reached
    finally:
        watcher.ended(stretch)


def paced(
    steps: Iterable[Step], what: str, of: int | None = None, *, size: Callable[[Step], int] | None = None
) -> Iterator[Step]:
    """The same steps, each told when the next is asked for.

    of: how many there are in all, where `steps` has no length. size: for how many of them one step counts.

    >>> list(paced("abc", "letters"))
    ['a', 'b', 'c']
    """
    if of is None and not isinstance(steps, Sized):
        raise InputError(f"{what}: expected steps with a length, or how many there are")
    with told(what, len(steps) if of is None else of) as reached:  # type: ignore[arg-type]
        done = 0
        for step in steps:
            yield step
            done += 1 if size is None else size(step)
            reached(done)


def _nobody(done: int, of: int | None = None, what: str | None = None) -> None:
    """Nobody watches."""
