"""After attention every picture is even about c/2."""

from __future__ import annotations

import numpy as np

from modscope.findings.claim import Claim, Outcome
from modscope.findings.evidence import Bench
from modscope.findings.finding import Picture, Rule
from modscope.findings.resampling import interval

__all__ = ["CLAIM"]

_FEATURES_OF_NOISE = 32


def _measure(bench: Bench, claim: Claim) -> Outcome:
    x = bench.acts.at("mlp_post").values
    even, energy = _even_energies(x)
    generator = bench.generator()
    noise = generator.standard_normal((*x.shape[:2], _FEATURES_OF_NOISE)).astype(np.float32)
    order = generator.permutation(bench.p)
    permuted = [e.sum() for e in _even_energies(x, order)]
    wrong = bench.guesses[np.ix_(order, order)] == bench.task.labels
    alive = energy > 1e-12 * max(float(energy.max()), np.finfo(float).tiny)
    shares = even[alive] / energy[alive]
    rows = np.stack([even[alive], energy[alive]], axis=1)
    over = interval(rows, over="neurons", statistic=_ratio, seed=bench.seed)
    numbers = {
        "even fraction with permuted tokens": permuted[0] / permuted[1] if permuted[1] > 0 else float("nan"),
        "accuracy with permuted tokens": float(wrong.mean()),
    }
    effect = even.sum() / energy.sum() if energy.sum() > 0 else float("nan")
    control = np.divide(*[e.sum() for e in _even_energies(noise)])
    picture = Picture(
        "lines",
        np.linspace(0, 1, len(shares)).tolist(),
        {"even fraction": np.sort(shares).tolist()},
        "share of neurons",
        "even fraction",
    )
    return Outcome(*claim.of(float(effect), float(control), over), numbers, picture)


def _even_energies(x: np.ndarray, order: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """The even energy and the whole of each feature of x [a, b, feature], with the tokens in another order if given."""
    p = len(x)
    total, swapped = np.zeros(x.shape[2]), np.zeros(x.shape[2])
    on_c = np.zeros((p, x.shape[2]))
    for a in range(p):
        row, column = (x[a], x[:, a]) if order is None else (x[order[a], order], x[order, order[a]])
        total += np.einsum("bf,bf->f", row, row, dtype=np.float64)
        swapped += np.einsum("bf,bf->f", row, column, dtype=np.float64)
        on_c[a:] += row[: p - a]
        on_c[:a] += row[p - a :]
    means = np.square(on_c).sum(axis=0) / p
    energy = np.maximum(total - means, 0.0)
    # |(x + swapped)/2|^2 = (|x|^2 + <x, swapped>)/2, and the means are their own mirror image
    return np.maximum((energy + swapped - means) / 2, 0.0), energy


def _ratio(rows: np.ndarray, axis: int) -> np.ndarray:
    total = rows.sum(axis=axis)
    return total[..., 0] / total[..., 1]


CLAIM = Claim(
    id="even-about-half-c",
    title="Even about c/2",
    statement="In the order (c, a) the neurons' pictures are even about c/2.",
    unit="share of energy, 0 to 1",
    effect=(
        "energy of (Y(a) + Y(c - a))/2 over the energy of Y, Y the picture of mlp_post in the order (c, a) without "
        "the mean of each row, over all neurons"
    ),
    control="the same of white noise",
    rule=Rule(holds=0.95, in_part=0.75),
    measure=_measure,
    needs=("addition",),
    warning=(
        "Even about c/2 is the same as symmetric under a <-> b. Every network that treats its inputs alike has it, "
        "whether it sums or multiplies, an untrained one with nearly constant attention too; with the tokens permuted "
        "it stays while the answer is lost. It may tell when a network generalises, not how."
    ),
    citations=("the reflection a -> c - a exchanges a and b",),
)
