"""Safe reading of what others wrote: nothing in a file is run, and nothing it says of its size is believed."""

from __future__ import annotations

import contextlib
import io
import pickle
import re
import struct
import tomllib
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import torch
from safetensors.torch import load
from torch import Tensor

from modscope import memory
from modscope.checkpoints.inert import read_inertly
from modscope.checkpoints.scanning import scan_archive, scan_legacy
from modscope.errors import CheckpointError, InputError, ModscopeError, shown
from modscope.schema import json_in

__all__ = ["Contents", "all_tensors", "read_file", "read_table", "refuse_pointer"]

SUFFIXES = (".pt", ".pth", ".bin", ".ckpt", ".safetensors")
HEADER_LIMIT = 64 * 2**20  # bytes of a safetensors header
TABLE_LIMITS = {"JSON": 16 * 2**20, "TOML": 2**20}  # bytes of a file
KEY_WORDS = 16  # of a dotted TOML key
_TOML_TOKENS = re.compile(r"""(?P<word>[\w-]+|"[^"\n]*"|'[^'\n]*'|[ \t]+)|[^\w"' \t-]|["']""")
TENSOR_LIMIT = 2**31  # numbers in one tensor
NAME_LIMIT = 400  # characters of a tensor's name, with the path to it
WHOLE = 256 * 2**20  # bytes of a file that is read at once; of a larger one only what is asked for
_POINTER = b"version https://git-lfs.github.com/spec/"


@dataclass(frozen=True)
class Contents:
    """What a file holds: nested dicts and lists of tensors and plain values, and safetensors metadata.

    notes: what has to be said of how it was read. checked: whether the file has checksums, which were right.
    mapped_at: size and time of a large file that is mapped into memory rather than read.
    """

    path: Path
    data: Mapping[str, Any]
    metadata: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    checked: bool = False
    mapped_at: tuple[int, int] | None = None

    def refuse_change(self) -> None:
        """CheckpointError where a file that is mapped into memory is no longer as it was: reading on would end the process."""
        if self.mapped_at is not None and (not self.path.is_file() or _stamp(self.path) != self.mapped_at):
            raise CheckpointError(f"{self.path}: has changed since it was opened: open it again")


def read_file(path: Path) -> Contents:
    """The contents of a `.pt`, `.pth` or `.safetensors` file, read without running anything in it.

    Python objects in a torch file are read as the values that were stored of them (`checkpoints.inert`), with a note.
    Raises CheckpointError where the file is empty, cut short, a pointer of Git LFS, of another kind, larger inside than
    outside, or made to run commands.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    if path.stat().st_size == 0:
        raise CheckpointError(f"{path}: the file is empty")
    refuse_pointer(path)
    if path.suffix == ".safetensors":
        contents = _read_safetensors(path)
    elif path.suffix in SUFFIXES:
        contents = _read_torch(path)
    elif path.suffix in (".npz", ".npy"):
        raise InputError(
            f"{path}: arrays and not weights: `modscope view`, `measure` and `findings` take files of activations"
        )
    else:
        raise InputError(f"{path}: expected a file that ends in {', '.join(SUFFIXES)}, or a folder with one")
    for name, tensor in all_tensors(contents.data):
        if len(name) > NAME_LIMIT or not name.isprintable():
            raise CheckpointError(
                f"{path}: a tensor is called {shown(name)}: expected at most {NAME_LIMIT} printable characters"
            )
        _check_extent(path, name, tensor)
    return contents


def refuse_pointer(path: Path) -> None:
    """CheckpointError where a file is the pointer that Git LFS leaves in place of one that was not fetched."""
    with path.open("rb") as file:
        start = file.read(300)
    if start.startswith(_POINTER):
        size = re.search(rb"^size (\d+)", start, re.MULTILINE)
        of = f" to a file of {int(size[1])} bytes" if size else ""
        raise CheckpointError(
            f"{path}: a Git LFS pointer{of}, not the file itself: fetch it with `git lfs pull`"
        )


def _read_safetensors(path: Path) -> Contents:
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(8)
    length = struct.unpack("<Q", start)[0] if len(start) == 8 else -1
    if not 0 < length <= size - 8:
        raise CheckpointError(
            f"{path}: not a whole safetensors file: it announces a header of {length} bytes and has {size} in all"
        )
    if length > HEADER_LIMIT:
        raise CheckpointError(
            f"{path}: a header of {length} bytes; more than {HEADER_LIMIT} is not read from a file of weights"
        )
    # Read once and whole: a file that is cut while its memory map is in use ends the process.
    memory.require(2 * size, f"{path}: its tensors")
    with _refused(path, "not a whole safetensors file"):
        data = path.read_bytes()
        return Contents(path, load(data), json_in(data[8 : 8 + length]).get("__metadata__") or {})


def _read_torch(path: Path) -> Contents:
    notes: tuple[str, ...] = ()
    with _refused(path, "cut short, or not written by torch.save"), path.open("rb") as file:
        # A small file is read once, so that what is loaded is what was looked at, whatever becomes of the file;
        # a memory map leaves a large file of many epochs on disk until one is asked for.
        whole = path.stat().st_size <= WHOLE
        looked_at: BinaryIO = io.BytesIO(file.read()) if whole else file
        zipped = zipfile.is_zipfile(looked_at)
        scanned = (scan_archive if zipped else scan_legacy)(looked_at, source=path)
        looked_at.seek(0)
        mapped = zipped and not whole
        loaded = str(path) if mapped else looked_at
        if scanned.foreign:
            data, met = read_inertly(loaded, scanned.foreign, mmap=mapped)
            notes = _inert_notes(met)
        else:
            data = torch.load(loaded, map_location="cpu", weights_only=True, mmap=mapped)
    if isinstance(data, Tensor):
        raise CheckpointError(
            f"{path}: one tensor of shape {tuple(data.shape)}: expected a dict of named tensors"
        )
    if not isinstance(data, Mapping):
        raise CheckpointError(f"{path}: holds a {type(data).__name__}: expected a dict of named tensors")
    return Contents(path, data, notes=notes, checked=zipped, mapped_at=_stamp(path) if mapped else None)


def _stamp(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_size, found.st_mtime_ns


def _inert_notes(met: tuple[str, ...]) -> tuple[str, ...]:
    foreign = [name for name in met if not name.startswith("torch.nn.modules.")]
    if not met:
        return ()
    named = ", ".join((foreign or list(met))[:4]) + (", ..." if len(foreign or met) > 4 else "")
    return (f"Python objects in the file ({named}) were read as plain values; none of their code was run",)


@contextlib.contextmanager
def _refused(path: Path, what: str) -> Iterator[None]:
    """Whatever a library raises on somebody else's file becomes our error, with its cause."""
    try:
        yield
    except ModscopeError:
        raise
    except pickle.UnpicklingError as error:
        raise CheckpointError(_unpickling_reason(path, error)) from error
    except Exception as error:
        raise CheckpointError(f"{path}: {what}: {_first_sentence(error)}") from error


def _first_sentence(error: Exception) -> str:
    line = next(iter(str(error).strip().splitlines()), "") or type(error).__name__
    return shown(line.split(". ")[0].rstrip("."), quoted=False)


def _unpickling_reason(path: Path, error: Exception) -> str:
    if re.search(r"[Uu]nsupported (?:global|class)|call reduce|[Cc]an only", str(error)):
        return (
            f"{path}: holds Python objects in a form that cannot be read without running code from the file: nothing was "
            "run. If you trust the file, load it where its classes are known and save a state dict"
        )
    # What torch says here is how to load it all the same, which is the last thing to do.
    return f"{path}: cut short, or not written by torch.save"


def all_tensors(data: Any) -> Iterator[tuple[str, Tensor]]:
    """Every tensor in nested dicts and lists, with the path to it: `state_dicts[0].embed.W_E`."""
    # Containers may hold each other many times over, or themselves: each is entered once.
    entered: set[int] = set()
    waiting: list[tuple[str, Any]] = [("", data)]
    while waiting:
        name, value = waiting.pop()
        if isinstance(value, Tensor):
            yield name, value
        elif isinstance(value, Mapping | list | tuple) and id(value) not in entered:
            entered.add(id(value))
            waiting += _entries(name, value)


def _entries(name: str, value: Mapping[Any, Any] | list[Any] | tuple[Any, ...]) -> list[tuple[str, Any]]:
    if isinstance(value, Mapping):
        return [(f"{name}.{key}" if name else str(key), entry) for key, entry in value.items()]
    # Lists of a hundred thousand losses hold no tensor; the first entry tells.
    if not value or not isinstance(value[0], Tensor | Mapping | list | tuple):
        return []
    return [(f"{name}[{i}]", entry) for i, entry in enumerate(value)]


def _check_extent(path: Path, name: str, tensor: Tensor) -> None:
    if tensor.layout != torch.strided or tensor.is_quantized:
        raise CheckpointError(f"{path}: {name} is sparse or quantised: expected a plain dense tensor")
    needed = tensor.numel() * tensor.element_size()
    # A few bytes with strides of zero can pose as a tensor of terabytes.
    if tensor.numel() > TENSOR_LIMIT or needed > tensor.untyped_storage().nbytes():
        raise CheckpointError(
            f"{path}: {name} of shape {tuple(tensor.shape)} claims more numbers than the file holds"
        )


def read_table(path: Path) -> dict[str, Any]:
    """A JSON or TOML file whose top level is a table."""
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    kind = "TOML" if path.suffix == ".toml" else "JSON"
    size, most = path.stat().st_size, TABLE_LIMITS[kind]
    if size > most:
        raise InputError(f"{path}: {size} bytes; more than {most} is not read as {kind}")
    try:
        text = path.read_text(encoding="utf-8")
        table = _toml(text) if kind == "TOML" else json_in(text)
    except Exception as error:
        raise InputError(f"{path}: not readable as {kind}: {_first_sentence(error)}") from error
    if not isinstance(table, dict):
        raise InputError(f"{path}: holds a {type(table).__name__}: expected a table of named values")
    return table


def _toml(text: str) -> dict[str, Any]:
    # The parser keeps every beginning of a dotted key: a key of ten thousand words takes gigabytes.
    words = 1
    for token in _TOML_TOKENS.finditer(text):
        words = words + 1 if token[0] == "." else words if token.lastgroup == "word" else 1
        if words > KEY_WORDS:
            raise ValueError(f"a key of more than {KEY_WORDS} words")
    return tomllib.loads(text)
