"""The public list of `modscope.signal`: pinned, documented, each function with an example."""

from __future__ import annotations

import doctest
from pathlib import Path

import modscope.signal

NAMES = """
SAMENESS TERMS amplitude answer_amplitudes answer_waves basis_frequencies basis_labels circulant_defect
cosine_wave detrended direction_basis energy_by_term even_fraction even_part fourier_basis frequency_fve from_fourier
interpolate keep_frequencies mean_over noise_defects odd_part period_basis phase phase_distance power reflect
remove_frequencies resample reversed_copies shift spectrum spectrum_at split_frequencies swap swap_fraction
synthesise term_spectrum to_fourier trend_basis wave_defect wave_defects wave_groups
"""


def test_the_list_is_pinned() -> None:
    assert modscope.signal.__all__ == NAMES.split()


def test_every_function_has_an_example() -> None:
    for name in modscope.signal.__all__:
        thing = getattr(modscope.signal, name)
        assert not callable(thing) or ">>>" in (thing.__doc__ or ""), name


def test_the_examples_of_the_document_are_right() -> None:
    document = Path(__file__).resolve().parents[2] / "docs" / "signal.md"
    result = doctest.testfile(str(document), module_relative=False)
    assert result.attempted > 10
    assert result.failed == 0
