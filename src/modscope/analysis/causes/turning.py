"""Turning the circles of the embedding: shift chosen frequencies by s tokens, and see where the answer goes.

Where the answer lies on a circle at i + sign * j (places i of a, j of b), a network that works by the waves of some
frequencies must follow them: with a's waves turned by s and b's by r the answer moves by s + sign * r, whatever the
other frequencies do. With one table for both, a turn by s moves a sum by 2s and leaves a difference where it is (s - s = 0);
to move a difference, a alone is turned. Circles of a and b that differ by a factor turn each by its own amount.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from modscope.activations import Activations
from modscope.boundary import public
from modscope.display import Shown
from modscope.errors import InputError, UnknownName
from modscope.model import Network
from modscope.networks.tokens import (
    pair_logits,
    residue_rows,
    with_residue_copies,
    with_residue_rows,
    with_second_residues,
)
from modscope.operations import Geometry, geometry_of
from modscope.task import ModularTask

__all__ = ["Reader", "Turned", "Turning", "turned_pictures", "turned_rows", "turning_of"]

Reader = Literal["both", "a", "b"]
_PAIRS_AT_ONCE = 16384
_ANSWERS_AT_ONCE = 4096  # pairs times turns in one pass: what fits the caches


def turned_rows(
    table: np.ndarray, frequencies: Sequence[int], shift: float, *, places: Sequence[int] | None = None
) -> np.ndarray:
    """A table [residue, feature] whose waves of some frequencies are shifted: at place i they are as they were at i + s.

    places: the residues in the order of their circle, all of them in their own order if not given; residues without a
    place keep their rows. The shift may be a fraction; the other frequencies and DC stay.

    >>> n = np.arange(8)
    >>> table = np.stack([np.cos(2 * np.pi * n / 8), np.cos(2 * np.pi * 3 * n / 8)], axis=1)
    >>> turned = turned_rows(table, [1], 2)
    >>> bool(np.allclose(turned[:, 0], np.roll(table[:, 0], -2))), bool(np.allclose(turned[:, 1], table[:, 1]))
    (True, True)
    """
    return _turned_tables(table, frequencies, [shift], places)[0]


def _turned_tables(
    table: np.ndarray, frequencies: Sequence[int], shifts: Sequence[float], places: Sequence[int] | None
) -> np.ndarray:
    """`turned_rows` for each of several turns, [turn, residue, feature]."""
    order = np.arange(len(table)) if places is None else np.asarray(places)
    n, k = len(order), np.asarray(list(frequencies), np.int64)
    k = k[(k > 0) & (k <= n // 2)]
    waves = np.exp(2j * np.pi / n * (np.outer(np.arange(n), k) % n))
    # what each wave adds to the table is itself, turned, less itself
    phasors = np.conj(waves).T @ table[order] * (np.where(2 * k == n, 1.0, 2.0) / n)[:, None]
    turn = np.exp(2j * np.pi / n * np.outer(shifts, k)) - 1.0
    turned = np.repeat(np.asarray(table, np.float64)[None], len(shifts), axis=0)
    moved = turn[:, :, None] * phasors
    turned[:, order] += waves.real @ moved.real - waves.imag @ moved.imag
    return turned.astype(table.dtype)


@dataclass(frozen=True)
class Turning:
    """How the circles of one network can be turned, and by how much its answer then moves.

    geometry: where a, b and the answer lie. factor: places that b moves for each that a moves, where one table serves
    both; None where each has its own.
    """

    network: Network
    task: ModularTask
    geometry: Geometry
    factor: int | None

    @property
    def n(self) -> int:
        """The number of places on the circle."""
        return self.geometry.n

    @property
    def readers(self) -> Reader:
        """Whose waves a turn moves if nothing is said: both, or a alone where both together leave the answer."""
        return "both" if self.moves(1.0) % self.n else "a"

    @public
    def moves(self, shift: float, reader: Reader = "both") -> float:
        """By how many places the answer moves when the waves that a reader reads are turned by `shift`."""
        if reader == "a":
            return shift
        if reader == "b":
            return self.geometry.sign * shift
        return shift * (1 + self.geometry.sign * (1 if self.factor is None else self.factor))

    @public
    def turned(self, frequencies: Sequence[int], shift: float, reader: Reader = "both") -> Turned:
        """The network with its waves of some frequencies turned by `shift` places for one reader or for both."""
        self._check(frequencies, reader)
        network, of_a, of_b = (
            self.network,
            self._change("a", frequencies, shift),
            self._change("b", frequencies, shift),
        )
        if self.factor is None:
            changes = (of_a if reader != "b" else _same, of_b if reader != "a" else _same)
            return Turned(with_residue_rows(network, *changes), self)
        if reader == "both":
            return Turned(with_residue_rows(network, of_a), self)
        second = with_second_residues(network, of_a if reader == "a" else of_b)
        return Turned(second, self, **{reader: self.task.p})

    def _check(self, frequencies: Sequence[int], reader: str) -> None:
        if reader not in ("both", "a", "b"):
            raise UnknownName.of("reader of turned waves", reader, ("both", "a", "b"))
        wrong = [k for k in frequencies if not 0 < k <= self.n // 2]
        if wrong:
            raise InputError(f"frequency {wrong[0]}: expected numbers from 1 to {self.n // 2}")

    @torch.no_grad()
    def answers(
        self,
        frequencies: Sequence[int],
        shifts: Sequence[float],
        a: np.ndarray,
        b: np.ndarray,
        reader: Reader = "both",
    ) -> np.ndarray:
        """The answers to some pairs with the waves of some frequencies turned by each of several shifts, int[turn, pair].

        `turned(...).run(a, b).argmax(-1)` for each shift; where a and b share a table, some turns at a time in one pass.
        """
        self._check(frequencies, reader)
        at_once = max(1, _ANSWERS_AT_ONCE // max(1, len(a)))
        if self.factor is None or at_once == 1:
            answers = [self.turned(frequencies, shift, reader).run(a, b).argmax(axis=-1) for shift in shifts]
            return np.array(answers).reshape(len(shifts), len(a))
        parts = [shifts[start : start + at_once] for start in range(0, len(shifts), at_once)]
        found = [self._answers_of(frequencies, part, a, b, reader) for part in parts]
        return np.concatenate(found) if found else np.zeros((0, len(a)), np.int64)

    def _answers_of(
        self,
        frequencies: Sequence[int],
        shifts: Sequence[float],
        a: np.ndarray,
        b: np.ndarray,
        reader: Reader,
    ) -> np.ndarray:
        """The answers where each turn has its own copy of the one table: the last copy is the table itself."""
        (own,) = residue_rows(self.network)
        places = self.geometry.b if reader == "b" else self.geometry.a
        turned = _turned_tables(own.detach().numpy(), frequencies, shifts, places)
        network = with_residue_copies(self.network, [*torch.from_numpy(turned), own])
        p, still = self.task.p, len(shifts) * self.task.p
        moved = torch.arange(0, still, p)[:, None]
        first = (torch.as_tensor(a) + (still if reader == "b" else moved)).expand(len(shifts), -1).flatten()
        second = (torch.as_tensor(b) + (still if reader == "a" else moved)).expand(len(shifts), -1).flatten()
        logits = pair_logits(network, first, second)[:, :p]
        return logits.numpy().argmax(axis=-1).reshape(len(shifts), -1)

    def _change(self, reader: str, frequencies: Sequence[int], shift: float) -> Callable[[Tensor], Tensor]:
        places = self.geometry.a if reader == "a" else self.geometry.b

        def change(rows: Tensor) -> Tensor:
            turned = turned_rows(rows.detach().numpy(), frequencies, shift, places=places)
            return torch.from_numpy(turned).to(rows.dtype)

        return change

    @cached_property
    def places(self) -> np.ndarray:
        """The place of each answer on its circle, int[answer]; -1 for an answer without one."""
        places = np.full(self.task.p, -1)
        places[list(self.geometry.c)] = np.arange(self.n)
        return places

    @public
    def moved_labels(self, by: float) -> np.ndarray:
        """The task's labels [a, b], each moved on its circle; a label without a place stays.

        Raises InputError where the answer would come to lie between two places.
        """
        if abs(by - round(by)) > 1e-9:
            raise InputError(
                f"the answer would move by {by:g} places: expected a turn that moves it by a whole number"
            )
        labels = self.task.labels
        place = np.where(labels < 0, -1, self.places[labels])
        moved = np.asarray(self.geometry.c)[(place + round(by)) % self.n]
        return np.where(place < 0, labels, moved)


@dataclass(frozen=True, repr=False)
class Turned(Shown):
    """A network whose waves have been turned, and which of its tokens read them."""

    network: Network
    turning: Turning
    a: int = 0
    b: int = 0

    @torch.no_grad()
    def run(self, a: np.ndarray, b: np.ndarray, hook: str = "logits") -> np.ndarray:
        """The activation at a hook on some pairs, [pair, feature]."""
        first, second = torch.as_tensor(a) + self.a, torch.as_tensor(b) + self.b
        parts = [
            self.network.run(self.network.pair_tokens(x, y), keep=(hook,))[hook]
            for x, y in zip(first.split(_PAIRS_AT_ONCE), second.split(_PAIRS_AT_ONCE), strict=True)
        ]
        x = torch.cat(parts).numpy()
        return x[:, : self.turning.task.p] if hook == "logits" else x

    def rows(self, rows: range, hook: str = "logits") -> np.ndarray:
        """The activation at a hook on all pairs of some rows of a, [row, b, feature]."""
        p = self.turning.task.p
        a, b = np.repeat(np.arange(rows.start, rows.stop), p), np.tile(np.arange(p), len(rows))
        x = self.run(a, b, hook)
        return x.reshape(len(rows), p, *x.shape[1:])


@public
def turned_pictures(
    acts: Activations,
    frequencies: Sequence[int],
    turns: Sequence[float],
    *,
    hook: str = "logits",
    reader: Reader | None = None,
) -> xr.DataArray:
    """An activation with the circles of some frequencies turned, for each of several turns: (turn, a, b, feature).

    `ms.show(turned_pictures(acts, keys, range(113)), x="answer", play="turn")` turns the circles by hand. reader: whose waves
    are turned; both, or a alone where both leave the answer in place, if not given.

    >>> from modscope.activations import record
    >>> from modscope.model import Transformer, TransformerConfig
    >>> network = Transformer.initialised(TransformerConfig(7, d_model=8, n_heads=2, d_mlp=16))
    >>> acts = record(network, ModularTask(7))
    >>> found = turned_pictures(acts, [1, 2, 3], [0, 2])
    >>> bool(np.allclose(found.sel(turn=2, a=1, b=3), acts.at("logits").sel(a=3, b=5), atol=1e-5))
    True
    """
    turning = turning_of(acts)
    who, rows = reader or turning.readers, range(acts.task.p)
    like = acts.at(hook)
    values = np.stack(
        [turning.turned(frequencies, turn, who).rows(rows, acts.hook_name(hook)) for turn in turns]
    )
    whole = xr.DataArray(values, dims=("turn", *like.dims), name=like.name, attrs=like.attrs)
    coords = {str(name): coord for name, coord in like.coords.items() if name in like.dims}
    return whole.assign_coords(turn=list(turns), **coords)


@public
def turning_of(acts: Activations) -> Turning:
    """How the circles of a network can be turned.

    Raises MissingWeight for a record without a network, InputError where the answer does not turn on a circle, or where
    one table serves two circles that no turn of it turns together.

    >>> from modscope.activations import record
    >>> from modscope.model import Transformer, TransformerConfig
    >>> network = Transformer.initialised(TransformerConfig(7, d_model=8, n_heads=2, d_mlp=16))
    >>> [turning_of(record(network, ModularTask(7, text))).moves(3.0) for text in ("a+b", "a-b", "a*b", "2a+3b")]
    [6.0, 0.0, 6.0, -3.0]
    """
    network, task = acts.model, acts.task
    geometry = geometry_of(task.what, task.p, seed=task.label_seed)
    if geometry.kind != "circle":
        raise InputError(f"not applicable: {geometry.says}: there is no circle to turn")
    factor = _factor(geometry) if len(residue_rows(network)) == 1 else None
    return Turning(network, task, geometry, factor)


def _factor(geometry: Geometry) -> int:
    """Places that b moves when one table is turned by one place of a."""
    place = {residue: i for i, residue in enumerate(geometry.b)}
    if set(place) != set(geometry.a):
        raise InputError("not applicable: a and b share a table and lie on circles of other residues")
    along = np.array([place[residue] for residue in geometry.a])
    steps = np.unique(np.diff(along) % geometry.n)
    if len(steps) != 1:
        raise InputError(
            "not applicable: a and b share a table, and no turn of it turns both of their circles"
        )
    step = int(steps[0])
    return step - geometry.n if 2 * step > geometry.n else step


def _same(rows: Tensor) -> Tensor:
    return rows
