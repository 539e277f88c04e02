"""Numbers that are counted and not residues: how much of an activation is a trend, and how much lies at which period.

Activations of language models on pairs of numbers hold a, b and a + b as a line and as waves of periods such as 2, 5, 10 and
100 (Zhou et al. 2024; Kantamneni and Tegmark 2025). There is no circle: 99 is not next to 0, a period need not divide
the length, and the slope has power at every period, so it is taken away first.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr

from modscope.activations import Activations
from modscope.analysis.tables import Table
from modscope.errors import InputError, UnknownName
from modscope.signal import period_basis, trend_basis
from modscope.signal.trend import Trend

__all__ = ["ALONG", "PERIODS", "number_periods", "periods_table"]

PERIODS = (2.0, 5.0, 10.0, 20.0, 50.0, 100.0)
ALONG = ("a", "b", "a+b")
_LEAST = 6  # numbers on a line; of fewer a few waves explain all


def number_periods(
    x: xr.DataArray,
    *,
    along: str = "a",
    periods: Sequence[float] | None = None,
    detrend: Trend = "linear",
    draws: int = 20,
    seed: int = 0,
) -> xr.Dataset:
    """How much of an activation (a, b, ...) depends on one number, and what of that is trend and what is periodic.

    along: "a" (mean over b), "b" (mean over a), or "a+b" (mean over all pairs of one sum, 0 .. 2p - 2, weighted by their
    count). An array with one of the axes a, b, token or n, and no other of them, is taken as it is. periods: `PERIODS` that fit, if not
    given. Everything is over all features together, in shares of variance:

    `line`: of the activation over the pairs, by its mean along this line; `trend`: of that line, by the polynomial that
    `detrend` names ("none", "mean", "linear", "quadratic"); over (period,): `share` of what is left without the trend, by cos
    and sin of the period alone; `largest`: of the feature that has most; `control`, `control_largest`: mean and largest
    share of `draws` shuffles of the numbers. `together`, `control_together`: by all periods at once, what they share counted
    once. NaN where nothing varies. Raises InputError for a period that does not fit.

    >>> n = np.arange(20)
    >>> x = xr.DataArray((0.1 * n + np.cos(2 * np.pi * n / 5))[:, None, None] + np.zeros((1, 20, 1)), dims=("a", "b", "f"))
    >>> found = number_periods(x, periods=[2, 5, 10])
    >>> round(float(found.share.sel(period=5)), 2), round(float(found.together), 2), round(float(found.line), 2)
    (1.0, 1.0, 1.0)
    """
    line, weight, whole = _line(x, along)
    length = len(line)
    if length < _LEAST:
        raise InputError(f"{length} numbers along {along}: expected {_LEAST} or more")
    chosen = [
        float(t) for t in (PERIODS if periods is None else periods) if periods is not None or t <= length
    ]
    root = np.sqrt(weight / weight.mean())[:, None]
    mean = (weight[:, None] * line).sum(axis=0) / weight.sum()
    signal = (line - mean) * root
    total = float(np.square(signal).sum())
    base = _weighted(trend_basis(length, detrend), root)
    rest = signal - base @ (base.T @ signal)
    left = float(np.square(rest).sum())
    bases = [_weighted(period_basis(length, [t], detrend), root, base) for t in chosen]
    together = _weighted(period_basis(length, chosen, detrend), root, base)
    generator = np.random.default_rng(seed)
    shuffles = [(line[generator.permutation(length)] - mean) * root for _ in range(draws)]
    shuffles = [s - base @ (base.T @ s) for s in shuffles]
    by_draw = np.array([[_share(basis, s) for basis in (*bases, together)] for s in shuffles]).reshape(
        draws, -1
    )
    with np.errstate(invalid="ignore"):
        largest = [
            float(
                np.nanmax((np.square(basis.T @ rest).sum(axis=0)) / np.square(rest).sum(axis=0), initial=0.0)
            )
            for basis in bases
        ]
    none = left <= 1e-12 * max(total, 1e-300)
    shares = [float("nan") if none else _share(basis, rest) for basis in (*bases, together)]
    control = by_draw.mean(axis=0) if draws else np.full(len(bases) + 1, np.nan)
    most = by_draw.max(axis=0) if draws else np.full(len(bases) + 1, np.nan)
    return xr.Dataset(
        {
            "share": ("period", shares[:-1]),
            "largest": ("period", largest),
            "control": ("period", control[:-1]),
            "control_largest": ("period", most[:-1]),
            "line": ((), total / whole if whole > 0 else float("nan")),
            "trend": ((), 1 - left / total if total > 0 else float("nan")),
            "together": ((), shares[-1]),
            "control_together": ((), float(control[-1])),
        },
        {"period": chosen},
        attrs={"along": along, "detrend": detrend, "numbers": length},
    )


def _share(basis: np.ndarray, x: np.ndarray) -> float:
    size = float(np.square(x).sum())
    return float(np.square(basis.T @ x).sum()) / size if size > 0 else float("nan")


def _weighted(basis: np.ndarray, root: np.ndarray, without: np.ndarray | None = None) -> np.ndarray:
    """The span of a basis under weights, orthonormal again, and orthogonal to another."""
    columns = basis * root
    if without is not None:
        columns = columns - without @ (without.T @ columns)
    left, sizes, _ = np.linalg.svd(columns, full_matrices=False)
    return left[:, sizes > 1e-9]


def _line(x: xr.DataArray, along: str) -> tuple[np.ndarray, np.ndarray, float]:
    """The mean along a line [n, feature], its weights [n], and the energy over the pairs in the same unit."""
    if along not in ALONG:
        raise UnknownName.of("line", along, ALONG)
    single = [dim for dim in ("a", "b", "token", "n") if dim in x.dims]
    if len(single) == 1:
        values = x.transpose(single[0], ...).values.astype(np.float64)
        line = values.reshape(len(values), -1)
        return line, np.ones(len(line)), float(np.square(line - line.mean(axis=0)).sum())
    if single != ["a", "b"]:
        raise InputError(
            f"an array with axes {', '.join(map(str, x.dims))}: expected a and b, or one of a, b, token, n"
        )
    values = x.transpose("a", "b", ...).values.astype(np.float64)
    grid = values.reshape(*values.shape[:2], -1)
    rows, columns = grid.shape[:2]
    energy = float(np.square(grid - grid.mean(axis=(0, 1))).sum())
    if along != "a+b":
        other = 1 if along == "a" else 0
        line = grid.mean(axis=other)
        return line, np.ones(len(line)), energy / grid.shape[other]
    sums = (np.arange(rows)[:, None] + np.arange(columns)).ravel()
    count = np.bincount(sums).astype(np.float64)
    line = np.zeros((len(count), grid.shape[2]))
    np.add.at(line, sums, grid.reshape(-1, grid.shape[2]))
    return line / count[:, None], count, energy / float(count.mean())


def periods_table(
    acts: Activations,
    *,
    periods: Sequence[float] | None = None,
    detrend: Trend = "linear",
    draws: int = 20,
    seed: int = 0,
) -> Table:
    """`number_periods` of every hook along a, b and a + b as one table, in percent.

    Columns: hook, along; `line`, the share of the activation's variance over the pairs; `trend`, of that; the share of the
    rest at each period; all of them together, and together on shuffled numbers.
    """
    rows: list[tuple[object, ...]] = []
    heads: list[str] = []
    for hook in acts.joint_hooks:
        for along in ALONG:
            found = number_periods(
                acts.at(hook), along=along, periods=periods, detrend=detrend, draws=draws, seed=seed
            )
            heads = [f"T={t:g}" for t in found.period.values] if len(found.period) >= len(heads) else heads
            shares = dict(zip(found.period.values.tolist(), found.share.values.tolist(), strict=True))
            ends = (found.line, found.trend, found.together, found.control_together)
            line, trend, together, control = (100 * float(value) for value in ends)
            rows.append((hook, along, line, trend, shares, together, control))
    every = list(dict.fromkeys(t for row in rows for t in row[4]))  # type: ignore[attr-defined]
    laid = [
        (*row[:4], *(100 * row[4].get(t, float("nan")) for t in every), *row[5:])  # type: ignore[attr-defined]
        for row in rows
    ]
    columns = ("hook", "along", "line %", "trend %", *(f"T={t:g}" for t in every), "all", "c. all")
    title = f"Numbers: {detrend} trend, and the rest by period, in percent; c.: shuffled numbers"
    return Table(title, columns, tuple(laid))
