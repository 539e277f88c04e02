"""Neurons of one frequency as a quadrature over phases: how a sum of rectified sums becomes cos w(a + b).

Over all phases phi, with w = 2 pi k / p and D = |cos(w(a - b)/2)|:

    mean of            ReLU(cos(wa + phi) + cos(wb + phi)) = (2/pi) D
    mean of cos(2 phi) ReLU(cos(wa + phi) + cos(wb + phi)) = (2/(3 pi)) D cos w(a + b)

Unweighted the sum knows a - b only. Weighted at twice the phase it is cos w(a + b) under the envelope D, and
8/pi^2 = 81 % of its mean square lies on a + b. A network has finitely many neurons: its sum is a quadrature.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr

from modscope import memory
from modscope.activations import Activations
from modscope.analysis.neurons.clusters import recorded_clusters
from modscope.analysis.plane.marginals import checked_frequencies, phasors_of
from modscope.analysis.plane.terms import line_means
from modscope.boundary import public
from modscope.errors import InputError
from modscope.signal import TERMS, energy_by_term

__all__ = [
    "cluster_running_sum",
    "even_phases",
    "ideal_neurons",
    "ideal_running_sum",
    "quadrature_error",
    "quadrature_errors",
    "rectified_mean",
    "running_sum",
]


@public
def ideal_neurons(p: int, k: int, phases: Sequence[float] | np.ndarray) -> xr.DataArray:
    """The inputs of ideal neurons, cos(wa + phi) + cos(wb + phi), as (neuron, a, b).

    >>> ideal_neurons(4, 1, [0.0])[0].values.round(6).tolist()[0]
    [2.0, 1.0, 0.0, 1.0]
    """
    (k,) = checked_frequencies([k], p)
    phi = np.asarray(phases, np.float64)
    wave = np.cos(2 * np.pi * k * np.arange(p) / p + phi[:, None])
    coords = {"neuron": np.arange(len(phi)), "a": np.arange(p), "b": np.arange(p), "phase": ("neuron", phi)}
    return xr.DataArray(wave[:, :, None] + wave[:, None, :], dims=("neuron", "a", "b"), coords=coords)


@public
def rectified_mean(p: int, k: int, *, weighted: bool) -> np.ndarray:
    """The mean over all phases phi of ReLU(cos(wa + phi) + cos(wb + phi)), times cos(2 phi) if weighted, [a, b].

    (2/(3 pi)) D cos w(a + b) if weighted, else (2/pi) D, with D = |cos(w(a - b)/2)|.

    >>> (rectified_mean(5, 1, weighted=False)[0, 0] * np.pi).round(6)
    np.float64(2.0)
    """
    (k,) = checked_frequencies([k], p)
    w, n = 2 * np.pi * k / p, np.arange(p)
    envelope = np.abs(np.cos(w * (n[:, None] - n) / 2))
    if not weighted:
        return 2 / np.pi * envelope
    return 2 / (3 * np.pi) * envelope * np.cos(w * (n[:, None] + n))


@public
def even_phases(number: int, *, arc: float = 1.0) -> np.ndarray:
    """Phases evenly spread over an arc, in turns, centred on 0; 1 is the whole circle.

    >>> even_phases(4).round(4).tolist()
    [-2.3562, -0.7854, 0.7854, 2.3562]
    """
    if number < 1 or not 0 < arc <= 1:
        raise InputError(f"{number} phases over {arc} turns: expected at least one, over an arc in (0, 1]")
    return 2 * np.pi * arc * ((np.arange(number) + 0.5) / number - 0.5)


@public
def quadrature_error(p: int, k: int, phases: Sequence[float] | np.ndarray, *, weighted: bool = True) -> float:
    """How far the mean over given phases is from the mean over all: |sum - exact| / |exact|, over all pairs.

    0 would be enough neurons, evenly spread. Evenly spread phases err only by the harmonics that alias:
    with N of them the error falls like 1/N^2.
    """
    pre = ideal_neurons(p, k, phases)
    weights = np.cos(2 * pre.phase.values) if weighted else np.ones(pre.sizes["neuron"])
    mean = np.einsum("n,nab->ab", weights, np.maximum(pre.values, 0)) / len(weights)
    exact = rectified_mean(p, k, weighted=weighted)
    return float(np.linalg.norm(mean - exact) / np.linalg.norm(exact))


@public
def quadrature_errors(
    p: int,
    k: int,
    *,
    numbers: Sequence[int] = (2, 3, 4, 5, 6, 8, 12, 16, 32, 64),
    arcs: Sequence[float] = (1.0, 0.75, 0.5, 0.25),
    draws: int = 20,
    seed: int = 0,
) -> xr.Dataset:
    """Quadrature error against the number of neurons and how far their phases spread.

    Variables: even (number, arc), phases evenly spread over an arc (in turns) of the circle; random
    (number, draw), phases drawn uniformly from the whole circle. The weight is cos(2 phi).
    """
    even = [[quadrature_error(p, k, even_phases(n, arc=arc)) for arc in arcs] for n in numbers]
    generator = np.random.default_rng(seed)
    random = [
        [quadrature_error(p, k, generator.uniform(0, 2 * np.pi, n)) for _ in range(draws)] for n in numbers
    ]
    return xr.Dataset(
        {"even": (("number", "arc"), np.array(even)), "random": (("number", "draw"), np.array(random))},
        {"number": list(numbers), "arc": list(arcs)},
        {"p": p, "k": k},
    )


@public
def running_sum(pre: xr.DataArray, weights: np.ndarray | None = None) -> xr.Dataset:
    """The sum over the first 1, 2, ... neurons, with the rectifier and without it.

    pre (neuron, a, b), in the order wanted; weights [neuron], 1 if not given. Variables: rectified and
    linear (neuron, a, b), each the sum up to and with that neuron; share (kind, neuron, term), how the
    variance of each sum lies on 1-D terms ("linear"), a + b ("sum"), a - b ("difference") and cross terms (0
    everywhere for a sum that does not vary).
    """
    if pre.dims != ("neuron", "a", "b"):
        raise InputError(f"an array with axes {pre.dims}: expected (neuron, a, b)")
    weights = np.ones(pre.sizes["neuron"]) if weights is None else np.asarray(weights, np.float64)
    if weights.shape != (pre.sizes["neuron"],):
        raise InputError(
            f"weights of shape {weights.shape}: expected ({pre.sizes['neuron']},), one per neuron"
        )
    coords = {name: pre.coords[name] for name in pre.coords}
    sums, shares = {}, []
    for kind, x in (("rectified", np.maximum(pre.values, 0)), ("linear", pre.values)):
        total = np.cumsum(x * weights[:, None, None], axis=0)
        energy = energy_by_term(np.moveaxis(total, 0, -1), (0, 1)).T
        size = energy.sum(axis=1, keepdims=True)
        floor = 1e-20 * np.max(total**2, initial=1e-300)
        shares.append(np.where(size > floor, energy / np.where(size > floor, size, 1), 0))
        sums[kind] = (("neuron", "a", "b"), total)
    variables = {**sums, "share": (("kind", "neuron", "term"), np.stack(shares))}
    coords |= {"kind": ["rectified", "linear"], "term": list(TERMS), "weight": ("neuron", weights)}
    return xr.Dataset(variables, coords)


@public
def ideal_running_sum(p: int, k: int, *, number: int = 32, weighted: bool = True) -> xr.Dataset:
    """The running sum over ideal neurons with phases evenly spread from -pi to pi, weighted by cos(2 phi) or not."""
    pre = ideal_neurons(p, k, even_phases(number))
    return running_sum(pre, np.cos(2 * pre.phase.values) if weighted else None)


@public
def cluster_running_sum(acts: Activations, k: int, *, output: int | None = None) -> xr.Dataset:
    """The running sum over the real neurons of frequency k, ordered by their phase.

    output: the dimension of the residual stream whose W_out weighs them (the logit, in a network without
    one); None weighs all alike. The phase of a neuron is that of mlp_pre at k, the mean of its phasors in a
    and in b. Beside what `running_sum` gives: number (neuron), the neuron's place in mlp_pre.
    Raises InputError where no neuron has that frequency.
    """
    (k,) = checked_frequencies([k], acts.task.p)
    members = recorded_clusters(acts).members(k)
    if not len(members):
        raise InputError(f"no neuron has frequency {k}: nothing to sum")
    # the neurons, and their sums with the rectifier and without it, in float64, each beside what it is made of
    memory.require(5 * 8 * len(members) * acts.task.p**2, f"the running sums of {len(members)} neurons")
    means = line_means(acts, "mlp_pre")["mean"].sel(line=["a", "b"]).mean("line").values
    phase = np.angle(phasors_of(means[:, members], [k])[0])
    order = np.argsort(phase, kind="stable")
    members, phase = members[order], phase[order]
    parts = [block["mlp_pre"][..., members] for _, block in acts.array_blocks("mlp_pre")]
    pre = np.moveaxis(np.concatenate(parts).astype(np.float64), -1, 0)
    p = acts.task.p
    coords = {
        "neuron": np.arange(len(members)),
        "a": np.arange(p),
        "b": np.arange(p),
        "phase": ("neuron", phase),
        "number": ("neuron", members),
    }
    weights = None if output is None else _output_weights(acts, output)[members]
    return running_sum(xr.DataArray(pre, dims=("neuron", "a", "b"), coords=coords), weights)


def _output_weights(acts: Activations, output: int) -> np.ndarray:
    name = "W_out" if acts.has_weight("W_out") else "W_U"
    weights = acts.weight(name).double().numpy()
    if not 0 <= output < weights.shape[1]:
        raise InputError(f"output {output} of {name}: expected 0 to {weights.shape[1] - 1}")
    return weights[:, output]
