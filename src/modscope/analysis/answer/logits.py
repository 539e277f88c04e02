"""The logits as a sum of cosines of a + b - c, and what is left when frequencies are kept or taken out.

All of it turns on the circle of the task (`circle_of`): for subtraction read a - b for a + b; for
multiplication mod a prime, residues are replaced by their discrete logarithms and pairs with a 0 left out.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import xarray as xr

from modscope.activations import Activations
from modscope.boundary import public
from modscope.circle import Circle, circle_of
from modscope.display import Shown
from modscope.errors import InputError
from modscope.losses import Logits, Scores, StreamedLogits, cross_entropy, row_blocks
from modscope.task import ModularTask

_HELD_BYTES = 1e9  # of logits: about p = 630
_NUMBERS_AT_ONCE = 2**15  # in float64: what fits the second-level cache

__all__ = [
    "LogitFit",
    "in_places",
    "keep_streams",
    "logit_fit",
    "offset_profile",
    "pair_scores",
    "recorded_fit",
    "recorded_logits",
    "recorded_profile",
    "sum_profile",
]


def sum_profile(logits: Logits | xr.DataArray, circle: Circle) -> np.ndarray:
    """Mean logits over all pairs of the same answer, float64 [s, answer], s the answer's place a + b.

    It is the projection of the logits on all functions of a + b. logits: [a, b, answer].
    """
    x, direction = in_places(logits, circle), circle.direction
    total = np.zeros((circle.n, x.shape[-1]))
    for rows, block in row_blocks(x):
        for i, row in enumerate(block, rows.start):
            if direction == "sum":
                total[i:] += row[: circle.n - i]
                total[:i] += row[circle.n - i :]
            else:
                total[: i + 1] += row[i::-1]
                total[i + 1 :] += row[:i:-1]
    return total / circle.n


def in_places(logits: Logits | xr.DataArray, circle: Circle) -> Logits:
    """Logits [a, b, answer] with a and b in the order of the circle; streamed ones pass where that is their own."""
    if isinstance(logits, StreamedLogits):
        return logits if circle.whole else circle.pairs(logits.held())
    return circle.pairs(np.asarray(logits))


def offset_profile(profile: np.ndarray, circle: Circle) -> np.ndarray:
    """Mean logit over all triples with a + b - c = d, float64 [d], from the `sum_profile`."""
    square = profile[:, : circle.p] if circle.whole else profile[:, list(circle.answers)]
    s, d = np.arange(circle.n), np.arange(circle.n)
    return square[s, (s - d[:, None]) % circle.n].mean(axis=1)


@dataclass(frozen=True, repr=False)
class LogitFit(Shown):
    """The logits as sum over k of alpha_k cos w_k(a + b - c).

    alpha (k), k = 0..n//2: the weight of each cosine, by projection (they are orthogonal); fve (k): the share
    of the logits' variance that each explains, each pair's mean over the answers removed: softmax cannot see it.
    uncentred: the variance of the whole cube about its one mean over that variance, at least 1; published shares, which
    count the pairs' means too, are smaller by this factor (`uncentred_share`).
    """

    n: int
    alpha: xr.DataArray
    fve: xr.DataArray
    uncentred: float = 1.0

    @public
    def share(self, frequencies: Iterable[int]) -> float:
        """The share of variance that these frequencies explain together."""
        return float(self.fve.sel(k=list(frequencies)).sum())

    @public
    def uncentred_share(self, frequencies: Iterable[int]) -> float:
        """The same share where what each pair adds to all its logits alike counts as variance (Nanda et al. 2023)."""
        return self.share(frequencies) / self.uncentred

    @public
    def curve(self, frequencies: Iterable[int]) -> np.ndarray:
        """sum of alpha_k cos(w_k d) at each offset d = a + b - c, float64 [d]."""
        ks = np.array(list(frequencies), dtype=int)
        d = np.arange(self.n)
        return self.alpha.sel(k=ks).values @ np.cos(2 * np.pi * np.outer(ks, d) / self.n)

    @public
    def loss(self, frequencies: Iterable[int]) -> float:
        """Cross-entropy of logits that are only these cosines; it is the same for every pair."""
        curve = self.curve(frequencies)
        return float(cross_entropy(curve, np.array(0)))


@public
def logit_fit(
    logits: Logits | xr.DataArray, task: ModularTask, *, profile: np.ndarray | None = None
) -> LogitFit:
    """Projects logits [a, b, answer] on the cosines of a + b - c.

    alpha_k = 2/p * sum over d of g(d) cos(w_k d), with g the mean logit at offset d (1/p for DC and p/2).
    profile: their `sum_profile`, where it is known. Raises InputError for tasks whose answer does not turn on a circle.

    >>> n = np.arange(5)
    >>> d = n[:, None, None] + n[None, :, None] - n
    >>> fit = logit_fit(3 * np.cos(2 * np.pi * 2 * d / 5) + 1, ModularTask(5))
    >>> fit.alpha.values.round(6).tolist(), round(fit.share([2]), 6)
    ([1.0, 0.0, 3.0], 1.0)
    >>> shifted = logit_fit(3 * np.cos(2 * np.pi * 2 * d / 5) + n[:, None, None], ModularTask(5))
    >>> round(shifted.share([2]), 6), round(shifted.uncentred_share([2]), 6)
    (1.0, 0.692308)
    """
    circle = circle_of(task)
    n = circle.n
    g = offset_profile(sum_profile(logits, circle) if profile is None else profile, circle)
    k = np.arange(n // 2 + 1)
    half = (k == 0) | (2 * k == n)
    weight = np.where(half, 1.0, 2.0) / n
    alpha = weight * (np.cos(2 * np.pi * np.outer(k, np.arange(n)) / n) @ g)
    energy = alpha**2 * np.where(half, 1.0, 0.5)
    energy[0] = 0.0
    variance, of_means = _variances(in_places(logits, circle), circle)
    whole = variance + of_means
    with np.errstate(invalid="ignore", divide="ignore"):
        fve = np.where(variance > 0, energy / variance, 0.0)
    coords = {"k": k}
    return LogitFit(
        n,
        xr.DataArray(alpha, dims="k", coords=coords),
        xr.DataArray(fve, dims="k", coords=coords),
        whole / variance if variance > 0 else 1.0,
    )


def recorded_logits(acts: Activations) -> Logits:
    """The logits of a record: whole where they are kept or not too large, else made block by block where they are asked for."""
    sizes = acts.axes_of("logits")
    answers = sizes["answer"]
    if "logits" in acts.kept or 4 * math.prod(sizes.values()) <= _HELD_BYTES:
        whole: np.ndarray = acts.at("logits").values
        return whole

    def make() -> Iterator[np.ndarray]:
        return (block["logits"].reshape(-1, answers) for _, block in acts.array_blocks("logits"))

    return acts.remembered("streamed", "logits", lambda: StreamedLogits(make, acts.task.p, answers))


def keep_streams(acts: Activations) -> None:
    """Computes and keeps the residual stream before and after the MLP, where there is one, from which all that is large follows
    by one product each time that it is asked for, and the logits where they are held whole."""
    hooks = [hook for hook in ("resid_mid", "resid_post") if hook in acts and acts.is_joint(hook)]
    if 4 * math.prod(acts.axes_of("logits").values()) <= _HELD_BYTES:
        hooks.append("logits")
    acts.load(*hooks)


def recorded_profile(acts: Activations) -> np.ndarray:
    """The `sum_profile` of a record's logits, kept with it."""
    return acts.remembered("profile", "logits", lambda: sum_profile(recorded_logits(acts), acts.circle))


def recorded_fit(acts: Activations) -> LogitFit:
    """The `logit_fit` of a record, kept with it."""
    return acts.remembered(
        "fit",
        "logits",
        lambda: logit_fit(recorded_logits(acts), acts.task, profile=recorded_profile(acts)),
    )


def _variances(x: Logits, circle: Circle) -> tuple[float, float]:
    """The mean square of logits [i, j, answer] less each pair's mean over the answers of the circle, and these means' variance."""
    answers = slice(circle.p) if circle.whole else np.array(circle.answers)
    total, means = 0.0, np.empty((circle.n, circle.n))
    size = max(1, _NUMBERS_AT_ONCE // circle.n)
    ones, room = np.ones(circle.n), np.empty((size, circle.n))
    for rows, block in row_blocks(x):
        for i, row in enumerate(block, rows.start):
            for start in range(0, circle.n, size):
                some = row[start : start + size, answers]
                centred = room[: len(some)]
                np.copyto(centred, some)
                means[i, start : start + size] = mean = centred @ ones / circle.n
                centred -= mean[:, None]
                total += float(np.vdot(centred, centred))
    return total / circle.n**3, float(means.var())


def pair_scores(values: np.ndarray, task: ModularTask, circle: Circle) -> Scores:
    """Means over each split of a value for each pair of places, [i, j]."""
    masks = {name: circle.pairs(mask) for name, mask in task.masks().items()}
    if values.shape != masks["all"].shape:
        raise InputError(f"values of shape {values.shape}: expected one for each pair, {masks['all'].shape}")
    means = {name: float(values[mask].mean()) if mask.any() else None for name, mask in masks.items()}
    every = means["all"]
    return Scores(means.get("train"), means.get("test"), float("nan") if every is None else every)
