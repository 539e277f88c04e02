"""The compiled engine: tables by PyTorch, pairs by numba, one thread a share of the pairs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, final

import numpy as np
import torch
from torch import Tensor

from modscope.model import PairMLPConfig, TransformerConfig
from modscope.training.engines import Batch, Engine
from modscope.training.kernel import BLOCK, MASKED, pair_gradients, pair_scores
from modscope.training.registers import LANES
from modscope.training.tables import Pairs, pair_tables

__all__ = ["FastEngine"]

_MOST_LANES = 8  # registers a row: two rows and a few more must fit in the 32 of AVX-512
_TURN_EVERY = 50  # steps


@dataclass(frozen=True)
class _Layout:
    """How the columns of the tables are filled up to whole words of neurons and whole rows of registers."""

    neurons: int
    answers: int

    @property
    def words(self) -> int:
        return -(-self.neurons // 64)

    @property
    def lanes(self) -> int:
        registers = -(-self.answers // LANES)
        return -(-registers // -(-registers // _MOST_LANES))

    @property
    def answer_columns(self) -> int:
        return -(-self.answers // (LANES * self.lanes)) * LANES * self.lanes

    @property
    def columns(self) -> int:
        return 64 * self.words + self.answer_columns

    def filled(self, table: Tensor, *, answers: float = 0.0) -> Tensor:
        """The table [..., neurons + answers] with its columns filled up."""
        if self.columns == self.neurons + self.answers:
            return table.contiguous()
        full = table.new_zeros(*table.shape[:-1], self.columns)
        full[..., : self.neurons] = table[..., : self.neurons]
        full[..., 64 * self.words : 64 * self.words + self.answers] = table[..., self.neurons :]
        full[..., 64 * self.words + self.answers :] = answers
        return full

    def filled_C(self, C: Tensor) -> Tensor:
        """C [neurons, answers] with rows and columns filled up."""
        more = (0, self.answer_columns - self.answers, 0, 64 * self.words - self.neurons)
        return torch.nn.functional.pad(C, more).contiguous() if any(more) else C

    def cut(self, table: Tensor) -> Tensor:
        """The inverse of `filled`."""
        if self.columns == self.neurons + self.answers:
            return table
        logits = table[..., 64 * self.words : 64 * self.words + self.answers]
        return torch.cat((table[..., : self.neurons], logits), -1)


@final
class FastEngine(Engine):
    """Exact gradients of a ReLU network from the kernel of `modscope.training.kernel`.

    The same number of threads gives the same bits; another number sums in another order.
    """

    name = "fast"

    def __init__(self, config: TransformerConfig | PairMLPConfig, *, threads: int = 1) -> None:
        self.config = config
        self.threads = threads
        neurons = config.d_hidden if isinstance(config, PairMLPConfig) else config.d_mlp
        self._layout = _Layout(neurons, config.answers - 1)
        self._turned = torch.zeros(neurons)
        self._steps = 0
        self._pool = ThreadPoolExecutor(
            max(1, threads - 1), initializer=torch.set_flush_denormal, initargs=(True,)
        )
        self._scratch = [self._new_scratch() for _ in range(threads)]
        self._grads: list[tuple[Tensor, ...]] = []

    def state(self) -> dict[str, Tensor]:
        return {"turned": self._turned.clone(), "steps": torch.tensor(self._steps)}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        self._turned = state["turned"].clone()
        self._steps = int(state["steps"])

    def _new_scratch(self) -> tuple[np.ndarray, ...]:
        # Torch aligns to 64 bytes, which halves the cost of a load.
        layout = self._layout
        block, back = (torch.zeros(BLOCK, layout.columns).numpy() for _ in range(2))
        words = np.zeros((BLOCK, layout.words), np.uint64), np.zeros(64, np.uint64)
        return (
            block,
            back,
            *words,
            np.zeros(64 * layout.words, np.uint64),
            np.zeros(64 * layout.words, np.int64),
        )

    def gradients(self, weights: Mapping[str, Tensor], pairs: Pairs) -> Batch:
        with torch.enable_grad():
            tables = pair_tables(weights, self.config, pairs, turned=self._turned)
        given = self._given(tables.tensors())
        grads = self._buffers(given)
        own = [tuple(tensor.numpy() for tensor in buffers) for buffers in grads]
        share = np.float32(1.0 / len(pairs))
        answers, lanes = self._layout.answers, (0,) * self._layout.lanes

        def part(i: int, first: int, last: int, arrays: Any, read: Any) -> tuple[float, int]:
            return pair_gradients(first, last, arrays, read, own[i], self._scratch[i], answers, share, lanes)

        batch = self._in_parts(part, pairs, given)
        for other in grads[1:]:
            for i in (
                0,
                1,
                2,
                5,
            ):  # the gradients of the pairs' weights are shared: each part wrote its own rows
                grads[0][i].add_(other[i])
        for weight in weights.values():
            weight.grad = None
        learnt = [
            pair
            for pair in zip(tables.tensors(), self._cut(grads[0], tables.tensors()), strict=True)
            if pair[0].requires_grad
        ]
        torch.autograd.backward([table for table, _ in learnt], [grad for _, grad in learnt])
        self._turn(len(pairs))
        return batch

    @torch.no_grad()
    def scores(self, weights: Mapping[str, Tensor], pairs: Pairs) -> Batch:
        given = self._given(pair_tables(weights, self.config, pairs, turned=self._turned).tensors())
        answers, lanes = self._layout.answers, (0,) * self._layout.lanes

        def part(i: int, first: int, last: int, arrays: Any, read: Any) -> tuple[float, int]:
            return pair_scores(first, last, arrays, read, self._scratch[i], answers, lanes)

        return self._in_parts(part, pairs, given)

    def _in_parts(
        self, part: Callable[..., tuple[float, int]], pairs: Pairs, given: tuple[Tensor, ...]
    ) -> Batch:
        """Each thread its share of the pairs."""
        arrays = tuple(tensor.numpy() for tensor in (pairs.a, pairs.b, pairs.labels))
        read = tuple(tensor.numpy() for tensor in given)
        edges = [len(pairs) * i // self.threads for i in range(self.threads + 1)]
        others = [
            self._pool.submit(part, i, edges[i], edges[i + 1], arrays, read) for i in range(1, self.threads)
        ]
        found = [part(0, 0, edges[1], arrays, read), *(other.result() for other in others)]
        loss, right = (sum(values) / len(pairs) for values in zip(*found, strict=True))
        return Batch(loss, right)

    def _given(self, tensors: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """The tables as the kernel reads them: two axes, filled up, contiguous."""
        base, left, right, weights_left, weights_right, C = (tensor.detach() for tensor in tensors)
        layout = self._layout
        return (
            layout.filled(base[None], answers=float(MASKED)),
            layout.filled(left.flatten(0, 1)),
            layout.filled(right.flatten(0, 1)),
            weights_left.contiguous(),
            weights_right.contiguous(),
            layout.filled_C(C),
        )

    def _buffers(self, given: tuple[Tensor, ...]) -> list[tuple[Tensor, ...]]:
        shapes = [tensor.shape for tensor in given]
        if [tensor.shape for tensor in next(iter(self._grads), ())] != shapes:
            base, left, right, weights_left, weights_right, C = given
            shared = torch.empty_like(weights_left), torch.empty_like(weights_right)
            self._grads = [
                (
                    torch.empty_like(base),
                    torch.empty_like(left),
                    torch.empty_like(right),
                    *shared,
                    torch.empty_like(C),
                )
                for _ in range(self.threads)
            ]
        return self._grads

    def _cut(self, grads: tuple[Tensor, ...], tensors: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        base, left, right, weights_left, weights_right, C = grads
        rows, answers = tensors[5].shape
        cut = [self._layout.cut(table) for table in (base, left, right)]
        cut += [weights_left, weights_right, C[:rows, :answers]]
        return tuple(grad.reshape(tensor.shape) for grad, tensor in zip(cut, tensors, strict=True))

    def _turn(self, count: int) -> None:
        """Now and then, turn the sign of the neurons that were active on more than half of the pairs."""
        if self._steps % _TURN_EVERY == 0:
            active = torch.from_numpy(sum(scratch[5] for scratch in self._scratch))[: len(self._turned)]
            self._turned = torch.where(2 * active > count, 1 - self._turned, self._turned)
        self._steps += 1
