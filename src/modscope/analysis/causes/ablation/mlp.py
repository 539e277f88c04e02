"""Ablations of the MLP: its nonlinearity, its share of the residual stream, and groups of its neurons."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from modscope.activations import Activations
from modscope.analysis.causes.ablation.trial import SHUFFLED, Ablation, ChangedHook
from modscope.analysis.neurons.clusters import Clusters, clusters, neuron_fve
from modscope.networks.kinds import is_gated
from modscope.networks.layered_config import LayeredConfig

__all__ = ["cluster_ablations", "nonlinearity_ablations", "path_ablations", "random_neurons", "with_means"]

_SAME_NUMBER = "as many neurons, drawn at random from all"


def nonlinearity_ablations(acts: Activations) -> Iterator[Ablation]:
    """The activation function taken out; for ReLU also its two halves, x/2 + |x|/2, one at a time."""

    if "mlp_pre" not in acts or is_gated(acts.model):
        return

    def become(function: Callable[[np.ndarray], np.ndarray]) -> Callable[[], ChangedHook]:
        return lambda: ChangedHook(acts, "mlp_post", function(acts.at("mlp_pre").values))

    yield Ablation(
        "nonlinearity-removed", "neurons pass their input on unchanged", SHUFFLED, become(lambda x: x.copy())
    )
    if acts.model.config.activation == "relu":
        yield Ablation(
            "half-linear", "x/2 in place of ReLU(x) = x/2 + |x|/2", SHUFFLED, become(lambda x: x / 2)
        )
        yield Ablation(
            "half-absolute", "|x|/2 in place of ReLU(x)", SHUFFLED, become(lambda x: np.abs(x) / 2)
        )


def path_ablations(acts: Activations) -> Iterator[Ablation]:
    """The last residual stream with the skip path (resid_mid) or the MLP's output at its mean over pairs."""
    config = acts.model.config
    if "resid_mid" not in acts or (isinstance(config, LayeredConfig) and config.norm and config.norm_after):
        return  # what is left of the sum after a norm is not the sum of what is left

    def without(hook: str) -> Callable[[], ChangedHook]:
        def start() -> ChangedHook:
            x = acts.at(hook).values
            return ChangedHook(acts, "resid_post", acts.at("resid_post").values - x + _mean(x))

        return start

    yield Ablation(
        "skip-mean",
        "what reaches the unembedding past the MLP replaced by its mean",
        SHUFFLED,
        without("resid_mid"),
    )
    yield Ablation("mlp-mean", "the output of the MLP replaced by its mean", SHUFFLED, without("mlp_out"))


def cluster_ablations(acts: Activations, key_frequencies: Sequence[int]) -> Iterator[Ablation]:
    """The neurons of one key frequency, of all, or of none of them held at their mean over pairs.

    A neuron belongs to a frequency that explains more than 85 % of its variance (`clusters`). A
    cluster without neurons changes nothing.
    """
    found: list[Clusters] = []

    def members(k: int) -> np.ndarray:
        if not found:
            found.append(clusters(neuron_fve(acts.at("mlp_post"), acts.circle)))
        return found[0].members(k)

    def all_members() -> np.ndarray:
        return np.concatenate([members(k) for k in key_frequencies])

    def start(held: Callable[[], np.ndarray]) -> Callable[[], ChangedHook]:
        return lambda: _held(acts, held())

    for k in key_frequencies:
        yield Ablation(
            f"cluster-mean/k={k}",
            f"the neurons of frequency {k} held at their mean",
            _SAME_NUMBER,
            start(lambda k=k: members(k)),  # type: ignore[misc]
        )
    yield Ablation(
        "clusters-mean",
        "all neurons of the key frequencies held at their mean",
        _SAME_NUMBER,
        start(all_members),
    )
    yield Ablation(
        "clusters-only",
        "all neurons but those of the key frequencies held at their mean",
        _SAME_NUMBER,
        start(lambda: np.setdiff1d(np.arange(acts.at("mlp_post").sizes["neuron"]), all_members())),
    )


def random_neurons(acts: Activations, *, seed: int = 0) -> Iterator[Ablation]:
    """A tenth, and half, of the neurons, drawn at random, held at their mean over pairs."""
    if "mlp_post" not in acts:
        return
    width = acts.weight("W_out" if acts.has_weight("W_out") else "W_U").shape[0]
    for count in sorted({max(1, width // 10), max(1, width // 2)}):
        drawn = np.random.default_rng(seed).permutation(width)[:count]
        yield Ablation(
            f"neurons-random/n={count}",
            f"{count} random neurons held at their mean",
            _SAME_NUMBER,
            lambda drawn=drawn: _held(acts, drawn),  # type: ignore[misc]
        )


def with_means(x: np.ndarray, neurons: np.ndarray) -> np.ndarray:
    """A copy of [a, b, neuron] with some neurons held at their mean over all pairs."""
    held = x.copy()
    held[..., neurons] = x[..., neurons].mean(axis=(0, 1), dtype=np.float64)
    return held


def _held(acts: Activations, neurons: np.ndarray) -> ChangedHook:
    x = acts.at("mlp_post").values
    count, width = len(neurons), x.shape[-1]
    return ChangedHook(
        acts,
        "mlp_post",
        with_means(x, neurons),
        lambda g: with_means(x, g.choice(width, count, replace=False)),
    )


def _mean(x: np.ndarray) -> np.ndarray:
    return x.mean(axis=(0, 1), dtype=np.float64).astype(x.dtype)
