"""Logits with only some frequencies of a + b kept (restricted), or with them taken out (excluded)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import xarray as xr

from modscope.analysis.answer.logits import logit_fit, pair_scores, sum_profile
from modscope.circle import Circle, circle_of
from modscope.display import Shown
from modscope.errors import InputError, UnknownName
from modscope.losses import Scores, cross_entropy, right_answers
from modscope.signal import basis_frequencies, fourier_basis
from modscope.task import ModularTask

__all__ = [
    "MASKS",
    "Mask",
    "Restriction",
    "excluded_logits",
    "excluded_loss",
    "excluded_loss_by_frequency",
    "key_part",
    "restricted_logits",
    "restricted_loss",
    "restriction",
]

Mask = Literal["directions", "2x2", "3x3", "cube"]
MASKS: tuple[Mask, ...] = get_args(Mask)

Logits = np.ndarray | xr.DataArray
Rows = Callable[[slice], np.ndarray]

_NUMBERS_AT_ONCE = 2**19  # logits looked at together: what fits the caches


def key_part(
    logits: Logits, task: ModularTask, frequencies: Iterable[int], *, mask: Mask = "directions"
) -> np.ndarray:
    """The part of the logits inside a mask, without DC, float64 [i, j, answer] in the order of the circle.

    directions: cos w(a+b) and sin w(a+b) of each frequency (Nanda et al. 2023). 2x2: the products
    {cos wa, sin wa} x {cos wb, sin wb} of each. 3x3: {1, cos wa, sin wa} x {1, cos wb, sin wb} of each, without
    1 x 1. cube: alpha_k cos w(a+b-c) of each, one number a frequency for all logits together. The masks
    "directions" and "cube" need a task whose answer turns on a circle. logits: [a, b, answer].
    """
    return _rows_of_part(logits, task, frequencies, mask)(slice(None))


def _rows_of_part(
    logits: Logits,
    task: ModularTask,
    frequencies: Iterable[int],
    mask: Mask,
    profile_of_sums: np.ndarray | None = None,
) -> Rows:
    """A function from a slice of i to the part's rows [i, j, answer], so that nobody needs all of them at once."""
    circle = circle_of(task)
    ks = sorted({int(k) for k in frequencies})
    if ks and not 0 < ks[0] <= ks[-1] <= circle.n // 2:
        raise InputError(f"frequencies {ks}: expected numbers from 1 to {circle.n // 2}")
    if mask not in MASKS:
        raise UnknownName.of("mask", mask, MASKS)
    if mask in ("2x2", "3x3"):
        return _block_rows(circle.pairs(np.asarray(logits)), ks, constant=mask == "3x3")
    places = circle.answer_places()
    if mask == "cube":
        profile = _cube_profile(logits, task, circle, ks)
    else:
        whole = sum_profile(logits, circle) if profile_of_sums is None else profile_of_sums
        rows_of_ks = fourier_basis(circle.n)[np.isin(basis_frequencies(circle.n), ks)]
        profile = rows_of_ks.T @ (rows_of_ks @ whole)
    return lambda rows: profile[places[rows]]


def _cube_profile(logits: Logits, task: ModularTask, circle: Circle, ks: list[int]) -> np.ndarray:
    """[s, answer]: sum of alpha_k cos w_k(s - c), 0 for an answer that has no place c."""
    curve = logit_fit(logits, task).curve(ks)
    profile = np.zeros((circle.n, np.asarray(logits).shape[-1]))
    s = np.arange(circle.n)
    for place, residue in enumerate(circle.answers):
        profile[:, residue] = curve[(s - place) % circle.n]
    return profile


def _block_rows(x: np.ndarray, ks: list[int], *, constant: bool) -> Rows:
    """Rows of x projected on {(1,) cos k, sin k} x {(1,) cos k, sin k} of each k, without 1 x 1."""
    n, answers = len(x), x.shape[-1]
    basis, frequency = fourier_basis(n), basis_frequencies(n)
    used = np.isin(frequency, [0, *ks] if constant else ks)
    waves, of = basis[used], frequency[used]
    half = np.zeros((len(of), n * answers))
    for rows in _row_blocks(n):  # in float64 the whole would be twice the logits themselves
        half += waves[:, rows] @ x[rows].reshape(-1, n * answers).astype(np.float64, copy=False)
    inside = np.einsum("jb,ibf->ijf", waves, half.reshape(len(of), n, answers), optimize=True)
    same = (of[:, None] == of) | (of[:, None] == 0) | (of == 0)
    same[(of[:, None] == 0) & (of == 0)] = False
    inside[~same] = 0.0
    along_a = np.einsum("jb,ijf->ibf", waves, inside, optimize=True).reshape(len(of), n * answers)
    return lambda rows: (waves[:, rows].T @ along_a).reshape(-1, n, answers)


def restricted_logits(
    logits: Logits, task: ModularTask, frequencies: Iterable[int], *, mask: Mask = "directions"
) -> np.ndarray:
    """Only the part inside a mask, plus each logit's mean over the pairs, float64 [i, j, answer]."""
    x = circle_of(task).pairs(np.asarray(logits))
    return key_part(logits, task, frequencies, mask=mask) + x.mean(axis=(0, 1), dtype=np.float64)


def excluded_logits(
    logits: Logits, task: ModularTask, frequencies: Iterable[int], *, mask: Mask = "directions"
) -> np.ndarray:
    """The logits without the part inside a mask, their means kept, float64 [i, j, answer]."""
    x = circle_of(task).pairs(np.asarray(logits))
    return x - key_part(logits, task, frequencies, mask=mask)


@dataclass(frozen=True, repr=False)
class Restriction(Shown):
    """Loss and accuracy by split with only the part inside a mask kept, and with it taken out."""

    mask: Mask
    frequencies: tuple[int, ...]
    restricted_loss: Scores
    restricted_accuracy: Scores
    excluded_loss: Scores
    excluded_accuracy: Scores


def restriction(
    logits: Logits, task: ModularTask, frequencies: Iterable[int], *, mask: Mask = "directions"
) -> Restriction:
    """Restricted and excluded loss and accuracy under one mask (`key_part` says what each mask holds)."""
    ks = tuple(sorted({int(k) for k in frequencies}))
    part = _rows_of_part(logits, task, ks, mask)
    kept = _evaluate(logits, task, part, keep=True)
    removed = _evaluate(logits, task, part, keep=False)
    return Restriction(mask, ks, *kept, *removed)


def restricted_loss(
    logits: Logits, task: ModularTask, frequencies: Iterable[int], *, mask: Mask = "directions"
) -> Scores:
    """Loss by split when only the key frequencies' part of the logits is left (`restricted_logits`).

    Low: they suffice. logits: [a, b, answer]. Source: Nanda et al. 2023, section 5.1, mask "directions".
    """
    return _evaluate(logits, task, _rows_of_part(logits, task, frequencies, mask), keep=True)[0]


def excluded_loss(
    logits: Logits, task: ModularTask, frequencies: Iterable[int], *, mask: Mask = "directions"
) -> Scores:
    """Loss by split when the key frequencies' part of the logits is taken out (`excluded_logits`).

    High: they are needed. The paper plots it on the training pairs.
    """
    return _evaluate(logits, task, _rows_of_part(logits, task, frequencies, mask), keep=False)[0]


def excluded_loss_by_frequency(
    logits: Logits, task: ModularTask, frequencies: Iterable[int], *, mask: Mask = "directions"
) -> dict[int, Scores]:
    """Loss by split when one frequency at a time is taken out."""
    ks = [int(k) for k in frequencies]
    circle = circle_of(task)
    profile = sum_profile(logits, circle) if ks and mask == "directions" else None
    parts = {k: _rows_of_part(logits, task, [k], mask, profile) for k in ks}
    return {k: _evaluate(logits, task, part, keep=False)[0] for k, part in parts.items()}


def _evaluate(logits: Logits, task: ModularTask, part: Rows, *, keep: bool) -> tuple[Scores, Scores]:
    """Loss and accuracy with the part alone (plus DC) or without it."""
    circle = circle_of(task)
    x, labels = circle.pairs(np.asarray(logits)), circle.pairs(task.labels)
    mean = x.mean(axis=(0, 1), dtype=np.float64) if keep else 0.0
    loss, right = np.empty(labels.shape), np.empty(labels.shape, bool)
    for rows in _row_blocks(circle.n):
        # what is taken out leaves logits of their own size, which have no more digits than they had
        changed = part(rows) + mean if keep else x[rows] - part(rows).astype(x.dtype, copy=False)
        loss[rows] = cross_entropy(changed, labels[rows])
        right[rows] = right_answers(changed, labels[rows])
    return pair_scores(loss, task, circle), pair_scores(right, task, circle)


def _row_blocks(n: int) -> Iterator[slice]:
    size = max(1, _NUMBERS_AT_ONCE // n**2)
    return (slice(start, min(start + size, n)) for start in range(0, n, size))
