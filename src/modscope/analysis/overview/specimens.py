"""One wave and one neuron to look at, chosen by a stated rule rather than by hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr

from modscope.activations import Activations
from modscope.analysis.neurons.clusters import Clusters
from modscope.analysis.plane.energy import is_small
from modscope.circle import Circle
from modscope.display import Shown
from modscope.errors import InputError
from modscope.orders import in_order
from modscope.signal import mean_over, power

__all__ = [
    "NeuronSpecimen",
    "WaveSpecimen",
    "neuron_pictures",
    "neuron_specimen",
    "wave_pictures",
    "wave_specimen",
]


@dataclass(frozen=True, repr=False)
class WaveSpecimen(Shown):
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
    """The feature of a hook that changes most with a at fixed c, at the c where it changes most of those apart from 0.

    Near c = 0 the places of a = 0, b = c and c/2 fall together, so rows within an eighth of the circle of it are left out.
    Raises InputError where the answer does not turn on a circle.

    >>> from modscope.activations import record
    >>> from modscope.model import Transformer, TransformerConfig
    >>> from modscope.task import ModularTask
    >>> network = Transformer.initialised(TransformerConfig(5, d_model=8, n_heads=2, d_mlp=16))
    >>> specimen = wave_specimen(record(network, ModularTask(5)))
    >>> specimen.picture.dims, specimen.fixed[1] - specimen.fixed[0]
    (('c', 'a'), 2.5)
    """
    pictures = wave_pictures(acts, hook, count=1)
    picture = pictures.isel(feature=0)
    n = picture.sizes["a"]
    apart = np.minimum(np.arange(n), n - np.arange(n)) >= n / 8
    c = int(np.where(apart, picture.var("a").values, -np.inf).argmax())
    row = picture.sel(c=c).values
    first = c / 2 % (n / 2)
    feature = int(pictures.feature.values[0])
    reflected = row[(c - np.arange(n)) % n]
    return WaveSpecimen(acts.hook_name(hook), feature, c, picture, row, reflected, (first, first + n / 2))


def wave_pictures(acts: Activations, hook: str = "resid_post", *, count: int = 12) -> xr.DataArray:
    """The features of a hook that change most with a at fixed c, strongest first: (feature, c, a).

    c and a are places on the circle of the task; the coordinate `feature` is the number of each. Raises
    InputError where the answer does not turn on a circle.
    """
    circle = acts.circle
    x = _on_places(circle.pairs(acts.at(hook)), circle)
    x = x.rename({x.dims[-1]: "feature"}) if x.ndim == 3 else x.stack(feature=x.dims[2:])
    within = x.var(("a", "b")) - mean_over(x, circle.direction, name="c").var("c")
    strongest = np.argsort(-within.values, kind="stable")[:count]
    chosen = x.isel(feature=strongest).drop_vars("feature", errors="ignore")
    turned = "add" if circle.turn > 0 else "subtract"
    ordered = in_order(chosen, "c", "a", operation=turned).transpose("feature", "c", "a")
    return ordered.assign_coords(feature=strongest)


def _neurons(acts: Activations, hook: str, neurons: Sequence[int]) -> xr.DataArray:
    """Some neurons of a hook, (a, b, neuron), without keeping the others."""
    if hook in acts.kept or is_small(acts):
        return acts.at(hook).isel(neuron=list(neurons))
    blocks = [block[hook].isel(neuron=list(neurons)).copy() for block in acts.blocks(hook)]
    return xr.concat(blocks, dim="a")


def _on_places(x: xr.DataArray, circle: Circle) -> xr.DataArray:
    n = np.arange(circle.n)
    return x.assign_coords(a=n, b=n)


@dataclass(frozen=True, repr=False)
class NeuronSpecimen(Shown):
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
    neuron = _median_neuron(acts, found, frequency)
    circle = acts.circle
    pictures = [
        _on_places(circle.pairs(_neurons(acts, hook, [neuron]).isel(neuron=0)), circle)
        for hook in ("mlp_pre", "mlp_post")
    ]
    spectra = [power(x, ("a", "b")) for x in pictures]
    return NeuronSpecimen(neuron, int(found.frequency[neuron]), float(found.fve[neuron]), *pictures, *spectra)


def _median_neuron(acts: Activations, found: Clusters, frequency: int | None) -> int:
    counts = found.counts()
    if frequency is not None and frequency not in counts:
        raise InputError(f"no neuron belongs to frequency {frequency}: clusters are {list(counts)}")
    if counts:
        k = frequency if frequency is not None else max(counts, key=lambda j: counts[j])
        members = found.members(k)
        order = found.fve[members]
    else:
        variance = acts.at("mlp_post").var(("a", "b")).values
        members = np.flatnonzero(variance > 0) if (variance > 0).any() else np.arange(len(variance))
        order = variance[members]
    return int(members[np.argsort(order, kind="stable")[len(members) // 2]])


def neuron_pictures(acts: Activations, found: Clusters, *, count: int = 8) -> dict[str, xr.DataArray]:
    """The median neuron of each cluster before and after: "mlp_pre" and "mlp_post" -> (neuron, c, a).

    Of the `count` largest clusters, in the order of their frequencies. The coordinate `neuron` is the number of each. Without any cluster, the one neuron that `neuron_specimen` takes.
    Raises InputError where the answer does not turn on a circle.
    """
    circle = acts.circle
    turned = "add" if circle.turn > 0 else "subtract"
    sizes = found.counts()
    largest = sorted(sorted(sizes, key=lambda k: -sizes[k])[:count])
    neurons = [_median_neuron(acts, found, k) for k in largest] or [_median_neuron(acts, found, None)]
    pictures = {}
    for hook in ("mlp_pre", "mlp_post"):
        x = _on_places(circle.pairs(_neurons(acts, hook, neurons)), circle)
        ordered = in_order(x, "c", "a", operation=turned).transpose("neuron", "c", "a")
        pictures[hook] = ordered.assign_coords(neuron=neurons)
    return pictures
