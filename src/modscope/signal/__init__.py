"""Pure functions on arrays over the residues: spectra, filters, directions, symmetries, waves.

They take a DataArray and names of its axes (or an ndarray and numbers), know no network and no modulus of
their own, and return the same kind of array in the same float type.
"""

from __future__ import annotations

from modscope.signal.directions import (
    TERMS,
    answer_amplitudes,
    answer_waves,
    direction_basis,
    energy_by_term,
    frequency_fve,
    mean_over,
    term_spectrum,
)
from modscope.signal.filters import (
    interpolate,
    keep_frequencies,
    remove_frequencies,
    resample,
    shift,
    split_frequencies,
)
from modscope.signal.spectrum import (
    amplitude,
    basis_frequencies,
    basis_labels,
    fourier_basis,
    from_fourier,
    phase,
    power,
    spectrum,
    spectrum_at,
    synthesise,
    to_fourier,
)
from modscope.signal.symmetry import (
    circulant_defect,
    even_fraction,
    even_part,
    odd_part,
    phase_distance,
    reflect,
    reversed_copies,
    swap,
    swap_fraction,
)
from modscope.signal.trend import detrended, period_basis, trend_basis
from modscope.signal.waves import (
    SAMENESS,
    cosine_wave,
    noise_defects,
    wave_defect,
    wave_defects,
    wave_groups,
)

__all__ = [
    "SAMENESS",
    "TERMS",
    "amplitude",
    "answer_amplitudes",
    "answer_waves",
    "basis_frequencies",
    "basis_labels",
    "circulant_defect",
    "cosine_wave",
    "detrended",
    "direction_basis",
    "energy_by_term",
    "even_fraction",
    "even_part",
    "fourier_basis",
    "frequency_fve",
    "from_fourier",
    "interpolate",
    "keep_frequencies",
    "mean_over",
    "noise_defects",
    "odd_part",
    "period_basis",
    "phase",
    "phase_distance",
    "power",
    "reflect",
    "remove_frequencies",
    "resample",
    "reversed_copies",
    "shift",
    "spectrum",
    "spectrum_at",
    "split_frequencies",
    "swap",
    "swap_fraction",
    "synthesise",
    "term_spectrum",
    "to_fourier",
    "trend_basis",
    "wave_defect",
    "wave_defects",
    "wave_groups",
]
