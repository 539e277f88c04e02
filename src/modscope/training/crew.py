"""Threads that do one task together and wait for one another within it, without a word to the operating system."""

from __future__ import annotations

import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import torch
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from modscope.training.compiling import compiled, part

__all__ = ["Crew", "meet"]

Result = TypeVar("Result")
_SPINS = 20_000  # tries, some tens of microseconds, before the processor is offered to others
_LEFT = 1 << 60  # the count of a crew one of which has left: nobody waits any more


@intrinsic
def _count(context: Any, counter: Any, more: Any) -> Any:
    """Add to the number of a counter at once for all threads; returns what it was."""

    def lower(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        place = context.make_array(signature.args[0])(context, builder, given[0]).data
        return builder.atomic_rmw("add", place, given[1], "seq_cst")

    return types.int64(counter, types.int64), lower


@intrinsic
def _offer(context: Any) -> Any:
    """Let another thread that waits for this processor have it, where there is POSIX."""

    def lower(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        if sys.platform == "win32":
            return context.get_dummy_value()
        kind = ir.FunctionType(ir.IntType(32), [])
        module = builder.module
        function = module.globals.get("sched_yield") or ir.Function(module, kind, "sched_yield")
        builder.call(function, [])
        return context.get_dummy_value()

    return types.void(), lower


@part
def meet(counter: Any, threads: Any) -> None:
    """Wait until all threads have come as far: `Crew.meet` within compiled code, which goes on where one has left."""
    if threads == 1:
        return
    target = (_count(counter, 1) // threads + 1) * threads  # type: ignore[call-arg]
    tries = 0
    while _count(counter, 0) < target:
        tries += 1
        if tries > _SPINS:
            _offer()


@compiled
def _meet(counter: Any, threads: Any) -> None:
    meet(counter, threads)


def _prepare_thread() -> None:
    torch.set_flush_denormal(True)
    torch.get_num_threads()  # PyTorch's number of threads, one, now holds for the products of this thread too


class Crew:
    """So many threads, the caller's among them.

    >>> crew = Crew(2)
    >>> seen = [0, 0]
    >>> def task(i):
    ...     seen[i] = i + 1
    ...     crew.meet()
    ...     return sum(seen)
    >>> crew.run(task)
    [3, 3]
    """

    def __init__(self, threads: int) -> None:
        self.threads = threads
        self._pool = ThreadPoolExecutor(max(1, threads - 1), initializer=_prepare_thread)
        self.counter = torch.zeros(8, dtype=torch.int64).numpy()  # a line of the cache of its own

    def run(self, task: Callable[[int], Result]) -> list[Result]:
        """The task's results of all threads, begun at once; it may call `meet`."""
        if self.threads == 1:
            return [task(0)]
        self.counter[:] = 0
        others = [self._pool.submit(self._work, task, i) for i in range(1, self.threads)]
        own = self._work(task, 0)
        return [own, *(other.result() for other in others)]

    def _work(self, task: Callable[[int], Result], i: int) -> Result:
        try:
            return task(i)
        except BaseException:
            self.counter[0] = _LEFT
            raise

    def meet(self) -> None:
        """Wait until all threads have come as far; what each wrote before, all can read."""
        if self.threads > 1:
            _meet(self.counter, self.threads)
            if self.counter[0] >= _LEFT:
                raise RuntimeError("another thread of the crew has failed")
