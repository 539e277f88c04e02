"""Ablations that turn circles of the embedding; the answer is scored where the turn should have moved it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import numpy as np

from modscope.activations import Activations
from modscope.analysis.causes.ablation.trial import Ablation, Outcome
from modscope.analysis.causes.turning import Reader, Turning, turning_of
from modscope.analysis.stream.scores import scores_of_blocks
from modscope.errors import InputError
from modscope.operations import Operation
from modscope.task import ModularTask

__all__ = ["named_turn", "turn_ablations"]

_NAME = re.compile(
    r"turn-(?P<what>circles|rest)/s=(?P<shift>[+-]?\d+(\.\d+)?)(/k=(?P<k>\d+))?(/at=(?P<reader>a|b|both))?"
)
_FORM = "turn-circles/s=17, turn-rest/s=17, with /k=K for one circle and /at=a, /at=b or /at=both for who reads it"
_ROWS = 16384


def turn_ablations(acts: Activations, key_frequencies: Sequence[int]) -> Iterator[Ablation]:
    """The key circles turned by one place and by a seventh of the circle, and all others by as much.

    Any other turn goes by its name (`named_turn`), such as turn-circles/s=2.5/k=29. Nothing where the answer does not
    turn on a circle, or there are no key frequencies.
    """
    if acts.network is None or not key_frequencies:
        return
    try:
        n = turning_of(acts).n
    except InputError:
        return
    for shift in sorted({1, max(1, round(0.15 * n))}):
        yield _turn(acts, tuple(key_frequencies), f"turn-circles/s={shift}")
    yield _turn(acts, tuple(key_frequencies), f"turn-rest/s={max(1, round(0.15 * n))}")


def named_turn(acts: Activations, key_frequencies: Sequence[int], name: str) -> Ablation | None:
    """The ablation that a name such as turn-circles/s=17 says; None for a name of another kind.

    s: places, a fraction where the answer moves by a whole number of them. k: one frequency instead of the key ones. at: who
    reads the turned waves; both, if not said, or a alone where the answer is a difference read from one table. Raises
    InputError for a turn that is not understood, or does not apply here.
    """
    if not name.startswith("turn-"):
        return None
    if not _NAME.fullmatch(name):
        raise InputError(f"ablation {name!r}: expected {_FORM}")
    turning = turning_of(acts)
    if not key_frequencies:
        raise InputError(f"ablation {name!r}: the network has no key frequencies to turn; give some")
    turning.moved_labels(turning.moves(float(_NAME.fullmatch(name)["shift"]), _reader(name, turning)))  # type: ignore[index]
    return _turn(acts, tuple(key_frequencies), name)


def _reader(name: str, turning: Turning) -> Reader:
    found = _NAME.fullmatch(name)
    reader = found["reader"] if found else None
    return reader or turning.readers  # type: ignore[return-value]


def _turn(acts: Activations, ks: tuple[int, ...], name: str) -> Ablation:
    found = _NAME.fullmatch(name)
    assert found is not None
    turning = turning_of(acts)
    shift, reader, n = float(found["shift"]), _reader(name, turning), turning.n
    every = np.arange(1, n // 2 + 1)
    one = (int(found["k"]),) if found["k"] else ks
    chosen, pool = (
        (one, np.setdiff1d(every, ks))
        if found["what"] == "circles"
        else (tuple(np.setdiff1d(every, one)), every)
    )
    moved = turning.moves(shift, reader) if found["what"] == "circles" else 0.0
    who = "for a and b" if reader == "both" else f"for {reader} alone"
    if found["what"] == "circles":
        what = f"circle {one[0]} of the embedding" if found["k"] else "the key circles of the embedding"
    else:
        what = f"all circles of the embedding but {one[0] if found['k'] else 'the key ones'}"
    says = f"{what} turned by {shift:g} {who}; scored by " + (
        f"the answer {moved:g} places on" if moved % n else "the answer where it was"
    )
    return Ablation(
        name,
        says,
        f"as many circles drawn at random from {'the others' if found['what'] == 'circles' else 'all'}, turned and scored alike",
        lambda: _Turn(turning, chosen, pool, shift, reader, moved),
    )


class _Turn:
    """Some circles turned; the control turns as many of a pool."""

    def __init__(
        self,
        turning: Turning,
        chosen: Sequence[int],
        pool: np.ndarray,
        shift: float,
        reader: Reader,
        moved: float,
    ) -> None:
        self.turning, self.chosen, self.pool, self.shift, self.reader = turning, chosen, pool, shift, reader
        task = turning.task
        labels = turning.moved_labels(moved)
        self.task = ModularTask(task.p, Operation.of(labels), task.split, task.label_seed)

    def outcome(self) -> Outcome:
        return self._scores(self.chosen)

    def control(self, generator: np.random.Generator) -> Outcome:
        count = min(len(self.chosen), len(self.pool))
        return self._scores(sorted(generator.choice(self.pool, count, replace=False).tolist()))

    def shuffled(self, generator: np.random.Generator) -> Outcome:
        return self.control(generator)

    def _scores(self, frequencies: Sequence[int]) -> Outcome:
        turned, p = self.turning.turned(frequencies, self.shift, self.reader), self.task.p
        size = max(1, _ROWS // p)
        blocks = (
            (range(start, min(start + size, p)), turned.rows(range(start, min(start + size, p))))
            for start in range(0, p, size)
        )
        return Outcome(*scores_of_blocks(blocks, self.task))
