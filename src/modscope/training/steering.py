"""Changes made while a network trains: each takes effect at a step, is written down, and is made again at that step.

A run folder keeps them in events.json. Going on after any end makes them again, and so does training the recipe once more
with `events`; both end at the same bits.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from modscope.checkpoints.reading import read_table
from modscope.errors import InputError, RunError, UnknownName

__all__ = ["KINDS", "Event", "Steering", "events_text", "read_events", "without_frequency"]

KINDS = ("learning_rate", "weight_decay", "remove_frequency")


@dataclass(frozen=True)
class Event:
    """A change that is made before a step is taken: a rate from there on, or a frequency removed from the embedding once.

    >>> Event(100, "learning_rate", 3e-3)
    Event(step=100, kind='learning_rate', value=0.003)
    """

    step: int
    kind: str
    value: float

    def checked(self, p: int) -> Event:
        """The event itself; InputError where it cannot be made in a network for p."""
        if self.kind not in KINDS:
            raise UnknownName.of("kind of event", self.kind, KINDS)
        if isinstance(self.step, bool) or not isinstance(self.step, int) or self.step < 0:
            raise InputError(f"event at step {self.step!r}: expected a whole number, 0 or above")
        value = self.value
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise InputError(f"{self.kind} = {value!r}: expected a number")
        if self.kind == "remove_frequency" and (value != int(value) or not 1 <= value <= p // 2):
            raise InputError(f"frequency {value:g} mod {p}: expected a whole number from 1 to {p // 2}")
        if self.kind == "learning_rate" and not 0 < value <= 10:
            raise InputError(f"learning rate {value:g}: expected a number above 0, at most 10")
        if self.kind == "weight_decay" and not 0 <= value <= 1000:
            raise InputError(f"weight decay {value:g}: expected a number from 0 to 1000")
        return self


def _never() -> bool:
    return False


def _none() -> Sequence[tuple[str, float]]:
    return ()


@dataclass(frozen=True)
class Steering:
    """What is asked between two steps: whether to wait, and which changes (kind, value) to make before the next one.

    events: changes known beforehand, each made before its step.
    """

    paused: Callable[[], bool] = _never
    changes: Callable[[], Sequence[tuple[str, float]]] = _none
    events: Sequence[Event] = field(default_factory=tuple)


@torch.no_grad()
def without_frequency(embedding: Tensor, p: int, k: int) -> None:
    """Take the waves cos and sin of 2 pi k n / p over the residues n out of an embedding [token, d_model], in place."""
    angle = 2 * math.pi / p * (k * torch.arange(p, dtype=torch.float64) % p)
    waves = torch.stack([angle.cos(), angle.sin()] if 2 * k != p else [angle.cos()])
    waves = waves / waves.norm(dim=1, keepdim=True)
    rows = embedding[:p].double().cpu()
    embedding[:p] = (rows - waves.T @ (waves @ rows)).to(embedding.dtype).to(embedding.device)


def events_text(events: Sequence[Event]) -> str:
    """Events as the text of events.json."""
    return json.dumps({"format": 1, "events": [asdict(event) for event in events]}, indent=1)


def read_events(path: Path, p: int) -> list[Event]:
    """The events in an events.json, by step; RunError where it does not hold any such list."""
    table: dict[str, Any] = read_table(path)
    listed = table.get("events")
    names = {"step", "kind", "value"}
    if not isinstance(listed, list) or not all(isinstance(e, dict) and set(e) == names for e in listed):
        raise RunError(f"{path}: expected a list of events, each with step, kind and value")
    try:
        events = [Event(**entry).checked(p) for entry in listed]
    except InputError as error:
        raise RunError(f"{path}: {error}") from error
    return sorted(events, key=lambda event: event.step)
