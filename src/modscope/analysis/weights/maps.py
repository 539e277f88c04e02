"""Linear maps as banks of one-tap filters.

A linear map on features leaves the residues alone, so it acts on every frequency by itself: each output
channel is a sum of input channels, each through a filter of one tap that can scale and negate. What it can do to
the spectrum is to add the waves of one frequency in phase or let them cancel.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr

from modscope.activations import Activations
from modscope.activations.axes import without_layer
from modscope.analysis.plane.marginals import checked_frequencies
from modscope.analysis.plane.terms import LINES, line_means, term_energy
from modscope.boundary import public
from modscope.display import Shown
from modscope.errors import InputError, MissingWeight, NotApplicable, UnknownName
from modscope.model import Network
from modscope.networks.kinds import has_attention, layer_count
from modscope.signal import from_fourier, keep_frequencies, power, spectrum, to_fourier

__all__ = ["LinearMap", "linear_maps", "map_gains", "spectral_matmul", "tap_coherence"]


@dataclass(frozen=True, repr=False)
class LinearMap(Shown):
    """A weight with named axes, and the hooks that it reads and writes (up to a bias, which is DC)."""

    name: str
    reads: str
    writes: str
    weight: xr.DataArray
    position: str | None = None

    @property
    def channels(self) -> int:
        """The number of input channels of one output channel."""
        size = self.weight.sizes
        return int(np.prod([size[d] for d in _INPUTS[without_layer(self.reads)] if d in size]))


_INPUTS = {
    "resid_pre": ("d_model",),
    "embed": ("d_model",),
    "z": ("head", "d_head"),
    "resid_mid": ("d_model",),
    "mlp_post": ("neuron",),
    "resid_post": ("d_model",),
    "ln1": ("d_model",),
    "ln2": ("d_model",),
    "ln_final": ("d_model",),
}
_TRANSFORMER = (
    ("attn.W_Q", "resid_pre", "q", ("head", "d_model", "d_head")),
    ("attn.W_K", "resid_pre", "k", ("head", "d_model", "d_head")),
    ("attn.W_V", "resid_pre", "v", ("head", "d_model", "d_head")),
    ("attn.W_O", "z", "attn_out", ("head", "d_head", "d_model")),
    ("mlp.W_gate", "resid_mid", "mlp_pre", ("d_model", "neuron")),
    ("mlp.W_in", "resid_mid", "mlp_pre", ("d_model", "neuron")),
    ("mlp.W_out", "mlp_post", "mlp_out", ("neuron", "d_model")),
)
# What a map reads where a norm stands before it.
_AFTER_NORM = {"resid_pre": "ln1", "resid_mid": "ln2", "resid_post": "ln_final"}


@public
def linear_maps(network: Network) -> dict[str, LinearMap]:
    """The linear maps of a network by name, in the order of the forward pass.

    W_Q W_K W_V W_O W_in W_out W_U; in several layers each with its layer, as blocks.1.W_in. Without attention W_U,
    from mlp_post to the logits, and W_in_a, W_in_b, from the embedding of one position.
    """
    if has_attention(network):
        maps: dict[str, LinearMap] = {}
        for layer in range(layer_count(network)):
            maps |= _maps_of_layer(network, layer)
        last = layer_count(network) - 1
        read = _hook(network, last, "resid_post")
        W_U = xr.DataArray(_weight(network, "W_U"), dims=("d_model", "answer"))
        return maps | {"W_U": LinearMap("W_U", read, "logits", W_U)}
    if not all(network.has_weight(name) for name in ("W_in_a", "W_in_b")):
        raise NotApplicable("not applicable: the maps of an MLP that reads the sum of two embeddings")
    first = _first_hook(network)
    maps = {
        name: LinearMap(
            name, "embed", first, xr.DataArray(_weight(network, name), dims=("d_model", "neuron")), name[-1]
        )
        for name in ("W_in_a", "W_in_b")
    }
    for layer in range(1, layer_count(network)):
        name = f"blocks.{layer}.mlp.W_in"
        weight = xr.DataArray(_weight(network, name), dims=("neuron", "neuron_out"))
        read, written = f"blocks.{layer - 1}.mlp_post", f"blocks.{layer}.mlp_pre"
        maps[f"blocks.{layer}.W_in"] = LinearMap(f"blocks.{layer}.W_in", read, written, weight)
    W_U = xr.DataArray(_weight(network, "W_U"), dims=("neuron", "answer"))
    return maps | {"W_U": LinearMap("W_U", network.hook_name("mlp_post"), "logits", W_U)}


def _first_hook(network: Network) -> str:
    return network.first_joint_hook


def _maps_of_layer(network: Network, layer: int) -> dict[str, LinearMap]:
    maps = {}
    gated = network.has_weight(f"blocks.{layer}.mlp.W_gate")
    for place, reads, writes, dims in _TRANSFORMER:
        full = f"blocks.{layer}.{place}"
        if full not in network.weights:
            continue
        short = place.rpartition(".")[2]
        name = short if layer_count(network) == 1 else f"blocks.{layer}.{short}"
        writes = "mlp_pre_linear" if short == "W_in" and gated else writes
        weight = _weight(network, full)
        if "head" in dims and weight.shape[0] != network.weights[f"blocks.{layer}.attn.W_Q"].shape[0]:
            weight = np.repeat(weight, network.weights[f"blocks.{layer}.attn.W_Q"].shape[0] // len(weight), 0)
        array = xr.DataArray(weight, dims=dims)
        maps[name] = LinearMap(
            name, _hook(network, layer, reads), _hook(network, layer, writes, read=False), array
        )
    return maps


def _hook(network: Network, layer: int, short: str, *, read: bool = True) -> str:
    """The hook of a layer that a map reads or writes; what comes out of the norm where one stands before the map."""
    prefix = "" if layer_count(network) == 1 else f"blocks.{layer}."
    normed = _AFTER_NORM.get(short, "") if read else ""
    if normed == "ln_final" and normed in network.hooks:
        return normed
    return f"{prefix}{normed}" if normed and f"{prefix}{normed}" in network.hooks else f"{prefix}{short}"


def _weight(network: Network, name: str) -> np.ndarray:
    return network.weight(name).detach().double().numpy()


@public
def spectral_matmul(
    x: xr.DataArray,
    weight: xr.DataArray,
    axes: str | Sequence[str],
    *,
    frequencies: Sequence[int] | None = None,
) -> xr.DataArray:
    """x times a weight, computed in the frequency domain: transform over the axes, multiply, transform back.

    Equal to the product itself, for any axes, because the map does not touch the residues; with `frequencies`
    only these pass (along each of the axes), and the result is the map of the filtered input. The axes
    that x and weight share by name are summed over. Raises InputError where they share none.

    >>> x = xr.DataArray(np.eye(5)[:, :2], dims=("token", "d_model"))
    >>> weight = xr.DataArray([[1.0], [10.0]], dims=("d_model", "neuron"))
    >>> abs(spectral_matmul(x, weight, "token")[:, 0]).values.round(6).tolist()
    [1.0, 10.0, 0.0, 0.0, 0.0]
    """
    names = [axes] if isinstance(axes, str) else list(axes)
    if frequencies is not None:
        x = keep_frequencies(x, names, frequencies)
    return from_fourier(_product(to_fourier(x, names), weight), names)


def _product(x: xr.DataArray, weight: xr.DataArray) -> xr.DataArray:
    shared = [d for d in weight.dims if d in x.dims]
    if not shared:
        raise InputError(f"axes {x.dims} and {weight.dims}: expected one at least in common")
    return xr.dot(x, weight, dim=shared)


def _network_of(acts: Activations) -> Network:
    if acts.network is None:
        raise MissingWeight(
            "not applicable: the record has no linear maps W_Q ... W_U: it is of activations alone"
        )
    return acts.network


@public
def map_gains(acts: Activations) -> xr.Dataset:
    """The gain of every linear map at each frequency: amplitude out over amplitude in.

    `gain`(map, line, k) = sqrt(energy written / energy read), energies over all channels of the waves of
    frequency k in a ("a"), in b ("b"), on a + b ("sum") and a - b ("difference"); NaN where nothing is read; before
    attention line "a" is the token at a and "b" the token at b, the others NaN. `flat`(map): the
    root mean square gain over all directions of the input, |W| / sqrt(channels), which is what a random input
    of the same size would get; `relative` = gain / flat.
    """
    maps = linear_maps(_network_of(acts))
    energies: dict[tuple[str, str | None], np.ndarray] = {}

    def energy(hook: str, position: str | None) -> np.ndarray:
        if (hook, position) not in energies:
            energies[hook, position] = _line_energy(acts, hook, position)
        return energies[hook, position]

    gain = np.stack([_gain(energy(m.reads, m.position), energy(m.writes, None)) for m in maps.values()])
    flat = np.array([np.sqrt(np.sum(m.weight.values**2) / m.channels) for m in maps.values()])
    dims, ks = ("map", "line", "k"), np.arange(1, gain.shape[-1] + 1)
    # A map without a weight has no gain to be relative to.
    with np.errstate(invalid="ignore", divide="ignore"):
        relative = gain / flat[:, None, None]
    return xr.Dataset(
        {
            "gain": (dims, gain),
            "flat": (("map",), flat),
            "relative": (dims, relative),
        },
        {"map": list(maps), "line": list(LINES), "k": ks},
    )


def _gain(read: np.ndarray, written: np.ndarray) -> np.ndarray:
    """sqrt(written / read), NaN where no more than rounding is read."""
    with np.errstate(invalid="ignore"):
        heard = read > 1e-12 * np.nanmax(read)
    return np.sqrt(np.divide(written, read, out=np.full(read.shape, np.nan), where=heard))


def _line_energy(acts: Activations, hook: str, position: str | None) -> np.ndarray:
    """Energy [line, k] at a hook over all its features; NaN on lines that its waves, of one token, do not have."""
    if acts.is_joint(hook):
        energy = term_energy(acts, hook).energy.values
        return energy.reshape(*energy.shape[:2], -1).sum(axis=-1)
    found = np.full((len(LINES), acts.task.p // 2), np.nan)
    for i, line in enumerate(LINES):
        if line in ("a", "b") and position in (None, line):
            waves = power(acts.at(hook, line).transpose("token", ...).values.astype(np.float64), 0)[1:]
            found[i] = waves.reshape(len(waves), -1).sum(axis=1)
    return found


@public
def tap_coherence(
    acts: Activations, name: str, key_frequencies: Sequence[int], *, line: str = "a", seed: int = 0
) -> xr.Dataset:
    """How far the taps of each output channel add the waves of a frequency in phase.

    Channel j writes sum_d W_dj X_d, X_d the phasor of input channel d at frequency k along the line ("a", "b",
    "sum", "difference"). `coherence`(k, channel) = |sum_d W_dj X_d| / sum_d |W_dj X_d|: 1 where all contributions are
    in phase, near 0 where they cancel. `control`: the same taps with random signs (`seed`).
    Channels are the outputs in order, heads first. Raises UnknownName for a map or line that is not there,
    InputError for a frequency outside 1..p//2.
    """
    maps, p = linear_maps(_network_of(acts)), acts.task.p
    if name not in maps:
        raise UnknownName.of("map", name, maps)
    if line not in LINES:
        raise UnknownName.of("line", line, LINES)
    ks = list(checked_frequencies(key_frequencies, p))
    X, W = _tap_inputs(acts, maps[name], line, ks)
    signs = np.random.default_rng(seed).choice([-1.0, 1.0], W.shape)
    found = {"coherence": _coherence(X, W), "control": _coherence(X, W * signs)}
    return xr.Dataset({key: (("k", "channel"), value) for key, value in found.items()}, {"k": ks})


def _tap_inputs(acts: Activations, m: LinearMap, line: str, ks: list[int]) -> tuple[np.ndarray, np.ndarray]:
    """Phasors X [k, channel in] on a line, and taps W [channel in, channel out]."""
    inputs = [d for d in _INPUTS[without_layer(m.reads)] if d in m.weight.dims]
    outputs = [d for d in m.weight.dims if d not in inputs]
    W = m.weight.transpose(*inputs, *outputs).values.reshape(m.channels, -1)
    if acts.is_joint(m.reads):
        waves = line_means(acts, m.reads)["mean"].sel(line=line, drop=True)
    elif line not in ("a", "b") or m.position not in (None, line):
        raise InputError(f"{m.name} reads waves over one token, {m.position or 'a or b'}: not {line!r}")
    else:
        waves = acts.at(m.reads, line).astype(np.float64).rename(token="n")
    waves = waves.transpose("n", *inputs) if m.reads != "embed" else waves
    return spectrum(waves, "n").sel(k=ks).values.reshape(len(ks), -1), W


def _coherence(X: np.ndarray, W: np.ndarray) -> np.ndarray:
    total = np.abs(X) @ np.abs(W)
    return np.divide(np.abs(X @ W), total, out=np.full(total.shape, np.nan), where=total > 0)
