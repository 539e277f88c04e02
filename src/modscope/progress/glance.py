"""A network at a glance: the embedding's spectrum and each neuron's wave, in a few hundredths of a second."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from modscope.activations import record
from modscope.analysis.weights.frequencies import energy_shares, weight_table
from modscope.boundary import public
from modscope.model import Network, Transformer
from modscope.signal import spectrum
from modscope.task import ModularTask

__all__ = ["Glance", "glance"]


@dataclass(frozen=True)
class Glance:
    """spectrum float[k]: share of the embedding's energy outside DC, k = 1..p//2. Over the neurons: frequency int (0 for one
    that does not vary with a or b), amplitude and phase of its shared-phase model r cos(wa + phi) + r cos(wb + phi)
    before the activation, share: the part of the neuron's 1-D waves that lies at its frequency."""

    spectrum: np.ndarray
    frequency: np.ndarray
    amplitude: np.ndarray
    phase: np.ndarray
    share: np.ndarray


@public
def glance(network: Network, task: ModularTask) -> Glance:
    """What a network looks like now; exact, from the means of mlp_pre over b and over a.

    The same numbers as `modscope.analysis.neurons.waves` where its frequency is the same; here it is that of the largest
    waves in a and b, there that which explains most of mlp_post.
    """
    of_a, of_b = _means(network, task)
    C_a, C_b = (spectrum(x, 0)[1:] for x in (of_a, of_b))
    energy = np.abs(C_a) ** 2 + np.abs(C_b) ** 2
    if task.p % 2 == 0:
        energy[-1] *= 2  # a wave without a sine: its mean square is that of its amplitude
    total, best = energy.sum(axis=0), energy.argmax(axis=0)
    at = np.arange(energy.shape[1])
    turned = C_b.conj() if task.operation == "subtract" else C_b
    both = (C_a[best, at] + turned[best, at]) / 2
    alive = total > 1e-12 * np.maximum(np.square(of_a).mean(axis=0), np.finfo(float).tiny)
    table = weight_table(network, "embedding")
    return Glance(
        energy_shares(table).values,
        np.where(alive, best + 1, 0),
        np.where(alive, np.abs(both), 0.0),
        np.where(alive, np.angle(both), 0.0),
        np.where(alive, energy[best, at] / np.where(alive, total, 1.0), 0.0),
    )


def _means(network: Network, task: ModularTask) -> tuple[np.ndarray, np.ndarray]:
    """Means of mlp_pre over b, [a, neuron], and over a, [b, neuron], float64.

    mlp_pre is linear in resid_mid, so that its means are those of resid_mid, which has a quarter of the columns.
    """
    short = isinstance(network, Transformer) and "resid_mid" in network.hooks
    hook = "resid_mid" if short else "mlp_pre"
    p = task.p
    of_a: list[np.ndarray] = []
    of_b: np.ndarray | float = 0.0
    for block in record(network, task).blocks(hook):
        x = block[hook].transpose("a", "b", ...).values
        of_a.append(x.mean(axis=1, dtype=np.float64))
        of_b = of_b + x.sum(axis=0, dtype=np.float64) / p
    means = np.concatenate(of_a), np.asarray(of_b)
    if not short:
        return means
    W_in = network.weight("W_in").detach().double().numpy()
    bias = network.weight("b_in").detach().double().numpy() if network.has_weight("b_in") else 0.0
    first, second = (x @ W_in + bias for x in means)
    return first, second
