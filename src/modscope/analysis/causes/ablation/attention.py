"""Ablations of the attention pattern and of heads. Only the read position's pattern changes; the MLP is recomputed."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from modscope.activations import Activations
from modscope.analysis.causes.ablation.trial import SHUFFLED, Ablation, ChangedHook

__all__ = [
    "attention_ablations",
    "constant_pattern",
    "equalised_pattern",
    "mean_pattern",
    "swapped_pattern",
    "uniform_pattern",
]


Positions = tuple[int, int]


def mean_pattern(pattern: np.ndarray, residues: Positions = (0, 1)) -> np.ndarray:
    """Every pair gets the mean over all pairs of its head. pattern [a, b, head, key_pos]."""
    return np.broadcast_to(pattern.mean(axis=(0, 1), dtype=np.float64), pattern.shape).astype(pattern.dtype)


def constant_pattern(pattern: np.ndarray, residues: Positions = (0, 1)) -> np.ndarray:
    """a and b get half of the row's total each, constant tokens nothing. residues: the key positions of a and b.

    >>> constant_pattern(np.array([[[[0.5, 0.25, 0.25]]]])).ravel().tolist()
    [0.5, 0.5, 0.0]
    """
    constant = np.zeros_like(pattern)
    constant[..., list(residues)] = pattern.sum(axis=-1, keepdims=True) / 2
    return constant


def uniform_pattern(pattern: np.ndarray, residues: Positions = (0, 1)) -> np.ndarray:
    """Every position gets the same share of the row's total."""
    return np.broadcast_to(pattern.mean(axis=-1, keepdims=True), pattern.shape).copy()


def equalised_pattern(pattern: np.ndarray, residues: Positions = (0, 1)) -> np.ndarray:
    """a and b both get (A_a + A_b)/2, pair by pair; each keeps its own value vector.

    >>> equalised_pattern(np.array([[[[0.5, 0.25, 0.25]]]])).ravel().tolist()
    [0.375, 0.375, 0.25]
    """
    equalised = pattern.copy()
    both = list(residues)
    equalised[..., both] = pattern[..., both].mean(axis=-1, keepdims=True)
    return equalised


def swapped_pattern(pattern: np.ndarray, residues: Positions = (0, 1)) -> np.ndarray:
    """a gets the weight of b and b that of a, pair by pair.

    >>> swapped_pattern(np.array([[[[0.5, 0.125, 0.375]]]])).ravel().tolist()
    [0.125, 0.5, 0.375]
    """
    swapped = pattern.copy()
    a, b = residues
    swapped[..., [a, b]] = pattern[..., [b, a]]
    return swapped


_Change = Callable[[np.ndarray, Positions], np.ndarray]
_PATTERNS: dict[str, tuple[_Change, str]] = {
    "pattern-mean": (mean_pattern, "the pattern of each head replaced by its mean over all pairs"),
    "pattern-constant": (constant_pattern, "half of the attention on a, half on b, none on the others"),
    "pattern-uniform": (uniform_pattern, "the same attention on every position"),
    "pattern-equalised": (equalised_pattern, "a and b both get the mean of their weights, pair by pair"),
    "pattern-swapped": (swapped_pattern, "the weights of a and b swapped, pair by pair"),
}


def attention_ablations(acts: Activations) -> Iterator[Ablation]:
    """All heads at once and one head at a time; and the output of attention, or of one head, at its mean.

    None for a network without attention.
    """
    if "pattern" not in acts:
        return
    heads = range(acts.at("pattern").sizes["head"])
    for name, (change, says) in _PATTERNS.items():
        yield Ablation(name, says, SHUFFLED, _pattern_trial(acts, change, None))
        if name != "pattern-uniform":
            for head in heads:
                yield Ablation(
                    f"{name}/head={head}",
                    f"head {head}: {says}",
                    SHUFFLED,
                    _pattern_trial(acts, change, head),
                )
    yield Ablation(
        "attention-mean",
        "the output of attention replaced by its mean over all pairs",
        SHUFFLED,
        lambda: ChangedHook(acts, "attn_out", _mean_over_pairs(acts.at("attn_out").values)),
    )
    for head in heads:
        yield Ablation(
            f"head-mean/head={head}",
            f"head {head}: its output replaced by its mean over all pairs",
            SHUFFLED,
            _head_trial(acts, head),
        )


def _pattern_trial(acts: Activations, change: _Change, head: int | None) -> Callable[[], ChangedHook]:
    positions = acts.input_positions

    def start() -> ChangedHook:
        pattern = acts.at("pattern").values
        changed = change(pattern, (positions.index("a"), positions.index("b")))
        if head is not None:
            only = pattern.copy()
            only[:, :, head] = changed[:, :, head]
            changed = only
        return ChangedHook(acts, "pattern", changed)

    return start


def _head_trial(acts: Activations, head: int) -> Callable[[], ChangedHook]:
    def start() -> ChangedHook:
        z = acts.at("z").values.copy()
        z[:, :, head] = z[:, :, head].mean(axis=(0, 1), dtype=np.float64)
        return ChangedHook(acts, "z", z)

    return start


def _mean_over_pairs(x: np.ndarray) -> np.ndarray:
    return np.broadcast_to(x.mean(axis=(0, 1), dtype=np.float64), x.shape).astype(x.dtype)
