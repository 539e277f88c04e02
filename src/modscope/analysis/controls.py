"""What a measure says of something that has nothing to show: noise, a permuted embedding, random phases."""

from __future__ import annotations

import numpy as np
import torch
import xarray as xr

from modscope.activations import Activations
from modscope.boundary import public
from modscope.errors import InputError
from modscope.networks.tokens import with_residue_rows

__all__ = ["permuted_tokens", "random_phases", "untrained", "white_noise_like"]


@public
def white_noise_like(x: xr.DataArray, *, seed: int = 0) -> xr.DataArray:
    """Normal noise of standard deviation 1 with the axes, coordinates and attributes of x.

    >>> white_noise_like(xr.DataArray(np.zeros((2, 3)), dims=("a", "b"))).sizes["b"]
    3
    """
    return x.copy(data=np.random.default_rng(seed).standard_normal(x.shape).astype(x.dtype))


@public
def random_phases(x: xr.DataArray, axis: str, *, seed: int = 0) -> xr.DataArray:
    """The same waves with the same amplitude at every frequency and uniformly random phases.

    DC and, for an even length, the Nyquist component keep their values: they have no phase.
    Raises InputError for an axis that x does not have.
    """
    if axis not in x.dims:
        raise InputError(f"axis {axis!r}: expected one of {', '.join(map(str, x.dims))}")
    n, place = x.sizes[axis], x.get_axis_num(axis)
    bins = np.moveaxis(np.fft.rfft(x.values, axis=place), place, -1)
    turn = np.exp(2j * np.pi * np.random.default_rng(seed).random(bins.shape))
    turn[..., 0] = 1
    if n % 2 == 0:
        turn[..., -1] = 1
    turned = np.fft.irfft(bins * turn, n=n, axis=-1)
    return x.copy(data=np.moveaxis(turned, -1, place).astype(x.dtype))


@public
def permuted_tokens(acts: Activations, *, seed: int = 0) -> Activations:
    """The record of the same network reading every residue through one random permutation of the tokens.

    Both positions use the same permutation, so whatever is symmetric in a and b stays so, while the order
    of the residues, the spectra and the answer are lost.
    """
    drawn = np.random.default_rng(seed).permutation(acts.task.p)
    if acts.network is None:
        return acts.reading(drawn.tolist())
    order = torch.from_numpy(drawn)
    permuted = with_residue_rows(acts.model, lambda rows: rows[order])
    return acts.recorded_anew(permuted)


@public
def untrained(acts: Activations, *, seed: int = 0) -> Activations:
    """The record of a freshly initialised network of the same configuration."""
    network = type(acts.model).initialised(acts.model.config, seed=seed).to(acts.model.dtype)
    return acts.recorded_anew(network)
