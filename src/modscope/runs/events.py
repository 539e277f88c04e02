"""The changes made while a network trained, as a run folder keeps them in events.json."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from modscope.checkpoints.reading import read_table
from modscope.errors import InputError, RunError, UnknownName, turned_into
from modscope.schema import built

__all__ = ["KINDS", "Event", "events_text", "read_events"]

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


def events_text(events: Sequence[Event]) -> str:
    """Events as the text of events.json."""
    return json.dumps({"format": 1, "events": [asdict(event) for event in events]}, indent=1)


@dataclass(frozen=True)
class _EventsFile:
    """What an events.json says."""

    events: tuple[Event, ...]
    format: int = 1


def read_events(path: Path, p: int) -> list[Event]:
    """The events in an events.json, by step; RunError where it does not hold any such list."""
    with turned_into(
        RunError, f"{path}: expected a list of events, each with step, kind and value", inputs=True
    ):
        found = built(_EventsFile, read_table(path), strangers=True).events
        return sorted((event.checked(p) for event in found), key=lambda event: event.step)
