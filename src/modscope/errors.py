"""Every exception that modscope raises on purpose, as one tree.

ModscopeError
├── InputError (also a ValueError)     an argument that cannot be used
│   ├── UnknownName (also a KeyError)  a name that is not among the choices
│   └── NotApplicable                  a measure asked of a network or record that it is not about
│       ├── MissingWeight              a measure that needs a weight, asked of activations alone
│       └── MissingHook (UnknownName)  a measure that needs an activation that is not there
├── CheckpointError                    a file that is not a usable network
├── RunError                           a run folder that cannot be read or written
├── TrainingError                      training that cannot go on
└── SweepError                         a sweep of many networks that cannot go on
"""

from __future__ import annotations

import contextlib
import difflib
import os
import re
import reprlib
from collections.abc import Iterable, Iterator
from pathlib import Path

__all__ = [
    "CheckpointError",
    "InputError",
    "MissingHook",
    "MissingWeight",
    "ModscopeError",
    "NotApplicable",
    "RunError",
    "SweepError",
    "TrainingError",
    "UnknownName",
    "cause",
    "listed",
    "path_of",
    "printable",
    "shown",
    "turned_into",
]


_LONGEST = 200  # characters of a value in a sentence
_MOST = 60  # names in one sentence


_LONG_WORD = re.compile(r"\S{1000,}")


def _ends(word: re.Match[str]) -> str:
    return f"{word[0][:150]}...{word[0][-30:]}"


class _Short(reprlib.Repr):
    """Bounds not only what is written but also what is looked at."""

    def __init__(self) -> None:
        super().__init__()
        self.maxlevel, self.maxstring, self.maxother, self.maxlong = 3, 120, 120, 60
        self.maxlist = self.maxtuple = self.maxdict = self.maxset = self.maxfrozenset = self.maxdeque = 6

    def repr_int(self, x: int, level: int) -> str:
        return super().repr_int(x, level) if abs(x) < 1 << 4096 else f"an integer of {x.bit_length()} bits"


def shown(value: object, *, quoted: bool = True) -> str:
    """A value as it may stand in a sentence: its repr cut short, without control characters.

    quoted: false leaves out the quotes of a text.

    >>> shown("a\\x1b[31m"), shown(["x" * 500] * 100)[:14], shown("W_E", quoted=False)
    ("'a\\\\x1b[31m'", "['xxxxxxxxxxxx", 'W_E')
    """
    try:
        text = _Short().repr(value if quoted or isinstance(value, str) else str(value))
    except Exception:  # a repr of somebody else's
        return f"a {type(value).__name__}"
    text = text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."
    text = printable(text)
    return text[1:-1] if not quoted and len(text) > 1 and text[0] == text[-1] and text[0] in "'\"" else text


def printable(text: str) -> str:
    """A text without what would steer a terminal; ends of lines stay.

    >>> printable("a\\x1b[31m")
    'a\\\\x1b[31m'
    """
    return "".join(c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode() for c in text)


def listed(names: Iterable[object]) -> str:
    """Names with commas between them, not more than a sentence bears.

    >>> listed(["W_E", "W_U"])
    'W_E, W_U'
    """
    words = [shown(name, quoted=False) if isinstance(name, str) else shown(name) for name in names]
    more = f" and {len(words) - _MOST} more" if len(words) > _MOST else ""
    return ", ".join(words[:_MOST]) + more


class ModscopeError(Exception):
    """The root of all errors that modscope raises on purpose; its text is one clear sentence.

    A word of a thousand characters, such as a value from a damaged file, is shortened in it.
    """

    def __init__(self, *arguments: object) -> None:
        super().__init__(
            *(_LONG_WORD.sub(_ends, said) if isinstance(said, str) else said for said in arguments)
        )


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
        word = given if isinstance(given, str) and len(given) < _LONGEST else shown(given)
        same = [name for name in names if name.lower() == word.lower()]
        nearest = same or difflib.get_close_matches(word, names, n=1, cutoff=0.5)
        hint = f" (did you mean {shown(nearest[0])}?)" if nearest else ""
        return cls(f"unknown {kind} {shown(given)}{hint}: expected one of {listed(names)}")

    def __str__(self) -> str:
        # KeyError would print the repr of the text.
        return str(self.args[0]) if self.args else ""


class NotApplicable(InputError):  # noqa: N818 - reads as a sentence where it is raised
    """A measure asked of a network or record that it is not about; the text says what it would need."""


class MissingHook(UnknownName, NotApplicable):
    """A measure that needs an activation which a record does not hold, or which a network of this kind has not."""


class MissingWeight(NotApplicable):
    """A measure that needs a weight or a forward pass, asked of a record that holds activations alone."""


class CheckpointError(ModscopeError):
    """A file that is not a usable network, or not one whose layout is known."""


class RunError(ModscopeError):
    """A run folder that cannot be read, written or continued."""


class TrainingError(ModscopeError):
    """Training that cannot go on, such as a loss that is no longer a number."""


class SweepError(ModscopeError):
    """A sweep that cannot go on. fatal: the next network would fail in the same way, such as by a full disk."""

    def __init__(self, text: str, *, fatal: bool = False) -> None:
        super().__init__(text)
        self.fatal = fatal


@contextlib.contextmanager
def turned_into(kind: type[ModscopeError], sentence: str, *, inputs: bool = False) -> Iterator[None]:
    """The boundary around somebody else's file: whatever a library raises there becomes our error, with its cause.

    inputs: InputErrors too, where what cannot be used is not an argument but stands in the file.

    >>> with turned_into(CheckpointError, "net.pt: cannot be read"):
    ...     {}["W_E"]
    Traceback (most recent call last):
    modscope.errors.CheckpointError: net.pt: cannot be read: KeyError 'W_E'
    """
    try:
        yield
    except ModscopeError as error:
        if not inputs or not isinstance(error, InputError):
            raise
        raise kind(f"{sentence}: {error}") from error
    except Exception as error:
        raise kind(f"{sentence}: {cause(error)}") from error


def path_of(given: object) -> Path:
    """A path, from a text or a path that a file can have; InputError for anything else.

    >>> path_of("runs/seed0").name
    'seed0'
    """
    try:
        path = Path(given)  # type: ignore[arg-type]
        if b"\0" in os.fsencode(path):
            raise ValueError("a name with a null byte in it")
        path.exists()
    except (TypeError, ValueError, OSError) as error:
        raise InputError(f"path {shown(given)}: {cause(error)}") from error
    return path


def cause(error: BaseException) -> str:
    """What an error says, in a few words."""
    line = next(iter(str(error).strip().splitlines()), "").split(". ")[0].rstrip(".")
    if isinstance(error, MemoryError) or "can't allocate memory" in str(error):
        return "there is not enough memory for it"
    if isinstance(error, OSError) and error.strerror:
        line = error.strerror
    said = shown(line, quoted=False) if line else ""
    bare = isinstance(error, KeyError | IndexError | TypeError | AttributeError | AssertionError)
    return f"{type(error).__name__} {said}".rstrip() if bare or not said else said
