"""Waves made by hand: what reversing, shifting and adding does, and the residual stream in its simplest form."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr

from modscope.analysis.plane.marginals import checked_frequencies
from modscope.boundary import public
from modscope.residues import modulus
from modscope.signal import cosine_wave, reversed_copies

__all__ = ["hand_made_wave", "ideal_stream", "places", "reversed_sums"]


@public
def hand_made_wave(p: int) -> np.ndarray:
    """An odd-looking function of 0..p-1 between -1 and 1, far from any sinusoid: a ramp, a step, a notch and a spike.

    >>> hand_made_wave(10).round(2).tolist()
    [-1.0, -0.5, 0.0, 0.5, 0.3, 0.3, 0.3, -0.8, 0.3, 1.0]
    """
    n, p = np.arange(modulus(p)), modulus(p)
    ramp = -1 + 5 * n / p
    wave = np.where(n < 0.4 * p, ramp, 0.3)
    wave[int(0.7 * p)] = -0.8
    wave[-1] = 1.0
    return wave


@public
def reversed_sums(wave: Sequence[float] | np.ndarray) -> xr.DataArray:
    """A wave, its reversed and shifted copy x[s - n], and their sum, as (part, shift, n).

    Whatever the wave, the sum is even about shift/2 and about shift/2 + p/2: x[s - n] + x[n] does not change
    when n becomes s - n. Nothing sinusoidal is needed for the symmetry.

    >>> reversed_sums([0.0, 1.0, 5.0]).sel(part="sum", shift=1).values.tolist()
    [1.0, 1.0, 10.0]
    """
    x = np.asarray(wave, np.float64)
    copies = reversed_copies(x, 0)
    values = np.stack((np.broadcast_to(x, copies.shape), copies, x + copies))
    n = np.arange(len(x))
    return xr.DataArray(
        values,
        dims=("part", "shift", "n"),
        coords={"part": ["wave", "reversed", "sum"], "shift": n, "n": n},
    )


@public
def ideal_stream(p: int, key_frequencies: Sequence[int]) -> xr.DataArray:
    """Unit cosines about c/2, cos w_k(n - c/2), as (frequency, c, a, b): the residual stream with every weight 1.

    The last axis is the residue n that the wave is read at (a token at b, say); a only says where the marks
    stand (`places`), so the values are a view that repeats along it. frequency: the key frequencies, and
    last 0, their sum divided by its largest value. The value at n = a and at n = b = c - a is the same:
    they lie as far from c/2 to both sides. Memory: (1 + number of frequencies) p^2 numbers.
    """
    ks = checked_frequencies(key_frequencies, p)
    c = np.arange(p)
    waves = np.stack([cosine_wave(p, np.full(p, k), phase=-np.pi * k * c / p) for k in ks])
    total = waves.sum(axis=0, keepdims=True)
    table = np.concatenate((waves, total / np.abs(total).max()))
    values = np.broadcast_to(table[:, :, None, :], (len(ks) + 1, p, p, p))
    coords = {"frequency": [*ks, 0], "c": c, "a": c, "b": c}
    return xr.DataArray(values, dims=("frequency", "c", "a", "b"), coords=coords, attrs={"p": p})


@public
def places(c: int, a: int, p: int) -> dict[str, float]:
    """Where a, b = c - a, and the two centres of symmetry lie on the circle 0..p; centres may be half integers.

    >>> places(8, 3, 11)
    {'a': 3.0, 'b': 5.0, 'c/2': 4.0, 'c/2 + p/2': 9.5}
    """
    p = modulus(p)
    c, a = c % p, a % p
    return {"a": float(a), "b": float((c - a) % p), "c/2": c / 2, "c/2 + p/2": (c / 2 + p / 2) % p}
