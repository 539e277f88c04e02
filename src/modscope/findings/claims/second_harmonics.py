"""The nonlinearity adds second harmonics."""

from __future__ import annotations

import numpy as np

from modscope.analysis.neurons.rectifier import axis_amplitudes
from modscope.findings.claim import Claim, Outcome
from modscope.findings.evidence import Bench
from modscope.findings.finding import Picture, Rule
from modscope.residues import harmonic

__all__ = ["CLAIM"]

_OTHERS = 12
_SETS = 20


def _measure(bench: Bench, claim: Claim) -> Outcome:
    p, ks = bench.p, bench.ks
    keys = [k for k in ks if harmonic(k, 2, p) not in (0, *ks)] or list(ks)
    doubled = [harmonic(k, 2, p) for k in keys]
    others = np.setdiff1d(np.arange(1, p // 2 + 1), [*ks, *doubled])
    if len(others) < len(keys):
        return Outcome(*claim.of(float("nan"), float("nan")))
    others = bench.generator().permutation(others)[:_OTHERS]
    at = np.array([*keys, *doubled, *others])
    before, after = (axis_amplitudes(bench.acts, hook, at).mean(axis=0) for hook in ("mlp_pre", "mlp_post"))
    n = len(keys)
    gain = after / _positive(after[:n].mean()) - before / _positive(before[:n].mean())
    numbers = {
        "proportion before": before[n : 2 * n].mean() / _positive(before[:n].mean()),
        "proportion after": after[n : 2 * n].mean() / _positive(after[:n].mean()),
    }
    picture = Picture(
        "bars",
        [f"2·{k} = {j}" for k, j in zip(keys, doubled, strict=True)],
        {
            "before": (before[n : 2 * n] / _positive(before[:n].mean())).tolist(),
            "after": (after[n : 2 * n] / _positive(after[:n].mean())).tolist(),
        },
        "second harmonic",
        "amplitude over that of k",
    )
    generator, rest = bench.generator(), gain[2 * n :]
    sets = [
        generator.choice(rest, min(n, len(rest)), replace=False) for _ in range(_SETS if len(rest) else 0)
    ]
    control = max((float(drawn.mean()) for drawn in sets), default=float("nan"))
    return Outcome(*claim.of(gain[n : 2 * n].mean(), control), numbers, picture)


def _positive(x: float) -> float:
    return x if x > 0 else float("nan")


CLAIM = Claim(
    id="second-harmonics",
    title="ReLU adds second harmonics",
    statement="The nonlinearity adds waves of twice the key frequencies.",
    unit="proportion of amplitudes",
    effect=(
        "mean amplitude at 2k over mean amplitude at k in mlp_post minus the same in mlp_pre, of the waves along a and "
        "along b of every row and neuron, over the key frequencies whose 2k is not key"
    ),
    control="the largest of the same for 20 random sets of as many other frequencies in the place of 2k",
    rule=Rule(holds=0.1, in_part=0.02),
    measure=_measure,
    needs=("answer", "keys"),
    warning="A second harmonic along one axis is not the term on a + b: cos w(a + b) counts as frequency k along an axis.",
    citations=("a rectified cosine has 2/(3 pi) at 2k beside 1/2 at k",),
)
