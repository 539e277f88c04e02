"""The six orders of (a, b, c) that values on all pairs can be looked at in; c is the answer."""

from __future__ import annotations

import numpy as np
import xarray as xr

from modscope.boundary import public
from modscope.errors import InputError, UnknownName, shown

__all__ = ["in_order"]


@public
def in_order(x: xr.DataArray, first: str, second: str, *, operation: str | None = None) -> xr.DataArray:
    """The same values over another two of (a, b, c): `in_order(x, "c", "a")` makes each row a wave in a.

    c is the answer of the operation (`x.attrs["operation"]`, else add): a + b or a - b mod p. For multiply
    p must be prime and only the residues 1..p-1 are kept, where a * b has an inverse. The two new axes stand
    where the two old ones stood; `in_order(y, "a", "b")` gives the same numbers back exactly.
    The modulus is `x.attrs["p"]`, else the size of the axes; each has to have all residues, in their order.
    Raises InputError for a part of an axis or another order of it and for an operation without an inverse, UnknownName
    for axes other than a, b, c.

    >>> x = xr.DataArray(np.arange(9).reshape(3, 3), dims=("a", "b"))
    >>> in_order(x, "c", "a").values.tolist()
    [[0, 5, 7], [1, 3, 8], [2, 4, 6]]
    """
    if not isinstance(x, xr.DataArray):
        raise InputError(f"a {type(x).__name__}: expected an xarray.DataArray with two axes of a, b, c")
    for name in (first, second):
        if name not in ("a", "b", "c"):
            raise UnknownName.of("axis", name, ("a", "b", "c"))
    if first == second:
        raise InputError(f"order ({first}, {second}): expected two different ones of a, b, c")
    old = tuple(str(d) for d in x.dims if d in ("a", "b", "c"))
    if len(old) != 2:
        raise InputError(f"an array with axes {x.dims}: expected exactly two of a, b, c among them")
    operation = operation or x.attrs.get("operation", "add")
    if (first, second) == old:
        return x
    x, p = _whole(x, old, operation)
    residues = np.arange(p - x.sizes[old[0]], p)
    value = {
        first: np.broadcast_to(residues[:, None], (len(residues), len(residues))),
        second: np.broadcast_to(residues[None, :], (len(residues), len(residues))),
    }
    _complete(value, operation, p)
    offset = int(residues[0])
    axes = [x.get_axis_num(d) for d in old]
    values = np.moveaxis(x.values, axes, (0, 1))[value[old[0]] - offset, value[old[1]] - offset]
    renamed = x.rename({old[0]: "_first", old[1]: "_second"}).rename({"_first": first, "_second": second})
    result = renamed.copy(data=np.moveaxis(values, (0, 1), axes))
    return result.assign_coords({first: residues, second: residues})


def _whole(x: xr.DataArray, axes: tuple[str, ...], operation: str) -> tuple[xr.DataArray, int]:
    """The array over the residues that the operation can be inverted on, and the modulus; a part of one is refused."""
    sizes = {axis: x.sizes[axis] for axis in axes}
    if len(set(sizes.values())) != 1:
        raise InputError(
            f"axes {axes[0]} and {axes[1]} have sizes {sizes[axes[0]]} and {sizes[axes[1]]}: expected p and p"
        )
    size, least = sizes[axes[0]], 1 if operation == "multiply" else 0
    starts = {axis: _start(x, axis) for axis in axes}
    stated = x.attrs.get("p")
    p = int(stated) if isinstance(stated, int | np.integer) else size + max(starts.values())
    for axis, start in starts.items():
        if start not in (0, least) or start + size != p:
            raise InputError(
                f"axis {axis} has {size} entries from {start}, mod {p}: expected all residues {least} to {p - 1}; "
                "take a part of it after the order has changed"
            )
    if operation == "multiply":
        if p < 3 or any(p % n == 0 for n in range(2, int(p**0.5) + 1)):
            raise InputError(f"the order by c = a * b mod {p} needs a prime p: {p} is not")
        x = x.isel({axis: slice(1 - start, None) for axis, start in starts.items()})
    return x, p


def _start(x: xr.DataArray, axis: str) -> int:
    """The first residue of an axis, on which each next one is one more; an axis without coordinates begins at 0."""
    if axis not in x.coords:
        return 0
    values = x[axis].values
    if (
        values.dtype.kind not in "iu"
        or not len(values)
        or not np.array_equal(values, values[0] + np.arange(len(values)))
    ):
        raise InputError(
            f"axis {axis} has the coordinates {shown(values.tolist())}: expected the residues 0, 1, 2, ... in their order"
        )
    return int(values[0])


def _complete(value: dict[str, np.ndarray], operation: str, p: int) -> None:
    """Adds the third of a, b, c to the two that are there."""
    missing = ({"a", "b", "c"} - value.keys()).pop()
    if operation in ("add", "subtract"):
        sign = 1 if operation == "add" else -1
        if missing == "c":
            value["c"] = (value["a"] + sign * value["b"]) % p
        elif missing == "b":
            value["b"] = sign * (value["c"] - value["a"]) % p
        else:
            value["a"] = (value["c"] - sign * value["b"]) % p
    elif operation == "multiply":
        if missing == "c":
            value["c"] = value["a"] * value["b"] % p
            return
        inverse = np.array([0, *(pow(n, -1, p) for n in range(1, p))])
        other = "a" if missing == "b" else "b"
        value[missing] = value["c"] * inverse[value[other]] % p
    else:
        raise InputError(
            f"operation {operation!r} has no order by c: given c and a there is not exactly one b; "
            "expected add, subtract or multiply"
        )
