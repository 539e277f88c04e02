"""Scenes of the signal's path to look at, chosen by stated rules: two waves before attention, a sum that grows
neuron by neuron, a feature of the last residual stream beside its rebuilt one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr

from modscope.activations import Activations
from modscope.analysis.inputs.waves import token_hooks
from modscope.analysis.neurons.clusters import Clusters
from modscope.analysis.neurons.quadrature import cluster_running_sum
from modscope.analysis.stream.model import stream_model
from modscope.errors import InputError
from modscope.orders import in_order

__all__ = [
    "GrowingSum",
    "InputWaves",
    "RebuiltFeature",
    "growing_sum",
    "input_waves",
    "rebuilt_features",
]


@dataclass(frozen=True)
class InputWaves:
    """The strongest waves before attention at both positions, in the order (c, a).

    hook: where they were taken; at_a, at_b: (feature, c, a), the value that the token at a and the token at b = c - a
    (a - c for subtraction) carry; feature holds the places in the flattened features, strongest first.
    """

    hook: str
    at_a: xr.DataArray
    at_b: xr.DataArray


def input_waves(acts: Activations, *, count: int = 3) -> InputWaves:
    """The features of v (or of the first hook there is) whose waves over the token vary most, DC removed.

    Raises InputError for operations other than addition and subtraction, and for networks without such a hook.
    """
    if acts.task.operation not in ("add", "subtract"):
        raise InputError(f"operation {acts.task.operation!r}: expected add or subtract, where b turns with c")
    hooks = token_hooks(acts)
    if not hooks:
        raise InputError("this network has no wave for each of the positions a and b")
    hook = "v" if "v" in hooks else hooks[-1]
    x = acts[hook].transpose("pos", "token", ...)
    values = x.values.reshape(2, x.sizes["token"], -1).astype(np.float64)
    values = values - values.mean(axis=1, keepdims=True)
    strongest = np.argsort(-values.var(axis=1).sum(axis=0), kind="stable")[:count]
    p = acts.task.p
    a, c = np.arange(p)[None, :], np.arange(p)[:, None]
    b = (c - a) % p if acts.task.operation == "add" else (a - c) % p
    coords = {"feature": strongest, "c": np.arange(p), "a": np.arange(p)}
    attrs = {"hook": hook, "p": p, "operation": acts.task.operation}

    def pictured(wave: np.ndarray, token: np.ndarray) -> xr.DataArray:
        picture = np.moveaxis(wave[:, strongest][np.broadcast_to(token, (p, p))], -1, 0)
        return xr.DataArray(
            picture.astype(np.float32), dims=("feature", "c", "a"), coords=coords, attrs=attrs
        )

    return InputWaves(hook, pictured(values[0], a), pictured(values[1], b))


@dataclass(frozen=True)
class GrowingSum:
    """The sum over the first neurons of a cluster, ordered by phase, as W_out weighs them for one dimension.

    k: the cluster; output: the dimension; number: how many neurons; share_sum: (kind, neuron), the part of the sum's
    variance that lies on a + b (a - b for subtraction), with the rectifier and without it; pictures: (step, a, b) at
    the neurons named by the coordinate `step`.
    """

    k: int
    output: int
    number: int
    share_sum: xr.DataArray
    pictures: xr.DataArray


def growing_sum(acts: Activations, found: Clusters, *, steps: int = 8) -> GrowingSum:
    """The running sum over the largest cluster, for the dimension that its neurons write most to.

    Raises InputError where no neuron belongs to a cluster.
    """
    counts = found.counts()
    if not counts:
        raise InputError("no neuron is explained by one frequency: there is no cluster to sum over")
    k = max(counts, key=lambda j: counts[j])
    weights = acts.weight("W_out" if acts.has_weight("W_out") else "W_U").double().numpy()
    output = int(np.argmax((weights[found.members(k)] ** 2).sum(axis=0)))
    sums = cluster_running_sum(acts, k, output=output)
    term = "difference" if acts.task.operation == "subtract" else "sum"
    number = sums.sizes["neuron"]
    at = np.unique(np.linspace(0, number - 1, steps).round().astype(int))
    pictures = sums.rectified.isel(neuron=at).rename(neuron="step").astype(np.float32)
    pictures = pictures.drop_vars([name for name in pictures.coords if name not in ("step", "a", "b")])
    pictures = pictures.assign_coords(step=at + 1).assign_attrs(p=acts.task.p, operation=acts.task.operation)
    return GrowingSum(k, output, number, sums.share.sel(term=term, drop=True), pictures)


@dataclass(frozen=True)
class RebuiltFeature:
    """Features of the last residual stream beside the same rebuilt from a few waves, in the order (c, a).

    real, rebuilt: (feature, c, a); rebuilt is cosines about c/2 at the key frequencies and a bias in c at the same.
    """

    hook: str
    real: xr.DataArray
    rebuilt: xr.DataArray


def rebuilt_features(
    acts: Activations, key_frequencies: Sequence[int], *, hook: str = "resid_post", count: int = 3
) -> RebuiltFeature:
    """The features that vary most, real and rebuilt (`stream_model` at the key frequencies).

    Raises InputError where the answer is neither a + b nor a - b, there is no such stream, or no key frequency.
    """
    if not key_frequencies:
        raise InputError("no key frequencies: there is nothing to rebuild the stream from")
    model = stream_model(acts, key_frequencies, hook=hook)
    real = acts.at(hook)
    strongest = np.argsort(-real.values.reshape(-1, real.shape[-1]).var(axis=0), kind="stable")[:count]
    dim = str(real.dims[-1])
    rebuilt = model.picture(model.cosines(), model.bias(key_only=True), features=strongest)
    pair = []
    for x in (real.isel({dim: strongest}), rebuilt.astype(np.float32)):
        chosen = x.rename({dim: "feature"})
        ordered = in_order(
            chosen.drop_vars("feature", errors="ignore"), "c", "a", operation=acts.task.operation
        )
        pair.append(ordered.transpose("feature", "c", "a").assign_coords(feature=strongest))
    return RebuiltFeature(hook, *pair)
