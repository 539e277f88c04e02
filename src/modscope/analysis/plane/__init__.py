"""What a picture over (a, b) is made of: its terms, energy and symmetry."""

from __future__ import annotations

from modscope.analysis.plane.energy import (
    PairEnergy,
    energy_by_hook,
    frequency_plane,
    pair_energy,
)
from modscope.analysis.plane.exponents import as_addition
from modscope.analysis.plane.marginals import Marginals, marginals
from modscope.analysis.plane.quadratic import (
    coefficient_plane,
    compare_hooks,
    feature_terms,
    terms_by_frequency,
    top_terms,
)
from modscope.analysis.plane.symmetry import (
    circulant_defects,
    covariance_defect,
    even_fraction,
    even_fractions,
    fixed_point_slopes,
    fixed_points,
    swap_shares,
)
from modscope.analysis.plane.terms import line_means, term_energy

__all__ = [
    "Marginals",
    "PairEnergy",
    "as_addition",
    "circulant_defects",
    "coefficient_plane",
    "compare_hooks",
    "covariance_defect",
    "energy_by_hook",
    "even_fraction",
    "even_fractions",
    "feature_terms",
    "fixed_point_slopes",
    "fixed_points",
    "frequency_plane",
    "line_means",
    "marginals",
    "pair_energy",
    "swap_shares",
    "term_energy",
    "terms_by_frequency",
    "top_terms",
]
