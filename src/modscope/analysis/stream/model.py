"""The last residual stream rebuilt from a few waves, and what each part of it is worth.

The model, with c the answer and w_k = 2 pi k / p, for each dimension d:

    resid_post[d, c, a] = sum_k cos w_k(a - c/2) Re(P_dk e^{i w_k c/2}) + bias_d(c)

By cos w(a - c/2) cos(wc/2) = (cos wa + cos wb)/2 and the same with sines, the cosines are functions of a plus
functions of b; everything that depends on the answer alone is in the bias. So each part is judged alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import xarray as xr

from modscope.activations import Activations
from modscope.activations.axes import without_layer
from modscope.analysis.plane.marginals import Marginals, checked_frequencies, marginals, phasors_of
from modscope.analysis.stream.scores import explained, picture_of, scores_of_blocks, scores_of_parts
from modscope.boundary import public
from modscope.display import Shown
from modscope.errors import InputError, UnknownName
from modscope.losses import Scores
from modscope.networks.kinds import need_stream

__all__ = [
    "StreamModel",
    "as_rows",
    "at_frequencies",
    "rebuilt_stream",
    "stream_model",
    "unembedding_phasors",
    "unembedding_waves",
    "waves_of",
]


@dataclass(frozen=True, repr=False)
class StreamModel(Shown):
    """Least squares fit of cosines about c/2 and a bias in c.

    phasors: P [k, feature], complex; marginals: what they were fitted to. The fit needs no solver: the
    waves are orthogonal, and P_k is the sum of the phasors of the 1-D waves of a and of b (of a and of b
    reversed, for subtraction).
    """

    key_frequencies: tuple[int, ...]
    phasors: np.ndarray
    marginals: Marginals

    @public
    def cosines(self, *, frequencies: Sequence[int] | None = None) -> dict[str, np.ndarray]:
        """The cosines (of all key frequencies, or some of them) as the sum of a function of a and a function
        of b, [residue, feature] each."""
        ks = (
            self.key_frequencies
            if frequencies is None
            else checked_frequencies(frequencies, self.marginals.p)
        )
        for k in ks:
            if k not in self.key_frequencies:
                raise UnknownName.of("frequency of this model", k, self.key_frequencies)
        P = self.phasors[[self.key_frequencies.index(k) for k in ks]] / 2
        of_b = P if self.marginals.sign == 1 else P.conj()
        return {"of_a": waves_of(P, ks, self.marginals.p), "of_b": waves_of(of_b, ks, self.marginals.p)}

    @public
    def bias(self, *, key_only: bool = False) -> dict[str, np.ndarray]:
        """bias_d(c) without its mean: free, or at the key frequencies only."""
        bias = self.marginals.of_answer
        return {"of_answer": at_frequencies(bias, self.key_frequencies) if key_only else bias}

    @public
    def picture(
        self, *parts: Mapping[str, np.ndarray], features: Sequence[int] | np.ndarray | None = None
    ) -> xr.DataArray:
        """The model as an activation (a, b, feature), float64: cosines and bias, or the parts given (`cosines()`,
        `bias()`), which must be of different numbers, and the mean. `in_order(x, "c", "a")` shows its rows.
        features: the numbers of those wanted, all if not given."""
        chosen = parts or (self.cosines(), self.bias())
        tables = {name: table for part in chosen for name, table in part.items()}
        found = self.marginals
        if features is not None:
            some = list(features)
            tables = {name: table[:, some] for name, table in tables.items()}
            found = replace(found, mean=found.mean[some], features=((found.features[-1][0], len(some)),))
        return picture_of(found, tables)


@public
def stream_model(
    acts: Activations, key_frequencies: Sequence[int], *, hook: str = "resid_post"
) -> StreamModel:
    """The least-squares cosines about c/2 and bias in c of an activation.

    Raises InputError where the answer is neither a + b nor a - b.
    """
    ks = checked_frequencies(key_frequencies, acts.task.p)
    _need_stream(acts, hook)
    found = marginals(acts, hook)
    of_b = phasors_of(found.of_b, ks)
    phasors = phasors_of(found.of_a, ks) + (of_b if found.sign == 1 else of_b.conj())
    return StreamModel(ks, phasors, found)


def waves_of(phasors: np.ndarray, ks: Sequence[int], p: int) -> np.ndarray:
    """The waves [residue, ...] of phasors [k, ...]: sum of Re(C_k e^{i w_k n}).

    >>> waves_of(np.array([2.0 + 0j]), [1], 4).round(9).tolist()
    [2.0, 0.0, -2.0, -0.0]
    """
    turn = np.exp(2j * np.pi / p * (np.arange(p)[:, None] * np.asarray(ks) % p))
    return np.tensordot(turn, phasors, axes=1).real


@public
def rebuilt_stream(
    acts: Activations, key_frequencies: Sequence[int], *, hook: str = "resid_post"
) -> xr.Dataset:
    """How much of the residual stream each rebuilt one explains, and how well it does the task.

    Models: "cosines + bias" (least squares, bias free in c); "cosines + key bias" (bias at DC and the key
    frequencies only); "cosines only", "bias only", "key bias only": each part alone; "W_U, gain per k":
    the waves of W_U over the answer read at c, times one number for each frequency; "W_U, one gain"; "whole":
    the activation itself. Every model keeps the mean over pairs of each dimension. "cosines + key bias" is
    also what comes of projecting every row on cos w_k(a - c/2) and its mean, and these weights, as waves of c,
    on e^{i w_k c/2} and on the key frequencies: the projections are orthogonal, so both ways end at one P.

    Variables: r2(model), the share of the centred energy of all dimensions that it explains;
    numbers(model), how many real numbers it has beside the means; loss and accuracy (model, split) when it
    replaces the activation and the forward pass is resumed (NaN where no split is known).
    Raises InputError where the answer is neither a + b nor a - b or there is no residual stream.
    """
    model = stream_model(acts, key_frequencies, hook=hook)
    found, ks = model.marginals, model.key_frequencies
    cosines, bias, key_bias = model.cosines(), model.bias(), model.bias(key_only=True)
    n_cosines = _numbers(ks, found)
    n_bias = (found.p - 1) * len(found.mean)
    models = {
        "cosines + bias": (cosines | bias, n_cosines + n_bias),
        "cosines + key bias": (cosines | key_bias, 2 * n_cosines),
        "cosines only": (cosines, n_cosines),
        "bias only": (bias, n_bias),
        "key bias only": (key_bias, n_cosines),
    }
    width, answers = acts.weight("W_U").shape if acts.network is not None else (0, 0)
    if width == len(found.mean) and answers >= found.p:
        waves = unembedding_waves(acts, found, ks)
        models["W_U, gain per k"] = ({"of_answer": waves["gain per frequency"]}, len(ks))
        models["W_U, one gain"] = ({"of_answer": waves["one gain"]}, 1)
    rows = {
        name: (explained(found, parts), *scores_of_parts(acts, found, parts))
        for name, (parts, _) in models.items()
    }
    whole = scores_of_blocks(((r, x["logits"]) for r, x in acts.resume({})), acts.task)
    rows["whole"] = (1.0, *whole)
    numbers = [*(n for _, n in models.values()), found.p**2 * len(found.mean)]
    judged = as_rows(rows, "model").assign(numbers=("model", numbers))
    return judged.assign_attrs(hook=found.hook, key_frequencies=list(ks))


def unembedding_waves(acts: Activations, found: Marginals, ks: Sequence[int]) -> dict[str, np.ndarray]:
    """The waves of W_U read at the answer, [residue, feature], fitted with "one gain", a "gain per frequency",
    or a gain and a "phase per frequency" (the same turn for all dimensions)."""
    U, R = unembedding_phasors(acts, ks), phasors_of(found.of_answer, ks)
    overlap, size = np.sum(R * U.conj(), axis=1), np.sum(abs(U) ** 2, axis=1)
    # the Nyquist wave has twice the power of another of its amplitude, and no phase to turn
    nyquist = np.asarray(ks) * 2 == found.p
    weight, some = np.where(nyquist, 2.0, 1.0), np.where(size > 0, size, 1.0)
    total = np.sum(weight * size)
    one = np.sum(weight * overlap.real) / (total if total > 0 else 1.0)
    gains = {
        "one gain": np.full(len(ks), one, complex),
        "gain per frequency": overlap.real / some,
        "phase per frequency": np.where(nyquist, overlap.real, overlap) / some,
    }
    return {name: waves_of(U * gain[:, None], ks, found.p) for name, gain in gains.items()}


@public
def unembedding_phasors(acts: Activations, ks: Sequence[int]) -> np.ndarray:
    """Phasors [k, feature] of each row of W_U over the answers 0..p-1; InputError where it has fewer."""
    p, answers = acts.task.p, acts.weight("W_U").shape[1]
    if answers < p:
        raise InputError(f"W_U has {answers} answers: expected at least p = {p}, to be waves over the answer")
    return phasors_of(acts.weight("W_U").double().numpy().T[:p], checked_frequencies(ks, p))


def as_rows(rows: Mapping[str, tuple[float, Scores, Scores]], axis: str) -> xr.Dataset:
    """Rows (r2, loss, accuracy) by name as a Dataset over that axis and `split`."""
    splits = ("train", "test", "all")
    loss = [[loss.to_dict()[split] for split in splits] for _, loss, _ in rows.values()]
    accuracy = [[accuracy.to_dict()[split] for split in splits] for _, _, accuracy in rows.values()]
    return xr.Dataset(
        {
            "r2": ((axis,), [r2 for r2, _, _ in rows.values()]),
            "loss": ((axis, "split"), np.array(loss, np.float64)),
            "accuracy": ((axis, "split"), np.array(accuracy, np.float64)),
        },
        {axis: list(rows), "split": list(splits)},
    )


def at_frequencies(x: np.ndarray, ks: Sequence[int]) -> np.ndarray:
    """The part of waves x [residue, ...] at the frequencies ks."""
    return waves_of(phasors_of(x, ks), ks, len(x))


def _numbers(ks: Sequence[int], found: Marginals) -> int:
    """Real numbers in one phasor per frequency and feature; the Nyquist wave has no sine."""
    return sum(1 if 2 * k == found.p else 2 for k in ks) * len(found.mean)


def _need_stream(acts: Activations, hook: str) -> None:
    if acts.network is not None and without_layer(hook.removeprefix("blocks.0.hook_")) == "resid_post":
        need_stream(acts.network, "the rebuilt residual stream")
