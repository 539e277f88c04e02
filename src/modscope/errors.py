"""Every exception that modscope raises on purpose, as one tree.

ModscopeError
├── InputError (also a ValueError)     an argument that cannot be used
│   ├── UnknownName (also a KeyError)  a name that is not among the choices
│   └── MissingWeight                  a measure that needs a weight, asked of activations alone
├── CheckpointError                    a file that is not a usable network
├── RunError                           a run folder that cannot be read or written
└── TrainingError                      training that cannot go on
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = [
    "CheckpointError",
    "InputError",
    "MissingWeight",
    "ModscopeError",
    "RunError",
    "TrainingError",
    "UnknownName",
]


class ModscopeError(Exception):
    """The root of all errors that modscope raises on purpose; its text is one clear sentence."""


class InputError(ModscopeError, ValueError):
    """An argument that cannot be used: what was given, what was expected."""


class UnknownName(InputError, KeyError):  # noqa: N818 - reads as a sentence where it is raised
    """A name that is not among the choices, with the nearest one.

    >>> raise UnknownName.of("hook", "mlp_pots", ["mlp_pre", "mlp_post"])
    Traceback (most recent call last):
    modscope.errors.UnknownName: unknown hook 'mlp_pots' (did you mean 'mlp_post'?): expected one of mlp_pre, mlp_post
    """

    @classmethod
    def of(cls, kind: str, given: object, choices: Iterable[object]) -> UnknownName:
        names = [str(choice) for choice in choices]
        same = [name for name in names if name.lower() == str(given).lower()]
        nearest = same or difflib.get_close_matches(str(given), names, n=1, cutoff=0.5)
        hint = f" (did you mean {nearest[0]!r}?)" if nearest else ""
        return cls(f"unknown {kind} {given!r}{hint}: expected one of {', '.join(names)}")

    def __str__(self) -> str:
        # KeyError would print the repr of the text.
        return str(self.args[0]) if self.args else ""


class MissingWeight(InputError):  # noqa: N818 - reads as a sentence where it is raised
    """A measure that needs a weight or a forward pass, asked of a record that holds activations alone."""


class CheckpointError(ModscopeError):
    """A file that is not a usable network, or not one whose layout is known."""


class RunError(ModscopeError):
    """A run folder that cannot be read, written or continued."""


class TrainingError(ModscopeError):
    """Training that cannot go on, such as a loss that is no longer a number."""
