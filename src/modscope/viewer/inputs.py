"""What may be shown: numpy, torch and xarray arrays, by what they can do rather than by what they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from modscope.errors import InputError, UnknownName

__all__ = ["PART", "Tensor", "lines_of", "tensor_of"]

_SPARE_NAMES = ("axis0", "axis1", "axis2", "axis3", "axis4", "axis5", "axis6", "axis7")


@dataclass(frozen=True, eq=False)
class Tensor:
    """Named float32 values, with what is known of them."""

    values: np.ndarray
    dims: tuple[str, ...]
    name: str = "x"
    labels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    coords: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    p: int | None = None
    operation: str | None = None
    # What float32 could not keep, in words; and whether each value was masked.
    lost: str = ""
    mask: np.ndarray | None = None

    @property
    def sizes(self) -> dict[str, int]:
        return dict(zip(self.dims, self.values.shape, strict=True))

    def transposed(self, dims: Sequence[str]) -> Tensor:
        """The same values with the axes in this order."""
        if tuple(dims) == self.dims:
            return self
        order = [self.dims.index(dim) for dim in dims]
        mask = None if self.mask is None else self.mask.transpose(order)
        return replace(self, values=self.values.transpose(order), dims=tuple(dims), mask=mask)


def _plain(x: Any) -> np.ndarray:
    if hasattr(x, "detach"):
        x = x.detach().cpu()
        # bfloat16 has no numpy type.
        x = x.float().numpy() if str(getattr(x, "dtype", "")) == "torch.bfloat16" else x.numpy()
    try:
        values = np.ma.asanyarray(getattr(x, "values", x))
    except ValueError as error:
        raise InputError(f"expected an array, got nested sequences of unequal lengths ({error})") from None
    if values.dtype.kind not in "fiubc":
        raise InputError(f"expected an array of numbers, got dtype {values.dtype}")
    return values if isinstance(values, np.ma.MaskedArray) else np.asarray(values)


_PARTS = ("magnitude", "phase", "real", "imaginary")
PART = "part"


def _parts(values: np.ndarray) -> np.ndarray:
    """Complex numbers as four real ones on a first axis: magnitude, phase in radians, real and imaginary part."""
    return np.stack([np.abs(values), np.angle(values), values.real, values.imag])


def _single(values: np.ndarray) -> tuple[np.ndarray, str]:
    """The values as float32, and what that cost, in words: digits, or numbers beyond its range."""
    with np.errstate(over="ignore", invalid="ignore"):
        single = values.astype(np.float32, copy=False)
    kind = values.dtype
    if kind.kind == "b" or kind.itemsize <= 2 or kind == np.float32 or not values.size:
        return single, ""
    if kind.kind in "iu" and max(abs(int(values.max())), abs(int(values.min()))) <= 1 << 24:
        return single, ""
    wide = values.astype(np.float64, copy=False)
    with np.errstate(invalid="ignore", over="ignore"):
        gone = int((np.isinf(single) & np.isfinite(wide)).sum())
        off = np.abs(single.astype(np.float64) - wide)
    worst = float(np.max(off, where=np.isfinite(off), initial=0.0))
    size = f"{worst:g}" if 1 <= worst < 1e6 else f"{worst:.1e}".replace("e-0", "e-").replace("e+0", "e")
    words = [f"{kind} ±{size}"] if worst else []
    if gone:
        words.append(f"{gone} beyond float32")
    return single, ", ".join(words)


def _dims(x: object, ndim: int, given: Sequence[str] | None) -> tuple[str, ...]:
    if given is not None:
        dims = tuple(given)
        if len(dims) != ndim or len(set(dims)) != ndim:
            raise InputError(f"dims {dims}: expected {ndim} different names for an array with {ndim} axes")
        return dims
    named = getattr(x, "dims", None) or getattr(x, "names", None)
    if isinstance(named, (tuple, list)) and len(named) == ndim:
        return tuple(_SPARE_NAMES[i] if name is None else str(name) for i, name in enumerate(named))
    return tuple(f"axis{i}" for i in range(ndim))


def _coordinates(
    x: object, dims: tuple[str, ...]
) -> tuple[dict[str, tuple[str, ...]], dict[str, tuple[float, ...]]]:
    """Labels (words) and coordinates (numbers that are not 0, 1, 2, ...) of the axes of a DataArray."""
    labels: dict[str, tuple[str, ...]] = {}
    coords: dict[str, tuple[float, ...]] = {}
    known = getattr(x, "coords", None)
    for dim in dims:
        if known is None or dim not in known:
            continue
        values = np.asarray(known[dim].values)
        if values.ndim != 1:
            continue
        if values.dtype.kind not in "fiu" or not np.isfinite(values).all():
            labels[dim] = tuple(str(v) for v in values)
        elif not np.array_equal(values, np.arange(len(values))):
            coords[dim] = tuple(float(v) for v in values)
    return labels, coords


def tensor_of(x: object, *, dims: Sequence[str] | None = None, name: str | None = None) -> Tensor:
    """A named float32 tensor from a numpy, torch or xarray array; a scalar or an empty array is an error.

    Complex arrays get a first axis `part`; masked values of a numpy masked array are NaN with a mask.
    """
    values = _plain(x)
    if values.ndim == 0 or values.size == 0:
        raise InputError(
            f"{name or 'the array'} has shape {values.shape}: expected at least one axis and one value"
        )
    found = _dims(x, values.ndim, dims)
    attrs = getattr(x, "attrs", None) or {}
    labels, coords = _coordinates(x, found)
    own = name or attrs.get("hook") or getattr(x, "name", None) or "x"
    p, operation = attrs.get("p"), attrs.get("operation")
    mask = np.ma.getmaskarray(values) if np.ma.is_masked(values) else None
    values = np.ma.getdata(values)
    if values.dtype.kind == "c":
        values, found, labels = _parts(values), (PART, *found), {PART: _PARTS, **labels}
        mask = None if mask is None else np.broadcast_to(mask, values.shape)
    single, lost = _single(values)
    if mask is not None:
        single = np.where(mask, np.float32(np.nan), single)
    modulus = None if p is None else int(p)
    return Tensor(single, found, str(own), labels, coords, modulus, operation, lost, mask)


def lines_of(x: object, *, dims: Sequence[str] | None, names: Sequence[str] | None) -> list[Tensor]:
    """One tensor, or several of one shape from a list or a mapping, all in the axis order of the first."""
    if isinstance(x, Mapping) and not hasattr(x, "dims"):
        names = list(x) if names is None else names
        x = list(x.values())
    many = isinstance(x, (list, tuple)) and len(x) > 0 and all(getattr(one, "ndim", 0) for one in x)
    arrays = list(x) if many else [x]  # type: ignore[call-overload]
    if len(arrays) > 10:
        raise InputError(
            f"{len(arrays)} arrays in one view: expected at most 10; stack them and use rows= instead"
        )
    if names is not None and len(names) != len(arrays):
        raise InputError(f"{len(names)} names for {len(arrays)} arrays: expected one name each")
    tensors = [tensor_of(one, dims=dims, name=names[i] if names else None) for i, one in enumerate(arrays)]
    first = tensors[0]
    for i, one in enumerate(tensors[1:], start=2):
        where = f"array {i} ({one.name!r})"
        if set(one.dims) != set(first.dims):
            raise InputError(
                f"{where} has axes {one.dims}, array 1 ({first.name!r}) {first.dims}: expected the same axes"
            )
        if one.sizes != {dim: first.sizes[dim] for dim in one.dims}:
            raise InputError(
                f"{where} has shape {one.values.shape}, array 1 ({first.name!r}) {first.values.shape}: expected the same shape"
            )
    tensors = [one.transposed(first.dims) for one in tensors]
    return _told_apart(tensors)


def _told_apart(tensors: list[Tensor]) -> list[Tensor]:
    names = [one.name for one in tensors]
    if len(set(names)) == len(names):
        return tensors
    letters = "ABCDEFGHIJ"
    return [replace(t, name=f"{t.name} {letters[i]}") for i, t in enumerate(tensors)]


def index_of(tensor: Tensor, dim: str, given: object) -> int:
    """The index of an axis that a number (a position, negative from the end) or a label stands for."""
    size = tensor.sizes[dim]
    if isinstance(given, str):
        if given not in tensor.labels.get(dim, ()):
            raise UnknownName.of(f"label of axis {dim}", given, tensor.labels.get(dim, range(size)))
        return tensor.labels[dim].index(given)
    try:
        at = int(given)  # type: ignore[call-overload]
    except (TypeError, ValueError):
        at = size
    if isinstance(given, bool) or at != given or not -size <= at < size:
        raise InputError(f"index {given!r} of axis {dim}: expected an integer from 0 to {size - 1}")
    return at % size
