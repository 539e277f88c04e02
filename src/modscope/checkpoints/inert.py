"""Python objects in a torch file, read as the values that were stored of them; no class of theirs is looked up.

torch's restricted reader (`weights_only=True`) builds tensors and plain values and refuses every other name. Here each
such name is given to it as a class of ours that keeps what it is handed and does nothing else, so the tensors
beside a foreign config object, and those inside a pickled module, can be had without its code and without running any.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, BinaryIO

import numpy as np
import torch
from torch import Tensor

__all__ = ["Inert", "read_inertly"]

_NUMBER_KINDS = "?bhilqpBHILQPefdg"  # numpy's one-letter and sized codes of numbers start with one of these
# torch keeps one list of allowed names for the process.
_LISTED = threading.Lock()


class Inert:
    """One object of a file: the values that its class would have been called with and given as state."""

    def __new__(cls, *arguments: Any, **_: Any) -> Inert:
        inert = super().__new__(cls)
        inert.arguments = arguments
        inert.state = None
        return inert

    arguments: tuple[Any, ...]
    state: Any

    def __setstate__(self, state: Any) -> None:
        self.state = state

    @property
    def attributes(self) -> dict[str, Any] | None:
        """The attributes that were stored, or None where the object has none."""
        parts = self.state if isinstance(self.state, tuple) and len(self.state) == 2 else (self.state,)
        found: dict[str, Any] = {}
        for part in parts:
            if isinstance(part, Mapping):
                found |= {str(name): value for name, value in part.items() if isinstance(name, str)}
            elif part is not None:
                return None
        return found or None


def read_inertly(file: str | BinaryIO, names: Iterable[str], *, mmap: bool) -> tuple[Any, tuple[str, ...]]:
    """The contents of a torch file as tensors and plain values, and the foreign classes that it had objects of.

    names: those of the classes, as `checkpoints.scanning` found them. A pickled module becomes its state dict, an object with attributes a dict of them, a class or function its name.
    """
    stands_for = {name: _stand_in(name) for name in names}
    with _LISTED:
        before = torch.serialization.get_safe_globals()
        torch.serialization.clear_safe_globals()
        try:
            torch.serialization.add_safe_globals(list(stands_for.values()))
            data = torch.load(file, map_location="cpu", weights_only=True, mmap=mmap)
        finally:
            torch.serialization.clear_safe_globals()
            torch.serialization.add_safe_globals(before)
    plain = _Plain()
    return plain.top(data), tuple(plain.met)


# What stands for a name


def _stand_in(name: str) -> Callable[..., Any]:
    module, _, short = name.rpartition(".")
    body: dict[str, Any] = {"__module__": module, "__qualname__": short, "full_name": name}
    if name in ("numpy.core.multiarray.scalar", "numpy._core.multiarray.scalar"):
        return type(short, (), body | {"__new__": _number})
    if name == "collections.defaultdict":
        return type(short, (), body | {"__new__": _no_default})
    if module == "pathlib" or module.startswith("pathlib."):
        return type(short, (), body | {"__new__": _joined})
    return type(short, (Inert,), body)


def _number(_: type, kind: Any = None, raw: Any = b"", *__: Any) -> Any:
    dtype = _dtype(kind)
    if dtype is None or not isinstance(raw, bytes) or len(raw) != dtype.itemsize:
        return None
    return np.frombuffer(raw, dtype)[0].item()


def _no_default(_: type, *__: Any) -> dict[Any, Any]:
    return {}


def _joined(_: type, *parts: Any) -> str:
    return "/".join(str(part) for part in parts if isinstance(part, str)).replace("//", "/")


def _dtype(kind: Any) -> np.dtype[Any] | None:
    """numpy's type of numbers from its stored description; None for any other."""
    if not isinstance(kind, Inert) or not kind.arguments or not isinstance(kind.arguments[0], str):
        return None
    code = kind.arguments[0]
    order = kind.state[1] if isinstance(kind.state, tuple) and len(kind.state) > 1 else "="
    if not code or code[0] not in _NUMBER_KINDS or not (len(code) == 1 or code[1:].isdigit()):
        return None
    try:
        return np.dtype(code).newbyteorder(">" if order == ">" else "<" if order == "<" else "=")
    except (TypeError, ValueError):
        return None


def _array(state: Any) -> Tensor | None:
    """The array in the state of a pickled numpy array; None where it is not one of numbers."""
    if not isinstance(state, tuple) or len(state) != 5:
        return None
    _, shape, kind, by_columns, raw = state
    dtype = _dtype(kind)
    if dtype is None or not isinstance(raw, bytes) or not isinstance(shape, tuple):
        return None
    if not all(isinstance(size, int) and size >= 0 for size in shape):
        return None
    flat = np.frombuffer(raw, dtype)
    if flat.size != np.prod(shape, dtype=object):
        return None
    values = flat.reshape(shape, order="F" if by_columns else "C").astype(dtype.newbyteorder("="))
    return torch.from_numpy(np.ascontiguousarray(values).copy())


# What is made of it afterwards


class _Plain:
    """The walk that replaces every object of ours by plain values, each container once."""

    def __init__(self) -> None:
        self.met: dict[str, None] = {}
        self._done: dict[int, Any] = {}
        self._kept: list[Any] = []  # what has an entry above must live as long as it

    def top(self, data: Any) -> Any:
        """The contents of a file; a whole module gives its state dict and its other attributes as a config."""
        attributes = data.attributes if isinstance(data, Inert) else None
        if attributes is None or "_modules" not in attributes:
            return self.of(data)
        others = {
            name: self.of(value)
            for name, value in attributes.items()
            if not name.startswith("_") and name != "training" and not isinstance(value, Tensor)
        }
        return {"state_dict": self.of(data), "config": others}

    def of(self, value: Any) -> Any:
        if isinstance(value, type) and issubclass(value, Inert):
            return getattr(value, "full_name", value.__name__)
        if not isinstance(value, dict | list | tuple | Inert):
            return value
        if id(value) not in self._done:
            self._kept.append(value)
            self._done[id(value)] = None  # for what holds itself
            self._done[id(value)] = self._replaced(value)
        return self._done[id(value)]

    def _replaced(self, value: Any) -> Any:
        if isinstance(value, Inert):
            return self._of_object(value)
        if isinstance(value, tuple):
            return tuple(self.of(entry) for entry in value)
        self._done[id(value)] = value
        for key in list(value) if isinstance(value, dict) else range(len(value)):
            if isinstance(value[key], dict | list | tuple | Inert | type):
                value[key] = self.of(value[key])
        return value

    def _of_object(self, inert: Inert) -> Any:
        name = str(getattr(type(inert), "full_name", ""))
        if name in ("numpy.core.multiarray._reconstruct", "numpy._core.multiarray._reconstruct"):
            return _array(inert.state)
        self.met[name] = None
        attributes = inert.attributes
        if attributes is not None and "_modules" in attributes:
            return dict(_state_dict(inert))
        if attributes is not None:
            return {key: self.of(entry) for key, entry in attributes.items()}
        if len(inert.arguments) == 1:
            return self.of(inert.arguments[0])
        return [self.of(entry) for entry in inert.arguments] if inert.arguments else name


def _state_dict(module: Inert, prefix: str = "") -> Iterator[tuple[str, Tensor]]:
    """What `module.state_dict()` would be, from the dicts in which torch keeps parameters, buffers and modules."""
    attributes = module.attributes or {}
    fleeting = attributes.get("_non_persistent_buffers_set") or ()
    for group in ("_parameters", "_buffers"):
        tensors = attributes.get(group)
        for name, tensor in tensors.items() if isinstance(tensors, Mapping) else ():
            if isinstance(tensor, Tensor) and name not in fleeting:
                yield f"{prefix}{name}", tensor.detach()
    inner = attributes.get("_modules")
    for name, child in inner.items() if isinstance(inner, Mapping) else ():
        if isinstance(child, Inert):
            yield from _state_dict(child, f"{prefix}{name}.")
