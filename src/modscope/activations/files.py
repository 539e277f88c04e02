"""Activations in files: .npy, .npz and .safetensors, read without running anything in them."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load

from modscope import memory
from modscope.errors import InputError

__all__ = ["arrays_in", "holds_arrays", "pairs_of"]

SUFFIXES = (".npy", ".npz")
_LARGEST = 16 * 2**30  # bytes of all arrays together
_OWN = "modscope"  # the metadata that files of weights have


def holds_arrays(path: Path) -> bool:
    """Whether a file is one of activations and not of weights: .npy and .npz are, and a .safetensors file all of whose
    tensors have the same two sizes first, p and p.

    >>> holds_arrays(Path("acts.npz")), holds_arrays(Path("net.pt"))
    (True, False)
    """
    if path.suffix.lower() in SUFFIXES:
        return True
    if path.suffix.lower() != ".safetensors" or not path.is_file():
        return False
    try:
        with safe_open(str(path), framework="numpy") as file:
            shapes = [tuple(file.get_slice(name).get_shape()) for name in file.keys()]  # noqa: SIM118 - not a mapping
            own = _OWN in (file.metadata() or {})
    except (SafetensorError, OSError, ValueError):
        return False
    return (
        bool(shapes) and not own and pairs_of(shapes) is not None and any(len(shape) > 2 for shape in shapes)
    )


def pairs_of(shapes: list[tuple[int, ...]]) -> int | None:
    """The p of arrays over pairs: the size of the first two axes of all; None where they are no such arrays.

    >>> pairs_of([(5, 5, 8), (5, 5)]), pairs_of([(5, 5, 8), (6, 8)])
    (5, None)
    """
    sizes = {shape[:2] for shape in shapes}
    if len(sizes) != 1 or len(first := next(iter(sizes))) != 2 or first[0] != first[1] or first[0] < 3:
        return None
    return first[0]


def arrays_in(path: Path) -> dict[str, np.ndarray]:
    """The arrays of a file by name; a .npy file's has the name of the file.

    Raises InputError where the file is not there, holds something else than arrays of numbers, or is too large.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    with path.open("rb") as file:
        if file.read(40).startswith(b"version https://git-lfs.github.com/spec/"):
            raise InputError(f"{path}: a Git LFS pointer, not the file itself: fetch it with `git lfs pull`")
    # Read whole: a file that is cut while its memory map is in use ends the process.
    memory.require(2 * path.stat().st_size, f"{path}: its arrays")
    try:
        if path.suffix.lower() == ".npy":
            found: Mapping[str, np.ndarray] = {path.stem: np.load(path, allow_pickle=False)}
        elif path.suffix.lower() == ".npz":
            found = _of_archive(path)
        else:
            found = _of_safetensors(path)
    except (
        ValueError,
        OSError,
        EOFError,
        KeyError,
        RuntimeError,
        zipfile.BadZipFile,
        SafetensorError,
    ) as error:
        reason = str(error).splitlines()[0][:120] if str(error) else type(error).__name__
        raise InputError(f"{path}: not a whole file of arrays of numbers: {reason}") from error
    if not found:
        raise InputError(f"{path}: holds no array")
    for name, x in found.items():
        if not isinstance(x, np.ndarray) or x.dtype.kind not in "fiub" or not x.size or not x.ndim:
            kind = f"{x.dtype}, shape {x.shape}" if isinstance(x, np.ndarray) else type(x).__name__
            raise InputError(f"{path}: {name} is {kind}: expected an array of real numbers")
    return dict(found)


def _of_archive(path: Path) -> dict[str, np.ndarray]:
    with zipfile.ZipFile(path) as archive:
        inside = sum(entry.file_size for entry in archive.infolist())
    if inside > _LARGEST:
        raise InputError(f"{path}: unpacks to {inside} bytes; more than {_LARGEST} is not read")
    with np.load(path, allow_pickle=False) as archive_of_arrays:
        return {name: archive_of_arrays[name] for name in archive_of_arrays.files}


def _of_safetensors(path: Path) -> dict[str, np.ndarray]:
    found = load(path.read_bytes())
    return {name: (x.float() if x.dtype == torch.bfloat16 else x).numpy() for name, x in found.items()}
