"""The sequence of tokens that a network reads: residues a and b among constant tokens, in any order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import torch
from torch import Tensor

from modscope.errors import InputError, UnknownName

__all__ = ["checked_sequence", "position_names", "sequence_tokens"]

RESIDUES = ("a", "b")


def checked_sequence(sequence: Iterable[object], constants: Sequence[str]) -> tuple[str, ...]:
    """The sequence as names, each "a", "b" or one of the constants.

    Raises InputError where a or b is missing, UnknownName for a token that the vocabulary does not have.

    >>> checked_sequence(["a", "+", "b", "="], ("+", "="))
    ('a', '+', 'b', '=')
    """
    names = tuple(str(name) for name in sequence)
    for name in names:
        if name not in (*RESIDUES, *constants):
            raise UnknownName.of("token of the sequence", name, (*RESIDUES, *constants))
    for residue in RESIDUES:
        if residue not in names:
            raise InputError(f"sequence {' '.join(names)}: it has no {residue}: expected both a and b in it")
    return names


def position_names(sequence: Sequence[str]) -> tuple[str, ...]:
    """The names of the positions: the tokens, numbered where one occurs again.

    >>> position_names(("a", "+", "b", "+", "="))
    ('a', '+', 'b', '+2', '=')
    """
    return tuple(
        name if (count := sequence[: i + 1].count(name)) == 1 else f"{name}{count}"
        for i, name in enumerate(sequence)
    )


def sequence_tokens(sequence: Sequence[str], numbers: Mapping[str, int], a: Tensor, b: Tensor) -> Tensor:
    """The tokens [batch, pos] of pairs: the number of a constant, or the first of a residue plus the residue.

    >>> sequence_tokens(("a", "+", "b"), {"a": 0, "+": 5, "b": 0}, torch.tensor([1]), torch.tensor([3]))
    tensor([[1, 5, 3]])
    """
    residues = {"a": a, "b": b}
    columns = [
        residues[name] + numbers[name] if name in residues else torch.full_like(a, numbers[name])
        for name in sequence
    ]
    return torch.stack(columns, dim=1)
