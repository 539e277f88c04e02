"""What the configs of all networks check, and say, alike."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

import torch
from torch import Tensor

from modscope.errors import InputError, UnknownName, shown

__all__ = [
    "ACTIVATIONS",
    "Answering",
    "TwoTokens",
    "WithHeads",
    "check_activation",
    "check_rate",
    "check_whole",
    "checked_names",
    "freeze",
    "head_width",
]

ACTIVATIONS: Mapping[str, Callable[[Tensor], Tensor]] = {
    "relu": torch.relu,
    "gelu": torch.nn.functional.gelu,
    "quadratic": torch.square,
    "silu": torch.nn.functional.silu,
    "tanh": torch.tanh,
    "gelu_tanh": lambda x: torch.nn.functional.gelu(x, approximate="tanh"),
    "identity": lambda x: x,
}


def freeze(config: object, **values: object) -> None:
    """Set fields of a frozen config while it is made."""
    for name, value in values.items():
        object.__setattr__(config, name, value)


def check_whole(config: object, least: int = 1, **sizes: object) -> None:
    """Raise InputError where a size is no whole number of at least that."""
    for name, size in sizes.items():
        if not isinstance(size, int) or isinstance(size, bool) or size < least:
            expected = "a positive integer" if least == 1 else f"a whole number from {least}"
            raise InputError(f"{type(config).__name__}: {name} = {shown(size)}: expected {expected}")


def checked_names(kind: str, given: object, known: Collection[str]) -> tuple[str, ...]:
    """A list of names as a tuple. Raises UnknownName (the nearest is given), or InputError where it is no list.

    >>> checked_names("bias", ["b_in"], ("b_in", "b_out"))
    ('b_in',)
    """
    if not isinstance(given, tuple | list) or not all(isinstance(name, str) for name in given):
        examples = ", ".join(map(repr, list(known)[:2]))
        raise InputError(f"{kind} {shown(given)}: expected a list of names such as ({examples})")
    for name in given:
        if name not in known:
            raise UnknownName.of(kind, name, known)
    return tuple(given)


def check_activation(name: object) -> None:
    """Raise UnknownName where there is no such activation function."""
    if not isinstance(name, str) or name not in ACTIVATIONS:
        raise UnknownName.of("activation function", name, ACTIVATIONS)


def check_rate(rate: object) -> None:
    """Raise InputError where an attention rate is not from 0 to 1."""
    if not isinstance(rate, int | float) or not 0.0 <= rate <= 1.0:
        raise InputError(f"attention rate {shown(rate)}: expected a number from 0 to 1")


def head_width(d_model: int, n_heads: int, d_head: int | None) -> int:
    """d_head, or d_model / n_heads where it is not given.

    >>> head_width(128, 4, None), head_width(128, 4, 8)
    (32, 8)
    """
    if d_head is not None:
        return d_head
    if d_model % n_heads:
        raise InputError(
            f"d_model = {d_model} is not divisible by n_heads = {n_heads}: give d_head, or change one"
        )
    return d_model // n_heads


class Answering:
    """A config with a number of logits, which is p unless it is said."""

    d_vocab_out: int | None

    @property
    def answers(self) -> int:
        """The number of logits."""
        assert self.d_vocab_out is not None
        return self.d_vocab_out


class WithHeads(Answering):
    """A config of attention heads."""

    d_head: int | None

    @property
    def head_size(self) -> int:
        """d_head as an int."""
        assert self.d_head is not None
        return self.d_head


class TwoTokens(Answering):
    """A config of networks that read a and b and nothing else."""

    @property
    def equals(self) -> bool:
        """There is no token "="."""
        return False

    @property
    def positions(self) -> tuple[str, ...]:
        """The names of the input positions."""
        return ("a", "b")
