"""The waves before attention rebuilt from few cosines: how many frequencies it takes, and how many phases.

Every dimension of q in one head may be one wave up to amplitude and sign: sum over k of A_dk cos(w_k n + phi_k), the phases
phi_k shared by all dimensions. For q, which a trained network makes from a rank-one map at each frequency, that is so over
all k; over the key frequencies alone it is not the whole wave.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

import numpy as np
import xarray as xr

from modscope.activations import Activations
from modscope.analysis.controls import white_noise_like
from modscope.analysis.plane.marginals import checked_frequencies
from modscope.boundary import public
from modscope.errors import InputError, UnknownName
from modscope.residues import harmonic
from modscope.signal import spectrum, synthesise
from modscope.signal.directions import frequency_set

__all__ = ["PHASES", "rebuilt_from", "rebuilt_waves"]

Phase = Literal["own", "one", "first"]
PHASES: tuple[Phase, ...] = ("own", "one", "first")


@public
def rebuilt_from(waves: xr.DataArray, frequencies: Iterable[int], *, phase: Phase = "one") -> xr.DataArray:
    """Waves over the axis `token` rebuilt from some frequencies: DC + sum over k of A cos(w_k n + phi_k).

    phase "own": every wave has its own phase, which keeps these frequencies as they are; "one": one phase for each
    frequency, shared by all waves, with signed amplitudes, by least squares; "first": the phase of the first wave.
    Raises InputError for an array without `token`, UnknownName for another phase.

    >>> n = np.arange(7)
    >>> one = np.cos(2 * np.pi * n / 7 + 0.3)
    >>> waves = xr.DataArray([one, -2 * one], dims=("d_head", "token"))
    >>> np.allclose(rebuilt_from(waves, [1]), waves), np.allclose(rebuilt_from(waves, [2]), 0)
    (True, True)
    """
    if "token" not in waves.dims:
        raise InputError(f"waves with axes {waves.dims}: expected token among them")
    if phase not in PHASES:
        raise UnknownName.of("phase", phase, PHASES)
    p = waves.sizes["token"]
    C = spectrum(waves.astype(np.float64), "token")
    kept = C.where(C.k.isin(frequency_set([0, *frequencies], p)), 0.0)
    if phase != "own":
        turn = _turns(kept, phase)
        kept = ((kept * turn.conj()).real * turn).where(kept.k > 0, kept)
    return synthesise(kept, p, name="token").transpose(*waves.dims)


def _turns(C: xr.DataArray, phase: Phase) -> xr.DataArray:
    """e^{i phi_k}, one for each frequency."""
    flat = C.transpose("k", ...).values.reshape(C.sizes["k"], -1)
    # "one": along which direction of the plane the phasors are longest, half the angle of the sum of their squares
    angle = np.angle(flat[:, 0]) if phase == "first" else np.angle(np.sum(flat**2, axis=1)) / 2
    return xr.DataArray(np.exp(1j * angle), dims="k", coords={"k": C.k})


@public
def rebuilt_waves(
    acts: Activations, hook: str, key_frequencies: Sequence[int], *, seed: int = 0
) -> xr.Dataset:
    """How much of q, k, v or the embedding few waves are, and with how many phases.

    Over (waves, phase): waves "keys", "harmonics" (the second harmonics of the key frequencies), "keys and harmonics",
    "all" (every k); phase "own" for every dimension, "one" for each frequency over all heads and dimensions, "first" (that
    of the first wave). Variables: `r2`, the share of the energy of all waves, DC removed, at position a, that is rebuilt;
    `largest`, the largest absolute error; `worst`, the wave of the largest relative error, by number over (head, d_head) or
    d_model, and `worst_r2`, its own share; `control`, r2 of white noise of the same shape. A wave that does not vary
    counts for nothing. Raises InputError for a hook without waves over the token.
    """
    if acts.is_joint(hook):
        raise InputError(
            f"{hook} depends on both tokens: expected a wave over the token, as embed, resid_pre, q, k and v are"
        )
    x = acts.at(hook, "a") if "pos" in acts[hook].dims else acts[hook]
    if "token" not in x.dims:
        raise InputError(f"{hook} has axes {x.dims}: expected a wave over the token")
    p = x.sizes["token"]
    keys = checked_frequencies(key_frequencies, p)
    second = sorted({h for k in keys if (h := harmonic(k, 2, p)) > 0})
    sets = {
        "keys": keys,
        "harmonics": second,
        "keys and harmonics": sorted({*keys, *second}),
        "all": range(1, p // 2 + 1),
    }
    y, noise = (_flat(z) for z in (x, white_noise_like(x, seed=seed)))
    found = [[_errors(y, ks, phase) for phase in PHASES] for ks in sets.values()]
    control = [[_errors(noise, ks, phase)["r2"] for phase in PHASES] for ks in sets.values()]
    dims = ("waves", "phase")
    variables = {
        name: (dims, np.array([[cell[name] for cell in row] for row in found]))
        for name in ("r2", "largest", "worst", "worst_r2")
    }
    coords = {"waves": list(sets), "phase": list(PHASES)}
    return xr.Dataset(
        variables | {"control": (dims, np.array(control))}, coords, attrs={"hook": hook, "p": p}
    )


def _flat(x: xr.DataArray) -> xr.DataArray:
    wave = [dim for dim in x.dims if dim != "token"]
    values = x.transpose("token", *wave).values.reshape(x.sizes["token"], -1).astype(np.float64)
    return xr.DataArray(values - values.mean(axis=0), dims=("token", "wave"))


def _errors(y: xr.DataArray, frequencies: Iterable[int], phase: Phase) -> dict[str, float]:
    rest = y.values - rebuilt_from(y, frequencies, phase=phase).transpose("token", "wave").values
    own, lost = np.square(y.values).sum(axis=0), np.square(rest).sum(axis=0)
    whole = float(own.sum())
    share = np.divide(lost, own, out=np.zeros_like(lost), where=own > 1e-12 * (whole or 1.0))
    worst = int(np.argmax(share))
    return {
        "r2": 1 - float(lost.sum()) / whole if whole > 0 else float("nan"),
        "largest": float(np.abs(rest).max()),
        "worst": worst,
        "worst_r2": 1 - float(share[worst]),
    }
