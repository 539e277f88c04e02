"""The unembedding and the residual stream share phases."""

from __future__ import annotations

import numpy as np

from modscope.analysis.plane.marginals import phasors_of
from modscope.analysis.stream.model import unembedding_phasors
from modscope.analysis.stream.phasors import phase_agreement
from modscope.findings.claim import Claim, Outcome
from modscope.findings.evidence import Bench
from modscope.findings.finding import Picture, Rule
from modscope.findings.resampling import interval

__all__ = ["CLAIM"]

_CONTROLS = 20


def _measure(bench: Bench, claim: Claim) -> Outcome:
    U = unembedding_phasors(bench.acts, bench.ks)
    R = phasors_of(bench.stream.marginals.of_answer, bench.ks)
    weight, phase = np.abs(U) * np.abs(R), np.angle(U)
    rows = _rows(weight, phase, np.angle(R))
    generator = bench.generator()
    orders = [generator.permutation(U.shape[1]) for _ in range(_CONTROLS)]
    permuted = [_ratio(_rows(weight, phase[:, order], np.angle(R)), axis=0) for order in orders]
    over = interval(rows, over="dimensions", statistic=_ratio, seed=bench.seed)
    found = phase_agreement(bench.acts, bench.ks, seed=bench.seed)
    numbers = {
        "exact, all dimensions alike": float(found.exact.mean()),
        "by row, all dimensions alike": float(found.by_row.mean()),
        "by row, control": float(found.by_row_control.mean()),
        "smallest cosine of W_U and resid_post at a frequency": float(found.cosine.min()),
    }
    picture = Picture(
        "bars",
        [str(k) for k in bench.ks],
        {
            "exact": found.exact.mean("d_model").values.tolist(),
            "by row": found.by_row.mean(("row", "d_model")).values.tolist(),
        },
        "key frequency",
        "mean distance of phases, rad",
    )
    effect, control = float(_ratio(rows, axis=0)), float(np.mean(permuted))
    return Outcome(*claim.of(effect, control, over), numbers, picture)


def _rows(weight: np.ndarray, of_U: np.ndarray, of_R: np.ndarray) -> np.ndarray:
    """For each dimension the weighted distance of the phases, and the weight, [dimension, 2]."""
    distance = np.abs(np.angle(np.exp(1j * (of_U - of_R))))
    return np.stack([(weight * distance).sum(axis=0), weight.sum(axis=0)], axis=1)


def _ratio(rows: np.ndarray, axis: int) -> np.ndarray:
    total = rows.sum(axis=axis)
    return np.where(total[..., 1] > 0, total[..., 0] / np.maximum(total[..., 1], 1e-300), np.nan)


CLAIM = Claim(
    id="shared-phases",
    title="W_U and resid_post share phases",
    statement="Each dimension of the last residual stream has, on a + b, the phase that the unembedding gives it over the answers.",
    unit="rad, 0 to pi",
    effect=(
        "mean distance over dimensions and key frequencies of the phases of W_U and of resid_post's coefficient on "
        "e^(i w(a + b)), weighed by the product of the two amplitudes"
    ),
    control="the mean of 20 with the phases of W_U permuted over the dimensions",
    rule=Rule(holds=0.3, in_part=0.9, larger=False),
    measure=_measure,
    needs=("answer", "stream", "keys"),
    citations=("Transformer modular addition through a signal processing lens: phases",),
)
