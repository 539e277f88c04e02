"""The sections of a report, in their order: each takes a look and gives what stands on the page, or None."""

from __future__ import annotations

from collections.abc import Callable

from modscope.report.look import Look
from modscope.report.sections.answer import logits_section, losses_section
from modscope.report.sections.energy import energy_section
from modscope.report.sections.examples import examples_section
from modscope.report.sections.neurons import clusters_section, neuron_section
from modscope.report.sections.order import wave_section
from modscope.report.sections.section import Section, Table
from modscope.report.sections.weights import relations_section, spectra_section

__all__ = ["SECTIONS", "Section", "Table"]

# What a report shows, in this order. A section that does not apply to a network gives None.
SECTIONS: tuple[Callable[[Look], Section | None], ...] = (
    spectra_section,
    clusters_section,
    wave_section,
    neuron_section,
    energy_section,
    logits_section,
    losses_section,
    relations_section,
    examples_section,
)
