"""Where an activation's energy lies over the pairs, hook by hook."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass

import numpy as np
import xarray as xr

from modscope.activations import Activations
from modscope.circle import Circle
from modscope.display import Shown
from modscope.errors import InputError
from modscope.signal import basis_frequencies, energy_by_term, to_fourier

__all__ = [
    "TERMS",
    "PairEnergy",
    "energy_by_hook",
    "feature_blocks",
    "frequency_plane",
    "hooks_in_turn",
    "pair_energy",
]

TERMS = ("linear", "sum", "difference", "cross")

_FEATURES_AT_ONCE = 64
_KEPT_BYTES = 256e6
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


def feature_blocks(x: xr.DataArray, circle: Circle | None) -> Iterator[np.ndarray]:
    """float64 [a, b, feature] for some features at a time, in the order of the circle."""
    if x.dims[:2] != ("a", "b"):
        raise InputError(f"an array with axes {x.dims}: expected a and b first")
    values = x.values if circle is None else circle.pairs(x.values)
    flat = values.reshape(*values.shape[:2], -1)
    for start in range(0, flat.shape[-1], _FEATURES_AT_ONCE):
        yield flat[..., start : start + _FEATURES_AT_ONCE].astype(np.float64)


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
    terms, size, features = np.zeros(len(TERMS)), 0.0, 0
    for block in feature_blocks(x, circle):
        terms += energy_by_term(block, (0, 1)).sum(axis=-1)
        size += float(np.square(block).mean(axis=(0, 1)).sum())
        features += block.shape[-1]
    total = float(terms.sum())
    shares = terms / total if total > ROUNDING * size else np.full(len(TERMS), np.nan)
    linear, plus, minus, cross = (float(share) for share in shares)
    return PairEnergy(linear, plus, minus, cross, total / features)


def is_small(acts: Activations) -> bool:
    """Whether everything that depends on both tokens may be kept at once: 256 MB at most, about p = 149 of the usual width."""
    sizes = (acts.axes_of(hook).values() for hook in acts.joint_hooks)
    return 4 * sum(math.prod(size) for size in sizes) < _KEPT_BYTES


def hooks_in_turn(acts: Activations) -> Iterator[tuple[str, xr.DataArray]]:
    """Every hook that depends on both tokens with its picture (a, b, ...), in the order of the forward pass.

    A small network's are computed in one pass and kept; of a large one nothing is kept that was not there before.
    """
    small, before = is_small(acts), acts.kept
    if small:
        acts.load()
    for hook in acts.joint_hooks:
        yield hook, acts.at(hook)
        if not small and hook not in before:
            acts.forget(hook)


def energy_by_hook(acts: Activations) -> dict[str, PairEnergy]:
    """`pair_energy` of every hook that depends on both tokens, in the order of the forward pass."""
    circle = acts.circle
    return {hook: pair_energy(x, circle) for hook, x in hooks_in_turn(acts)}


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
