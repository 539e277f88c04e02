"""Loss and accuracy of a network one of whose activations is replaced by a sum of one-number functions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import numpy as np
import xarray as xr

from modscope.activations import Activations
from modscope.analysis.plane.marginals import Marginals
from modscope.losses import Scores, by_split, cross_entropy, right_answers
from modscope.task import ModularTask

__all__ = ["explained", "picture_of", "scores_of_blocks", "scores_of_parts"]

# name of a part of Marginals -> table [residue, feature] in its place
Parts = Mapping[str, np.ndarray]


def explained(found: Marginals, parts: Parts) -> float:
    """R^2 of a sum of one-number functions: the share of the centred energy that it removes.

    The directions are orthogonal, so each part is compared with the marginal of the same name.
    """
    total = 0.0
    for name, table in parts.items():
        wanted = getattr(found, name)
        total += found.share(wanted) - found.share(wanted - table)
    return total


def scores_of_parts(acts: Activations, found: Marginals, parts: Parts) -> tuple[Scores, Scores]:
    """Loss and accuracy with the activation replaced by its mean plus the parts, the rest of the pass resumed.

    For `resid_post` the unembedding is applied to the tables, in float64; other hooks are filled in and run.
    """
    if found.hook == "resid_post":
        return scores_of_blocks(_unembedded(acts, found, parts), acts.task)
    values = picture_of(found, parts).values
    return scores_of_blocks(((r, x["logits"]) for r, x in acts.resume({found.hook: values})), acts.task)


def picture_of(found: Marginals, parts: Parts) -> xr.DataArray:
    """The mean plus the parts as the activation they stand for, float64 (a, b, feature)."""
    values = np.concatenate([block for _, block in _filled(found, parts, found.mean)])
    names, sizes = zip(*found.features, strict=True) if found.features else (("feature",), (-1,))
    n = np.arange(found.p)
    attrs = {"hook": found.hook, "p": found.p, "operation": "add" if found.sign == 1 else "subtract"}
    return xr.DataArray(
        values.reshape(found.p, found.p, *sizes),
        dims=("a", "b", *names),
        coords={"a": n, "b": n},
        name=found.hook,
        attrs=attrs,
    )


def scores_of_blocks(blocks: Iterable[tuple[range, np.ndarray]], task: ModularTask) -> tuple[Scores, Scores]:
    """Loss and accuracy from logits [row, b, answer] that come some rows of a at a time."""
    loss, right = np.empty((task.p, task.p)), np.empty((task.p, task.p), bool)
    labels = task.labels
    for rows, logits in blocks:
        part = slice(rows.start, rows.stop)
        loss[part] = cross_entropy(logits, labels[part])
        right[part] = right_answers(logits, labels[part])
    return by_split(loss, task), by_split(right, task)


def _unembedded(acts: Activations, found: Marginals, parts: Parts) -> Iterator[tuple[range, np.ndarray]]:
    weights = acts.weight("W_U").double().numpy()
    mean = found.mean @ weights
    if acts.has_weight("b_U"):
        mean = mean + acts.weight("b_U").double().numpy()
    return _filled(found, {name: table @ weights for name, table in parts.items()}, mean)


def _filled(found: Marginals, parts: Parts, mean: np.ndarray) -> Iterator[tuple[range, np.ndarray]]:
    """Tables over one number each as blocks [row, b, feature]."""
    p, n = found.p, np.arange(found.p)
    for start in range(0, p, 32):
        rows = range(start, min(start + 32, p))
        a = np.arange(rows.start, rows.stop)[:, None]
        read = {"of_a": a, "of_b": n, "of_answer": a + found.sign * n, "of_opposite": a - found.sign * n}
        block = np.zeros((len(rows), p, len(mean))) + mean
        for name, table in parts.items():
            block += table[read[name] % p]
        yield rows, block
