"""What is left of the answer when an activation is replaced by one part of itself.

The parts are functions of one number: of a, of b, of the answer, of the other diagonal. What counts is the margin: the
right logit minus the mean logit, averaged over all pairs; it is 0 for logits that know nothing, whatever their size.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

import numpy as np
import torch
import xarray as xr

from modscope.activations import Activations
from modscope.analysis.answer.logits import recorded_logits
from modscope.analysis.plane.marginals import Marginals, add_turned, answer_sign, marginals
from modscope.analysis.weights.frequencies import recorded_table, weight_table
from modscope.boundary import public
from modscope.losses import Logits, StreamedLogits, row_blocks, scored
from modscope.model import ACTIVATIONS, Network
from modscope.networks.kinds import need_plain

__all__ = ["PARTS", "answer_biases", "input_hook", "margins", "part_of", "replacements"]

MarginalOf = Callable[[str], Marginals]
Blocks = Iterable[tuple[range, np.ndarray]]

# part -> which functions of one number it is made of; the mean is always kept
PARTS: Mapping[str, tuple[str, ...]] = {
    "mean": (),
    "linear": ("of_a", "of_b"),
    "answer": ("of_answer",),
    "opposite": ("of_opposite",),
}

_PAIRS_AT_ONCE = 1024  # what fits the second-level cache

_OF_INPUT = ("mean", "linear", "without linear", "answer", "without answer")
_OF_ANSWER = ("mean", "answer")  # of which every pair with one answer has the same
_OF_PAIRS = tuple(part for part in _OF_INPUT if part not in _OF_ANSWER)
_OF_NEURONS = ("mean", "answer", "without answer", "linear", "opposite")


def input_hook(acts: Activations) -> str:
    """The activation that the MLP reads: resid_mid, or mlp_pre in a network without a residual stream."""
    return "resid_mid" if "resid_mid" in acts else "mlp_pre"


@public
def margins(logits: Logits, labels: np.ndarray) -> np.ndarray:
    """The right logit minus the mean of all logits, float64 of the shape of labels.

    >>> margins(np.array([[0.0, 3.0, 0.0]]), np.array([1])).tolist()
    [2.0]
    """
    if isinstance(logits, StreamedLogits):
        return np.concatenate([margins(block, labels[rows]) for rows, block in logits.rows()])
    right = np.take_along_axis(logits, labels[..., None], axis=-1)[..., 0].astype(np.float64)
    # a product with ones: many times faster than a mean in float64, and exact to the logits' own digits
    return right - (logits @ np.ones(logits.shape[-1], logits.dtype)).astype(np.float64) / logits.shape[-1]


@public
def part_of(x: np.ndarray, found: Marginals, part: str, rows: range | None = None) -> np.ndarray:
    """One part of an activation [a, b, ...]: mean, linear (f(a) + g(b)), answer (a + b), opposite (a - b), or
    everything but such a part: "without linear", "without answer", "without opposite". The mean stays.

    rows: which a the rows of x are, if not all. found: the marginals of the whole.
    """
    rows = range(found.p) if rows is None else rows
    kept, shape = part.removeprefix("without "), x.shape[2:]
    total = _filled(found, PARTS[kept], rows, x.dtype).reshape(len(rows), found.p, *shape)
    if part.startswith("without "):
        return x - total
    return np.broadcast_to(total, x.shape) + found.mean.astype(x.dtype).reshape(shape)


def _filled(found: Marginals, names: Iterable[str], rows: range, dtype: np.dtype) -> np.ndarray:
    """The sum of some marginals as pictures [row, b, feature]."""
    total = np.zeros((len(rows), found.p, len(found.mean)), dtype)
    for name in names:
        table = getattr(found, name).astype(dtype)
        if name == "of_a":
            total += table[rows.start : rows.stop, None]
        elif name == "of_b":
            total += table
        else:
            sign = found.sign if name == "of_answer" else -found.sign
            for picture, a in zip(total, rows, strict=True):
                add_turned(picture, table, a, sign)
    return total


@public
def replacements(acts: Activations, *, marginal: MarginalOf | None = None) -> xr.Dataset:
    """What remains of the answer when a hook is replaced by one part of itself and the pass is run on.

    Over (replacement), named "hook: part": margin (the mean margin as a share of that of the network left
    alone, NaN if that is 0), loss and accuracy over all pairs; weight(replacement, k), the amplitude of
    cos w_k(a + b - c) in the logits, k = 1..p//2: the weights sum to the margin, in logits. by_a(replacement, a):
    the mean margin of the pairs of each a, in logits.
    Parts: `part_of`; the pattern's mean is taken for each head over all pairs and makes attention constant.
    The first entry, "none", is the network itself; attribute `margin` is its mean margin.
    Raises InputError where the answer is neither a + b nor a - b.
    """
    answer_sign(acts)
    need_plain(acts.model, "the division into mechanisms")
    labels = acts.task.labels
    judge = _Judge(labels)
    blocks = row_blocks(recorded_logits(acts))
    judge.all("none", ((range(rows.start, rows.stop), block) for rows, block in blocks))
    if "pattern" in acts:
        pattern = acts.at("pattern").values
        mean = np.broadcast_to(pattern.mean(axis=(0, 1), dtype=np.float64), pattern.shape)
        judge.all("pattern: mean", ((r, x["logits"]) for r, x in acts.resume({"pattern": mean})))
    mlp = _Readout(acts, marginal or (lambda hook: marginals(acts, hook)))
    for some, name, logits in mlp.replaced():
        judge.see(name, some, logits)
    for name, logits in mlp.of_answer():
        judge.of_answer(name, logits)
    found = judge.found()
    hook = input_hook(acts)
    order = [*(f"{hook}: {part}" for part in _OF_INPUT), *(f"mlp_post: {part}" for part in _OF_NEURONS)]
    rows = {name: found[name] for name in ("none", "pattern: mean", *order) if name in found}
    weight = np.stack([_weights(curve) for _, curve, _, _ in rows.values()])
    margin = weight.sum(axis=1)
    # the margin of a network that knows nothing is rounding
    unit = margin[0] if abs(margin[0]) > 1e-9 else np.nan
    return xr.Dataset(
        {
            "margin": (("replacement",), margin / unit),
            "loss": (("replacement",), [loss for _, _, loss, _ in rows.values()]),
            "accuracy": (("replacement",), [right for _, _, _, right in rows.values()]),
            "weight": (("replacement", "k"), weight),
            "by_a": (("replacement", "a"), [by_a for by_a, _, _, _ in rows.values()]),
        },
        {"replacement": list(rows), "k": np.arange(1, weight.shape[1] + 1), "a": np.arange(acts.task.p)},
        {"margin": float(margin[0])},
    )


class _Readout:
    """The logits as mlp_post W_L + skip, which are both linear in what is replaced.

    So the marginals of mlp_pre and of the skip are those of the MLP's input, read once: a replaced input needs
    one pass of the nonlinearity and one product with W_L, replaced neurons a product of tables. The skip is resid_mid W_U
    and biases, made block by block; in a network without a residual stream the biases alone.
    """

    def __init__(self, acts: Activations, marginal: MarginalOf) -> None:
        self.acts, self.p = acts, acts.task.p
        self.dtype = dtype = np.dtype(str(acts.model.dtype).removeprefix("torch."))
        self.W_L = recorded_table(acts, "neuron_logit").T.astype(dtype)
        self.W_U = recorded_table(acts, "unembedding").T.astype(dtype) if "resid_mid" in acts else None
        self.activation = ACTIVATIONS[acts.model.config.activation]
        self.of_pre, self.of_post = marginal("mlp_pre"), marginal("mlp_post")
        bias = answer_biases(acts.model, self.p)
        self.bias = bias.astype(dtype)
        empty = np.zeros((self.p, self.p))
        written = {"of_a": empty, "of_b": empty, "of_answer": empty}
        mean = bias
        if self.W_U is not None:
            of_mid = marginal("resid_mid")
            written = {name: getattr(of_mid, name) @ self.W_U for name in written}
            mean = of_mid.mean @ self.W_U + bias
        self.of_skip = _replaced(self.of_pre, mean, written)

    def replaced(self) -> Iterator[tuple[range, str, np.ndarray]]:
        """Rows of a, "hook: part" and the logits [row, b, answer] with that part in the hook's place, block by block.

        The logits stay as they are until the next are asked for.
        """
        hook = input_hook(self.acts)
        of_neurons = {part: self._written(part) for part in _OF_NEURONS}
        for rows, pre, skip, logits in self._blocks():
            for part in _OF_PAIRS:
                made = part_of(skip, self.of_skip, part, rows)
                made += self._activated(part_of(pre, self.of_pre, part, rows)) @ self.W_L
                yield rows, f"{hook}: {part}", made
            for part, (names, read) in of_neurons.items():
                tables = _filled(read, names, rows, skip.dtype)
                if part.startswith("without "):
                    np.subtract(logits, tables, out=tables)
                else:
                    tables += skip
                    tables += read.mean.astype(skip.dtype)
                yield rows, f"mlp_post: {part}", tables

    def _blocks(self) -> Iterator[tuple[range, np.ndarray, np.ndarray, np.ndarray]]:
        """Some rows of a with their mlp_pre, skip and logits, a few pairs at a time; nothing is kept of a large network."""
        size = max(1, _PAIRS_AT_ONCE // self.p)
        hooks = [hook for hook in ("resid_mid", "mlp_pre", "logits") if hook in self.acts]
        for rows, arrays in self.acts.array_blocks(*hooks):
            for start in range(0, len(rows), size):
                some = slice(start, start + size)
                pre, logits = arrays["mlp_pre"][some], arrays["logits"][some, :, : self.p]
                if self.W_U is None:
                    skip = np.broadcast_to(self.bias, (*pre.shape[:2], self.p))
                else:
                    skip = arrays["resid_mid"][some] @ self.W_U + self.bias
                yield rows[some], pre, skip, logits

    def of_answer(self) -> Iterator[tuple[str, np.ndarray]]:
        """The replaced inputs that are functions of the answer alone: "hook: part" and the logits [answer of the pair, answer]."""
        for part in _OF_ANSWER:
            pre, skip = (
                found.mean + (found.of_answer if part == "answer" else 0.0 * found.of_answer)
                for found in (self.of_pre, self.of_skip)
            )
            made = self._activated(pre.astype(self.dtype)) @ self.W_L + skip.astype(self.dtype)
            yield f"{input_hook(self.acts)}: {part}", made

    def _activated(self, pre: np.ndarray) -> np.ndarray:
        return self.activation(torch.from_numpy(pre)).numpy()

    def _written(self, part: str) -> tuple[tuple[str, ...], Marginals]:
        """Of which functions of one number a part of the neurons is made, and what they write on the logits."""
        names = PARTS[part.removeprefix("without ")]
        written = {name: getattr(self.of_post, name) @ self.W_L for name in names}
        return names, _replaced(self.of_post, self.of_post.mean @ self.W_L, written)


def _replaced(found: Marginals, mean: np.ndarray, tables: Mapping[str, np.ndarray]) -> Marginals:
    """Marginals with other features: those given, the rest left empty."""
    empty = np.zeros((found.p, 0))
    a, b, answer, opposite = (tables.get(x, empty) for x in ("of_a", "of_b", "of_answer", "of_opposite"))
    return Marginals(found.hook, found.sign, mean, a, b, answer, opposite, 0.0)


def answer_biases(network: Network, p: int) -> np.ndarray:
    """What b_out and b_U add to each logit, float64 [answer]."""
    added = np.zeros(p)
    if network.has_weight("b_out"):
        added += weight_table(network, "unembedding") @ network.weight("b_out").detach().double().numpy()
    if network.has_weight("b_U"):
        added += network.weight("b_U").detach().double().numpy()[:p]
    return added


class _Judge:
    """What replacements leave of the answer, summed up while their logits pass."""

    def __init__(self, labels: np.ndarray) -> None:
        self.labels, self.p = labels, len(labels)
        self._by_label: dict[str, np.ndarray] = {}
        self._by_a: dict[str, np.ndarray] = {}
        self._loss: dict[str, float] = {}
        self._right: dict[str, int] = {}

    def all(self, name: str, blocks: Blocks) -> None:
        """Looks at all logits of one replacement."""
        size = max(1, _PAIRS_AT_ONCE // self.p)
        for rows, logits in blocks:
            for start in range(0, len(rows), size):
                self.see(name, rows[start : start + size], logits[start : start + size])

    def see(self, name: str, rows: range, logits: np.ndarray) -> None:
        """Looks at the logits [row, b, answer] of some rows of a."""
        wanted = self.labels[rows.start : rows.stop]
        if name not in self._by_a:
            self._by_a[name], self._by_label[name] = np.zeros(self.p), np.zeros((self.p, self.p))
            self._loss[name], self._right[name] = 0.0, 0
        self._by_a[name][rows.start : rows.stop] = margins(logits, wanted).mean(axis=1)
        loss, right = scored(logits, wanted)
        self._loss[name] += float(loss.sum())
        self._right[name] += int(right.sum())
        by_label = self._by_label[name]
        for row, label in zip(logits, wanted, strict=True):
            # each label once in a row, one after the other: with b, or against it
            backwards = self.p > 1 and (label[0] - label[1]) % self.p == 1
            first, values = int(label[-1 if backwards else 0]), row[:: -1 if backwards else 1, : self.p]
            by_label[first:] += values[: self.p - first]
            by_label[:first] += values[self.p - first :]

    def of_answer(self, name: str, logits: np.ndarray) -> None:
        """Looks at logits [answer of the pair, answer] that every pair with one answer has: each is that of p pairs."""
        wanted = np.arange(self.p)
        loss, right = scored(logits, wanted)
        self._by_a[name] = np.full(self.p, margins(logits, wanted).mean())
        self._by_label[name] = self.p * logits[:, : self.p].astype(np.float64)
        self._loss[name], self._right[name] = self.p * float(loss.sum()), self.p * int(right.sum())

    def found(self) -> dict[str, tuple[np.ndarray, np.ndarray, float, float]]:
        """Of each: the mean margin of each a, the mean logit of answer (label + e) over e, the mean loss, the accuracy."""
        n, pairs = np.arange(self.p), self.labels.size
        at = (n + n[:, None]) % self.p
        curves = {name: x[n, at].mean(axis=1) / self.p for name, x in self._by_label.items()}
        return {
            name: (by_a, curves[name], self._loss[name] / pairs, self._right[name] / pairs)
            for name, by_a in self._by_a.items()
        }


def _weights(curve: np.ndarray) -> np.ndarray:
    """Amplitude of cos(w_k e) in a curve over e, k = 1..p//2."""
    p = len(curve)
    ks = np.arange(1, p // 2 + 1)
    scale = np.where(2 * ks == p, 1.0, 2.0) / p
    return (np.cos(2 * np.pi / p * (np.outer(ks, np.arange(p)) % p)) @ curve) * scale
