"""The key circles carry the tokens: turned, they take the answer with them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from modscope.analysis.causes.turning import Turning, turning_of
from modscope.findings.claim import Claim, Outcome
from modscope.findings.evidence import Bench
from modscope.findings.finding import Picture, Rule
from modscope.findings.resampling import interval

__all__ = ["CLAIM"]

_PAIRS, _TURNS, _TURNS_OF_CONTROLS = 400, 24, 3


def _measure(bench: Bench, claim: Claim) -> Outcome:
    turning = turning_of(bench.acts)
    trial = _Trial(bench, turning)
    turns = _spread([s for s in range(1, turning.n) if turning.moves(s, turning.readers) % turning.n], _TURNS)
    own = trial.moved(bench.ks, turns)
    rest = np.setdiff1d(np.arange(1, turning.n // 2 + 1), bench.ks).tolist()
    places_of_rest = trial.places(rest, turns)
    of_rest = trial.moved_by(places_of_rest, turns)
    few = _spread(turns, _TURNS_OF_CONTROLS)
    others = [float(trial.moved(ks, few).mean()) for ks in bench.other_frequencies(20)]
    numbers = {f"moved by circle {k} alone": float(trial.moved((k,), turns).mean()) for k in bench.ks}
    numbers["moved by all others"] = float(of_rest.mean())
    numbers["left in place by all others"] = float((places_of_rest == trial.own).mean())
    numbers["moved by as many others, the most of 20 sets"] = max(others, default=float("nan"))
    if turning.readers == "a" and turning.factor is not None:
        both = trial.moved_by(trial.places(bench.ks, few, "both"), few, "both")
        numbers["left in place where a and b are turned together"] = float(both.mean())
    picture = Picture(
        "lines",
        turns,
        {"key circles turned": own.mean(axis=1).tolist(), "all others turned": of_rest.mean(axis=1).tolist()},
        f"turn, tokens of {turning.n}",
        "share of pairs whose answer moves as far",
    )
    over = interval(own.mean(axis=0), over="pairs", seed=bench.seed)
    control = max([numbers["moved by all others"], *others])
    return Outcome(*claim.of(own.mean(), control, over), numbers, picture, _words(turning))


class _Trial:
    """Some pairs, drawn once, and the places of the network's own answers to them."""

    def __init__(self, bench: Bench, turning: Turning) -> None:
        self.turning = turning
        a, b = np.divmod(np.arange(bench.p**2), bench.p)
        places = turning.places[bench.guesses.reshape(-1)]
        has_place = np.flatnonzero(
            (places >= 0) & np.isin(a, turning.geometry.a) & np.isin(b, turning.geometry.b)
        )
        drawn = bench.generator().permutation(has_place)[:_PAIRS]
        self.a, self.b, self.own = a[drawn], b[drawn], places[drawn]

    def places(self, frequencies: Sequence[int], turns: Sequence[int], reader: str = "") -> np.ndarray:
        """The place of each answer with those circles turned, int[turn, pair]; -1 where it has none."""
        turning, who = self.turning, reader or self.turning.readers
        return turning.places[turning.answers(frequencies, turns, self.a, self.b, who)]  # type: ignore[arg-type]

    def moved_by(self, places: np.ndarray, turns: Sequence[int], reader: str = "") -> np.ndarray:
        """Whether each answer has moved as far as the turn says, bool[turn, pair]."""
        turning, who = self.turning, reader or self.turning.readers
        by = np.array([round(turning.moves(shift, who)) for shift in turns])  # type: ignore[arg-type]
        return (places >= 0) & ((places - self.own - by[:, None]) % turning.n == 0)

    def moved(self, frequencies: Sequence[int], turns: Sequence[int]) -> np.ndarray:
        """Whether each answer moves as far as the turn of those circles says, bool[turn, pair]."""
        return self.moved_by(self.places(frequencies, turns), turns)


def _spread(turns: Sequence[int], count: int) -> list[int]:
    """At most so many of the turns, the first among them, spread evenly."""
    if len(turns) <= count:
        return list(turns)
    return [turns[i] for i in np.linspace(0, len(turns) - 1, count).round().astype(int)]


def _words(turning: Turning) -> str:
    if turning.readers == "a":
        return "a's circles turned by s move the answer by s; one table turned for a and b leaves a difference in place"
    moves = turning.moves(1.0)
    return f"the circles turned by s move the answer by {moves:g} s"


CLAIM = Claim(
    id="turned-circles",
    title="Turning the key circles turns the answer",
    statement=(
        "With the key frequencies of the embedding shifted by s tokens, and nothing else changed, the answer moves as far: "
        "by 2s for a sum, by s for a difference whose a alone is turned."
    ),
    unit="share of pairs",
    effect=f"pairs whose answer moves exactly so, over {_TURNS} turns around the circle; {_PAIRS} pairs drawn from the seed",
    control="the most of: all other circles turned instead, and 20 random sets of as many other circles",
    rule=Rule(holds=0.95, in_part=0.5),
    measure=_measure,
    needs=("weights", "answer", "keys", "others"),
    warning="A single one of several circles mostly moves no answer: the others outvote it.",
)
