"""The six orders of (a, b, c) that values on all pairs can be looked at in; c is the answer."""

from __future__ import annotations

import numpy as np
import xarray as xr

from modscope.errors import InputError, UnknownName

__all__ = ["in_order"]


def in_order(x: xr.DataArray, first: str, second: str, *, operation: str | None = None) -> xr.DataArray:
    """The same values over another two of (a, b, c): `in_order(x, "c", "a")` makes each row a wave in a.

    c is the answer of the operation (`x.attrs["operation"]`, else add): a + b or a - b mod p. For multiply
    p must be prime and only the residues 1..p-1 are kept, where a * b has an inverse. The two new axes stand
    where the two old ones stood; `in_order(y, "a", "b")` gives the same numbers back exactly.
    Raises InputError for an operation without an inverse, UnknownName for axes other than a, b, c.

    >>> x = xr.DataArray(np.arange(9).reshape(3, 3), dims=("a", "b"))
    >>> in_order(x, "c", "a").values.tolist()
    [[0, 5, 7], [1, 3, 8], [2, 4, 6]]
    """
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
    if operation == "multiply":
        x = _units(x, old)
    p = _common_size(x, old)
    residues = x[old[0]].values if old[0] in x.coords else np.arange(p)
    value = {
        first: np.broadcast_to(residues[:, None], (p, p)),
        second: np.broadcast_to(residues[None, :], (p, p)),
    }
    modulus = p + 1 if operation == "multiply" else p
    _complete(value, operation, modulus)
    offset = int(residues[0])
    axes = [x.get_axis_num(d) for d in old]
    values = np.moveaxis(x.values, axes, (0, 1))[value[old[0]] - offset, value[old[1]] - offset]
    renamed = x.rename({old[0]: "_first", old[1]: "_second"}).rename({"_first": first, "_second": second})
    result = renamed.copy(data=np.moveaxis(values, (0, 1), axes))
    return result.assign_coords({first: residues, second: residues})


def _common_size(x: xr.DataArray, axes: tuple[str, ...]) -> int:
    sizes = [x.sizes[axis] for axis in axes]
    if sizes[0] != sizes[1]:
        raise InputError(
            f"axes {axes[0]} and {axes[1]} have sizes {sizes[0]} and {sizes[1]}: expected p and p"
        )
    return sizes[0]


def _units(x: xr.DataArray, axes: tuple[str, ...]) -> xr.DataArray:
    for axis in axes:
        start = int(x[axis].values[0]) if axis in x.coords else 0
        if start == 0:
            x = x.isel({axis: slice(1, None)}).assign_coords({axis: np.arange(1, x.sizes[axis])})
    p = x.sizes[axes[0]] + 1
    if any(p % n == 0 for n in range(2, int(p**0.5) + 1)):
        raise InputError(f"the order by c = a * b mod {p} needs a prime p: {p} is not")
    return x


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
