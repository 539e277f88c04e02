"""One wave and one neuron to look at, chosen by a stated rule rather than by hand."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr

from modscope.activations import Activations, in_order
from modscope.analysis.circle import Circle, circle_of
from modscope.analysis.clusters import Clusters
from modscope.errors import InputError
from modscope.signal import mean_over, power

__all__ = ["NeuronSpecimen", "WaveSpecimen", "neuron_specimen", "wave_specimen"]


@dataclass(frozen=True)
class WaveSpecimen:
    """One feature of a hook in the order (c, a), and one of its rows.

    picture: (c, a), places on the circle of the task; row: the wave in a at c; reflected: the same wave
    read backwards about c/2, row[c - a]; fixed: the two places where a = c - a, as real numbers in 0..n.
    """

    hook: str
    feature: int
    c: int
    picture: xr.DataArray
    row: np.ndarray
    reflected: np.ndarray
    fixed: tuple[float, float]


def wave_specimen(acts: Activations, hook: str = "resid_post") -> WaveSpecimen:
    """The feature of a hook that changes most with a at fixed c, at the c where it changes most.

    Raises InputError where the answer does not turn on a circle.

    >>> from modscope.activations import record
    >>> from modscope.model import Transformer, TransformerConfig
    >>> from modscope.task import ModularTask
    >>> network = Transformer.initialised(TransformerConfig(5, d_model=8, n_heads=2, d_mlp=16))
    >>> specimen = wave_specimen(record(network, ModularTask(5)))
    >>> specimen.picture.dims, specimen.fixed[1] - specimen.fixed[0]
    (('c', 'a'), 2.5)
    """
    circle = circle_of(acts.task)
    x = _on_places(circle.pairs(acts.at(hook)), circle)
    within = x.var(("a", "b")) - mean_over(x, circle.direction, name="c").var("c")
    feature = int(within.values.argmax())
    turned = "add" if circle.turn > 0 else "subtract"
    picture = in_order(x.isel({x.dims[-1]: feature}), "c", "a", operation=turned)
    c = int(picture.var("a").values.argmax())
    row = picture.sel(c=c).values
    places = (c - np.arange(circle.n)) % circle.n
    first = c / 2 % (circle.n / 2)
    return WaveSpecimen(
        acts.model.hook_name(hook), feature, c, picture, row, row[places], (first, first + circle.n / 2)
    )


def _on_places(x: xr.DataArray, circle: Circle) -> xr.DataArray:
    n = np.arange(circle.n)
    return x.assign_coords(a=n, b=n)


@dataclass(frozen=True)
class NeuronSpecimen:
    """One neuron before and after the activation function: pictures (a, b) and their spectra (k_a, k_b).

    frequency: its key frequency, 0 if it has none; fve: the share of its variance which that explains. The spectra
    are powers with k_a from -(n-1)//2 to n//2: a wave on a + b is at (k, k), one on a - b at (-k, k).
    """

    neuron: int
    frequency: int
    fve: float
    pre: xr.DataArray
    post: xr.DataArray
    pre_power: xr.DataArray
    post_power: xr.DataArray


def neuron_specimen(acts: Activations, found: Clusters, *, frequency: int | None = None) -> NeuronSpecimen:
    """The neuron of median fve in the cluster of a frequency (the largest cluster, unless one is named).

    Without any cluster, the neuron of median variance among those that vary.
    """
    counts = found.counts()
    if frequency is not None and frequency not in counts:
        raise InputError(f"no neuron belongs to frequency {frequency}: clusters are {list(counts)}")
    post = acts.at("mlp_post")
    if counts:
        k = frequency if frequency is not None else max(counts, key=lambda j: counts[j])
        members = found.members(k)
        order = found.fve[members]
    else:
        variance = post.var(("a", "b")).values
        members = np.flatnonzero(variance > 0) if (variance > 0).any() else np.arange(len(variance))
        order = variance[members]
    neuron = int(members[np.argsort(order, kind="stable")[len(members) // 2]])
    circle = circle_of(acts.task)
    pictures = [
        _on_places(circle.pairs(acts.at(hook).isel(neuron=neuron)), circle)
        for hook in ("mlp_pre", "mlp_post")
    ]
    spectra = [power(x, ("a", "b")) for x in pictures]
    return NeuronSpecimen(neuron, int(found.frequency[neuron]), float(found.fve[neuron]), *pictures, *spectra)
