"""Neurons: the wave that each one carries, what the nonlinearity makes of it, and where it is sent.

The shared-phase model of a neuron before its activation is r cos(wa + phi) + r cos(wb + phi) plus a constant, with
one frequency, one amplitude and one phase for both inputs. A network that subtracts adds -b: there the model is
r cos(wa + phi) + r cos(-wb + phi).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
import xarray as xr

from modscope.activations import Activations
from modscope.analysis.plane.marginals import checked_frequencies
from modscope.analysis.plane.terms import CONSTANT, energy_of_lines, line_means
from modscope.analysis.weights.frequencies import recorded_table
from modscope.boundary import public
from modscope.errors import InputError, UnknownName
from modscope.model import ACTIVATIONS
from modscope.networks.kinds import need_neurons
from modscope.signal import phase_distance, spectrum, spectrum_at

__all__ = ["Rule", "cluster_summary", "matched_filters", "neuron_waves", "output_phases", "phase_tiling"]

Rule = Literal["fve", "along b"]
_PARTS = ("linear", "sum", "difference", "other")


@public
def neuron_waves(
    acts: Activations,
    key_frequencies: Sequence[int] | None = None,
    *,
    rule: Rule = "fve",
    rectified: bool = True,
) -> xr.Dataset:
    """The frequency, amplitude and phase of every neuron, and how much of it the shared-phase model explains.

    The frequency of a neuron, among the key frequencies if they are given: rule "fve" takes the one whose
    terms {1, cos, sin} x {1, cos, sin} of a and b hold most of the variance of mlp_post (Nanda et al. 2023);
    "along b" the one of the largest amplitude along b of mlp_pre, summed over a. 0 where nothing varies.

    Over (neuron,): `frequency`; `fve`, the share of mlp_post's variance by those terms; `amplitude_a`,
    `phase_a`, `amplitude_b`, `phase_b` of mlp_pre as a wave in a and in b at that frequency; `amplitude`,
    `phase` of the shared-phase model (the mean of the two phasors); `phase_gap` between the two phases, in
    [0, pi]; phases are NaN where mlp_pre holds no such wave; `fve_pre`, `fve_post`: the share of the variance of mlp_pre and of mlp_post that two cosines of one
    amplitude and phase explain; `fve_rectified`: that of mlp_post by the activation function of the
    model of mlp_pre (left out with rectified=False: it takes a pass, and without a network, whose activation
    function it is). `share`(stage, part, neuron): the shares of pre and post in 1-D terms, on a + b and on
    a - b of the neuron's frequency, and the rest. Raises InputError for a frequency that is none.
    """
    p = acts.task.p
    every = range(1, p // 2 + 1)
    among = np.array(checked_frequencies(every if key_frequencies is None else key_frequencies, p))
    pre, post = line_means(acts, "mlp_pre"), line_means(acts, "mlp_post")
    energies = {
        "pre": energy_of_lines(pre, acts.task.operation),
        "post": energy_of_lines(post, acts.task.operation),
    }
    score = _rule_score(acts, energies["post"], among, rule)
    alive = (pre.variance.values > 0) & (score.max(axis=1) > 0)
    frequency = np.where(alive, among[score.argmax(axis=1)], 0)
    at = np.maximum(frequency, 1)
    carried = np.where(alive, _phasors_at(pre["mean"].values[:2], at), np.nan)
    both = _shared(carried, acts.task.operation)
    heard = {"": both, "_a": carried[0], "_b": carried[1]}
    found: dict[str, np.ndarray] = {"frequency": frequency}
    for name, phasor in heard.items():
        found[f"amplitude{name}"] = np.abs(phasor)
        found[f"phase{name}"] = _angle(phasor, pre.variance.values)
    mirror = -1 if acts.task.operation == "subtract" else 1
    found["phase_gap"] = phase_distance(found["phase_a"], mirror * found["phase_b"])
    parts = np.stack([_parts(e, at) for e in energies.values()])
    share = np.where(alive, parts, np.nan)
    found["fve"] = 1 - share[1, _PARTS.index("other")]
    for stage, means in (("pre", pre), ("post", post)):
        found[f"fve_{stage}"] = np.where(alive, _two_cosines(means, at, acts.task.operation), np.nan)
    waves = xr.Dataset(
        {
            **{name: (("neuron",), values) for name, values in found.items()},
            "share": (("stage", "part", "neuron"), share),
        },
        {"stage": list(energies), "part": list(_PARTS)},
        {"p": p, "rule": rule},
    )
    if not rectified or acts.network is None:
        return waves
    fve = _rectified_fve(acts, waves, pre.average.values, post)
    return waves.assign(fve_rectified=(("neuron",), np.where(alive, fve, np.nan)))


def _phasors_at(x: np.ndarray, at: np.ndarray) -> np.ndarray:
    """The phasor of each feature's wave x [line, n, feature] at its own frequency, [line, feature]."""
    bins = spectrum(x, 1)
    return bins[:, at, np.arange(len(at))]


def _rule_score(acts: Activations, post: xr.Dataset, among: np.ndarray, rule: str) -> np.ndarray:
    """[neuron, k]: what is largest at the neuron's frequency."""
    if rule == "fve":
        return post.energy.values.sum(axis=0)[among - 1].T
    if rule != "along b":
        raise UnknownName.of("rule", rule, ("fve", "along b"))
    total = np.zeros((len(among), post.sizes["neuron"]))
    for block in acts.blocks("mlp_pre"):
        bins = spectrum_at(block["mlp_pre"], "b", among)
        total += abs(bins).sum("a", dtype=np.float64).transpose("k", "neuron").values
    return total.T


def _angle(phasor: np.ndarray, variance: np.ndarray) -> np.ndarray:
    """The phases of waves, NaN for those that are the rounding of a signal of that variance."""
    with np.errstate(invalid="ignore"):
        return np.where(np.abs(phasor) ** 2 > CONSTANT * variance, np.angle(phasor), np.nan)


def _parts(energy: xr.Dataset, at: np.ndarray) -> np.ndarray:
    """Shares [part, neuron] of a neuron's variance by direction at its own frequency; NaN where nothing varies."""
    on_a, on_b, on_sum, on_difference = energy.energy.values[:, at - 1, np.arange(len(at))]
    total = energy.total.values
    named = [on_a + on_b, on_sum, on_difference]
    parts = np.stack([*named, np.maximum(total - sum(named), 0.0)])
    return np.divide(parts, total, out=np.full(parts.shape, np.nan), where=total > 0)


def _shared(carried: np.ndarray, operation: str) -> np.ndarray:
    """The phasor that fits the waves [line, ...] of a and b best; for a subtraction those of a and -b."""
    on_a, on_b = carried
    return (on_a + (on_b.conj() if operation == "subtract" else on_b)) / 2


def _two_cosines(means: xr.Dataset, at: np.ndarray, operation: str) -> np.ndarray:
    """Share of the variance that the shared-phase model with the best r and phi explains; NaN where nothing varies."""
    both = _shared(_phasors_at(means["mean"].values[:2], at), operation)
    # Two orthogonal waves, each of mean square r^2 / 2, or r^2 where there is no sine.
    weight = np.where(2 * at == means.sizes["n"], 2.0, 1.0)
    variance = means.variance.values
    return np.divide(weight * np.abs(both) ** 2, variance, out=np.full(len(at), np.nan), where=variance > 0)


def _rectified_fve(acts: Activations, waves: xr.Dataset, dc: np.ndarray, post: xr.Dataset) -> np.ndarray:
    """1 - |mlp_post - activation(dc + model of mlp_pre)|^2 / |mlp_post - mean|^2."""
    need_neurons(acts.model, "the model of a rectified wave")
    p, activation = acts.task.p, ACTIVATIONS[acts.model.config.activation]
    turn = 2 * np.pi * waves.frequency.values * np.arange(p)[:, None] / p
    amplitude, phase = (np.nan_to_num(waves[name].values) for name in ("amplitude", "phase"))
    of_a = amplitude * np.cos(turn + phase)
    of_b = amplitude * np.cos(turn - phase) if acts.task.operation == "subtract" else of_a
    error = np.zeros(waves.sizes["neuron"])
    for rows, block in acts.array_blocks("mlp_post"):
        for a, row in zip(rows, block["mlp_post"], strict=True):
            model = activation(torch.from_numpy(dc + of_a[a] + of_b)).numpy()
            error += np.sum((row - model) ** 2, axis=0)
    variance = post.variance.values
    return 1 - np.divide(error / p**2, variance, out=np.full(len(error), np.nan), where=variance > 0)


@public
def cluster_summary(waves: xr.Dataset, *, threshold: float = 0.85) -> xr.Dataset:
    """The clusters of neurons, one row per frequency that any neuron has.

    Over (k,): `neurons`, all of that frequency; `explained`, those with fve above the threshold; the medians
    over all of them of `amplitude`, `phase_gap`, `fve_pre`, `fve_post`, `fve_rectified`.
    """
    ks = np.unique(waves.frequency.values[waves.frequency.values > 0])
    names = ("amplitude", "phase_gap", "fve_pre", "fve_post", *(n for n in waves if n == "fve_rectified"))
    members = [waves.isel(neuron=np.flatnonzero(waves.frequency.values == k)) for k in ks]
    columns = {
        "neurons": [m.sizes["neuron"] for m in members],
        "explained": [int((m.fve > threshold).sum()) for m in members],
    } | {name: [median(m[name].values) for m in members] for name in names}
    return xr.Dataset({name: (("k",), column) for name, column in columns.items()}, {"k": ks})


def median(x: np.ndarray) -> float:
    """The median of the numbers that exist, NaN where none does."""
    x = x[np.isfinite(x)]
    return float(np.median(x)) if len(x) else float("nan")


@public
def matched_filters(acts: Activations, waves: xr.Dataset, *, seed: int = 0) -> xr.Dataset:
    """How far the input weights of each neuron are the matched filter for the wave that it carries.

    Dimension d of resid_mid holds the wave Re(R_d e^(iwn)) at the neuron's frequency; the filter matched to
    cos(wn + phi) has the weights Re(R_d e^(-i phi)). `correlation`(neuron): the cosine between them and W_in;
    `inside`: the share of |W_in|^2 in the plane of Re R and Im R. The phase phi is what W_in itself picks
    out, so that even weights of noise correlate positively: `control` and `control_inside` are the same two
    for a random vector in the place of W_in, with the phase that it picks out (`seed`).
    Raises InputError for a network without a residual stream.
    """
    need_neurons(acts.model, "a matched filter")
    if "resid_mid" not in acts:
        raise InputError("matched filters are of W_in reading a residual stream; this network has none")
    means = line_means(acts, "ln2" if "ln2" in acts else "resid_mid")["mean"].values[:2]
    at = np.maximum(waves.frequency.values, 1)
    R = _shared(spectrum(means, 1)[:, at], acts.task.operation).T
    W_in = acts.weight("W_in").detach().double().numpy()
    noise = np.random.default_rng(seed).standard_normal(W_in.shape)
    alive = waves.frequency.values > 0
    result = {}
    for prefix, weights in (("", W_in), ("control_", noise)):
        picked = np.sum(R * weights, axis=0)
        matched = (R * np.exp(-1j * np.angle(picked))).real
        size = np.linalg.norm(weights, axis=0)
        cosine = np.sum(matched * weights, axis=0) / np.maximum(
            np.linalg.norm(matched, axis=0) * size, 1e-300
        )
        result["control" if prefix else "correlation"] = ("neuron", np.where(alive, cosine, np.nan))
        inside = _plane_energy(R, weights) / np.maximum(size**2, 1e-300)
        result[f"{prefix}inside"] = ("neuron", np.where(alive, inside, np.nan))
    return xr.Dataset(result)


def _plane_energy(R: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """|projection of each column of weights on the plane of Re R and Im R of that column|^2."""
    planes = np.stack([R.real, R.imag], axis=-1).transpose(1, 0, 2)
    # pinv: a Nyquist wave has no imaginary part, and its plane is a line
    projected = np.linalg.pinv(planes) @ weights.T[..., None]
    return np.sum((planes @ projected)[..., 0] ** 2, axis=-1)


@public
def phase_tiling(waves: xr.Dataset, *, draws: int = 200, seed: int = 0) -> xr.Dataset:
    """How evenly the shared phases of the neurons of each frequency tile the circle.

    Over (k,), for frequencies of which any neuron has a phase: `neurons`; `largest_gap`, between neighbours, in units of the even gap 2 pi / n; `kuiper`, the
    Kuiper distance V = D+ + D- of the phases from uniform, in [1/n, 1]. `resultant`(k, order) =
    |mean e^(i m phi)| for m = 1, 2, 3, 4: 0 where the phases balance in that harmonic; m = 2 and 4 are what
    sums of rectified waves weighted by cos 2 phi need. Control: the mean of each over `draws` sets of
    n uniformly random phases, with the same names and the prefix `control_`.
    """
    generator = np.random.default_rng(seed)
    ks, rows = [], []
    for k in np.unique(waves.frequency.values[waves.frequency.values > 0]):
        phases = waves.phase.values[(waves.frequency.values == k) & np.isfinite(waves.phase.values)]
        if not len(phases):
            continue
        drawn = _tiling(generator.uniform(0, 2 * np.pi, (draws, len(phases))))
        control = {f"control_{name}": values.mean(axis=0) for name, values in drawn.items()}
        own = {name: values[0] for name, values in _tiling(phases[None]).items()}
        ks.append(k)
        rows.append({"neurons": len(phases), **own, **control})
    dims = {name: ("k", "order") if "resultant" in name else ("k",) for name in rows[0]} if rows else {}
    coords = {"k": ks, "order": [1, 2, 3, 4]}
    return xr.Dataset({name: (dims[name], np.array([row[name] for row in rows])) for name in dims}, coords)


def _tiling(phases: np.ndarray) -> dict[str, np.ndarray]:
    """Measures of how evenly each of several sets of phases [set, phase] tiles the circle, [set] and [set, order]."""
    n = phases.shape[1]
    turns = np.sort(phases / (2 * np.pi) % 1, axis=1)
    gaps = np.diff(turns, axis=1, append=turns[:, :1] + 1)
    above = np.max(np.arange(1, n + 1) / n - turns, axis=1)
    below = np.max(turns - np.arange(n) / n, axis=1)
    once = np.exp(2j * np.pi * turns)
    twice = once * once
    resultant = np.abs([x.mean(axis=1) for x in (once, twice, twice * once, twice * twice)]).T
    return {"largest_gap": gaps.max(axis=1) * n, "kuiper": above + below, "resultant": resultant}


@public
def output_phases(acts: Activations, waves: xr.Dataset, *, seed: int = 0) -> xr.Dataset:
    """The phase with which each neuron writes on the logits, beside twice the phase with which it reads.

    W_L = W_out W_U (W_U alone without a residual stream) is for each neuron a wave over the answers,
    A cos(w c + psi) at the neuron's frequency. A rectified wave holds cos(w(a + b) + phi_a + phi_b); sent with
    psi = phi_a + phi_b = 2 phi, and summed over phases, it makes cos w(a + b - c). Subtraction: phi_a - phi_b.

    Over (neuron,): `psi`, `amplitude`; `share` of the energy of its row of W_L at that frequency (mean over
    answers removed); `expected`; `distance` of the two around the circle, in [0, pi]; `control`: the same
    distance to the phase expected of another neuron of the same frequency, drawn at random; `measured`: the
    phase of mlp_post itself on a + b (a - b) and `measured_distance` of psi from it. Random phases
    have pi/2 on average. Raises InputError for other operations, and where there are not p answers.
    """
    operation = acts.task.operation
    if operation not in ("add", "subtract"):
        raise InputError(f"operation {operation!r}: expected add or subtract")
    W_L, p = recorded_table(acts, "neuron_logit"), acts.task.p
    if len(W_L) < p:
        raise InputError(f"{len(W_L)} answers: expected p = {p}, one for each residue")
    alive, at = waves.frequency.values > 0, np.maximum(waves.frequency.values, 1)
    written = np.where(alive, _phasors_at(W_L[None], at)[0], np.nan)
    sign = 1 if operation == "add" else -1
    expected = np.angle(np.exp(1j * (waves.phase_a.values + sign * waves.phase_b.values)))
    expected = np.where(alive, expected, np.nan)
    post = line_means(acts, "mlp_post")
    means = post["mean"].values[[2 if sign > 0 else 3]]
    measured = _angle(np.where(alive, _phasors_at(means, at)[0], np.nan), post.variance.values)
    variance = W_L.var(axis=0)
    psi = _angle(written, variance)
    power = np.abs(written) ** 2 * np.where(2 * at == p, 1.0, 0.5)
    found = {
        "psi": psi,
        "amplitude": np.abs(written),
        "share": np.divide(power, variance, out=np.full(len(at), np.nan), where=variance > 0),
        "expected": expected,
        "distance": phase_distance(psi, expected),
        "control": phase_distance(psi, expected[_others(waves.frequency.values, seed)]),
        "measured": measured,
        "measured_distance": phase_distance(psi, measured),
    }
    return xr.Dataset({name: (("neuron",), values) for name, values in found.items()})


def _others(frequency: np.ndarray, seed: int) -> np.ndarray:
    """For each neuron another one of the same frequency: a random cyclic order within each cluster."""
    generator = np.random.default_rng(seed)
    other = np.arange(len(frequency))
    for k in np.unique(frequency):
        members = generator.permutation(np.flatnonzero(frequency == k))
        other[members] = np.roll(members, 1)
    return other
