"""Neurons as simple neurons, and the answer that these give (McCracken et al. 2025)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr

from modscope.activations import Activations
from modscope.analysis.plane.terms import energy_of_lines, line_means
from modscope.boundary import public
from modscope.display import Shown
from modscope.losses import Scores, losses_and_accuracies
from modscope.signal import spectrum

__all__ = ["SimpleNeurons", "simple_neurons"]


@dataclass(frozen=True, repr=False)
class SimpleNeurons(Shown):
    """Every neuron before its activation as c + A cos(wa + phi_a) + B cos(wb + phi_b), w = 2 pi k / p, one k a neuron.

    frequency int[neuron]; r2 float[neuron]: the share of its variance that the fit explains, NaN where it is constant;
    total_r2: that of all neurons together, residual over variance, both summed. accuracy and loss: of the network when
    every neuron's input is replaced by its fit and the pass is run on.
    """

    frequency: np.ndarray
    r2: np.ndarray
    total_r2: float
    accuracy: Scores
    loss: Scores


@public
def simple_neurons(acts: Activations) -> SimpleNeurons:
    """The best simple neuron for each neuron by least squares, all frequencies tried, and what they answer together.

    Amplitudes and phases in a and in b are free of each other. Source: McCracken et al. 2025, "simple neuron".
    """
    means = line_means(acts, "mlp_pre")
    energy = energy_of_lines(means, acts.task.operation)
    linear = energy.energy.sel(line=["a", "b"]).sum("line").transpose("k", "neuron").values
    best = linear.argmax(axis=0)
    total = energy.total.values
    explained = linear[best, np.arange(len(total))]
    with np.errstate(invalid="ignore", divide="ignore"):
        r2 = np.where(total > 0, explained / total, np.nan)
    whole = float(explained.sum() / total.sum()) if total.sum() > 0 else float("nan")
    fitted = _fits(means, best + 1)
    logits = np.concatenate([block["logits"] for _, block in acts.resume({"mlp_pre": fitted})])
    loss, accuracy = losses_and_accuracies(logits, acts.task)
    return SimpleNeurons(np.where(total > 0, best + 1, 0), r2, whole, accuracy, loss)


def _fits(means: xr.Dataset, frequency: np.ndarray) -> np.ndarray:
    """The fitted neurons [a, b, neuron]."""
    p = means.sizes["n"]
    at = xr.DataArray(frequency, dims="neuron")
    carried = spectrum(means["mean"].sel(line=["a", "b"]), "n").sel(k=at, drop=True)
    turn = np.exp(2j * np.pi / p * (np.arange(p)[:, None] * frequency % p))
    of_a, of_b = ((turn * phasor).real for phasor in carried.transpose("line", "neuron").values)
    of_a, of_b = (x.astype(np.float32) for x in (of_a + means.average.values, of_b))
    return of_a[:, None] + of_b[None]
