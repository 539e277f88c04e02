"""What a report is made of: a network's record, its summary, and where it came from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from modscope.activations import Activations
from modscope.analysis.overview.summary import Summary
from modscope.analysis.plane.exponents import as_addition
from modscope.findings import Findings
from modscope.progress.story import TrainingStory
from modscope.report.style import key_colours

__all__ = ["Look"]


@dataclass(frozen=True)
class Look:
    """Everything that the sections of a report may draw on.

    title: what the network is called; facts: name -> value, about the file and the network; notes: what had
    to be assumed when it was opened; command: how to make this report again; findings: what the network says
    to each claim, None to leave them out; training: how it came to be, where it is the end of a run.
    """

    summary: Summary
    acts: Activations
    title: str
    facts: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    command: str = ""
    findings: Findings | None = None
    training: TrainingStory | None = None

    @cached_property
    def adding(self) -> Activations:
        """The record as an addition or a subtraction: multiplication mod a prime read as addition of exponents."""
        if self.summary.circle.sign is not None and not self.summary.circle.whole:
            return as_addition(self.acts)
        return self.acts

    @cached_property
    def colours(self) -> dict[int, str]:
        """The colour of each key frequency."""
        return key_colours(self.summary.keys.frequencies)
