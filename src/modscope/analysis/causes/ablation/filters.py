"""Ablations that pass or stop frequencies: of the neurons, along one axis or over pairs, and of the logits."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import combinations

import numpy as np

from modscope.activations import Activations
from modscope.analysis.answer.restriction import MASKS, Mask, excluded_logits, restricted_logits
from modscope.analysis.causes.ablation.trial import Ablation, ChangedHook
from modscope.boundary import public
from modscope.circle import Circle
from modscope.residues import harmonic, intermodulation
from modscope.signal import keep_frequencies, remove_frequencies

__all__ = ["intermodulation_set", "logit_ablations", "neuron_filter_ablations"]

_OTHERS = "as many frequencies, drawn at random from those that are neither DC nor key"
_TERMS = {"a+b": "sum", "a-b": "difference", "1-D": "linear"}


@public
def intermodulation_set(key_frequencies: Sequence[int], p: int) -> tuple[int, ...]:
    """All sums and differences of two key frequencies, a frequency with itself included, aliased.

    They are what a product of two waves holds: 2k from one frequency, j + k and j - k from two. DC and the
    key frequencies themselves are not in the set, so that removing it leaves the waves it came from.

    >>> intermodulation_set([3, 5], 17)
    (2, 6, 7, 8)
    """
    ks = [int(k) for k in key_frequencies]
    found = {harmonic(k, 2, p) for k in ks}
    for j, k in combinations(ks, 2):
        found |= set(intermodulation(j, k, p))
    return tuple(sorted(found - {0} - set(ks)))


def neuron_filter_ablations(acts: Activations, key_frequencies: Sequence[int]) -> Iterator[Ablation]:
    """Neurons (mlp_post) after a filter.

    Along b (a; both in turn): "without-intermodulation", sums and differences of key frequencies and second
    harmonics removed (`intermodulation_set`); "without-harmonics", second harmonics removed; "key-only", DC
    and the key frequencies kept. An FFT along one axis sees cos w(a+b) at k, not at 2k: these do not remove
    products of one frequency. Over pairs: cos and sin of w_k(a+b), of w_k(a-b) and the 1-D terms of the key
    frequencies, each removed ("without-...") or kept alone with DC ("only-..."); and the answer's waves of
    one key frequency at a time removed ("without-a+b/k=...", for subtraction "without-a-b/k=...").
    For multiplication mod a prime a and b are places on the circle of powers (`Circle`); pairs with a residue
    0 keep their activation.
    """
    circle, ks = acts.circle, tuple(key_frequencies)
    p = circle.n
    harmonics = tuple(sorted({harmonic(k, 2, p) for k in ks} - {0}))
    sets = {
        "without-intermodulation": (intermodulation_set(ks, p), "sums and differences of key frequencies"),
        "without-harmonics": (harmonics, "second harmonics of key frequencies"),
    }
    for along in ("b", "a", "ab"):
        axes = tuple(along)
        where = f"along {' and '.join(axes)}"
        for name, (stopped, words) in sets.items():
            if stopped:
                stop = _along(axes, keep=False)
                yield _neurons(acts, ks, f"{name}/along={along}", f"{words} removed {where}", stopped, stop)
        keep = _along(axes, keep=True)
        yield _neurons(
            acts, ks, f"key-only/along={along}", f"only DC and the key frequencies kept {where}", ks, keep
        )
    for words, terms in _TERMS.items():
        of = f"the {words} terms of the key frequencies"
        yield _neurons(acts, ks, f"without-{words}", f"{of} removed", ks, _over_pairs(terms, keep=False))
        yield _neurons(acts, ks, f"only-{words}", f"only DC and {of} kept", ks, _over_pairs(terms, keep=True))
    answer = "a+b" if circle.turn > 0 else "a-b"
    for k in ks if len(ks) > 1 else ():
        says = f"the {answer} terms of frequency {k} removed"
        stop = _over_pairs(_TERMS[answer], keep=False)
        yield _neurons(acts, ks, f"without-{answer}/k={k}", says, (k,), stop)


Filter = Callable[[np.ndarray, Sequence[int]], np.ndarray]


def _along(axes: tuple[str, ...], *, keep: bool) -> Filter:
    def filtered(x: np.ndarray, frequencies: Sequence[int]) -> np.ndarray:
        for axis in axes:
            i = "ab".index(axis)
            x = keep_frequencies(x, i, [0, *frequencies]) if keep else remove_frequencies(x, i, frequencies)
        return x

    return filtered


def _over_pairs(terms: str, *, keep: bool) -> Filter:
    def filtered(x: np.ndarray, frequencies: Sequence[int]) -> np.ndarray:
        if keep:
            return keep_frequencies(x, (0, 1), [0, *frequencies], terms=terms)
        return remove_frequencies(x, (0, 1), frequencies, terms=terms)

    return filtered


def _neurons(
    acts: Activations, ks: tuple[int, ...], name: str, says: str, chosen: Sequence[int], filtered: Filter
) -> Ablation:
    circle = acts.circle

    def values(frequencies: Sequence[int]) -> np.ndarray:
        x = acts.at("mlp_post").values
        return _put_back(x, filtered(circle.pairs(x), frequencies), circle)

    def start() -> ChangedHook:
        return ChangedHook(
            acts,
            "mlp_post",
            values(chosen),
            lambda g: values(other_frequencies(g, len(chosen), ks, circle.n)),
        )

    return Ablation(f"neurons-{name}", f"neurons: {says}", _OTHERS, start)


def _put_back(x: np.ndarray, changed: np.ndarray, circle: Circle) -> np.ndarray:
    """A picture [a, b, ...] with the values on the circle changed; the others, if any, as they were."""
    if circle.whole:
        return changed
    whole = x.copy()
    whole[np.ix_(circle.residues, circle.residues)] = changed
    return whole


def other_frequencies(generator: np.random.Generator, count: int, ks: Sequence[int], p: int) -> list[int]:
    """Some frequencies that are neither DC nor key, drawn at random; all of them where there are too few."""
    others = np.setdiff1d(np.arange(1, p // 2 + 1), ks)
    return sorted(generator.permutation(others)[:count].tolist())


def logit_ablations(acts: Activations, key_frequencies: Sequence[int]) -> Iterator[Ablation]:
    """Logits restricted to the key frequencies, or with them excluded, all together under each mask and one by
    one under "directions" (`restriction.key_part` says what each mask holds). DC is always kept."""
    ks = tuple(key_frequencies)
    for mask in MASKS:
        for keep in (True, False):
            yield _logits(acts, ks, ks, mask, keep=keep)
    if len(ks) > 1:
        for k in ks:
            yield _logits(acts, ks, (k,), "directions", keep=True)
            yield _logits(acts, ks, (k,), "directions", keep=False)


def _logits(
    acts: Activations, ks: tuple[int, ...], chosen: tuple[int, ...], mask: Mask, *, keep: bool
) -> Ablation:
    verb, says = ("restricted", "only DC and {} kept") if keep else ("excluded", "{} removed")
    one = f"/k={chosen[0]}" if chosen != ks else ""
    which = f"frequency {chosen[0]}" if one else "the key frequencies"
    masked, circle = restricted_logits if keep else excluded_logits, acts.circle

    def values(frequencies: Sequence[int]) -> np.ndarray:
        logits = acts.at("logits").values
        return _put_back(logits, masked(logits, acts.task, frequencies, mask=mask), circle)

    def start() -> ChangedHook:
        return ChangedHook(
            acts,
            "logits",
            values(chosen),
            lambda g: values(other_frequencies(g, len(chosen), ks, circle.n)),
        )

    return Ablation(
        f"logits-{verb}/mask={mask}{one}",
        f'logits: the terms of {which} under the mask "{mask}": {says.format("these")}',
        _OTHERS,
        start,
    )
