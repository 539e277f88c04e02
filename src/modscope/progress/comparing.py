"""Runs side by side: their measures at the end, with differences."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from modscope.boundary import public
from modscope.display import Shown, number_text
from modscope.errors import InputError
from modscope.progress.columns import columns
from modscope.progress.over_epochs import Watch, _nobody, progress
from modscope.runs import Run

__all__ = ["Comparison", "compare"]


@dataclass(frozen=True, repr=False)
class Comparison(Shown):
    """Measures of several networks at their last epochs, a column each.

    names: of the networks. values: measure -> a number for each; NaN where a network does not have it. keys: the key
    frequencies of each; measures of one frequency stand under its own name.
    """

    names: tuple[str, ...]
    values: Mapping[str, tuple[float, ...]]
    keys: tuple[tuple[int, ...], ...]

    def _told(self) -> dict[str, object]:
        keys = ["key frequencies " + (" ".join(map(str, ks)) or "none") for ks in self.keys]
        told: dict[str, object] = dict(zip(self.names, keys, strict=True))
        return told | {name: " | ".join(map(number_text, self.values[name])) for name in self.largest(12)}

    def _title(self) -> str:
        return f"{len(self.names)} networks: the measures that differ most, of {len(self.values)}"

    @public
    def difference(self, measure: str) -> tuple[float, ...]:
        """Each network's number minus the first one's."""
        first, *_ = row = self.values[measure]
        return tuple(value - first for value in row)

    @public
    def largest(self, count: int = 20) -> list[str]:
        """The measures in which the networks differ most, by the difference over the larger of the sizes."""
        spread = {}
        for name, row in self.values.items():
            known = [abs(v) for v in row if math.isfinite(v)]
            if len(known) == len(row) and max(known) > 0:
                spread[name] = (max(row) - min(row)) / max(known)
        return sorted(spread, key=lambda name: -spread[name])[:count]

    def to_dict(self) -> dict[str, Any]:
        """Everything as JSON values; what is not known is None."""
        plain = {name: [v if math.isfinite(v) else None for v in row] for name, row in self.values.items()}
        apart = {
            name: [v if math.isfinite(v) else None for v in self.difference(name)] for name in self.values
        }
        return {
            "networks": list(self.names),
            "key_frequencies": [list(ks) for ks in self.keys],
            "measures": plain,
            "differences": apart,
        }


@public
def compare(
    runs: Mapping[str, Run], *, measures: Iterable[str] | str | None = "fast", watch: Watch = _nobody
) -> Comparison:
    """The measures of several runs at their last epochs, each with its own key frequencies.

    Raises InputError for fewer than two.

    """
    if len(runs) < 2:
        raise InputError(f"{len(runs)} networks: expected at least two to compare")
    found = {
        name: progress(run, measures=measures, epochs=[run.epochs[-1]], watch=watch)
        for name, run in runs.items()
    }
    rows = [{k: float(column[-1]) for k, column in columns(one).items()} for one in found.values()]
    every = dict.fromkeys(name for row in rows for name in row)
    values = {name: tuple(row.get(name, math.nan) for row in rows) for name in every}
    keys = tuple(tuple(one.attrs["key_frequencies"]) for one in found.values())
    return Comparison(tuple(runs), values, keys)
