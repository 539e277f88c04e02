"""Logits with only some frequencies of a + b kept (restricted), or with them taken out (excluded)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import xarray as xr

from modscope.activations import Activations
from modscope.analysis.answer.logits import (
    LogitFit,
    in_places,
    logit_fit,
    pair_scores,
    recorded_fit,
    recorded_logits,
    recorded_profile,
    sum_profile,
)
from modscope.boundary import public
from modscope.circle import Circle, circle_of
from modscope.display import Shown
from modscope.errors import InputError, UnknownName
from modscope.losses import Logits as Whole
from modscope.losses import Scores, cross_entropy, row_blocks, scored
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
    "recorded_restriction",
    "restricted_logits",
    "restricted_loss",
    "restriction",
]

Mask = Literal["directions", "2x2", "3x3", "cube"]
MASKS: tuple[Mask, ...] = get_args(Mask)

Logits = Whole | xr.DataArray
Rows = Callable[[slice], np.ndarray]

_NUMBERS_AT_ONCE = 2**19  # logits looked at together: what fits the caches


@public
def key_part(
    logits: Logits, task: ModularTask, frequencies: Iterable[int], *, mask: Mask = "directions"
) -> np.ndarray:
    """The part of the logits inside a mask, without DC, float64 [i, j, answer] in the order of the circle.

    directions: cos w(a+b) and sin w(a+b) of each frequency (Nanda et al. 2023). 2x2: the products
    {cos wa, sin wa} x {cos wb, sin wb} of each. 3x3: {1, cos wa, sin wa} x {1, cos wb, sin wb} of each, without
    1 x 1. cube: alpha_k cos w_k(a+b-c) of each, one number a frequency for all logits together. The masks
    "directions" and "cube" need a task whose answer turns on a circle. logits: [a, b, answer].
    """
    return _part_of(logits, task, frequencies, mask).rows(slice(None))


@dataclass(frozen=True)
class _Part:
    """A part of the logits, in the order of the circle, of which nobody needs all rows at once.

    rows: a slice of i -> [i, j, answer]. by_place: [place, answer] where the part depends on the answer's place alone.
    """

    rows: Callable[[slice], np.ndarray]
    by_place: np.ndarray | None = None
    places: np.ndarray | None = None

    def in_digits_of(self, dtype: np.dtype) -> _Part:
        """The same, rounded to a float type where it depends on the place alone, before it is spread over the pairs."""
        if self.by_place is None or self.places is None:
            return self
        return _of_places(self.by_place.astype(dtype), self.places)


def _part_of(
    logits: Logits,
    task: ModularTask,
    frequencies: Iterable[int],
    mask: Mask,
    profile: np.ndarray | None = None,
    fit: LogitFit | None = None,
) -> _Part:
    """The part inside a mask; profile: the `sum_profile` of the logits, fit: their `logit_fit`, where these are known."""
    circle = circle_of(task)
    ks = sorted({int(k) for k in frequencies})
    if ks and not 0 < ks[0] <= ks[-1] <= circle.n // 2:
        raise InputError(f"frequencies {ks}: expected numbers from 1 to {circle.n // 2}")
    if mask not in MASKS:
        raise UnknownName.of("mask", mask, MASKS)
    if mask in ("2x2", "3x3"):
        return _Part(_block_rows(in_places(logits, circle), ks, constant=mask == "3x3"))
    places = circle.answer_places()
    if mask == "cube":
        fit = logit_fit(logits, task, profile=profile) if fit is None else fit
        by_place = _cube_profile(fit.curve(ks), circle, logits.shape[-1])
    else:
        whole = sum_profile(logits, circle) if profile is None else profile
        rows_of_ks = fourier_basis(circle.n)[np.isin(basis_frequencies(circle.n), ks)]
        by_place = rows_of_ks.T @ (rows_of_ks @ whole)
    return _of_places(by_place, places)


def _of_places(by_place: np.ndarray, places: np.ndarray) -> _Part:
    """The part that depends on the place [i, j] of the answer alone."""
    return _Part(lambda rows: np.take(by_place, places[rows], axis=0), by_place, places)


def _cube_profile(curve: np.ndarray, circle: Circle, answers: int) -> np.ndarray:
    """[s, answer]: a curve over s - c, 0 for an answer that has no place c."""
    profile = np.zeros((circle.n, answers))
    s = np.arange(circle.n)
    for place, residue in enumerate(circle.answers):
        profile[:, residue] = curve[(s - place) % circle.n]
    return profile


def _block_rows(x: Whole, ks: list[int], *, constant: bool) -> Rows:
    """Rows of x projected on {(1,) cos k, sin k} x {(1,) cos k, sin k} of each k, without 1 x 1."""
    n, answers = x.shape[0], x.shape[-1]
    basis, frequency = fourier_basis(n), basis_frequencies(n)
    used = np.isin(frequency, [0, *ks] if constant else ks)
    waves, of = basis[used], frequency[used]
    inside = np.zeros((len(of), len(of), answers))
    for rows, block in row_blocks(x):  # in float64 the whole would be twice the logits themselves
        along_b = np.matmul(waves, block.astype(np.float64, copy=False))
        inside += np.tensordot(waves[:, rows], along_b, axes=1)
    same = (of[:, None] == of) | (of[:, None] == 0) | (of == 0)
    same[(of[:, None] == 0) & (of == 0)] = False
    inside[~same] = 0.0
    # one row at a time: a product over both axes at once would read all pairs for each row
    return lambda rows: np.matmul(waves.T, np.tensordot(waves[:, rows], inside, axes=((0,), (0,))))


@public
def restricted_logits(
    logits: Logits, task: ModularTask, frequencies: Iterable[int], *, mask: Mask = "directions"
) -> np.ndarray:
    """Only the part inside a mask, plus each logit's mean over the pairs, float64 [i, j, answer]."""
    x = circle_of(task).pairs(np.asarray(logits))
    return key_part(logits, task, frequencies, mask=mask) + x.mean(axis=(0, 1), dtype=np.float64)


@public
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


@public
def restriction(
    logits: Logits,
    task: ModularTask,
    frequencies: Iterable[int],
    *,
    mask: Mask = "directions",
    profile: np.ndarray | None = None,
    fit: LogitFit | None = None,
) -> Restriction:
    """Restricted and excluded loss and accuracy under one mask (`key_part` says what each mask holds).

    profile: the `sum_profile` of the logits, fit: their `logit_fit`, where these are known.
    """
    ks = tuple(sorted({int(k) for k in frequencies}))
    part = _part_of(logits, task, ks, mask, profile, fit)
    kept = _kept(logits, task, part)
    removed = _removed(logits, task, part)
    return Restriction(mask, ks, *kept, *removed)


def recorded_restriction(
    acts: Activations, frequencies: Iterable[int], *, mask: Mask = "directions"
) -> Restriction:
    """The `restriction` of a record's logits, kept with it."""
    ks = tuple(sorted({int(k) for k in frequencies}))

    def make() -> Restriction:
        known = {"profile": recorded_profile(acts)} if mask in ("directions", "cube") else {}
        fit = recorded_fit(acts) if mask == "cube" else None
        return restriction(recorded_logits(acts), acts.task, ks, mask=mask, fit=fit, **known)

    return acts.remembered(f"restriction to {ks}, {mask}", "logits", make)


@public
def restricted_loss(
    logits: Logits, task: ModularTask, frequencies: Iterable[int], *, mask: Mask = "directions"
) -> Scores:
    """Loss by split when only the key frequencies' part of the logits is left (`restricted_logits`).

    Low: they suffice. logits: [a, b, answer]. Source: Nanda et al. 2023, section 5.1, mask "directions".
    """
    return _kept(logits, task, _part_of(logits, task, frequencies, mask))[0]


@public
def excluded_loss(
    logits: Logits, task: ModularTask, frequencies: Iterable[int], *, mask: Mask = "directions"
) -> Scores:
    """Loss by split when the key frequencies' part of the logits is taken out (`excluded_logits`).

    High: they are needed. The paper plots it on the training pairs.
    """
    return _removed(logits, task, _part_of(logits, task, frequencies, mask))[0]


@public
def excluded_loss_by_frequency(
    logits: Logits,
    task: ModularTask,
    frequencies: Iterable[int],
    *,
    mask: Mask = "directions",
    profile: np.ndarray | None = None,
) -> dict[int, Scores]:
    """Loss by split when one frequency at a time is taken out."""
    ks = [int(k) for k in frequencies]
    circle = circle_of(task)
    if profile is None and ks and mask == "directions":
        profile = sum_profile(logits, circle)
    parts = {k: _part_of(logits, task, [k], mask, profile) for k in ks}
    found = _all_removed(logits, task, list(parts.values()), judge=False)
    return {k: loss for k, (loss, _) in zip(parts, found, strict=True)}


def _kept(logits: Logits, task: ModularTask, part: _Part) -> tuple[Scores, Scores]:
    """Loss and accuracy with the part alone, plus DC."""
    circle = circle_of(task)
    labels = circle.pairs(task.labels)
    mean = _mean(in_places(logits, circle))
    if part.by_place is not None:  # the pairs of one place have the same logits and the same answer
        places = circle.answer_places()
        of_place = np.empty(circle.n, labels.dtype)
        of_place[places] = labels
        loss, right = (found[places] for found in scored(part.by_place + mean, of_place))
        return pair_scores(loss, task, circle), pair_scores(right, task, circle)
    loss, right = np.empty(labels.shape), np.empty(labels.shape, bool)
    for rows in _row_slices(circle.n):
        loss[rows], right[rows] = scored(part.rows(rows) + mean, labels[rows])
    return pair_scores(loss, task, circle), pair_scores(right, task, circle)


def _removed(logits: Logits, task: ModularTask, part: _Part) -> tuple[Scores, Scores]:
    """Loss and accuracy without the part."""
    return _all_removed(logits, task, [part])[0]


def _all_removed(
    logits: Logits, task: ModularTask, parts: Sequence[_Part], *, judge: bool = True
) -> list[tuple[Scores, Scores]]:
    """Loss and accuracy (0 without judge) without each of some parts, one at a time, from one look at the logits."""
    if not parts:
        return []
    circle = circle_of(task)
    labels = circle.pairs(task.labels)
    loss, right = np.empty((len(parts), *labels.shape)), np.zeros((len(parts), *labels.shape), bool)
    taken: list[_Part] = []
    for rows, block in row_blocks(in_places(logits, circle)):
        # what is taken out leaves logits of their own size, which have no more digits than they had
        taken = taken or [part.in_digits_of(block.dtype) for part in parts]
        for i, part in enumerate(taken):
            changed = part.rows(rows).astype(block.dtype, copy=False)
            np.subtract(block, changed, out=changed)
            if judge:
                loss[i, rows], right[i, rows] = scored(changed, labels[rows])
            else:
                loss[i, rows] = cross_entropy(changed, labels[rows])
    return [
        (pair_scores(one, task, circle), pair_scores(sure, task, circle))
        for one, sure in zip(loss, right, strict=True)
    ]


def _mean(x: Whole) -> np.ndarray:
    """The mean of logits [i, j, answer] over the pairs, float64 [answer]."""
    total = np.zeros(x.shape[-1])
    for _, block in row_blocks(x):
        total += np.einsum("ijc->c", block, dtype=np.float64)
    return total / (x.shape[0] * x.shape[1])


def _row_slices(n: int) -> Iterator[slice]:
    size = max(1, _NUMBERS_AT_ONCE // n**2)
    return (slice(start, min(start + size, n)) for start in range(0, n, size))
