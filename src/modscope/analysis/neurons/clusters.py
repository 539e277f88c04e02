"""Which neuron follows which frequency, and how much of it that explains."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import xarray as xr

from modscope.activations import Activations
from modscope.analysis.plane.energy import is_small
from modscope.analysis.plane.terms import term_energy
from modscope.boundary import public
from modscope.circle import Circle
from modscope.display import Shown
from modscope.errors import InputError
from modscope.orders import in_order
from modscope.signal import amplitude, frequency_fve

__all__ = ["EXPLAINED", "Clusters", "clusters", "neuron_fve", "recorded_clusters", "row_frequencies"]

EXPLAINED = 0.85


@public
def neuron_fve(x: xr.DataArray, circle: Circle | None = None) -> xr.DataArray:
    """Share of each neuron's variance over the pairs that one frequency explains, (neuron, k), k = 1..p//2.

    The energy of the centred activation in the products {1, cos k, sin k} x {1, cos k, sin k} of a and b over
    all its energy (Nanda et al. 2023). Every frequency is tried, (p-1)/2 and, for even p, p/2 too. A neuron
    that never changes has 0 everywhere. x: (a, b, feature). `circle` puts the residues in another order.

    >>> n = np.arange(5)
    >>> wave = np.cos(2 * np.pi * 2 * n / 5)
    >>> x = xr.DataArray((wave[:, None] * wave)[..., None], dims=("a", "b", "neuron"))
    >>> neuron_fve(x).values.round(6).tolist()
    [[0.0, 1.0]]
    """
    if x.dims[:2] != ("a", "b") or x.ndim != 3:
        raise InputError(f"an array with axes {x.dims}: expected (a, b, feature)")
    fve = frequency_fve(x if circle is None else circle.pairs(x))
    return fve.transpose(x.dims[2], "k").rename("fve")


def recorded_clusters(acts: Activations) -> Clusters:
    """The `clusters` of the neurons of a record, kept with it; of a large one mlp_post is never held whole."""
    return acts.remembered("clusters", "mlp_post", lambda: clusters(_recorded_fve(acts)))


def _recorded_fve(acts: Activations) -> xr.DataArray:
    if is_small(acts) or not acts.circle.whole:
        return neuron_fve(acts.at("mlp_post"), acts.circle)
    terms = term_energy(acts, "mlp_post")
    energy, total = terms.energy.sum("line").transpose("k", ...), terms.total
    return (energy / total.where(total > 0)).fillna(0.0).transpose(..., "k").rename("fve")


@dataclass(frozen=True, repr=False)
class Clusters(Shown):
    """Each neuron's best frequency and the share of its variance that it explains.

    frequency int[neuron], 0 for a neuron that never changes; fve float[neuron]; threshold: a neuron belongs
    to the cluster of its frequency where fve exceeds it.
    """

    frequency: np.ndarray
    fve: np.ndarray
    threshold: float = EXPLAINED

    @property
    def explained(self) -> np.ndarray:
        """Which neurons belong to a cluster, bool[neuron]."""
        return self.fve > self.threshold

    @public
    def members(self, k: int) -> np.ndarray:
        """The numbers of the neurons in the cluster of frequency k."""
        return np.flatnonzero(self.explained & (self.frequency == k))

    def counts(self) -> dict[int, int]:
        """Frequency -> number of neurons in its cluster, frequencies in order, empty clusters left out."""
        found, numbers = np.unique(self.frequency[self.explained], return_counts=True)
        return {int(k): int(n) for k, n in zip(found, numbers, strict=True)}

    @public
    def counts_at(self, frequencies: Iterable[int]) -> dict[int, int]:
        """Frequency -> number of neurons in its cluster, for these frequencies, zeros included."""
        counts = self.counts()
        return {int(k): counts.get(int(k), 0) for k in frequencies}


@public
def clusters(fve: xr.DataArray, *, threshold: float = EXPLAINED) -> Clusters:
    """The clusters of neurons from their `neuron_fve`: the best frequency of each, kept above a threshold.

    >>> fve = xr.DataArray([[0.1, 0.9], [0.5, 0.3]], dims=("neuron", "k"), coords={"k": [1, 2]})
    >>> clusters(fve).counts(), clusters(fve, threshold=0.4).counts()
    ({2: 1}, {1: 1, 2: 1})
    """
    values = fve.transpose(..., "k").values
    best = values.argmax(axis=1)
    top = values[np.arange(len(values)), best]
    return Clusters(np.where(top > 0, fve.k.values[best], 0), top, threshold)


@public
def row_frequencies(acts: Activations, *, hook: str = "mlp_post", c: int = 0) -> xr.DataArray:
    """How many neurons have which largest frequency in one row of the picture in the order (c, a), over (k,).

    The row of answer c is a wave in a for each neuron; k runs over the frequencies, DC left out, that any neuron has. Along
    one row a wave on a + b is a constant, so this asks for the waves of a and b alone and for what the ReLU makes of them.
    A neuron whose row is constant counts nowhere. Raises InputError for an operation without that order.
    """
    row = in_order(acts.at(hook), "c", "a").sel(c=c)
    size = amplitude(row, "a").sel(k=slice(1, None))
    moving = size.max("k") > 1e-6 * abs(row).max("a")
    best = size.k.values[size.argmax("k").values][moving.values]
    ks, counts = np.unique(best, return_counts=True)
    return xr.DataArray(
        counts, dims="k", coords={"k": ks}, name="neurons", attrs={"hook": acts.hook_name(hook), "c": c}
    )
