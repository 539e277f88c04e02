"""Every example with its answer, guess, loss and lead, in the order (c, a)."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from modscope.activations import Activations
from modscope.analysis.answer.logits import recorded_logits
from modscope.boundary import public
from modscope.losses import Logits, cross_entropy, row_blocks

__all__ = ["examples", "worst_examples"]


@public
def examples(acts: Activations) -> xr.Dataset:
    """A table of all pairs: axes (c, a) where the task has that order, else (a, b).

    Variables: a, b (residues), label, guess (the largest logit), split ("train", "test" or ""), logit (of the
    label), lead (that minus the largest other one; negative where the guess is wrong), loss (float64, nats).
    For multiplication the order leaves out pairs with a 0.

    >>> from modscope.activations import record
    >>> from modscope.model import Transformer, TransformerConfig
    >>> from modscope.task import ModularTask
    >>> network = Transformer.initialised(TransformerConfig(5, d_model=8, n_heads=2, d_mlp=16))
    >>> table = examples(record(network, ModularTask(5)))
    >>> table.sizes["c"], int(table.b.sel(c=1, a=4)), int(table.label.sel(c=1, a=4))
    (5, 2, 1)
    """
    task = acts.task
    logits = recorded_logits(acts)
    labels = task.labels
    wanted, others = _leaders(logits, labels)
    a, b = np.meshgrid(np.arange(task.p), np.arange(task.p), indexing="ij")
    split = np.full(labels.shape, "", dtype="<U5")
    if "train" in task.masks():
        split = np.where(task.train_mask, "train", "test")
    columns = {
        "first": a,
        "second": b,
        "label": labels,
        "guess": logits.argmax(axis=-1),
        "split": split,
        "logit": wanted,
        "lead": wanted - others,
        "loss": cross_entropy(logits, labels),
    }
    return _ordered(columns, acts)


def _leaders(logits: Logits, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The logit of each label, and the largest of the others, each [a, b]."""
    wanted, largest = [], []
    for rows, block in row_blocks(logits):
        at, others = labels[rows][..., None], block.copy()
        wanted.append(np.take_along_axis(block, at, axis=-1)[..., 0])
        np.put_along_axis(others, at, -np.inf, axis=-1)
        largest.append(others.max(axis=-1))
    return np.concatenate(wanted), np.concatenate(largest)


def _ordered(columns: dict[str, np.ndarray], acts: Activations) -> xr.Dataset:
    from modscope.errors import InputError
    from modscope.orders import in_order

    n = np.arange(acts.task.p)
    attrs = {"p": acts.task.p, "operation": acts.task.operation}
    arrays = {
        name: xr.DataArray(x, dims=("a", "b"), coords={"a": n, "b": n}, attrs=attrs)
        for name, x in columns.items()
    }
    try:
        ordered = {name: in_order(x, "c", "a") for name, x in arrays.items()}
    except InputError:
        return xr.Dataset(arrays, attrs=attrs).drop_vars(("first", "second"))
    return xr.Dataset(ordered, attrs=attrs).drop_vars("first").rename(second="b")


@public
def worst_examples(table: xr.Dataset, count: int = 10) -> list[dict[str, Any]]:
    """The examples with the largest loss, worst first, one dict a row."""
    axes = tuple(str(d) for d in table.loss.dims)
    order = np.argsort(-table.loss.values, axis=None, kind="stable")[:count]
    rows = []
    for places in zip(*np.unravel_index(order, table.loss.shape), strict=True):
        row = table.isel(dict(zip(axes, (int(i) for i in places), strict=True)))
        rows.append({str(name): row[name].item() for name in (*axes, *table.data_vars)})
    return rows
