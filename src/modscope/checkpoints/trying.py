"""What the tensors of a network do not tell (activation, heads, tokens, place of the norms), found by trying.

Each choice is tried on a sample of pairs. Answers that agree with an operation far more often than guesses would
are proof enough that everything was read as it was meant, since a wrong choice gives a network at chance.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
import torch

from modscope.checkpoints.settings import Settings
from modscope.checkpoints.vocabulary import Vocabulary
from modscope.errors import CheckpointError, InputError
from modscope.model import Network
from modscope.operations import NAMED, Operation
from modscope.task import ModularTask

__all__ = ["Found", "operators_among", "tried"]

SAMPLE = 256
ENOUGH = 0.9
MOST_TRIALS = 6000
SYMBOLS = {"add": "+", "subtract": "-", "multiply": "*", "divide": "/"}

Build = Callable[[Settings, Vocabulary], Network]


@dataclass(frozen=True)
class Found:
    """The settings and vocabulary that answer best, how well, and to which operation."""

    settings: Settings
    vocabulary: Vocabulary
    accuracy: float
    operation: str | None
    tried: int

    @property
    def convinces(self) -> bool:
        """Whether the answers are far more often right than guesses."""
        return self.accuracy >= max(0.2, 8 / self.vocabulary.p)


def tried(
    build: Build,
    settings: Settings,
    vocabularies: Iterable[Vocabulary],
    choices: Mapping[str, tuple[Any, ...]],
) -> Found:
    """The best of all combinations of vocabularies and choices; those with the fewest surprises first.

    choices: setting -> its values, the usual one first. Stops at the first combination that answers 90 % rightly.
    Raises the CheckpointError of the first combination where none makes a network.
    """
    known = list(itertools.islice(vocabularies, MOST_TRIALS))
    best: Found | None = None
    problem: Exception | None = None
    count = 0
    for vocabulary, values in _combinations(known, choices):
        count += 1
        chosen = replace(settings, **values)
        try:
            accuracy, operation = _accuracy(build(chosen, vocabulary), settings)
        except (CheckpointError, InputError) as error:
            problem = problem or error
            continue
        if best is None or accuracy > best.accuracy:
            best = Found(chosen, vocabulary, accuracy, operation, count)
        if accuracy >= ENOUGH:
            break
    if best is None:
        raise problem or CheckpointError("no sequence of tokens fits the sizes: give sequence = [...] in a mapping")
    return replace(best, tried=count)


def _combinations(
    vocabularies: list[Vocabulary], choices: Mapping[str, tuple[Any, ...]]
) -> Iterator[tuple[Vocabulary, dict[str, Any]]]:
    """Every vocabulary with every choice, in the order of how far they are from the usual together."""
    options = [list(enumerate(values)) for values in choices.values()]
    combined = sorted(itertools.product(*options), key=lambda picks: sum(i for i, _ in picks))
    order = sorted(
        ((v, c) for v in range(len(vocabularies)) for c in range(len(combined))),
        key=lambda at: (sum(i for i, _ in combined[at[1]]) + at[0] / 16, at),
    ) if len(vocabularies) * len(combined) <= 200_000 else (
        (v, c) for c in range(len(combined)) for v in range(len(vocabularies))
    )  # fmt: skip
    for v, c in itertools.islice(order, MOST_TRIALS):
        yield vocabularies[v], dict(zip(choices, (value for _, value in combined[c]), strict=True))


@torch.no_grad()
def _accuracy(network: Network, settings: Settings) -> tuple[float, str | None]:
    """The best accuracy over operations on a sample of pairs, and the operation."""
    p = network.config.p
    pairs = _sample(p)
    answers = network(network.pair_tokens(*torch.from_numpy(pairs))).argmax(dim=-1).numpy()
    best: tuple[float, str | None] = (0.0, None)
    for name, labels in _labels(p, settings).items():
        right = labels[pairs[0], pairs[1]]
        share = float((answers == right)[right >= 0].mean()) if (right >= 0).any() else 0.0
        best = max(best, (share, name), key=lambda found: found[0])
    return best


def _sample(p: int) -> np.ndarray:
    numbers = np.random.default_rng(0).permutation(p * p)[:SAMPLE]
    return np.stack(np.divmod(numbers, p))


def _labels(p: int, settings: Settings) -> dict[str, np.ndarray]:
    """The answers of the operation that is stated, else of all that have a name."""
    if settings.operation is not None and settings.operation != "random":
        given = Operation(settings.operation, settings.table or "")
        return {given.name: ModularTask(p, given).labels} if given.only_p in (None, p) else {}
    names = [*NAMED, "a^2+b^2", "x^3+x*y", "x^3+x*y^2+y"]
    return {name: _cached(p, name) for name in names}


@lru_cache(maxsize=64)
def _cached(p: int, name: str) -> np.ndarray:
    return ModularTask(p, name).labels


def operators_among(build: Build, found: Found, tokens: int, settings: Settings) -> Vocabulary:
    """The vocabulary with every token that makes another operation where the operator stands, named by it."""
    vocabulary, names = found.vocabulary, {}
    if "op" not in vocabulary.sequence or not found.convinces:
        return vocabulary
    used = {number for name, number in vocabulary.numbers.items() if name != "op"}
    p, first = vocabulary.p, vocabulary.first
    for number in (n for n in range(tokens) if not first <= n < first + p and n not in used):
        numbers = {**vocabulary.numbers, "op": number}
        network = build(found.settings, replace(vocabulary, numbers=numbers))
        share, operation = _accuracy(network, replace(settings, operation=None))
        if number == vocabulary.numbers["op"]:
            operation = found.operation
        elif share < 0.5:
            continue
        name = SYMBOLS.get(operation or "", operation or str(number))
        names[name if name not in names else str(number)] = number
    sequence = tuple(next(iter(names)) if item == "op" else item for item in vocabulary.sequence)
    rest = {name: number for name, number in vocabulary.numbers.items() if name != "op"}
    operators = tuple(names) if len(names) > 1 else ()
    return Vocabulary(p, sequence, {**names, **rest}, first, vocabulary.second, operators)
