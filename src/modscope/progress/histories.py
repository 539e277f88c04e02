"""Frequency, amplitude and phase of every neuron, head and embedding dimension over training; who joins which cluster."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr

from modscope.activations import Activations
from modscope.analysis.neurons.clusters import EXPLAINED
from modscope.analysis.neurons.waves import neuron_waves
from modscope.analysis.plane.terms import line_means
from modscope.analysis.weights.frequencies import energy_shares, weight_table
from modscope.boundary import public
from modscope.progress.over_epochs import Watch, _nobody, measured
from modscope.runs import Run
from modscope.signal import spectrum

__all__ = ["histories", "waves_of"]


@public
def waves_of(acts: Activations) -> xr.Dataset:
    """The strongest wave of every neuron, head and embedding dimension of one network, and the embedding's spectrum.

    Over (neuron): `neuron_frequency`, `neuron_amplitude`, `neuron_phase` of the shared-phase model of mlp_pre, `neuron_fve`
    and `neuron_cluster`, the frequency where it explains more than .85, else 0. Over (head): the same three of the
    attention score to a as a wave over the token at a. Over (d_model): of the columns of W_E. `embedding_spectrum`(k): share of the
    embedding's energy outside DC. Phases are those of A cos(2 pi k n / p + phase).
    """
    waves = neuron_waves(acts, rectified=False)
    fve = waves.fve.values
    cluster = np.where(np.nan_to_num(fve) > EXPLAINED, waves.frequency.values, 0)
    found = {
        "neuron_frequency": waves.frequency.astype(float),
        "neuron_amplitude": waves.amplitude,
        "neuron_phase": waves.phase,
        "neuron_fve": waves.fve,
        "neuron_cluster": xr.DataArray(cluster.astype(float), dims="neuron"),
    }
    if "attn_scores" in acts.hooks:
        scores = line_means(acts, "attn_scores")["mean"].sel(line="a").isel(key_pos=0)
        found |= _strongest(scores.transpose("n", "head").values, "head", "head")
    table = weight_table(acts.model, "embedding")
    found |= _strongest(table, "embedding", "d_model")
    found["embedding_spectrum"] = energy_shares(table)
    return xr.Dataset({name: x.drop_vars(set(x.coords) - set(x.dims)) for name, x in found.items()})


def _strongest(table: np.ndarray, name: str, dim: str) -> dict[str, xr.DataArray]:
    """Frequency, amplitude and phase of the largest wave in each column of a table [residue, column]."""
    C = spectrum(np.asarray(table, dtype=np.float64), 0)[1:]
    best = np.abs(C).argmax(axis=0)
    top = C[best, np.arange(C.shape[1])]
    heard = np.abs(top) > 1e-12 * np.maximum(np.abs(table).max(axis=0), np.finfo(float).tiny)
    values = {
        "frequency": np.where(heard, best + 1.0, 0.0),
        "amplitude": np.abs(top),
        "phase": np.where(heard, np.angle(top), np.nan),
    }
    return {f"{name}_{what}": xr.DataArray(x, dims=dim) for what, x in values.items()}


@public
def histories(run: Run, *, epochs: Sequence[int] | None = None, watch: Watch = _nobody) -> xr.Dataset:
    """`waves_of` at every epoch of a run, over (epoch, ...), and how neurons come to their clusters.

    Over (neuron): `joined`, the epoch from which on to the end it is in the cluster that it ends in, NaN if it ends in
    none; `left`, how often it left a cluster; `changed`, how often it went to another frequency's cluster.
    """
    found = measured(run, waves_of, epochs=epochs, watch=watch)
    clusters = found.neuron_cluster.values
    known = np.isfinite(clusters).all(axis=1)
    joined, left, changed = _memberships(found.epoch.values[known], clusters[known])
    return found.assign(joined=("neuron", joined), left=("neuron", left), changed=("neuron", changed))


def _memberships(epochs: np.ndarray, clusters: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    last = clusters[-1]
    away = clusters != last
    since = np.where(away.any(axis=0), len(epochs) - np.argmax(away[::-1], axis=0), 0)
    joined = np.where(last > 0, epochs[np.minimum(since, len(epochs) - 1)].astype(float), np.nan)
    before, after = clusters[:-1], clusters[1:]
    left = ((before > 0) & (after != before)).sum(axis=0)
    # the cluster that a neuron was in last, carried over the epochs in which it is in none
    carried = clusters.copy()
    for i in range(1, len(carried)):
        carried[i] = np.where(carried[i] > 0, carried[i], carried[i - 1])
    changed = ((carried[:-1] > 0) & (carried[1:] != carried[:-1])).sum(axis=0)
    return joined, left, changed
