"""Where an activation's energy lies over the pairs, hook by hook."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass

import numpy as np
import xarray as xr

from modscope.activations import Activations
from modscope.analysis.plane.terms import LINES, line_means, means_along_lines
from modscope.boundary import public
from modscope.circle import Circle
from modscope.display import Shown
from modscope.errors import InputError
from modscope.pace import paced
from modscope.signal import basis_frequencies, power, to_fourier

__all__ = [
    "TERMS",
    "PairEnergy",
    "each_hook",
    "energy_by_hook",
    "feature_blocks",
    "frequency_plane",
    "hooks_in_turn",
    "is_held",
    "pair_energy",
    "pictures_of",
    "recorded_pair_energy",
]

TERMS = ("linear", "sum", "difference", "cross")

_FEATURES_AT_ONCE = 64
_ROWS_AT_ONCE = 16
_KEPT_BYTES = 256e6
_HELD_BYTES = 2.5e9
ROUNDING = 1e-12  # the share of the energy below which what is left in float32 is rounding


@dataclass(frozen=True, repr=False)
class PairEnergy(Shown):
    """The energy of a centred picture over (a, b), split without rest into four kinds of terms.

    linear: functions of a alone and of b alone. sum: functions of a + b. difference: functions of a - b. cross:
    the rest, products of two different frequencies. Shares that add up to 1; all nan where nothing varies.
    total: the variance over the pairs, mean over features. For even p, cos(pi (a+b)) = cos(pi (a-b)) counts
    as sum.
    """

    linear: float
    sum: float
    difference: float
    cross: float
    total: float

    def shares(self) -> dict[str, float]:
        """The four shares by name."""
        return {name: value for name, value in asdict(self).items() if name in TERMS}


def pictures_of(x: xr.DataArray, circle: Circle | None) -> np.ndarray:
    """[a, b, feature] of an array with the axes a and b first, in the order of the circle."""
    if x.dims[:2] != ("a", "b"):
        raise InputError(f"an array with axes {x.dims}: expected a and b first")
    values: np.ndarray = x.values if circle is None else circle.pairs(x.values)
    return values.reshape(*values.shape[:2], -1)


def feature_blocks(x: xr.DataArray, circle: Circle | None) -> Iterator[np.ndarray]:
    """float64 [a, b, feature] for some features at a time, in the order of the circle."""
    flat = pictures_of(x, circle)
    for start in range(0, flat.shape[-1], _FEATURES_AT_ONCE):
        yield flat[..., start : start + _FEATURES_AT_ONCE].astype(np.float64)


@public
def pair_energy(x: xr.DataArray, circle: Circle | None = None) -> PairEnergy:
    """Energy of x (a, b, ...) by kind of term, over all features together.

    `circle` puts the residues in another order, as the discrete logarithm for multiplication.

    >>> n = np.arange(5)
    >>> a, b = n[:, None], n[None, :]
    >>> x = np.cos(2 * np.pi * (a + b) / 5) + np.sin(2 * np.pi * a / 5)
    >>> energy = pair_energy(xr.DataArray(x, dims=("a", "b")))
    >>> round(energy.sum, 6), round(energy.linear, 6), round(energy.total, 6)
    (0.5, 0.5, 1.0)
    """
    values = pictures_of(x, circle)
    blocks = (
        (start, values[start : start + _ROWS_AT_ONCE]) for start in range(0, len(values), _ROWS_AT_ONCE)
    )
    return _of_lines(*means_along_lines(blocks))


def recorded_pair_energy(acts: Activations, hook: str) -> PairEnergy:
    """`pair_energy` of a hook in the order of the record's circle, from its `line_means` where these are in that order."""
    if not acts.circle.whole:
        return pair_energy(acts.at(hook), acts.circle)
    means = line_means(acts, hook)
    p = means.sizes["n"]
    lines = means["mean"].transpose("line", "n", ...).values.reshape(len(LINES), p, -1)
    return _of_lines(lines, means.average.values.ravel(), means.variance.values.ravel())


def _of_lines(lines: np.ndarray, average: np.ndarray, variance: np.ndarray) -> PairEnergy:
    """The energy by kind of term from the means along lines [line, n, feature], over all pairs, and the variance, [feature]."""
    by_a, by_b, plus, minus = lines.var(axis=1)
    if lines.shape[1] % 2 == 0:
        minus = minus - power(lines[3], 0)[-1]
    # Rounding must not leave a share below nothing.
    found = [np.maximum(part, 0.0) for part in (by_a + by_b, plus, minus)]
    cross = np.maximum(variance - sum(found), 0.0)
    terms = np.where(variance > 0, np.stack([*found, cross]), 0.0).sum(axis=1)
    total, size = float(terms.sum()), float((variance + average**2).sum())
    shares = terms / total if total > ROUNDING * size else np.full(len(TERMS), np.nan)
    linear, of_sum, of_difference, rest = (float(share) for share in shares)
    return PairEnergy(linear, of_sum, of_difference, rest, total / len(variance))


def is_small(acts: Activations) -> bool:
    """Whether everything that depends on both tokens may be kept at once: 256 MB at most, about p = 149 of the usual width."""
    sizes = (acts.axes_of(hook).values() for hook in acts.joint_hooks)
    return 4 * sum(math.prod(size) for size in sizes) < _KEPT_BYTES


def is_held(acts: Activations, hook: str) -> bool:
    """Whether a hook is kept, or may be while it is looked at: 2.5 GB at most, all but the logits of p = 1009."""
    return hook in acts.kept or 4 * math.prod(acts.axes_of(hook).values()) <= _HELD_BYTES


def each_hook(acts: Activations) -> Iterator[str]:
    """The hooks that depend on both tokens, each kept while it is looked at where that may be (`is_held`).

    A small network's are computed in one pass and stay; of a large one nothing is kept that was not there before.
    """
    small, before = is_small(acts), acts.kept
    if small:
        acts.load()
    for hook in paced(acts.joint_hooks, "looking at hooks"):
        if is_held(acts, hook):
            acts.load(hook)
        yield hook
        if not small and hook not in before:
            acts.forget(hook)


def hooks_in_turn(acts: Activations) -> Iterator[tuple[str, xr.DataArray]]:
    """Every hook that depends on both tokens with its picture (a, b, ...), one kept at a time (`each_hook`)."""
    return ((hook, acts.at(hook)) for hook in each_hook(acts))


@public
def energy_by_hook(acts: Activations) -> dict[str, PairEnergy]:
    """`pair_energy` of every hook that depends on both tokens, in the order of the forward pass."""
    return {hook: recorded_pair_energy(acts, hook) for hook in each_hook(acts)}


@public
def frequency_plane(x: xr.DataArray, circle: Circle | None = None) -> xr.DataArray:
    """Share of the centred energy of x (a, b, ...) at each pair of frequencies, (k_a, k_b), over all features.

    >>> n = np.arange(5)
    >>> x = xr.DataArray(np.cos(2 * np.pi * n / 5)[:, None] * np.cos(4 * np.pi * n / 5), dims=("a", "b"))
    >>> float(frequency_plane(x).sel(k_a=1, k_b=2).round(6))
    1.0
    """
    coefficients = (to_fourier(block, (0, 1)) for block in feature_blocks(x, circle))
    energy = np.sum([np.square(block).sum(axis=-1) for block in coefficients], axis=0)
    starts = np.flatnonzero(np.diff(basis_frequencies(len(energy)), prepend=-1))
    energy = np.add.reduceat(np.add.reduceat(energy, starts, axis=0), starts, axis=1)
    energy[0, 0] = 0.0
    k = np.arange(len(energy))
    with np.errstate(invalid="ignore"):
        shares = energy / energy.sum()
    return xr.DataArray(shares, dims=("k_a", "k_b"), coords={"k_a": k, "k_b": k}, attrs=x.attrs)
