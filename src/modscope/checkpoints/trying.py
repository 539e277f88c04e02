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

SAMPLE, LARGE_SAMPLE = 256, 2048
ENOUGH = 0.5
MOST_TRIALS = 1500
SYMBOLS = {"add": "+", "subtract": "-", "multiply": "*", "divide": "/"}

Build = Callable[[Settings, Vocabulary], Network]


@dataclass(frozen=True)
class Found:
    """The settings and vocabulary that answer best, how well, and to which operation.

    loss: mean cross-entropy of the sample, which tells apart what answers alike.
    """

    settings: Settings
    vocabulary: Vocabulary
    accuracy: float
    loss: float
    operation: str | None
    tried: int = 0

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
    """The best of all combinations of vocabularies and choices.

    choices: setting -> its values, the usual one first. Combinations with the fewest surprises come first, until one
    answers half of a sample rightly; from there one choice at a time is changed for as long as that lowers the loss.
    Raises the CheckpointError of the first combination where none makes a network.
    """
    known = list(itertools.islice(vocabularies, MOST_TRIALS))
    best: Found | None = None
    problem: Exception | None = None
    count = 0
    for vocabulary, values in _combinations(known, choices):
        count += 1
        try:
            one = _score(build, replace(settings, **values), vocabulary, settings, SAMPLE)
        except (CheckpointError, InputError) as error:
            problem = problem or error
            continue
        if best is None or one.accuracy > best.accuracy:
            best = one
        if one.accuracy >= ENOUGH:
            break
    if best is None:
        raise problem or CheckpointError(
            "no sequence of tokens fits the sizes: give sequence = [...] in a mapping"
        )
    if not best.convinces:
        first = next(_combinations(known, choices))
        best = _score(build, replace(settings, **first[1]), first[0], settings, SAMPLE)
        return replace(best, tried=count)
    return _improved(build, best, settings, known, choices, count)


def _improved(
    build: Build,
    best: Found,
    settings: Settings,
    vocabularies: list[Vocabulary],
    choices: Mapping[str, tuple[Any, ...]],
    count: int,
) -> Found:
    """The best that changes of one choice at a time lead to."""
    best = _score(build, best.settings, best.vocabulary, settings, LARGE_SAMPLE)
    for _ in range(4):
        before = best
        options = [(before.settings, v) for v in vocabularies if v.p == before.vocabulary.p]
        options += [
            (replace(before.settings, **{name: value}), before.vocabulary)
            for name, values in choices.items()
            for value in values
        ]
        for chosen, vocabulary in options:
            count += 1
            try:
                one = _score(build, chosen, vocabulary, settings, LARGE_SAMPLE)
            except (CheckpointError, InputError):
                continue
            if _is_better(one, best):
                best = one
        if best is before:
            break
    return replace(best, tried=count)


def _is_better(one: Found, best: Found) -> bool:
    """Whether a choice is to be believed rather than a more usual one.

    A network without a table of positions may read a shorter sequence as well as its own. And a lower loss is no evidence for an activation: squares or smooth ramps in the place of the ReLU that a network was
    trained with can give it a lower loss, and even a few more right answers, than it was trained to.
    """
    other = one.settings.activation != best.settings.activation
    shorter = len(one.vocabulary.sequence) != len(best.vocabulary.sequence)
    gain = one.accuracy - best.accuracy
    if abs(gain) > (0.1 if shorter else 0.02 if other else 0.005):
        return gain > 0
    return not other and not shorter and one.loss < best.loss / 2


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
def _score(build: Build, chosen: Settings, vocabulary: Vocabulary, settings: Settings, size: int) -> Found:
    """How well a combination answers the operation, among those there can be, that it answers best."""
    network = build(chosen, vocabulary)
    p = network.config.p
    pairs = np.stack(np.divmod(np.random.default_rng(0).permutation(p * p)[:size], p))
    logits = network(network.pair_tokens(*torch.from_numpy(pairs))).double()
    answers = logits.argmax(dim=-1).numpy()
    accuracy, operation, right = 0.0, "", np.full(len(answers), -1)
    for name, labels in _labels(p, settings).items():
        wanted = labels[pairs[0], pairs[1]]
        share = float((answers == wanted)[wanted >= 0].mean()) if (wanted >= 0).any() else 0.0
        if share > accuracy:
            accuracy, operation, right = share, name, wanted
    known = right >= 0
    if not known.any() or not bool(torch.isfinite(logits).all()):
        return Found(chosen, vocabulary, 0.0, float("inf"), None)
    loss = torch.nn.functional.cross_entropy(logits[known], torch.from_numpy(right[known]))
    return Found(chosen, vocabulary, accuracy, float(loss), operation)


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
    vocabulary = found.vocabulary
    names: dict[str, int] = {}
    if "op" not in vocabulary.sequence or not found.convinces:
        return vocabulary
    used = {number for name, number in vocabulary.numbers.items() if name != "op"}
    p, first = vocabulary.p, vocabulary.first
    for number in (n for n in range(tokens) if not first <= n < first + p and n not in used):
        numbers = {**vocabulary.numbers, "op": number}
        any_operation = replace(settings, operation=None)
        one = _score(build, found.settings, replace(vocabulary, numbers=numbers), any_operation, SAMPLE)
        operation = found.operation if number == vocabulary.numbers["op"] else one.operation
        if number != vocabulary.numbers["op"] and one.accuracy < 0.5:
            continue
        name = SYMBOLS.get(operation or "", operation or str(number))
        names[name if name not in names else str(number)] = number
    sequence = tuple(next(iter(names)) if item == "op" else item for item in vocabulary.sequence)
    rest = {name: number for name, number in vocabulary.numbers.items() if name != "op"}
    operators = tuple(names) if len(names) > 1 else ()
    return Vocabulary(p, sequence, {**names, **rest}, first, vocabulary.second, operators)
