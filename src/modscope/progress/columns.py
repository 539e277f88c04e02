"""A dataset over epochs as plain columns: one number an epoch under one name, for tables, CSV and JSON."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping
from itertools import product
from typing import Any

import numpy as np
import xarray as xr

from modscope.boundary import public

__all__ = ["columns", "to_csv", "to_json"]


@public
def columns(dataset: xr.Dataset) -> dict[str, np.ndarray]:
    """Every number of a dataset over (epoch, ...) as a column [epoch], named `variable.place.place`.

    >>> loss = xr.DataArray([[2.0, 3.0]], dims=("epoch", "split"), coords={"epoch": [0], "split": ["train", "test"]})
    >>> {name: column.tolist() for name, column in columns(xr.Dataset({"loss": loss})).items()}
    {'loss.train': [2.0], 'loss.test': [3.0]}
    """
    found: dict[str, np.ndarray] = {}
    for name, x in dataset.data_vars.items():
        rest = [dim for dim in x.dims if dim != "epoch"]
        shape = tuple(x.sizes[dim] for dim in rest)
        flat = x.transpose("epoch", *rest).values.reshape(x.sizes["epoch"], -1)
        places = [[_label(dim, place) for place in _places(x, str(dim))] for dim in rest]
        for at in product(*(range(len(p)) for p in places)):
            words = [p[i] for p, i in zip(places, at, strict=True)]
            found[".".join([str(name), *words])] = flat[:, np.ravel_multi_index(at, shape) if at else 0]
    return found


def _places(x: xr.DataArray, dim: str) -> list[Any]:
    return x[dim].values.tolist() if dim in x.coords else list(range(x.sizes[dim]))


def _label(dim: object, place: object) -> str:
    return f"{dim}={place}" if isinstance(place, int | float) else str(place)


@public
def to_csv(dataset: xr.Dataset) -> str:
    """A line an epoch, a column a number; what is not known stays empty."""
    found, out = columns(dataset), io.StringIO()
    out.write(",".join(["epoch", *found]) + "\n")
    for i, epoch in enumerate(dataset.epoch.values.tolist()):
        cells = ["" if math.isnan(c[i]) else repr(float(c[i])) for c in found.values()]
        out.write(",".join([str(epoch), *cells]) + "\n")
    return out.getvalue()


@public
def to_json(dataset: xr.Dataset, **more: object) -> dict[str, Any]:
    """The columns with the attributes of the dataset as JSON values; what is not a finite number is None."""
    return {
        **{str(name): _plain(value) for name, value in dataset.attrs.items()},
        **{name: _plain(value) for name, value in more.items()},
        "epochs": dataset.epoch.values.tolist(),
        "measures": {name: _plain(column.tolist()) for name, column in columns(dataset).items()},
    }


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
