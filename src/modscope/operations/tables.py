"""A table of answers from a file: .npy, or .csv with a row for each a."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from modscope.boundary import public
from modscope.errors import InputError
from modscope.operations.operation import MOST_RESIDUES, Operation

__all__ = ["operation_from", "table_from"]

_LARGEST = 256 * 2**20  # bytes


@public
def operation_from(text: str, folder: Path = Path()) -> Operation:
    """The operation that a command line or a recipe says: a name, an expression, or the path of a table.

    folder: where a path begins, if it is not absolute.

    >>> operation_from("x - y").name
    'subtract'
    """
    if text.lower().endswith((".npy", ".csv", ".tsv", ".txt", ".npz")):
        return Operation.of(table_from(folder / text))
    return Operation.of(text)


@public
def table_from(path: Path) -> np.ndarray:
    """The table of answers [a, b] in a .npy or .csv file, int64; empty fields of a csv have no answer (-1).

    Raises InputError where the file is not there, is not such a table, or holds other than whole numbers.
    """
    if path.suffix.lower() not in (".npy", ".csv"):
        raise InputError(f"{path}: expected a table of answers as .npy or .csv")
    if not path.is_file():
        raise InputError(f"{path}: no such file; expected a table of p x p answers")
    if path.stat().st_size > _LARGEST:
        raise InputError(f"{path}: larger than any table of answers ({_LARGEST // 2**20} MB)")
    table = _from_npy(path) if path.suffix.lower() == ".npy" else _from_csv(path)
    if table.ndim != 2 or table.shape[0] != table.shape[1]:
        shape = " x ".join(map(str, table.shape))
        raise InputError(f"{path}: a table of {shape} answers: expected p x p, a row for each a")
    whole = table.astype(np.int64) if np.isfinite(table).all() else None
    if whole is None or not (whole == table).all():
        raise InputError(f"{path}: not all of its answers are whole numbers: expected residues 0 to p - 1")
    return whole


def _check_size(path: Path, p: int) -> None:
    if p > MOST_RESIDUES:
        raise InputError(f"{path}: a table of p = {p}: expected at most {MOST_RESIDUES}")


def _from_npy(path: Path) -> np.ndarray:
    try:
        # A map of the file: its header may announce more than there is memory for.
        table = np.load(path, allow_pickle=False, mmap_mode="r")
        if table.ndim == 2:
            _check_size(path, max(table.shape))
    except (ValueError, OSError, EOFError) as error:
        raise InputError(f"{path}: not a .npy array of numbers ({error})") from error
    if not isinstance(table, np.ndarray) or table.dtype.kind not in "iuf":
        raise InputError(f"{path}: not an array of numbers: expected whole numbers of shape (p, p)")
    return table


def _from_csv(path: Path) -> np.ndarray:
    rows = []
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not a text file with a table of answers ({error})") from error
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            rows.append([float(field) if field.strip() else -1.0 for field in line.split(",")])
        except ValueError:
            raise InputError(
                f"{path}, line {number}: expected whole numbers with commas between them"
            ) from None
        _check_size(path, len(rows[-1]))
        if len(rows[-1]) != len(rows[0]):
            raise InputError(
                f"{path}, line {number}: {len(rows[-1])} answers where the first row has {len(rows[0])}"
            )
    return np.array(rows).reshape(len(rows), -1)
