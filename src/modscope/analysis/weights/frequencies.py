"""How much of the network's weights lies at each frequency, and how sparse that is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import combinations
from math import comb
from typing import Literal

import numpy as np
import xarray as xr

from modscope.activations import Activations
from modscope.boundary import public
from modscope.display import Shown
from modscope.errors import InputError, MissingWeight, UnknownName
from modscope.model import Network
from modscope.networks.kinds import has_attention
from modscope.networks.layered_config import LayeredConfig
from modscope.networks.tokens import residue_rows
from modscope.residues import harmonic, intermodulation, subharmonics
from modscope.signal import basis_frequencies, fourier_basis

__all__ = [
    "MAPS",
    "Relations",
    "component_norms",
    "energy_shares",
    "fundamental",
    "gini",
    "inverse_participation_ratio",
    "recorded_table",
    "relations",
    "weight_table",
]

Map = Literal["embedding", "unembedding", "neuron_logit"]
MAPS: tuple[Map, ...] = ("embedding", "unembedding", "neuron_logit")


@public
def weight_table(network: Network, which: Map) -> np.ndarray:
    """A map of the network with one row for each residue, float64 [residue, feature].

    embedding: W_E without the row of "="; for the MLP-only family both positions' embeddings side by side
    (the rows of W_in where tokens are one-hot). unembedding: the columns of W_U. neuron_logit: the columns
    of W_L = W_out W_U, the direct effect of each neuron (of the last layer) on each logit; where a norm stands between
    them, up to its division by the size. Raises NotApplicable for a network without neurons.
    """
    if which not in MAPS:
        raise UnknownName.of("map", which, MAPS)
    p = network.config.p

    def weight(name: str) -> np.ndarray:
        return network.weight(name).detach().double().numpy()

    if which == "embedding":
        rows = [rows.detach().double().numpy() for rows in residue_rows(network)]
        return np.concatenate(rows, axis=1)
    if which == "neuron_logit" and has_attention(network):
        if not network.has_weight("W_out"):
            raise MissingWeight("not applicable: a network without MLP has no map from neurons to logits")
        return (_past_norms(network, weight("W_out")) @ weight("W_U"))[:, :p].T
    return weight("W_U")[:, :p].T


_NEEDS: Mapping[str, str] = {
    "embedding": "embedding W_E",
    "unembedding": "unembedding W_U",
    "neuron_logit": "map from neurons to logits, W_out W_U",
}


def recorded_table(acts: Activations, which: Map) -> np.ndarray:
    """`weight_table` of the network behind a record; the embedding of a record without one is its hook `embed`.

    Raises MissingWeight, which names the weight, for a record of activations alone.
    """
    if acts.network is not None:
        return weight_table(acts.network, which)
    if which not in MAPS:
        raise UnknownName.of("map", which, MAPS)
    if which == "embedding" and "embed" in acts and not acts.is_joint("embed"):
        table = acts["embed"].isel(pos=0).transpose("token", ...).values
        return table.reshape(len(table), -1).astype(np.float64)
    raise MissingWeight(f"not applicable: the record has no {_NEEDS[which]}: it is of activations alone")


def _past_norms(network: Network, written: np.ndarray) -> np.ndarray:
    """What neurons write, [neuron, d_model], as the unembedding reads it through the linear part of the norm between
    them: without its mean where that is taken away, times the norm's gain. The division by the size, which is one
    number for each pair, is left out."""
    config = network.config
    if not isinstance(config, LayeredConfig) or not config.norm:
        return written
    if not (config.norm_after or config.norm_final):
        return written
    name = f"blocks.{config.n_layers - 1}.ln2.w" if config.norm_after else "ln_final.w"
    if config.norm == "layer":
        written = written - written.mean(axis=1, keepdims=True)
    gain = network.weights.get(name)
    return written if gain is None else written * gain.detach().double().numpy()


@public
def component_norms(table: np.ndarray) -> xr.DataArray:
    """Norm over features of each real Fourier component of a table [place, feature], over (component,).

    Coordinate k is the frequency of each component: 0, 1, 1, 2, 2, ..., and p/2 once for even p.

    >>> component_norms(np.array([[1.0], [-1.0], [1.0], [-1.0]])).values.round(6).tolist()
    [0.0, 0.0, 0.0, 2.0]
    """
    n = len(table)
    norms = np.linalg.norm(fourier_basis(n) @ np.asarray(table, dtype=np.float64), axis=1)
    return xr.DataArray(norms, dims="component", coords={"k": ("component", basis_frequencies(n))})


@public
def energy_shares(table: np.ndarray) -> xr.DataArray:
    """Share of a table's energy outside DC that lies at each frequency k = 1..p//2; they sum to 1.

    table: [place, feature], one row a residue. A constant table has nan everywhere.

    >>> n = np.arange(8)
    >>> table = np.stack((np.cos(2 * np.pi * n / 8), 1 + np.cos(np.pi * n)), axis=1)
    >>> energy_shares(table).values.round(6).tolist()
    [0.333333, 0.0, 0.0, 0.666667]
    """
    norms = component_norms(table)
    energy = np.bincount(norms.k.values, norms.values**2)[1:]
    with np.errstate(invalid="ignore"):
        shares = energy / energy.sum()
    return xr.DataArray(shares, dims="k", coords={"k": np.arange(1, len(energy) + 1)}, name="share")


@public
def gini(shares: xr.DataArray | np.ndarray) -> float:
    """The Gini coefficient of the energies: 0 where all are equal, 1 - 1/n where one has everything.

    Hurley & Rickard 2009, eq. for sorted x: 1 - 2 sum_i x_i / sum(x) * (n - i + 1/2) / n.

    >>> gini(np.ones(4)), gini(np.array([0.0, 0.0, 0.0, 1.0]))
    (0.0, 0.75)
    """
    x = np.sort(np.asarray(shares, dtype=np.float64))
    n = len(x)
    with np.errstate(invalid="ignore"):
        return float(1 - 2 * np.sum(x / x.sum() * (n - np.arange(1, n + 1) + 0.5)) / n)


@public
def inverse_participation_ratio(shares: xr.DataArray | np.ndarray) -> float:
    """Sum of squared shares: 1/n where n frequencies share the energy alike, 1 where one has it all.

    Its inverse is the effective number of frequencies.

    >>> inverse_participation_ratio(np.array([0.5, 0.5, 0.0]))
    0.5
    """
    x = np.asarray(shares, dtype=np.float64)
    with np.errstate(invalid="ignore"):
        return float(np.sum((x / x.sum()) ** 2))


@dataclass(frozen=True, repr=False)
class Relations(Shown):
    """Where harmonics, subharmonics and intermodulation products of some frequencies fall, aliased.

    harmonics: k -> 2k. third_harmonics: k -> 3k. subharmonics: k -> every k' with 2k' = k, none or
    two for even n. intermodulation: (j, k) -> (j + k, j - k).
    """

    n: int
    harmonics: dict[int, int]
    third_harmonics: dict[int, int]
    subharmonics: dict[int, tuple[int, ...]]
    intermodulation: dict[tuple[int, int], tuple[int, int]]

    @public
    def origins(self, k: int) -> tuple[str, ...]:
        """Every way in which frequency k arises from the frequencies of this table, as formulas.

        >>> relations((14, 35, 41, 42, 52), 113).origins(31)
        ('2*41',)
        """
        named = [f"2*{j}" for j, n in self.harmonics.items() if n == k]
        named += [f"3*{j}" for j, n in self.third_harmonics.items() if n == k]
        named += [f"{j}/2" for j, halves in self.subharmonics.items() if k in halves]
        for (i, j), (plus, minus) in self.intermodulation.items():
            named += [f"{i}+{j}"] * (plus == k) + [f"{j}-{i}"] * (minus == k)
        return tuple(named)


@public
def fundamental(frequencies: Iterable[int], n: int) -> int | None:
    """The frequency of which a set of three or more is the first harmonics, one of them missing at most; None where there
    is none, or where so many sets of this size are of that form that it would mean nothing.

    One circle that is no plain wave, a square one for example, has its harmonics: one circle, not as many as there are
    frequencies. Where more than one in a hundred of all sets of that size have the form, nothing is concluded.

    >>> fundamental((3, 6, 9, 12), 113), fundamental((14, 35, 41, 42, 52), 113), fundamental((1, 2, 3), 23)
    (3, None, None)
    """
    ks = {int(k) for k in frequencies}
    half, size = n // 2, len(ks)
    if size < 3 or half * size > 0.01 * comb(half, size):
        return None
    for base in sorted(ks):
        first = {harmonic(base, m, n) for m in range(1, size + 2)} - {0}
        odd = {harmonic(base, m, n) for m in range(1, 2 * size + 2, 2)} - {0}
        if ks <= first or ks <= odd:
            return base
    return None


@public
def relations(frequencies: Iterable[int], n: int) -> Relations:
    """The arithmetic of a set of frequencies on a circle of n places.

    >>> found = relations((14, 35, 41, 42, 52), 113)
    >>> list(found.harmonics.values()), list(found.subharmonics.values()), found.intermodulation[14, 42]
    ([28, 43, 31, 29, 9], [(7,), (39,), (36,), (21,), (26,)], (56, 28))
    """
    ks = sorted({int(k) for k in frequencies})
    if ks and not 0 < ks[0] <= ks[-1] <= n // 2:
        raise InputError(f"frequencies {ks}: expected numbers from 1 to {n // 2} for a circle of {n} places")
    return Relations(
        n,
        {k: harmonic(k, 2, n) for k in ks},
        {k: harmonic(k, 3, n) for k in ks},
        {k: subharmonics(k, n) for k in ks},
        {(j, k): intermodulation(j, k, n) for j, k in combinations(ks, 2)},
    )
