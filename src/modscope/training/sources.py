"""Where the compiled kernel's tables come from and where their gradients go, and the columns that fill them up."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from modscope.model import PairMLPConfig, TransformerConfig
from modscope.training.crew import Crew
from modscope.training.folding import Room, Share, fold
from modscope.training.folding import Weights as FoldedWeights
from modscope.training.kernel import MASKED, softmax_back, softmax_weights
from modscope.training.processor import KernelShape
from modscope.training.products import can_multiply
from modscope.training.registers import LANES
from modscope.training.tables import Pairs, pair_tables
from modscope.training.unfolding import unfold

__all__ = ["DifferentiatedTables", "FoldedTables", "Layout", "Tables"]

Weights = Mapping[str, Tensor]
Arrays = tuple[np.ndarray, ...]
Six = tuple[Tensor, ...]  # base, left, right, weights left and right, C, as in `pair_gradients`


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


class Tables(ABC):
    """One kind of tables. A step: `begin`, then in each thread `enter`, the kernel and `leave`, then `finish`."""

    def __init__(self, layout: Layout, crew: Crew) -> None:
        self._layout, self._crew = layout, crew

    @abstractmethod
    def begin(self, weights: Weights, pairs: Pairs, turned: Tensor) -> Six:
        """The arrays that the kernel reads, filled up; what is in them may be left to `enter`."""

    @abstractmethod
    def finish(self, weights: Weights, grads: Six) -> None:
        """Set `.grad` of the weights from the gradients of the arrays, as `leave` leaves them."""

    def enter(self, i: int, first: int, last: int, pairs: Arrays, given: Arrays) -> None:  # noqa: B027 - may be nothing
        """What thread i does to its pairs before the kernel."""

    def leave(self, i: int, first: int, last: int, pairs: Arrays, given: Arrays, grads: Six) -> None:
        """What thread i does after the kernel: in all, the gradients of the first thread become the sums of all.

        grads: [thread, ...] but for those of the pairs' weights, of which each thread has written its own pairs'.
        """
        self._crew.meet()
        for k in (0, 1, 2, 5):
            whole, *others = grads[k]
            rows = slice(*(len(whole) * j // self._crew.threads for j in (i, i + 1)))
            for other in others:
                whole[rows] += other[rows]

    def _filled(self, tables: Six) -> Six:
        """The tables as the kernel reads them: two axes, filled up, contiguous."""
        base, left, right, weights_left, weights_right, C = tables
        return (
            self._layout.filled(base[None], answers=float(MASKED)),
            self._layout.filled(left.flatten(0, 1)),
            self._layout.filled(right.flatten(0, 1)),
            weights_left.contiguous(),
            weights_right.contiguous(),
            self._layout.filled_C(C),
        )

    def _cut(self, grads: Six, tables: Six) -> list[Tensor]:
        """The summed gradients without what filled up, in the shapes of the tables."""
        whole = [self._layout.cut(grad[0]) for grad in grads[:3]]
        rows, answers = tables[5].shape
        whole += [*grads[3:5], grads[5][0, :rows, :answers]]
        return [grad.reshape(table.shape) for grad, table in zip(whole, tables, strict=True)]


class DifferentiatedTables(Tables):
    """Any network that `pair_tables` knows, by automatic differentiation; folded in a precision of choice."""

    def __init__(
        self,
        config: TransformerConfig | PairMLPConfig,
        layout: Layout,
        crew: Crew,
        precision: torch.dtype,
    ) -> None:
        super().__init__(layout, crew)
        self._config, self._precision = config, precision

    def begin(self, weights: Weights, pairs: Pairs, turned: Tensor) -> Six:
        precise = {name: weight.to(self._precision) for name, weight in weights.items()}
        self._tables = pair_tables(precise, self._config, pairs, turned=turned.to(self._precision)).tensors()
        return self._filled(tuple(table.detach().float() for table in self._tables))

    def finish(self, weights: Weights, grads: Six) -> None:
        for weight in weights.values():
            weight.grad = None
        found = zip(self._tables, self._cut(grads, self._tables), strict=True)
        learnt = [(table, grad.to(self._precision)) for table, grad in found if table.requires_grad]
        torch.autograd.backward([table for table, _ in learnt], [grad for _, grad in learnt])


class FoldedTables(Tables):
    """The published kind of network, by hand, by all threads together (`modscope.training.folding`)."""

    def __init__(self, config: TransformerConfig, layout: Layout, crew: Crew) -> None:
        super().__init__(layout, crew)
        self._room = Room.of(config, layout.columns, crew.threads)
        self._each = [Share.of(config, i, crew.threads) for i in range(crew.threads)]
        rows = torch.zeros(config.n_heads * config.p, layout.columns)
        base = torch.zeros(1, layout.columns)
        base[:, layout.neuron_columns + layout.answers :] = float(MASKED)
        self._tables = base, rows, rows.clone(), torch.zeros(layout.neuron_columns, layout.answer_columns)
        self._scores = torch.zeros(2, config.p, config.n_heads).numpy()
        self._of_scores = torch.zeros(2, crew.threads, config.p, config.n_heads).numpy()
        self._shares = torch.zeros(2, 0, config.n_heads)
        self._grads: dict[str, Tensor] = {}

    @classmethod
    def fit(cls, config: TransformerConfig | PairMLPConfig) -> bool:
        """Whether these formulas are those of the network, and there is something to multiply with."""
        return (
            isinstance(config, TransformerConfig)
            and config.equals
            and config.attention_rate == 1.0
            and set(config.biases) <= {"b_in", "b_out", "b_U"}
            and can_multiply()
        )

    def begin(self, weights: Weights, pairs: Pairs, turned: Tensor) -> Six:
        if not self._grads:
            self._grads = {name: torch.zeros(weight.shape) for name, weight in weights.items()}
            self._out = self._folded(self._grads)
        self._weights, self._turned = self._folded(weights), turned.numpy()
        if self._shares.shape[1] != len(pairs):
            self._shares = torch.zeros(2, len(pairs), self._shares.shape[2])
        base, left, right, C = self._tables
        return base, left, right, *self._shares, C

    def _folded(self, weights: Weights) -> FoldedWeights:
        """The arrays of the weights, zeros for the biases that the network has not."""
        arrays = {
            name.split(".")[-1]: weight.detach().contiguous().numpy() for name, weight in weights.items()
        }
        sizes = {"b_in": len(arrays["W_out"]), "b_out": len(arrays["W_U"]), "b_U": arrays["W_U"].shape[1]}
        for name, size in sizes.items():
            arrays[name] = arrays.get(name, torch.zeros(size).numpy()).reshape(1, size)
        arrays["W_O"] = arrays["W_O"].reshape(-1, arrays["W_O"].shape[-1])
        return FoldedWeights(**arrays)

    def _of_thread(self, i: int) -> tuple[Any, ...]:
        """What folding and unfolding are given first."""
        crew = self._crew
        return i, crew.threads, crew.counter, self._each[i], self._weights, self._turned, self._room

    def enter(self, i: int, first: int, last: int, pairs: Arrays, given: Arrays) -> None:
        base, left, right, to_left, to_right, C = given
        fold(*self._of_thread(i), base, left, right, C, *self._scores)
        softmax_weights(first, last, pairs, *self._scores, to_left, to_right)

    def leave(self, i: int, first: int, last: int, pairs: Arrays, given: Arrays, grads: Six) -> None:
        base, left, right, *weights, C = (grad.numpy() for grad in grads)
        softmax_back(first, last, pairs, given[3:5], tuple(weights), *self._of_scores[:, i])
        unfold(*self._of_thread(i), base, left, right, C, *self._of_scores, self._out)

    def finish(self, weights: Weights, grads: Six) -> None:
        for name, weight in weights.items():
            weight.grad = self._grads[name]
