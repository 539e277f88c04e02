"""Two ways of doing one thing, timed in alternating pairs in one process, compared by their medians.

    from pairs import compare
    result = compare(ours, theirs, pairs=15)
    print(result.lines("spectrum of mlp_post", "modscope", "torch.fft.rfft"))   # last line: spectrum ratio R

A machine that speeds up or slows down meets both sides alike; the order inside a pair alternates too.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["Comparison", "compare"]


@dataclass(frozen=True)
class Comparison:
    """Seconds of every run of both sides."""

    ours: tuple[float, ...]
    theirs: tuple[float, ...]

    @property
    def ratio(self) -> float:
        """Median time of theirs divided by the median time of ours: above 1, ours is faster."""
        return statistics.median(self.theirs) / statistics.median(self.ours)

    @property
    def spread(self) -> tuple[float, float]:
        """The quartiles of the ratio over the pairs."""
        ratios = [theirs / ours for ours, theirs in zip(self.ours, self.theirs, strict=True)]
        if len(ratios) < 2:
            return ratios[0], ratios[0]
        low, _, high = statistics.quantiles(ratios, n=4)
        return low, high

    def lines(self, what: str, ours: str, theirs: str, *, name: str | None = None) -> str:
        """What was compared, the two medians, and as the last line `NAME ratio R`, if a name is given."""
        low, high = self.spread
        text = [
            f"{what}: {len(self.ours)} alternating pairs, medians",
            f"  {ours}: {1000 * statistics.median(self.ours):.2f} ms",
            f"  {theirs}: {1000 * statistics.median(self.theirs):.2f} ms",
            f"  ratio {self.ratio:.2f} (quartiles over pairs {low:.2f} to {high:.2f})",
        ]
        if name:
            text.append(f"{name} ratio {self.ratio:.2f}")
        return "\n".join(text)


def compare(
    ours: Callable[[], object],
    theirs: Callable[[], object],
    *,
    pairs: int = 15,
    warm: int = 2,
    repeats: int = 1,
) -> Comparison:
    """Runs both sides in alternating pairs, after `warm` runs of each that are not counted.

    repeats: a run is that many calls in a row and counts as their mean; for what is done in long rows of calls, where
    caches and pools of threads are as the call before left them.
    """
    seconds: dict[Callable[[], object], list[float]] = {ours: [], theirs: []}
    for number in range(warm + pairs):
        for side in (ours, theirs) if number % 2 else (theirs, ours):
            start = time.perf_counter()
            for _ in range(repeats):
                result = side()
            elapsed = (time.perf_counter() - start) / repeats
            del result
            if number >= warm:
                seconds[side].append(elapsed)
    return Comparison(tuple(seconds[ours]), tuple(seconds[theirs]))
