"""What a file leaves unsaid about its network: named always, and tried where there is a choice of a few."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from modscope.checkpoints.answers import answers_of
from modscope.checkpoints.settings import Settings
from modscope.errors import CheckpointError, InputError
from modscope.losses import Logits, scored
from modscope.model import Network
from modscope.operations import FITS, Operation, recognise

__all__ = ["Tried", "assumed_note", "settled_network"]

_CHOICES: Mapping[str, tuple[Any, ...]] = {"attention_rate": (1.0, 0.0), "activation": ("relu", "gelu")}
_WORDS = {"attention_rate": "attention rate", "activation": "activation"}
_CLEARLY = 2.0  # factor by which the loss of another choice has to be lower
_LARGEST_TRIED = 256  # p; beyond it each choice costs as long as opening the network
_MENDED = 0.02  # share of the answers that another choice has to mend


@dataclass(frozen=True)
class Tried:
    """One choice of the switches that nobody stated, and what the network does with it.

    loss (nats) and accuracy: over all pairs, on the operation that the answers are nearest to under this choice; under the
    usual one, where its answers are right.
    """

    choice: Mapping[str, Any]
    operation: str
    loss: float
    accuracy: float

    @property
    def words(self) -> str:
        """The choice as text: activation relu, attention rate 1."""
        return ", ".join(_said(name, value) for name, value in self.choice.items())

    def to_dict(self) -> dict[str, Any]:
        """The choice and its numbers as plain JSON values."""
        return {
            "choice": dict(self.choice),
            "operation": self.operation,
            "all_loss": self.loss,
            "all_accuracy": self.accuracy,
        }


def settled_network(
    network: Network, settings: Settings, source: object
) -> tuple[Network, Logits, tuple[Tried, ...]]:
    """The network with the switches that its file does not state as they make it work best, its logits of all pairs, and
    all that was tried.

    The usual choice stays unless another has clearly less loss and mends answers that were wrong; where there is no "=",
    both attention rates are usual. Nothing is tried
    where everything is stated.
    """
    open_to = [name for name in _CHOICES if hasattr(network.config, name) and getattr(settings, name) is None]
    if not open_to or network.config.p > _LARGEST_TRIED:
        return network, answers_of(network, source), ()
    config: Any = network.config
    usual = {name: getattr(config, name) for name in open_to}
    choices = [tuple(dict.fromkeys((usual[name], *_CHOICES[name]))) for name in open_to]
    found: list[tuple[Tried, Network, Logits]] = []
    known: Operation | None = None
    for values in itertools.product(*choices):
        choice = dict(zip(open_to, values, strict=True))
        try:
            other = type(network)(replace(config, **choice), network.weights)
        except (InputError, CheckpointError):
            continue  # a switch that this kind of network does not have
        logits = answers_of(other, source)
        tried, operation = _measured(logits, choice, known)
        found.append((tried, other, logits))
        if (
            found[0][0].accuracy >= 1 - _MENDED
        ):  # there is nothing to mend: the others are held against the same operation
            known = known or operation
    taken = found[0]
    for one in found[1:]:
        if _to_be_taken(one[0], taken[0], found[0][0], plain=_without_equals(network)):
            taken = one
    best, chosen, logits = taken
    ranked = sorted((tried for tried, *_ in found), key=lambda tried: (tried is not best, tried.loss))
    return chosen, logits, tuple(ranked)


def _to_be_taken(one: Tried, best: Tried, usual: Tried, *, plain: bool) -> bool:
    """Whether a choice comes before the best so far.

    Attention rates are of networks without "=" (Zhong et al. 2023): there both are usual, and the lower loss is taken.
    Any other change has to mend answers that the usual choice gets wrong: a lower loss alone may be larger logits.
    """
    if one.accuracy < max(best.accuracy, FITS) or one.loss * _CLEARLY > best.loss:
        return False
    changed = [name for name, value in one.choice.items() if value != usual.choice[name]]
    if plain and changed == ["attention_rate"]:
        return True
    return one.accuracy > usual.accuracy + _MENDED


def _without_equals(network: Network) -> bool:
    return not getattr(network.config, "equals", True)


def _measured(
    logits: Logits, choice: Mapping[str, Any], known: Operation | None = None
) -> tuple[Tried, Operation]:
    """What a choice does on an operation that is known, else on the one that its answers are nearest to."""
    p = logits.shape[0]
    with np.errstate(all="ignore"):
        operation = known or recognise(logits.argmax(axis=-1)).best.operation
        labels = operation.labels(p)
        defined = labels >= 0
        losses, right = scored(logits, labels)
        loss = float(losses[defined].mean())
    accuracy = float(right[defined].mean())
    return Tried(choice, operation.name, loss if np.isfinite(loss) else float("inf"), accuracy), operation


def assumed_note(network: Network, settings: Settings, tried: Sequence[Tried]) -> list[str]:
    """A sentence that names every switch which nobody stated, with the loss of the choices that were not taken."""
    config = network.config
    named = [_said(name, getattr(config, name)) for name in _CHOICES if _unstated(config, settings, name)]
    if hasattr(config, "causal"):
        if settings.causal is None:
            named.append("causal mask" if config.causal else "no mask")
        if settings.attention_scale is None:
            named.append("scores over sqrt(d_head)")
    if not named:
        return []
    note = f"assumed, not stated: {', '.join(named)}"
    if len(tried) < 2:
        return [note]
    others = "; ".join(f"{_others_words(one, tried[0])}: {one.loss:.3g}" for one in tried[1:])
    return [f"{note}; loss over all pairs {tried[0].loss:.3g} ({others})"]


def _unstated(config: Any, settings: Settings, name: str) -> bool:
    return hasattr(config, name) and getattr(settings, name) is None


def _said(name: str, value: Any) -> str:
    return f"{_WORDS[name]} {value:g}" if isinstance(value, float) else f"{_WORDS[name]} {value}"


def _others_words(one: Tried, taken: Tried) -> str:
    """In what a choice differs from the one that was taken."""
    return ", ".join(_said(name, value) for name, value in one.choice.items() if value != taken.choice[name])
