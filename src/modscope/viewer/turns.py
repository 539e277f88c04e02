"""A knob in the browser: the circles of the embedding turned by s, and every activation behind them as it then is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from modscope.runs import Run
from modscope.viewer.catalogue import ACTIVATIONS, Catalogue, Layout, Offer, Pick
from modscope.viewer.serve import RunPage
from modscope.viewer.slices import Slices, Wanted, gathered

__all__ = ["TurnPage", "Turns"]


@dataclass(frozen=True)
class Turns:
    """What there is to turn: by how much, and what comes of it.

    shifts: the turns that can be chosen. hooks: name -> the axes of its features and their sizes, the first one shown first.
    values: the activation [pair, feature] of a hook at one of the shifts, for pairs (a, b). setup: code that makes it.
    """

    shifts: tuple[float, ...]
    hooks: Mapping[str, Mapping[str, int]]
    values: Callable[[str, float, np.ndarray, np.ndarray], np.ndarray]
    setup: str = ""


@dataclass(frozen=True, eq=False)
class TurnPage(RunPage):
    """What the server says of a network whose circles can be turned: every activation has the axis `turn`."""

    turns: Turns = field(default=None, kw_only=True)  # type: ignore[assignment]

    @cached_property
    def catalogue(self) -> Catalogue:
        """What there is to pick."""
        return _TurnCatalogue(self.run, self.turns)

    @cached_property
    def slices(self) -> Slices:
        """Where the values come from."""
        return _TurnSlices(self.catalogue, self.turns)

    @cached_property
    def guide(self) -> list[dict[str, Any]]:
        """What to look at first."""
        return []

    def _opening(self, pick: Pick, layout: Layout) -> dict[str, Any]:
        """Play turns the circles; logits open as a picture of the answers, whose peak moves."""
        message = "a = {a}, b = {b}, circles turned by {turn}" if {"a", "b"} <= set(layout.dims) else None
        x = "answer" if "answer" in layout.dims else layout.dims[-1]
        return {"play": "turn", "x": x} | ({"message": message} if message else {})

    def _setup(self, pick: Pick) -> str:
        """Code that makes the array of a pick."""
        return self.turns.setup.replace("HOOK", pick.name)


class _TurnCatalogue(Catalogue):
    def __init__(self, run: Run, turns: Turns) -> None:
        super().__init__(run)
        self.turns = turns

    @property
    def epochs(self) -> tuple[int, ...]:
        return self.run.epochs[-1:]

    @cached_property
    def offers(self) -> tuple[Offer, ...]:
        return tuple(Offer(ACTIVATIONS, name, (), tuple(self.pairs)) for name in self.turns.hooks)

    def pick(
        self,
        group: str | None = None,
        name: str | None = None,
        position: str | None = None,
        order: str | None = None,
    ) -> Pick:
        """The pick that these words mean; the first hook in the order (a, b) where they say nothing."""
        first = next(iter(self.turns.hooks))
        return super().pick(group, name or first, position, order or ("a,b" if name is None else None))

    def layout(self, pick: Pick) -> Layout:
        table = self.pairs[pick.order or "a,b"]
        sizes = {"turn": len(self.turns.shifts), **self.turns.hooks[pick.name]}
        sizes |= {str(dim): size for dim, size in table.sizes.items()}
        coords: dict[str, list[Any]] = {"turn": list(self.turns.shifts)}
        coords |= {str(dim): table[dim].values.tolist() for dim in table.dims if dim in table.coords}
        return Layout(tuple(sizes), tuple(sizes.values()), coords)


class _TurnSlices(Slices):
    """Slices of a few pairs are run for these alone; of many, for all, and kept."""

    def __init__(self, catalogue: Catalogue, turns: Turns) -> None:
        super().__init__(catalogue)
        self.turns = turns

    def _fill(self, into: np.ndarray, pick: Pick, wanted: Wanted) -> None:
        which, features, (first, second) = wanted[0], wanted[1:-2], wanted[-2:]
        pairs = np.asarray(self.catalogue.pairs[pick.order or "a,b"].values[first, second])
        parts = into if isinstance(which, slice) else into[None]
        shifts = self.turns.shifts[which] if isinstance(which, slice) else (self.turns.shifts[which],)
        for number, shift in enumerate(shifts):
            rows, places = self._of(pick.name, shift, pairs.ravel())
            gathered(parts[number, ...], rows[(slice(None), *features)], places.reshape(pairs.shape))

    def _of(self, hook: str, shift: float, pairs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """An activation [row, feature] at one turn, and in which of its rows each pair is."""
        p = self.catalogue.task.p
        whole = self._kept.get((hook, shift))
        if whole is None and 4 * pairs.size <= p * p:
            return self.turns.values(hook, shift, pairs // p, pairs % p), np.arange(pairs.size)
        if whole is None:
            with self._running:
                # A copy, so that nothing is kept that it was cut from.
                whole = np.array(self.turns.values(hook, shift, *np.divmod(np.arange(p * p), p)), np.float32)
                self._kept.put((hook, shift), whole, whole.nbytes)
        return whole, pairs
