"""Where the answer is made: by rectifying a sum of waves, by a product in attention, or by heart.

Shares of the margin by causal replacement (`replacement`), and each key frequency's circle alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr

from modscope.activations import Activations
from modscope.analysis.answer.clock_and_pizza import isolated_circle
from modscope.analysis.answer.keys import given_or_found
from modscope.analysis.answer.logits import recorded_logits
from modscope.analysis.causes.replacement import MarginalOf, answer_biases, input_hook, margins, replacements
from modscope.analysis.plane.marginals import answer_sign, checked_frequencies
from modscope.analysis.tables import table_of
from modscope.analysis.weights.frequencies import Map, weight_table
from modscope.boundary import public
from modscope.display import Shown, card_html, facts_html, shares_html
from modscope.grounds import Grounds, grounds_of
from modscope.networks.kinds import need_plain
from modscope.task import ModularTask

__all__ = ["Mechanism", "circle_curve", "envelopes", "mechanism"]


@public
def envelopes(acts: Activations, key_frequencies: Sequence[int]) -> xr.Dataset:
    """The weight of cos w_k(a + b - c) in the logits as a function of the distance d = a - b.

    Variables: weight(k, d), mean over the pairs of that distance; pizza(k): the share of the mean weight that
    follows |cos w_k d/2|, from the least-squares fit weight = u + v |cos w_k d/2|, clipped to [0, 1]: 0 for a
    clock, 1 for a pizza. `explained`(k): share of the weight's variance over d that the fit explains.
    For subtraction d = a + b. Source of the envelope: Zhong et al. 2023, Q_pizza.
    """
    answer_sign(acts)
    p = acts.task.p
    ks = np.array(checked_frequencies(key_frequencies, p))
    waves = _answer_waves(p, ks)
    curves = _curves(acts.at("logits").values[..., :p] @ waves.astype(acts.at("logits").dtype), acts.task, ks)
    fits = [_envelope_fit(curve, k) for curve, k in zip(curves, ks, strict=True)]
    return xr.Dataset(
        {
            "weight": (("k", "d"), curves),
            "pizza": (("k",), [share for share, _ in fits]),
            "explained": (("k",), [explained for _, explained in fits]),
        },
        {"k": ks, "d": np.arange(p)},
    )


def _answer_waves(p: int, ks: np.ndarray) -> np.ndarray:
    """cos(w_k c) of each k, then sin(w_k c) of each, over the answers, [c, 2k]."""
    angle = 2 * np.pi / p * (np.outer(np.arange(p), ks) % p)
    return np.concatenate([np.cos(angle), np.sin(angle)], axis=1)


def _curves(read: np.ndarray, task: ModularTask, ks: np.ndarray) -> np.ndarray:
    """The weight of cos w_k(a + b - c) over the distance, [k, d], from logits times `_answer_waves`, [a, b, 2k]."""
    p, n = task.p, np.arange(task.p)
    angle = 2 * np.pi / p * (task.labels[..., None] * ks % p)
    of_cos, of_sin = np.split(read.astype(np.float64), 2, axis=2)
    weight = (of_cos * np.cos(angle) + of_sin * np.sin(angle)) * np.where(2 * ks == p, 1.0, 2.0) / p
    distance = (n[:, None] - (1 if task.operation == "add" else -1) * n) % p
    sums = np.zeros((p, len(ks)))
    np.add.at(sums, distance, weight)
    return (sums / p).T  # each distance has p pairs


def _envelope_fit(curve: np.ndarray, k: int) -> tuple[float, float]:
    p = len(curve)
    envelope = np.abs(np.cos(np.pi * k * np.arange(p) / p))
    design = np.stack([np.ones(p), envelope], axis=1)
    (_, slope), *_ = np.linalg.lstsq(design, curve, rcond=None)
    variance, mean = float(curve.var()), float(curve.mean())
    if mean <= 0 or variance <= 1e-12 * mean**2:
        return 0.0, 0.0
    share = float(np.clip(slope * envelope.mean() / mean, 0.0, 1.0))
    return share, float(slope**2 * envelope.var() / variance)


@dataclass(frozen=True, repr=False)
class Mechanism(Shown):
    """How much of the answer's margin each mechanism gives; the shares sum to 1.

    rectified: made by the MLP's nonlinearity from functions of one token each. product: made from parts of
    its input that depend on both tokens, which attention multiplied (the clock). memorised: the part of the
    margin on training pairs that does not carry over to test pairs; None where no split is known, and then the other two
    are shares of the whole.
    pizza: the share of the key circles' weight, each circle alone, that has the pizza's envelope
    |cos w(a - b)/2|, 0 to 1. A pizza is a rectified sum of equal waves: this adds nothing to the shares.
    why_not: why there is no mechanism to tell (`Grounds`), and the shares mean nothing (0, 0, None); empty where there is.
    A network that has memorised and whose split is known has its share of memorisation; what is left of it is not divided.
    circles: over the key frequencies k, weight (share of the key frequencies' weight), rectified and product
    (shares of that circle's weight) and pizza. replacements: `replacements`.
    """

    rectified: float
    product: float
    memorised: float | None
    pizza: float
    why_not: str
    circles: xr.Dataset
    replacements: xr.Dataset

    @property
    def applies(self) -> bool:
        """Whether there is a mechanism to tell."""
        return not self.why_not

    @property
    def split_known(self) -> bool:
        """Whether the part memorised could be told."""
        return self.memorised is not None

    def shares(self) -> dict[str, float]:
        """Share by the name of the mechanism, largest first."""
        found = {
            "rectified sum": self.rectified,
            "product in attention": self.product,
            "memorisation": self.memorised or 0.0,
        }
        if self.memorised is None:
            del found["memorisation"]
        if self.applies and (rest := 1.0 - sum(found.values())) > 1e-9:
            found["not divided"] = rest
        return dict(sorted(found.items(), key=lambda item: -item[1]))

    def _told(self) -> dict[str, object]:
        told: dict[str, object] = {"": str(self)}
        if self.applies and not self.split_known:
            told["memorised"] = "not known, as no split is"
        return told

    def _repr_html_(self) -> str:
        if not self.applies:
            return facts_html(self._title(), self._told())
        circles = table_of(self.circles, "Circle by circle", rows="k")
        shares = {name: share for name, share in self.shares().items() if share >= 0.0005}
        return card_html(self._title(), shares_html(shares), circles._repr_html_())

    def __str__(self) -> str:
        if not self.applies:
            return f"not applicable: {self.why_not}"
        shown = {name: share for name, share in self.shares().items() if share >= 0.005}
        text = " / ".join(
            f"{name}{' (clock)' if name.startswith('product') else ''} {100 * share:.0f} %"
            for name, share in shown.items()
        )
        if self.rectified >= 0.1 and self.pizza >= 0.1:
            text += f"; {100 * self.pizza:.0f} % of the circles' weight is pizza"
        return text if self.split_known else f"{text}; memorisation not known without a split"


@public
def mechanism(
    acts: Activations,
    key_frequencies: Sequence[int] | None = None,
    *,
    marginal: MarginalOf | None = None,
    grounds: Grounds | None = None,
) -> Mechanism:
    """Which mechanism makes the answer, in shares of its margin (`Mechanism` says what each means).

    key_frequencies: those of the default rule (`key_frequencies`), if none are given.

    The MLP's input is divided into its part linear in the tokens, f(a) + g(b), and the rest, which depends on
    both. With v(parts) the margin when only those parts are there, the share of the first is its Shapley
    value (v(linear) - v(none) + v(all) - v(rest)) / 2 over v(all): the mean of what it adds first and what it
    adds last, since the nonlinearity mixes the two. Memorised is 1 - (margin on test) / (margin on train),
    where that is more than chance between two random halves; the rest is divided in these proportions. Without a split
    it is not known. grounds: whether there is anything to judge (`grounds_of`), found if not given.

    The symmetry under a <-> b, which is evenness about c/2, plays no part: every one of these can have it.
    Raises InputError where the answer is neither a + b nor a - b.
    """
    key_frequencies = given_or_found(acts, key_frequencies)
    grounds = grounds or grounds_of(recorded_logits(acts), acts.task)
    found = replacements(acts, marginal=marginal)
    memorised = _memorised(acts)
    by_heart = grounds.memorised and memorised is not None
    if grounds.problems and not by_heart:
        return Mechanism(0.0, 0.0, None, 0.0, grounds.why_not, _circles(acts, found, ()), found)
    if by_heart:
        return Mechanism(0.0, 0.0, memorised, 0.0, "", _circles(acts, found, ()), found)
    rectified = float(_rectified_share(found.margin, input_hook(acts)))
    circles = _circles(acts, found, key_frequencies)
    general = 1.0 - (memorised or 0.0)
    pizza = float((circles.pizza * circles.weight).sum())
    return Mechanism(general * rectified, general * (1 - rectified), memorised, pizza, "", circles, found)


def _rectified_share(kept: xr.DataArray, hook: str) -> xr.DataArray:
    """The Shapley value of the linear part of the MLP's input, from what is kept of something over
    (replacement, ...), as a share of the whole."""
    none, linear, rest = (
        kept.sel(replacement=f"{hook}: {part}", drop=True) for part in ("mean", "linear", "without linear")
    )
    whole = kept.sel(replacement="none", drop=True)
    return ((linear - none + whole - rest) / (2 * whole.where(whole != 0))).clip(0.0, 1.0)


def _circles(acts: Activations, found: xr.Dataset, key_frequencies: Sequence[int]) -> xr.Dataset:
    ks = [int(k) for k in key_frequencies]
    weight = found.weight.sel(k=ks).clip(min=0.0)
    rectified = _rectified_share(weight, input_hook(acts)).fillna(0.0)
    own = weight.sel(replacement="none", drop=True)
    pizza = [_envelope_fit(circle_curve(acts, k), k)[0] for k in ks]
    share = own / max(float(own.sum()), np.finfo(float).tiny)
    return xr.Dataset({"weight": share, "rectified": rectified, "product": 1 - rectified}).assign(
        pizza=(("k",), np.array(pizza, dtype=float))
    )


def circle_curve(acts: Activations, k: int) -> np.ndarray:
    """The weight of cos w_k(a + b - c) over the distance with the circle of k alone."""
    need_plain(acts.model, "the curve of one circle")
    p, ks = acts.task.p, np.array([k])
    alone = acts.recorded_anew(isolated_circle(acts.model, k))
    waves = _answer_waves(p, ks)
    # W_L and W_U times two waves over the answers: logits are never made
    reads: dict[str, Map] = {"mlp_post": "neuron_logit"}
    if "resid_mid" in acts:
        reads["resid_mid"] = "unembedding"
    columns = {hook: (weight_table(acts.model, name).T @ waves) for hook, name in reads.items()}
    read = np.concatenate(
        [
            sum(block[h] @ columns[h].astype(block[h].dtype) for h in reads)
            for _, block in alone.array_blocks(*reads)
        ]
    )
    return _curves(read + answer_biases(acts.model, p) @ waves, acts.task, ks)[0]


def _memorised(acts: Activations) -> float | None:
    """1 - (margin on test) / (margin on train), less two standard errors of the difference; None without both."""
    masks = acts.task.masks()
    if not all(split in masks and masks[split].any() for split in ("train", "test")):
        return None
    values = margins(recorded_logits(acts), acts.task.labels)
    train, test = values[masks["train"]], values[masks["test"]]
    if train.mean() <= 0:
        return 0.0
    chance = 2 * np.sqrt(train.var() / len(train) + test.var() / len(test))
    return float(np.clip((train.mean() - test.mean() - chance) / train.mean(), 0.0, 1.0))
