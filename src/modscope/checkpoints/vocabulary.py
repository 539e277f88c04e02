"""Which tokens a foreign network reads: stated in a mapping, or the ones there can be."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from modscope.errors import CheckpointError, InputError

__all__ = ["Stated", "Vocabulary", "possible_vocabularies", "stated_vocabulary"]

_MOST_CONSTANTS = 8
ZERO = "zero"


@dataclass(frozen=True)
class Stated:
    """What a mapping or config says of the input: items of the sequence, and numbers of tokens by name.

    An item is the name of a token, or several names where one of several operators stands. A number is that of
    a row of the embedding, or "zero" for a token whose vector is zero.
    """

    sequence: tuple[tuple[str, ...], ...] = ()
    tokens: Mapping[str, int | str] = field(default_factory=dict)


@dataclass(frozen=True)
class Vocabulary:
    """The tokens that a network reads, by their numbers in its file.

    numbers: of the constants, None for one whose vector is zero. first: the token of residue 0; second: that of
    residue 0 at b, where b has rows of its own. operators: the constants that can stand where the operator does.
    """

    p: int
    sequence: tuple[str, ...]
    numbers: Mapping[str, int | None]
    first: int = 0
    second: int | None = None
    operators: tuple[str, ...] = ()

    def with_operator(self, name: str) -> Vocabulary:
        """The same with another of its operators in the sequence."""
        shown = self.operators[0] if not set(self.operators) & set(self.sequence) else None
        now = shown or next(op for op in self.operators if op in self.sequence)
        return replace(self, sequence=tuple(name if item == now else item for item in self.sequence))

    def __str__(self) -> str:
        tokens = ", ".join(f"{n} = {'zero' if t is None else t}" for n, t in self.numbers.items())
        return f"{' '.join(self.sequence)} with {tokens}" if tokens else " ".join(self.sequence)


def read_stated(sequence: object, tokens: object) -> Stated:
    """The sequence and tokens of a table of settings; InputError where they are of another form.

    >>> read_stated(["a", ["+", "-"], "b", 32], {"+": 29, "-": 30}).sequence
    (('a',), ('+', '-'), ('b',), ('32',))
    """
    if not isinstance(sequence, list | tuple) or not sequence:
        raise InputError(f'sequence = {sequence!r}: expected a list of tokens such as ["a", "+", "b", "="]')
    items = tuple(
        tuple(map(str, item)) if isinstance(item, list | tuple) else (str(item),) for item in sequence
    )
    numbers: dict[str, int | str] = {
        name: int(name) for item in items for name in item if name.isdigit() and name not in ("a", "b")
    }
    if not isinstance(tokens, Mapping):
        raise InputError(f'tokens = {tokens!r}: expected a table such as {{"+" = 113, "=" = 114}}')
    for name, number in tokens.items():
        whole = isinstance(number, int) and not isinstance(number, bool) and number >= 0
        if not whole and number != ZERO:
            raise InputError(f'token {name!r} = {number!r}: expected the number of a token, or "{ZERO}"')
        numbers[str(name)] = number
    if sum(len(item) > 1 for item in items) > 1:
        raise InputError("sequence: several tokens can stand at one place only, that of the operator")
    return Stated(items, numbers)


def stated_vocabulary(
    stated: Stated, *, p: int | None, tokens: int, positions: int | None, separate: bool = False
) -> Vocabulary:
    """The vocabulary that is stated, checked against the file: its number of tokens and of positions.

    Constants without a number are taken to follow the residues in the order in which the sequence names them.
    Raises CheckpointError where they do not fit.
    """
    sequence = tuple(item[0] for item in stated.sequence)
    if positions is not None and len(sequence) > positions:
        raise CheckpointError(
            f"sequence {' '.join(sequence)} has {len(sequence)} tokens; the network has {positions} positions"
        )
    names = [n for n in dict.fromkeys(itertools.chain(*stated.sequence)) if n not in ("a", "b")]
    known: dict[str, int | None] = {
        name: None if number == ZERO else int(number)
        for name, number in stated.tokens.items()
        if name in names
    }
    for name, number in known.items():
        if number is not None and number >= tokens:
            raise CheckpointError(
                f"token {name!r} = {number}: the vocabulary has {tokens} tokens, 0 to {tokens - 1}"
            )
    for name in stated.tokens:
        if name not in (*names, "a", "b", "0"):
            raise CheckpointError(f"token {name!r} is not in the sequence {' '.join(sequence)}")
    start = stated.tokens.get("a", stated.tokens.get("0", 0))
    first = start if isinstance(start, int) else 0
    if p is None:
        p = _modulus(names, known, first, tokens, separate)
    second = stated.tokens.get("b", first + p if separate else None)
    unnamed = iter(range(first + p * (1 + separate), tokens))
    for name in names:
        if name not in known:
            free = next((n for n in unnamed if n not in known.values()), None)
            if free is None:
                raise CheckpointError(
                    f"sequence {' '.join(sequence)} needs {len(names)} tokens beside p = {p} residues; "
                    f"the vocabulary has {tokens}: give their numbers as tokens = {{...}}, or another p"
                )
            known[name] = free
    for name, number in known.items():
        if number is not None and first <= number < first + p:
            raise CheckpointError(
                f"token {name!r} = {number} is one of the p = {p} residues: p or the number is wrong"
            )
    if first + p > tokens:
        raise CheckpointError(f"p = {p}: the vocabulary has {tokens} tokens, fewer than residues")
    operators = next((item for item in stated.sequence if len(item) > 1), ())
    return Vocabulary(p, sequence, known, first, second if isinstance(second, int) else None, operators)


def _modulus(
    names: Sequence[str], known: Mapping[str, int | None], first: int, tokens: int, separate: bool
) -> int:
    numbers = [number for number in known.values() if number is not None and number > first]
    rows = (min(numbers) if numbers else tokens - sum(name not in known for name in names)) - first
    return rows // (1 + separate)


def possible_vocabularies(
    *, p: int | None, tokens: int, positions: int | None, answers: int, exact: bool
) -> Iterator[Vocabulary]:
    """Every input that the sizes allow, the likely ones first.

    positions: of the table, or None without one; exact: whether every position is used.
    """
    lengths = [positions] if exact and positions else [3, 4, 2, 5]
    if positions and not exact:
        lengths = [n for n in (positions, *lengths) if n <= positions]
    for modulus, length in _sizes(_moduli(p, tokens, answers), list(dict.fromkeys(lengths)), tokens, exact):
        for first in dict.fromkeys((0, tokens - modulus)):
            if answers < tokens and first:
                continue
            constants = [n for n in range(tokens) if not first <= n < first + modulus]
            yield from _arrangements(modulus, length, first, constants)


def _sizes(moduli: list[int], lengths: list[int], tokens: int, exact: bool) -> Iterator[tuple[int, int]]:
    """Every p with every length; without a table of positions the length that uses all constants comes first."""
    for p in moduli:
        whole = 2 + tokens - p
        first = [whole] if not exact and whole in lengths else []
        for length in dict.fromkeys((*first, *lengths)):
            yield p, length


def _moduli(p: int | None, tokens: int, answers: int) -> list[int]:
    if p is not None:
        return [p]
    found = [answers] if answers < tokens else []
    found += [tokens - more for more in range(_MOST_CONSTANTS + 1) if tokens - more >= 3]
    return list(dict.fromkeys(found))


def _arrangements(p: int, length: int, first: int, constants: Sequence[int]) -> Iterator[Vocabulary]:
    if length == 2:
        yield Vocabulary(p, ("a", "b"), {}, first)
        return
    if not constants or len(constants) > 3 * _MOST_CONSTANTS:
        return
    shapes = {
        3: (("a", "b", "="), ("a", "op", "b")),
        4: (("a", "op", "b", "="), ("bos", "a", "b", "=")),
        5: (("bos", "a", "op", "b", "="), ("a", "op", "b", "=", "eos")),
    }
    for sequence in shapes.get(length, ()):
        names = [name for name in sequence if name not in ("a", "b")]
        if len(names) == 1:
            for number in reversed(constants):
                yield Vocabulary(p, sequence, {names[0]: number}, first)
            continue
        for numbers in itertools.permutations(constants, len(names)):
            yield Vocabulary(p, sequence, dict(zip(names, numbers, strict=True)), first)
