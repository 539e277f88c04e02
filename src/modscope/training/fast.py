"""The compiled engine: tables by PyTorch, pairs by numba, one thread a share of the pairs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any, final

import numpy as np
import torch
from torch import Tensor

from modscope.model import PairMLPConfig, TransformerConfig
from modscope.training.engine import Batch, Engine
from modscope.training.folding import Folding, Together
from modscope.training.kernel import (
    MASKED,
    pair_gradients,
    pair_scores,
    softmax_back,
    softmax_weights,
)
from modscope.training.processor import KernelShape, kernel_shape
from modscope.training.registers import LANES
from modscope.training.tables import Pairs, pair_tables

__all__ = ["FastEngine", "Layout"]

Weights = Mapping[str, Tensor]
Arrays = tuple[np.ndarray, ...]

_TURN_EVERY = 50  # steps


@dataclass(frozen=True)
class Layout:
    """How the columns of the tables are filled up to whole words of neurons and whole rows of registers."""

    neurons: int
    answers: int
    shape: KernelShape

    @property
    def neuron_columns(self) -> int:
        return -(-self.neurons // self.shape.word) * self.shape.word

    @property
    def lanes(self) -> int:
        registers = -(-self.answers // LANES)
        return -(-registers // -(-registers // self.shape.row))

    @property
    def answer_columns(self) -> int:
        return -(-self.answers // (LANES * self.lanes)) * LANES * self.lanes

    @property
    def columns(self) -> int:
        return self.neuron_columns + self.answer_columns

    @property
    def rows(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """What the kernel is given so that the compiler knows the lanes of a row and of a word."""
        return (0,) * self.lanes, (0,) * (self.shape.word // LANES)

    def filled(self, table: Tensor, *, answers: float = 0.0) -> Tensor:
        """The table [..., neurons + answers] with its columns filled up."""
        if self.columns == self.neurons + self.answers:
            return table.contiguous()
        start = self.neuron_columns
        full = table.new_zeros(*table.shape[:-1], self.columns)
        full[..., : self.neurons] = table[..., : self.neurons]
        full[..., start : start + self.answers] = table[..., self.neurons :]
        full[..., start + self.answers :] = answers
        return full

    def filled_C(self, C: Tensor) -> Tensor:
        """C [neurons, answers] with rows and columns filled up."""
        more = (0, self.answer_columns - self.answers, 0, self.neuron_columns - self.neurons)
        return torch.nn.functional.pad(C, more).contiguous() if any(more) else C

    def scratch(self, terms: int) -> Arrays:
        """Room for one thread's block of pairs, as `pair_gradients` says; shares in eights."""
        block, word, neurons = self.shape.block, self.shape.word, self.neuron_columns
        sizes = (neurons // word, block, word), (block, self.answer_columns), (block + 1, word)
        # Torch begins each tensor on a line of the cache: loads cost half, and no two threads write to one line.
        rows = [torch.zeros(size).numpy() for size in sizes]
        whole = [
            torch.zeros(size, dtype=torch.int64).numpy() for size in (64, neurons + 64, neurons + 64, 72)
        ]
        bits, (counts, places) = [numbers.view(np.uint64) for numbers in whole[:2]], whole[2:]
        eights = -(-2 * terms // 8) * 8
        sums = [torch.zeros(size).numpy() for size in ((block, eights), (max(72, eights), LANES), (8,))]
        return *rows, *bits, counts, *sums[:2], places, sums[2]

    def cut(self, table: Tensor) -> Tensor:
        """The inverse of `filled`."""
        if self.columns == self.neurons + self.answers:
            return table
        logits = table[..., self.neuron_columns : self.neuron_columns + self.answers]
        return torch.cat((table[..., : self.neurons], logits), -1)


class _Tables(ABC):
    """Where the kernel's tables come from, and where their gradients go."""

    @abstractmethod
    def forward(self, weights: Weights, pairs: Pairs, turned: Tensor) -> tuple[Tensor, ...]:
        """The six arrays of `PairTables`; weights of pairs may be left to `begin`."""

    @abstractmethod
    def backward(self, weights: Weights, grads: tuple[Tensor, ...]) -> None:
        """Set `.grad` of the weights from the gradients of the six arrays."""

    def begin(self, first: int, last: int, arrays: Arrays, tables: Arrays) -> None:  # noqa: B027 - may be nothing
        """What each thread does to its pairs before the kernel."""

    def end(self, part: int, first: int, last: int, arrays: Arrays, tables: Arrays, grads: Arrays) -> None:  # noqa: B027
        """What each thread does to its pairs after the kernel."""


class _DifferentiatedTables(_Tables):
    """Any network that `pair_tables` knows, by automatic differentiation; folded in a precision of choice."""

    def __init__(self, config: TransformerConfig | PairMLPConfig, precision: torch.dtype) -> None:
        self._config, self._precision = config, precision

    def forward(self, weights: Weights, pairs: Pairs, turned: Tensor) -> tuple[Tensor, ...]:
        with torch.enable_grad():
            precise = {name: weight.to(self._precision) for name, weight in weights.items()}
            tables = pair_tables(precise, self._config, pairs, turned=turned.to(self._precision))
            self._given = tables.tensors()
        return tuple(table.detach().float() for table in self._given)

    def backward(self, weights: Weights, grads: tuple[Tensor, ...]) -> None:
        for weight in weights.values():
            weight.grad = None
        learnt = [pair for pair in zip(self._given, grads, strict=True) if pair[0].requires_grad]
        precise = [grad.reshape(table.shape).to(self._precision) for table, grad in learnt]
        torch.autograd.backward([table for table, _ in learnt], precise)


class _FoldedTables(_Tables):
    """The published kind of network, by hand; attention of each pair is left to the thread that has it."""

    def __init__(self, config: TransformerConfig, threads: int, together: Together) -> None:
        self._folding = Folding(config, slices=threads, together=together)
        shape = (config.p, config.n_heads)
        self._to = [(torch.empty(shape), torch.empty(shape)) for _ in range(threads)]
        self._weights = torch.empty(0, 0), torch.empty(0, 0)

    def forward(self, weights: Weights, pairs: Pairs, turned: Tensor) -> tuple[Tensor, ...]:
        folding = self._folding
        folding.forward(weights, turned)
        if len(self._weights[0]) != len(pairs):
            shape = (len(pairs), folding.config.n_heads)
            self._weights = torch.empty(shape), torch.empty(shape)
        return folding.base, folding.left, folding.right, *self._weights, folding.C

    def begin(self, first: int, last: int, arrays: Arrays, tables: Arrays) -> None:
        scores = self._folding.to_left.numpy(), self._folding.to_right.numpy()
        softmax_weights(first, last, arrays, *scores, tables[3], tables[4])

    def end(self, part: int, first: int, last: int, arrays: Arrays, tables: Arrays, grads: Arrays) -> None:
        to = tuple(tensor.numpy() for tensor in self._to[part])
        softmax_back(first, last, arrays, tables[3:5], grads[3:5], *to)

    def backward(self, weights: Weights, grads: tuple[Tensor, ...]) -> None:
        base, left, right, _, _, C = grads
        for other in self._to[1:]:
            for mine, theirs in zip(self._to[0], other, strict=True):
                mine.add_(theirs)
        shape = self._folding.left.shape
        found = self._folding.backward(
            base.flatten(), left.reshape(shape), right.reshape(shape), C, *self._to[0]
        )
        for name, weight in weights.items():
            weight.grad = found[name.split(".")[-1]].contiguous()


def _sum_up(parts: Sequence[Tensor]) -> None:
    for part in parts[1:]:
        parts[0].add_(part)


@final
class FastEngine(Engine):
    """Exact gradients of a ReLU network from the kernel of `modscope.training.kernel`.

    The same number of threads gives the same bits; another number sums in another order. exact: weights are folded
    into the tables in float64 and rounded once, so the gradients of a trained network come nearer to those of
    float64 and a step takes longer (docs/training.md).
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
        self._pool = ThreadPoolExecutor(
            max(1, threads - 1), initializer=torch.set_flush_denormal, initargs=(True,)
        )
        self._scratch: list[Arrays] = []
        self._grads: list[tuple[Tensor, ...]] = []
        precision = torch.float64 if exact else torch.float32
        self._tables: _Tables = _DifferentiatedTables(config, precision)
        if Folding.fits(config) and not exact:
            assert isinstance(config, TransformerConfig)
            self._tables = _FoldedTables(config, threads, self._together)

    def state(self) -> dict[str, Tensor]:
        return {"turned": self._turned.clone(), "steps": torch.tensor(self._steps)}

    def restore(self, state: Weights) -> None:
        self._turned = state["turned"].clone()
        self._steps = int(state["steps"])

    def gradients(self, weights: Weights, pairs: Pairs) -> Batch:
        tensors = self._tables.forward(weights, pairs, self._turned)
        given = self._given(tensors)
        grads = self._buffers(given)
        own = [tuple(tensor.numpy() for tensor in buffers) for buffers in grads]
        share = np.float32(1.0 / len(pairs))
        answers, rows = self.layout.answers, self.layout.rows
        in_turn = None if self.shape.two_rows else 0

        def part(i: int, first: int, last: int, arrays: Arrays, read: Arrays) -> tuple[float, int]:
            self._tables.begin(first, last, arrays, read)
            scratch = self._scratch[i]
            found = pair_gradients(first, last, arrays, read, own[i], scratch, answers, share, *rows, in_turn)
            self._tables.end(i, first, last, arrays, read, own[i])
            return found

        batch = self._in_parts(part, pairs, given)
        if len(grads) > 1:
            # Gradients of the pairs' weights are shared: each part wrote its own rows.
            self._together([partial(_sum_up, [part[i] for part in grads]) for i in (1, 2, 5, 0)])
        self._tables.backward(weights, self._cut(grads[0], tensors))
        self._turn(len(pairs))
        return batch

    @torch.no_grad()
    def scores(self, weights: Weights, pairs: Pairs) -> Batch:
        given = self._given(self._tables.forward(weights, pairs, self._turned))
        answers, rows = self.layout.answers, self.layout.rows

        def part(i: int, first: int, last: int, arrays: Arrays, read: Arrays) -> tuple[float, int]:
            self._tables.begin(first, last, arrays, read)
            return pair_scores(first, last, arrays, read, self._scratch[i], answers, *rows)

        return self._in_parts(part, pairs, given)

    def _in_parts(
        self, part: Callable[..., tuple[float, int]], pairs: Pairs, given: tuple[Tensor, ...]
    ) -> Batch:
        """Each thread its share of the pairs."""
        arrays = tuple(tensor.contiguous().numpy() for tensor in (pairs.a, pairs.b, pairs.labels))
        read = tuple(tensor.numpy() for tensor in given)
        edges = [len(pairs) * i // self.threads for i in range(self.threads + 1)]
        spans = enumerate(pairwise(edges))
        found = self._together([partial(part, i, *span, arrays, read) for i, span in spans])
        loss, right = (sum(values) / len(pairs) for values in zip(*found, strict=True))
        return Batch(loss, right)

    def _together(self, tasks: Sequence[Callable[[], Any]]) -> list[Any]:
        """Results of tasks, run at once if there are the threads for it; the first in this thread."""
        if self.threads == 1:
            return [task() for task in tasks]
        others = [self._pool.submit(task) for task in tasks[1:]]
        return [tasks[0](), *(other.result() for other in others)]

    def _given(self, tensors: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """The tables as the kernel reads them: two axes, filled up, contiguous."""
        base, left, right, weights_left, weights_right, C = tensors
        layout = self.layout
        if not self._scratch:
            self._scratch = [layout.scratch(weights_left.shape[1]) for _ in range(self.threads)]
        return (
            layout.filled(base[None], answers=float(MASKED)),
            layout.filled(left.flatten(0, 1)),
            layout.filled(right.flatten(0, 1)),
            weights_left.contiguous(),
            weights_right.contiguous(),
            layout.filled_C(C),
        )

    def _buffers(self, given: tuple[Tensor, ...]) -> list[tuple[Tensor, ...]]:
        """Room for the gradients of each thread, kept from step to step."""
        shapes = [tensor.shape for tensor in given]
        if [tensor.shape for tensor in next(iter(self._grads), ())] != shapes:
            weights = torch.empty_like(given[3]), torch.empty_like(given[4])
            self._grads = [
                (*(torch.empty_like(table) for table in given[:3]), *weights, torch.empty_like(given[5]))
                for _ in range(self.threads)
            ]
        return self._grads

    def _cut(self, grads: tuple[Tensor, ...], tensors: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        base, left, right, weights_left, weights_right, C = grads
        rows, answers = tensors[5].shape
        tables = (self.layout.cut(table) for table in (base, left, right))
        return *tables, weights_left, weights_right, C[:rows, :answers]

    def _turn(self, count: int) -> None:
        """Now and then, turn the sign of the neurons that were active on more than half of the pairs."""
        if self._steps % _TURN_EVERY == 0:
            active = torch.from_numpy(sum(scratch[5] for scratch in self._scratch))[: len(self._turned)]
            self._turned = torch.where(2 * active > count, 1 - self._turned, self._turned)
        self._steps += 1
