"""Loss and accuracy of a network one of whose activations is replaced by a sum of one-number functions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import numpy as np
import xarray as xr

from modscope.activations import Activations
from modscope.analysis.plane.marginals import Marginals, add_turned
from modscope.losses import Scores, by_split, scored
from modscope.task import ModularTask

__all__ = ["explained", "picture_of", "scores_of_blocks", "scores_of_parts"]

# name of a part of Marginals -> table [residue, feature] in its place
Parts = Mapping[str, np.ndarray]

_NUMBERS_AT_ONCE = 2**18  # logits in float64 looked at together: what fits the second-level cache


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
        return _unembedded_scores(acts, found, parts)
    values = picture_of(found, parts).values
    return scores_of_blocks(((r, x["logits"]) for r, x in acts.resume({found.hook: values})), acts.task)


def picture_of(found: Marginals, parts: Parts) -> xr.DataArray:
    """The mean plus the parts as the activation they stand for, float64 (a, b, feature)."""
    values = np.concatenate([block.copy() for _, block in _filled(found, parts, found.mean)])
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
        loss[part], right[part] = scored(logits, labels[part])
    return by_split(loss, task), by_split(right, task)


def _unembedded_scores(acts: Activations, found: Marginals, parts: Parts) -> tuple[Scores, Scores]:
    weights = acts.weight("W_U").double().numpy()
    mean = found.mean @ weights
    if acts.has_weight("b_U"):
        mean = mean + acts.weight("b_U").double().numpy()
    tables = {name: table @ weights for name, table in parts.items()}
    if set(tables) == {"of_answer"}:  # every pair of one answer has the same logits
        n, labels = np.arange(found.p), acts.task.labels
        place = (n[:, None] + found.sign * n) % found.p
        of_place = np.empty(found.p, labels.dtype)
        of_place[place] = labels
        each, sure = scored(tables["of_answer"] + mean, of_place)
        loss, right = each[place], sure[place]
        return by_split(loss, acts.task), by_split(right, acts.task)
    return scores_of_blocks(_filled(found, tables, mean), acts.task)


def _filled(found: Marginals, parts: Parts, mean: np.ndarray) -> Iterator[tuple[range, np.ndarray]]:
    """Tables over one number each as blocks [row, b, feature]; a block lasts until the next is asked for."""
    p = found.p
    size = max(1, min(p, _NUMBERS_AT_ONCE // (p * len(mean))))
    directions = {"of_answer": found.sign, "of_opposite": -found.sign}
    room = np.empty((size, p, len(mean)))
    of_b = parts.get("of_b", 0.0) + mean
    of_a = parts.get("of_a")
    for start in range(0, p, size):
        rows = range(start, min(start + size, p))
        block = room[: len(rows)]
        for picture, a in zip(block, rows, strict=True):
            np.add(of_b, 0.0 if of_a is None else of_a[a], out=picture)
            for name, sign in directions.items():
                if name in parts:
                    add_turned(picture, parts[name], a, sign)
        yield rows, block
