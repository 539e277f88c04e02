"""Names outside, positions inside: from an array with named axes to a kernel on plain ndarrays and back."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias, TypeVar

import numpy as np
import xarray as xr

from modscope.errors import InputError, UnknownName, shown

__all__ = [
    "Array",
    "Axes",
    "Axis",
    "apply",
    "axis_list",
    "negligible",
    "position",
    "positions",
    "real_values",
    "rewrap",
    "without",
]

Array = TypeVar("Array", np.ndarray, xr.DataArray)
Axis: TypeAlias = str | int
Axes: TypeAlias = Axis | Sequence[Axis]
_RESIDUES = ("a", "b", "c", "token")


def axis_list(axes: Axes) -> tuple[Axis, ...]:
    """One axis or several, as a tuple."""
    return (axes,) if isinstance(axes, str | int | np.integer) else tuple(axes)


def position(x: np.ndarray | xr.DataArray, axis: Axis) -> int:
    """The position of an axis: by name in a DataArray, by number in an ndarray."""
    if isinstance(x, xr.DataArray):
        if axis not in x.dims:
            raise UnknownName.of("axis", axis, x.dims)
        _check_whole_circle(x, axis)
        return x.get_axis_num(axis)
    if not isinstance(axis, int | np.integer) or isinstance(axis, bool):
        raise InputError(f"axis {axis!r} of an ndarray: expected a number from 0 to {x.ndim - 1}")
    if not -x.ndim <= axis < x.ndim:
        raise InputError(f"axis {axis} of an ndarray of shape {x.shape}: expected 0 to {x.ndim - 1}")
    return int(axis) % x.ndim


def _check_whole_circle(x: xr.DataArray, axis: Axis) -> None:
    """InputError where an axis of residues is a part of its circle, or has them in another order.

    Its size would then pass for the modulus, and places for residues. Even steps of another length are a circle that
    was resampled.
    """
    if axis not in _RESIDUES or axis not in x.coords:
        return
    at, size, stated = x[axis].values, x.sizes[axis], x.attrs.get("p")
    if at.dtype.kind not in "iuf" or not size:
        return  # names, such as those of a basis
    known = isinstance(stated, int | np.integer) and not isinstance(stated, bool)
    step = float(at[1] - at[0]) if size > 1 else 1.0
    p = float(stated) if known and stated is not None else size * step
    if p > 0 and np.allclose(at, np.arange(size) * (p / size), rtol=0, atol=1e-6 * p):
        return
    raise InputError(
        f"axis {axis} has the coordinates {shown(at.tolist())}: expected all residues 0 to {int(p if known else size) - 1} "
        "in their order; take a part of it afterwards"
    )


def positions(x: np.ndarray | xr.DataArray, axes: Axes) -> tuple[int, ...]:
    """The positions of several axes, all different."""
    found = tuple(position(x, axis) for axis in axis_list(axes))
    if not found or len(set(found)) != len(found):
        raise InputError(f"axes {axis_list(axes)!r}: expected one or more, all different")
    return found


def real_values(x: np.ndarray | xr.DataArray) -> np.ndarray:
    """The numbers of a real array: float32 and float64 as they are, everything narrower or whole widened."""
    if not isinstance(x, np.ndarray | xr.DataArray):
        raise InputError(f"a {type(x).__name__}: expected an xarray.DataArray or a numpy array")
    values = x.values if isinstance(x, xr.DataArray) else x
    if values.dtype in (np.float32, np.float64):
        return values
    if values.dtype == np.float16:
        return values.astype(np.float32)
    if values.dtype.kind in "iub":
        return values.astype(np.float64)
    raise InputError(f"an array of {values.dtype}: expected real numbers")


def negligible(dtype: np.dtype) -> float:
    """The share of a wave's energy below which what is left after its mean is rounding."""
    return float(16 * np.finfo(dtype).eps) ** 2


def rewrap(
    x: Array,
    values: np.ndarray,
    axes: Mapping[int, tuple[Hashable, Sequence[Any] | np.ndarray | None]] | None = None,
) -> Array:
    """The values with the names of x; `axes` gives axes that changed: position -> (name, coordinate)."""
    if not isinstance(x, xr.DataArray):
        return values
    axes = axes or {}
    dims = [axes[i][0] if i in axes else d for i, d in enumerate(x.dims)]
    if len(set(dims)) != len(dims):
        raise InputError(f"the result would have axes {tuple(dims)}: rename the one that is there already")
    changed = {x.dims[i] for i in axes}
    coords: dict[Hashable, Any] = {n: c for n, c in x.coords.items() if not changed & set(c.dims)}
    coords |= {name: np.asarray(c) for name, c in axes.values() if c is not None}
    return xr.DataArray(values, dims=dims, coords=coords, name=x.name, attrs=x.attrs)


def without(x: xr.DataArray, gone: Iterable[int]) -> xr.DataArray:
    """The array with some axes dropped, for the names of what is left; its values mean nothing."""
    dims = {x.dims[i] for i in gone}
    stale = [name for name, c in x.coords.items() if dims & set(c.dims)]
    return x.drop_vars(stale).isel(dict.fromkeys(dims, 0), drop=True)


def apply(x: Array, axes: Axes, kernel: Callable[[np.ndarray, tuple[int, ...]], np.ndarray]) -> Array:
    """A kernel that keeps every axis, applied at the positions of the named ones."""
    return rewrap(x, kernel(real_values(x), positions(x, axes)))
