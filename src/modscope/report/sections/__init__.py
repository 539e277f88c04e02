"""The sections of a report, in their order: each takes a look and gives what stands on the page, or None."""

from __future__ import annotations

from collections.abc import Callable

from modscope.analysis.plane.energy import is_small
from modscope.errors import InputError
from modscope.pace import paced
from modscope.report.look import Look
from modscope.report.sections.answer import logits_section, losses_section
from modscope.report.sections.energy import energy_section
from modscope.report.sections.examples import examples_section
from modscope.report.sections.neurons import clusters_section, neuron_section
from modscope.report.sections.order import wave_section
from modscope.report.sections.path import attention_section, inputs_section, maps_section
from modscope.report.sections.section import Section, Table
from modscope.report.sections.sums import phases_section, rebuilt_section, rectifier_section, sum_section
from modscope.report.sections.training import training_section
from modscope.report.sections.weights import relations_section, spectra_section

__all__ = ["SECTIONS", "Section", "Table", "made_sections"]

# What a report shows, along the signal's path. A section that does not apply to a network gives None, or raises
# InputError with the reason.
SECTIONS: tuple[Callable[[Look], Section | None], ...] = (
    wave_section,
    spectra_section,
    inputs_section,
    attention_section,
    maps_section,
    clusters_section,
    neuron_section,
    rectifier_section,
    phases_section,
    sum_section,
    energy_section,
    rebuilt_section,
    logits_section,
    losses_section,
    training_section,
    relations_section,
    examples_section,
)


def made_sections(look: Look) -> tuple[list[Section], dict[str, str]]:
    """The sections of a look, and why the others do not apply: title of the section -> reason."""
    made, left_out = [], {}
    had, small = look.acts.kept, is_small(look.acts)
    for make in paced(SECTIONS, "making the page"):
        if not small:  # what one section made is not held while the next is made
            for hook in set(look.acts.kept) - set(had):
                look.acts.forget(hook)
        try:
            section = make(look)
        except InputError as reason:
            left_out[make.__doc__.split("\n")[0].rstrip(".") if make.__doc__ else make.__name__] = str(reason)
            continue
        if section is not None:
            made.append(section)
    return made, left_out
