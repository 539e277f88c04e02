"""Where the answer is made: by rectifying a sum of waves, by a product in attention, or by heart.

Each hook is replaced by parts of itself and the pass resumed. What counts is the margin: the right logit minus
the mean logit, averaged over all pairs; it is 0 for logits that know nothing, whatever their size.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr

from modscope.activations import Activations, record
from modscope.analysis.circuits import isolated_circle, turned_logits
from modscope.analysis.marginals import Marginals, answer_sign, checked_frequencies, marginals
from modscope.losses import cross_entropy
from modscope.task import ModularTask

__all__ = [
    "PARTS",
    "Mechanism",
    "envelopes",
    "input_hook",
    "is_at_chance",
    "margins",
    "mechanism",
    "part_of",
    "replacements",
]

Marginal = Callable[[str], Marginals]

# part -> which functions of one number it is made of; the mean is always kept. "rest" is all that is in none.
PARTS: Mapping[str, tuple[str, ...]] = {
    "mean": (),
    "linear": ("of_a", "of_b"),
    "answer": ("of_answer",),
    "opposite": ("of_opposite",),
}


def input_hook(acts: Activations) -> str:
    """The activation that the MLP reads: resid_mid, or mlp_pre in a network without a residual stream."""
    return "resid_mid" if "resid_mid" in acts.hooks else "mlp_pre"


def part_of(x: np.ndarray, found: Marginals, part: str) -> np.ndarray:
    """One part of an activation [a, b, ...]: mean, linear (f(a) + g(b)), answer (a + b), opposite (a - b), or
    everything but such a part: "without linear", "without answer", "without opposite". The mean stays."""
    name = part.removeprefix("without ")
    p, n = found.p, np.arange(found.p)
    read = {
        "of_a": np.broadcast_to(n[:, None], (p, p)),
        "of_b": np.broadcast_to(n, (p, p)),
        "of_answer": (n[:, None] + found.sign * n) % p,
        "of_opposite": (n[:, None] - found.sign * n) % p,
    }
    shape = x.shape[2:]
    total = np.zeros_like(x)
    for marginal in PARTS[name]:
        table = getattr(found, marginal).astype(x.dtype).reshape(p, *shape)
        total += table[read[marginal]]
    return x - total if part.startswith("without ") else total + found.mean.astype(x.dtype).reshape(shape)


def margins(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The right logit minus the mean of all logits, float64 of the shape of labels.

    >>> margins(np.array([[0.0, 3.0, 0.0]]), np.array([1])).tolist()
    [2.0]
    """
    right = np.take_along_axis(logits, labels[..., None], axis=-1)[..., 0].astype(np.float64)
    return right - logits.mean(axis=-1, dtype=np.float64)


_PLAN = (
    ("pattern", "mean"),
    ("{input}", "mean"),
    ("{input}", "linear"),
    ("{input}", "without linear"),
    ("{input}", "answer"),
    ("{input}", "without answer"),
    ("mlp_post", "mean"),
    ("mlp_post", "answer"),
    ("mlp_post", "without answer"),
    ("mlp_post", "linear"),
    ("mlp_post", "opposite"),
)


def replacements(acts: Activations, *, marginal: Marginal | None = None) -> xr.Dataset:
    """What remains of the answer when a hook is replaced by one part of itself.

    Over (replacement), named "hook: part": margin (the mean margin as a share of that of the network left
    alone, NaN if that is 0), loss and accuracy over all pairs; weight(replacement, k), the amplitude of
    cos w_k(a + b - c) in the logits, k = 1..p//2: the weights sum to the margin, in logits.
    Parts: `part_of`; the pattern's mean is taken for each head over all pairs and makes attention constant.
    The first entry, "none", is the network itself; attribute `margin` is its mean margin.
    Raises InputError where the answer is neither a + b nor a - b.
    """
    answer_sign(acts)
    marginal = marginal or (lambda hook: marginals(acts, hook))
    labels = acts.task.labels
    rows = {"none": _judged([(range(acts.task.p), {"logits": acts.at("logits").values})], labels)}
    for name, part in _PLAN:
        hook = name.format(input=input_hook(acts))
        if hook not in acts.hooks:
            continue
        values = part_of(acts.at(hook).values, marginal(hook), part)
        rows[f"{hook}: {part}"] = _judged(acts.resume({hook: values}), labels)
    weight = np.stack([_weights(curve) for curve, _, _ in rows.values()])
    margin = weight.sum(axis=1)
    # the margin of a network that knows nothing is rounding
    unit = margin[0] if abs(margin[0]) > 1e-9 else np.nan
    return xr.Dataset(
        {
            "margin": (("replacement",), margin / unit),
            "loss": (("replacement",), [loss for _, loss, _ in rows.values()]),
            "accuracy": (("replacement",), [right for _, _, right in rows.values()]),
            "weight": (("replacement", "k"), weight),
        },
        {"replacement": list(rows), "k": np.arange(1, weight.shape[1] + 1)},
        {"margin": float(margin[0])},
    )


Blocks = Iterable[tuple[range, Mapping[str, np.ndarray]]]


def _judged(blocks: Blocks, labels: np.ndarray) -> tuple[np.ndarray, float, float]:
    """The mean logit of answer (label + e) as a function of e, the mean loss, and the accuracy."""
    p = len(labels)
    by_label = np.zeros((p, p))
    loss = right = 0.0
    for rows, hooks in blocks:
        logits, wanted = hooks["logits"], labels[rows.start : rows.stop]
        loss += float(cross_entropy(logits, wanted).sum())
        right += float((logits.argmax(axis=-1) == wanted).sum())
        for row, label in zip(logits, wanted, strict=True):
            by_label[label] += row[:, :p]  # each label once in a row
    n = np.arange(p)
    curve = by_label[n, (n + n[:, None]) % p].mean(axis=1) / p
    return curve, loss / labels.size, right / labels.size


def _weights(curve: np.ndarray) -> np.ndarray:
    """Amplitude of cos(w_k e) in a curve over e, k = 1..p//2."""
    p = len(curve)
    ks = np.arange(1, p // 2 + 1)
    return _cosines(p, ks) @ curve


def _cosines(p: int, ks: np.ndarray) -> np.ndarray:
    """Rows that take the amplitude of cos(w_k e) from a curve over e, [k, e]."""
    scale = np.where(2 * ks == p, 1.0, 2.0) / p
    return np.cos(2 * np.pi / p * (np.outer(ks, np.arange(p)) % p)) * scale[:, None]


def envelopes(acts: Activations, key_frequencies: Sequence[int]) -> xr.Dataset:
    """The weight of cos w_k(a + b - c) in the logits as a function of the distance d = a - b.

    Variables: weight(k, d), mean over the pairs of that distance; pizza(k): the share of the mean weight that
    follows |cos w_k d/2|, from the least-squares fit weight = u + v |cos w_k d/2|, clipped to [0, 1]: 0 for a
    clock, 1 for a pizza. `explained`(k): share of the weight's variance over d that the fit explains.
    For subtraction d = a + b. Source of the envelope: Zhong et al. 2023, Q_pizza.
    """
    sign, p = answer_sign(acts), acts.task.p
    ks = np.array(checked_frequencies(key_frequencies, p))
    logits, n = acts.at("logits").values, np.arange(p)
    weight = turned_logits(logits, acts.task) @ _cosines(p, ks).T.astype(logits.dtype)
    distance = (n[:, None] - sign * n) % p
    sums = np.zeros((p, len(ks)))
    np.add.at(sums, distance, weight)
    # for even p there are p pairs of each distance too
    curves = (sums / np.bincount(distance.ravel(), minlength=p)[:, None]).T
    fits = [_envelope_fit(curve, k) for curve, k in zip(curves, ks, strict=True)]
    return xr.Dataset(
        {
            "weight": (("k", "d"), curves),
            "pizza": (("k",), [share for share, _ in fits]),
            "explained": (("k",), [explained for _, explained in fits]),
        },
        {"k": ks, "d": n},
    )


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


@dataclass(frozen=True)
class Mechanism:
    """How much of the answer's margin each mechanism gives; the three shares sum to 1.

    rectified: made by the MLP's nonlinearity from functions of one token each. product: made from parts of
    its input that depend on both tokens, which attention multiplied (the clock). memorised: the part of the
    margin on training pairs that does not carry over to test pairs.
    pizza: the share of the key circles' weight, each circle alone, that has the pizza's envelope
    |cos w(a - b)/2|, 0 to 1. A pizza is a rectified sum of equal waves: this adds nothing to the shares.
    at_chance: the network does not know the answer, and the shares mean nothing (0, 0, 0).
    split_known: without a split the part memorised is what lies outside the key frequencies.
    circles: over the key frequencies k, weight (share of the key frequencies' weight), rectified and product
    (shares of that circle's weight) and pizza. replacements: `replacements`.
    """

    rectified: float
    product: float
    memorised: float
    pizza: float
    at_chance: bool
    split_known: bool
    circles: xr.Dataset
    replacements: xr.Dataset

    def shares(self) -> dict[str, float]:
        """Share by the name of the mechanism, largest first."""
        found = {
            "rectified sum": self.rectified,
            "product in attention": self.product,
            "memorisation": self.memorised,
        }
        return dict(sorted(found.items(), key=lambda item: -item[1]))

    def __str__(self) -> str:
        if self.at_chance:
            return "none: the network is at chance"
        shown = {name: share for name, share in self.shares().items() if share >= 0.005}
        text = " / ".join(
            f"{name}{' (clock)' if name.startswith('product') else ''} {100 * share:.0f} %"
            for name, share in shown.items()
        )
        if self.rectified >= 0.1 and self.pizza >= 0.1:
            text += f"; {100 * self.pizza:.0f} % of the circles' weight is pizza"
        return text


def mechanism(
    acts: Activations, key_frequencies: Sequence[int], *, marginal: Marginal | None = None
) -> Mechanism:
    """Which mechanism makes the answer, in shares of its margin (`Mechanism` says what each means).

    The MLP's input is divided into its part linear in the tokens, f(a) + g(b), and the rest, which depends on
    both. With v(parts) the margin when only those parts are there, the share of the first is its Shapley
    value (v(linear) - v(none) + v(all) - v(rest)) / 2 over v(all): the mean of what it adds first and what it
    adds last, since the nonlinearity mixes the two. Memorised is 1 - (margin on test) / (margin on train),
    where that is more than chance between two random halves; the rest is divided in these proportions.

    The symmetry under a <-> b, which is evenness about c/2, plays no part: every one of these can have it.
    Raises InputError where the answer is neither a + b nor a - b.
    """
    found = replacements(acts, marginal=marginal)
    memorised = _memorised(acts)
    known = memorised is not None
    if is_at_chance(acts.at("logits").values, acts.task):
        return Mechanism(0.0, 0.0, 0.0, 0.0, True, known, _circles(acts, found, ()), found)
    rectified = float(_rectified_share(found.margin, input_hook(acts)))
    circles = _circles(acts, found, key_frequencies)
    if memorised is None:
        memorised = _outside(found.weight.sel(replacement="none").values, key_frequencies)
    general = 1.0 - memorised
    pizza = float((circles.pizza * circles.weight).sum())
    return Mechanism(
        general * rectified, general * (1 - rectified), memorised, pizza, False, known, circles, found
    )


def is_at_chance(logits: np.ndarray, task: ModularTask) -> bool:
    """Whether logits [a, b, answer] know nothing: accuracy below 3/p and a mean margin below 1."""
    right = (logits.argmax(axis=-1) == task.labels).mean()
    return bool(right < 3 / task.p and margins(logits, task.labels).mean() < 1.0)


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
    pizza = []
    for k in ks:
        alone = record(isolated_circle(acts.model, k), acts.task)
        pizza.append(float(envelopes(alone, [k]).pizza[0]))
    share = own / max(float(own.sum()), np.finfo(float).tiny)
    return xr.Dataset({"weight": share, "rectified": rectified, "product": 1 - rectified}).assign(
        pizza=(("k",), np.array(pizza, dtype=float))
    )


def _memorised(acts: Activations) -> float | None:
    """1 - (margin on test) / (margin on train), less two standard errors of the difference; None without both."""
    values = margins(acts.at("logits").values, acts.task.labels)
    masks = acts.task.masks()
    if not all(split in masks and masks[split].any() for split in ("train", "test")):
        return None
    train, test = values[masks["train"]], values[masks["test"]]
    if train.mean() <= 0:
        return 0.0
    chance = 2 * np.sqrt(train.var() / len(train) + test.var() / len(test))
    return float(np.clip((train.mean() - test.mean() - chance) / train.mean(), 0.0, 1.0))


def _outside(weight: np.ndarray, key_frequencies: Sequence[int]) -> float:
    """The share of the margin outside the key frequencies, beyond what as many of a flat spectrum leave out.

    A table of answers has a flat spectrum, whatever frequencies one calls key.
    """
    whole, count = float(weight.sum()), len(weight)
    inside = float(weight[np.array(sorted(key_frequencies), dtype=int) - 1].sum())
    flat = len(key_frequencies) / count
    if whole <= 0 or flat >= 1:
        return 1.0
    return float(np.clip(1.0 - (inside / whole - flat) / (1.0 - flat), 0.0, 1.0))
