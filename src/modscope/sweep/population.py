"""What holds across networks, and in what share: counts with intervals, distributions beside controls, outliers."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from modscope.errors import InputError, UnknownName

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["COURSE", "MECHANISM", "Outlier", "Population", "Share", "Spread", "Verdicts", "wilson"]

ALL = "all networks"
COURSE = ("memorised at", "generalised at", "settled at")
MECHANISM = "which-mechanism: "
_COLUMNS = ("network", "case", "recipe", "kind", "measure", "value", "control", "verdict")
_Z = 1.959963984540054
_FAR = 5.0  # scaled median deviations
_ENOUGH = 8  # networks of a group before one of them can be called an outlier


@dataclass(frozen=True)
class Share:
    """How many of how many, with the 95 % interval of Wilson (1927) for the share."""

    count: int
    of: int
    low: float
    high: float

    @property
    def share(self) -> float:
        """count / of; NaN of none."""
        return self.count / self.of if self.of else math.nan

    def __str__(self) -> str:
        if not self.of:
            return "0 of 0"
        return f"{self.count} of {self.of} ({100 * self.low:.0f} to {100 * self.high:.0f} %)"


def wilson(count: int, of: int) -> Share:
    """A share with the interval ((c + z^2/2) +- z sqrt(c (n - c) / n + z^2/4)) / (n + z^2), z = 1.96; 0 to 1 of none.

    >>> share = wilson(8, 10)
    >>> round(share.low, 4), round(share.high, 4)
    (0.4902, 0.9433)
    """
    if not 0 <= count <= of:
        raise InputError(f"{count} of {of}: expected a count from 0 to the number there are")
    if not of:
        return Share(0, 0, 0.0, 1.0)
    z2 = _Z**2
    middle = count + z2 / 2
    half = _Z * math.sqrt(count * (of - count) / of + z2 / 4)
    return Share(count, of, max(0.0, (middle - half) / (of + z2)), min(1.0, (middle + half) / (of + z2)))


@dataclass(frozen=True)
class Verdicts:
    """The verdicts on one claim in one group; shares are of the networks that it applies to."""

    group: str
    measure: str
    holds: Share
    in_part: Share
    fails: Share
    not_applicable: int


@dataclass(frozen=True)
class Spread:
    """How a number lies over the networks of a group that have it; reached says how many do."""

    group: str
    measure: str
    reached: Share
    low: float
    quartile: float
    median: float
    upper_quartile: float
    high: float


@dataclass(frozen=True)
class Outlier:
    """A network whose number is far from the others of its group: distance in scaled median deviations."""

    group: str
    measure: str
    network: str
    value: float
    median: float
    distance: float


class Population:
    """The table of a sweep (`Sweep.table().to_pandas()`), read by one of its columns.

    by: "case", the name of an axis, or several of them; all networks are one group if none is named.
    Raises UnknownName for a column that is no axis, InputError for a table without rows or the columns of a sweep's.
    """

    def __init__(self, table: pd.DataFrame, by: str | Sequence[str] = ()) -> None:
        if missing := [name for name in _COLUMNS if name not in table]:
            raise InputError(f"the table has no column {', '.join(missing)}: expected the table of a sweep")
        if not len(table):
            raise InputError("the table of this sweep has no rows: nothing is done yet")
        self.by = (by,) if isinstance(by, str) else tuple(by)
        self.columns = axes_of(table)
        for name in self.by:
            if name not in self.columns:
                raise UnknownName.of("axis", name, self.columns)
        self.table = table.assign(group=_groups(table, self.by))

    @property
    def groups(self) -> list[str]:
        """The names of the groups, in the order of the table."""
        return list(dict.fromkeys(self.table.group))

    @property
    def sizes(self) -> dict[str, int]:
        """How many networks each group has."""
        return {group: int(part.network.nunique()) for group, part in self._parts(self.table)}

    @property
    def findings(self) -> list[str]:
        """The ids of the claims that were judged, in order."""
        return self._names("finding")

    def verdicts(self) -> list[Verdicts]:
        """The verdicts on each claim in each group."""
        found = []
        for measure in self.findings:
            for group, part in self._parts(self._rows(measure)):
                counts = part.verdict.astype(str).value_counts()
                n = [int(counts.get(v, 0)) for v in ("holds", "holds in part", "does not hold")]
                rest = int(counts.get("not applicable", 0))
                holds, in_part, fails = (wilson(count, sum(n)) for count in n)
                found.append(Verdicts(group, measure, holds, in_part, fails, rest))
        return found

    def spreads(self, measure: str, column: str = "value") -> list[Spread]:
        """How a measure, or with column = "control" its control, lies in each group."""
        found = []
        for group, part in self._parts(self._rows(measure)):
            values = part[column].to_numpy(float)
            known = values[np.isfinite(values)]
            marks = np.quantile(known, (0, 0.25, 0.5, 0.75, 1)) if len(known) else np.full(5, np.nan)
            found.append(Spread(group, measure, wilson(len(known), len(values)), *map(float, marks)))
        return found

    def mechanisms(self) -> list[str]:
        """The measures that say how much of the answer each mechanism gives."""
        return [name for name in self._names("number") if name.startswith(MECHANISM) and _is_share(name)]

    def measures(self) -> list[str]:
        """Every measure of which a distribution is worth showing, in order."""
        training = [name for name in self._names("training") if name not in ("ended", "steps")]
        return [*self.findings, *self._names("frequencies"), *self.mechanisms(), *training]

    def outliers(self) -> list[Outlier]:
        """Networks far from the median of their group, farthest first.

        Far: more than 5 median absolute deviations, scaled by 1.4826 so that a normal distribution has its own
        standard deviation; in groups of at least 8 networks that do not mostly agree to the digit.
        """
        found = []
        for measure in self.measures():
            rows = self._rows(measure)
            for group, part in self._parts(rows[np.isfinite(rows.value.to_numpy(float))]):
                values = part.value.to_numpy(float)
                middle = float(np.median(values)) if len(values) else math.nan
                spread = 1.4826 * float(np.median(np.abs(values - middle))) if len(values) else 0.0
                if len(values) < _ENOUGH or spread <= 1e-9 * abs(middle):
                    continue
                for network, value in zip(part.network, values, strict=True):
                    distance = abs(value - middle) / spread
                    if distance > _FAR:
                        found.append(Outlier(group, measure, str(network), float(value), middle, distance))
        return sorted(found, key=lambda one: -one.distance)

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain JSON values; None for a number that does not exist."""
        spreads = {name: [_plain(one) for one in self.spreads(name)] for name in self.measures()}
        controls = {name: [_plain(one) for one in self.spreads(name, "control")] for name in self.findings}
        return {
            "by": list(self.by),
            "networks": self.sizes,
            "verdicts": [_plain(one) for one in self.verdicts()],
            "spreads": spreads,
            "controls": controls,
            "outliers": [_plain(one) for one in self.outliers()],
        }

    def _names(self, kind: str) -> list[str]:
        return list(dict.fromkeys(map(str, self.table.measure[self.table.kind == kind])))

    def _rows(self, measure: str) -> pd.DataFrame:
        return self.table[self.table.measure == measure]

    def _parts(self, rows: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
        for group in self.groups:
            part = rows[rows.group == group]
            if len(part):
                yield group, part


def axes_of(table: pd.DataFrame) -> list[str]:
    """The columns that say where in the sweep a network is."""
    names = list(table.columns)
    return names[names.index("case") : names.index("recipe")]


def _groups(table: pd.DataFrame, by: Sequence[str]) -> list[str]:
    if not by:
        return [ALL] * len(table)
    columns = [
        [f"{name.split('.')[-1]} {value}" if name != "case" else str(value) for value in _words(table[name])]
        for name in by
    ]
    return [", ".join(words) for words in zip(*columns, strict=True)]


def _words(column: pd.Series) -> list[str]:
    """The values of an axis in words; a whole number is one, whatever it was stored as."""
    return [
        str(int(value))
        if isinstance(value, float) and value.is_integer()
        else "-"
        if value != value
        else str(value)
        for value in column.astype(object)
    ]


def _is_share(name: str) -> bool:
    rest = name.removeprefix(MECHANISM)
    return not rest.startswith(("margin", "loss")) and not any(letter.isdigit() for letter in rest)


def _plain(one: Any) -> Mapping[str, Any]:
    def finite(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: finite(inner) for name, inner in value.items()}
        return None if isinstance(value, float) and not math.isfinite(value) else value

    plain: Mapping[str, Any] = finite(asdict(one))
    return plain
