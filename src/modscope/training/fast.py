"""The compiled engine: tables by PyTorch, pairs by numba, one thread a share of the pairs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import final

import numpy as np
import torch
from torch import Tensor

from modscope.model import PairMLPConfig, TransformerConfig
from modscope.training.crew import Crew
from modscope.training.engine import Batch, Engine
from modscope.training.kernel import pair_gradients, pair_scores
from modscope.training.processor import KernelShape, kernel_shape
from modscope.training.sources import DifferentiatedTables, FoldedTables, Layout, Tables
from modscope.training.tables import Pairs

__all__ = ["FastEngine"]

Weights = Mapping[str, Tensor]
Arrays = tuple[np.ndarray, ...]
Six = tuple[Tensor, ...]

_TURN_EVERY = 50  # steps


@final
class FastEngine(Engine):
    """Exact gradients of a ReLU network from the kernel of `modscope.training.kernel`.

    The same number of threads gives the same bits; another number sums in another order. exact: weights are folded
    into the tables in float64 and rounded once, so the gradients of a trained network come nearer to those of
    float64 and a step takes longer (docs/training.md). shape: of the kernel, by default the one that suits the processor.
    """

    def __init__(
        self,
        config: TransformerConfig | PairMLPConfig,
        *,
        threads: int = 1,
        exact: bool = False,
        shape: KernelShape | None = None,
    ) -> None:
        self.name = "exact" if exact else "fast"
        self.config = config
        self.threads = threads
        neurons = config.d_hidden if isinstance(config, PairMLPConfig) else config.d_mlp
        self.shape = shape or kernel_shape()
        self.kernel = str(self.shape)
        self.layout = Layout(neurons, config.answers - 1, self.shape)
        self._turned = torch.zeros(neurons)
        self._steps = 0
        self._crew = Crew(threads)
        self._scratch: list[Arrays] = []
        self._grads: Six = ()
        self._tables: Tables
        if FoldedTables.fit(config) and not exact:
            assert isinstance(config, TransformerConfig)
            self._tables = FoldedTables(config, self.layout, self._crew)
        else:
            precision = torch.float64 if exact else torch.float32
            self._tables = DifferentiatedTables(config, self.layout, self._crew, precision)

    def state(self) -> dict[str, Tensor]:
        return {"turned": self._turned.clone(), "steps": torch.tensor(self._steps)}

    def restore(self, state: Weights) -> None:
        self._turned = state["turned"].clone()
        self._steps = int(state["steps"])

    def gradients(self, weights: Weights, pairs: Pairs) -> Batch:
        tables = self._tables
        with torch.enable_grad():
            given = tables.begin(weights, pairs, self._turned)
        read, grads = self._read(given), self._buffers(given)
        share = np.float32(1.0 / len(pairs))
        answers, rows = self.layout.answers, self.layout.rows
        in_turn = None if self.shape.two_rows else 0

        def part(i: int, first: int, last: int, arrays: Arrays) -> tuple[float, int]:
            tables.enter(i, first, last, arrays, read)
            own = _arrays([grad if k in (3, 4) else grad[i] for k, grad in enumerate(grads)])
            found = pair_gradients(
                first, last, arrays, read, own, self._scratch[i], answers, share, *rows, in_turn
            )
            tables.leave(i, first, last, arrays, read, grads)
            return found

        batch = self._in_parts(part, pairs)
        tables.finish(weights, grads)
        self._turn(len(pairs))
        return batch

    @torch.no_grad()
    def scores(self, weights: Weights, pairs: Pairs) -> Batch:
        read = self._read(self._tables.begin(weights, pairs, self._turned))
        answers, rows = self.layout.answers, self.layout.rows

        def part(i: int, first: int, last: int, arrays: Arrays) -> tuple[float, int]:
            self._tables.enter(i, first, last, arrays, read)
            return pair_scores(first, last, arrays, read, self._scratch[i], answers, *rows)

        return self._in_parts(part, pairs)

    def _in_parts(self, part: Callable[..., tuple[float, int]], pairs: Pairs) -> Batch:
        """Each thread its share of the pairs."""
        arrays = _arrays([tensor.contiguous() for tensor in (pairs.a, pairs.b, pairs.labels)])
        edges = [len(pairs) * i // self.threads for i in range(self.threads + 1)]

        @torch.no_grad()  # holds for one thread only
        def task(i: int) -> tuple[float, int]:
            return part(i, edges[i], edges[i + 1], arrays)

        loss, right = (sum(values) / len(pairs) for values in zip(*self._crew.run(task), strict=True))
        return Batch(loss, right)

    def _read(self, given: Six) -> Arrays:
        """What the kernel reads; there is scratch for all threads afterwards."""
        if not self._scratch:
            self._scratch = [self.layout.scratch(given[3].shape[1]) for _ in range(self.threads)]
        return _arrays(given)

    def _buffers(self, given: Six) -> Six:
        """Room for the gradients of each thread, kept from step to step.

        [thread, ...] but for those of the pairs' weights, of which each thread writes those of its own pairs.
        """
        shapes = [
            tensor.shape if k in (3, 4) else (self.threads, *tensor.shape) for k, tensor in enumerate(given)
        ]
        if [tuple(tensor.shape) for tensor in self._grads] != [tuple(shape) for shape in shapes]:
            self._grads = tuple(torch.zeros(shape) for shape in shapes)
        return self._grads

    def _turn(self, count: int) -> None:
        """Now and then, turn the sign of the neurons that were active on more than half of the pairs."""
        if self._steps % _TURN_EVERY == 0:
            active = torch.from_numpy(sum(scratch[5] for scratch in self._scratch))[: len(self._turned)]
            self._turned = torch.where(2 * active > count, 1 - self._turned, self._turned)
        self._steps += 1


def _arrays(tensors: Sequence[Tensor]) -> Arrays:
    return tuple(tensor.numpy() for tensor in tensors)
