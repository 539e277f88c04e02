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
    generator, own = bench.generator(), np.arange(bench.p)
    noise = generator.standard_normal((*x.shape[:2], _FEATURES_OF_NOISE)).astype(np.float32)
    order = generator.permutation(bench.p)
    (even, energy), of_permuted = _even_energies(x, own, order)
    permuted = [e.sum() for e in of_permuted]
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
    control = np.divide(*[e.sum() for e in _even_energies(noise, own)[0]])
    picture = Picture(
        "lines",
        np.linspace(0, 1, len(shares)).tolist(),
        {"even fraction": np.sort(shares).tolist()},
        "share of neurons",
        "even fraction",
    )
    return Outcome(*claim.of(float(effect), float(control), over), numbers, picture)


def _even_energies(x: np.ndarray, *orders: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """The even energy and the whole of each feature of x [a, b, feature], with the tokens in each of some orders.

    Of what an order of the tokens changes, only the means of each c is looked at again for each.
    """
    p = len(x)
    total, swapped = np.zeros(x.shape[2]), np.zeros(x.shape[2])
    for a in range(p):
        total += np.einsum("bf,bf->f", x[a], x[a], dtype=np.float64)
        # each pair and its mirror image once, and the diagonal, which is its own
        swapped += 2 * np.einsum("bf,bf->f", x[a, a:], x[a:, a], dtype=np.float64)
        swapped -= np.square(x[a, a], dtype=np.float64)
    found = []
    for order in orders:
        means = np.square(_sums_on_c(x, order)).sum(axis=0) / p
        energy = np.maximum(total - means, 0.0)
        # |(x + swapped)/2|^2 = (|x|^2 + <x, swapped>)/2, and the means are their own mirror image
        found.append((np.maximum((energy + swapped - means) / 2, 0.0), energy))
    return found


def _sums_on_c(x: np.ndarray, order: np.ndarray) -> np.ndarray:
    """The sums over the pairs of each a + b, the tokens in an order, float64 [c, feature]."""
    p = len(x)
    on_c = np.zeros((p, x.shape[2]))
    for a in range(p):
        row = x[order[a], order]
        on_c[a:] += row[: p - a]
        on_c[:a] += row[p - a :]
    return on_c


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
