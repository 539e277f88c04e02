"""Where the energy of a picture over (a, b) lies: on a, on b, on a + b, on a - b, or elsewhere."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import xarray as xr
from numpy.lib.stride_tricks import as_strided

from modscope.activations import Activations
from modscope.boundary import public
from modscope.signal import power

__all__ = ["CONSTANT", "LINES", "energy_of_lines", "line_means", "means_along_lines", "term_energy"]

_FEATURES_AT_ONCE = 32
_NUMBERS_AT_ONCE = 2**17  # of some rows of as many features, written twice: what fits the second-level cache

LINES = ("a", "b", "sum", "difference")

# A variance below this share of the mean square is the rounding of float32, not a wave.
CONSTANT = 1e-12


@public
def line_means(acts: Activations, hook: str) -> xr.Dataset:
    """The means of every feature along the four families of lines in the picture, and its variance.

    `mean`(line, n, feature): over the pairs with a = n ("a"), b = n ("b"), a + b = n ("sum"), a - b = n
    ("difference"), mod p: the best description of the feature by a function of that one residue.
    `average`(feature): over all pairs; `variance`(feature), 0 where the feature is constant up to rounding.
    float64; streams over rows of a; kept with the record, being small and needed often. Raises UnknownName for a
    hook that does not depend on both tokens.
    """
    hook = acts.hook_name(hook)
    if ("line_means", hook) not in acts.derived:
        acts.derived["line_means", hook] = _line_means(acts, hook)
    return acts.derived["line_means", hook].copy()


def _line_means(acts: Activations, hook: str) -> xr.Dataset:
    p = acts.task.p
    blocks = ((rows.start, block[hook].reshape(len(rows), p, -1)) for rows, block in acts.array_blocks(hook))
    mean, average, variance = means_along_lines(blocks)
    shape = {dim: size for dim, size in acts.axes_of(hook).items() if dim not in ("a", "b")}
    dims, sizes = tuple(shape), tuple(shape.values())
    return xr.Dataset(
        {
            "mean": (("line", "n", *dims), mean.reshape(4, p, *sizes)),
            "average": (dims, average.reshape(sizes)),
            "variance": (dims, variance.reshape(sizes)),
        },
        {"line": list(LINES), "n": np.arange(p)},
        {"hook": hook, "p": p},
    )


def means_along_lines(
    blocks: Iterable[tuple[int, np.ndarray]],
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Means of pictures along the four families of lines, [line, n, feature], over all pairs, and the variance, [feature].

    blocks: the first a and the rows [row, b, feature] of some rows after the other. float64.
    """
    total, squares, p = np.zeros(0), np.zeros(0), 1
    for first, rows in blocks:
        if not len(total):
            p, features = rows.shape[1:]
            total, squares = np.zeros((4, p, features)), np.zeros(features)
        count = max(1, _NUMBERS_AT_ONCE // (2 * p * _FEATURES_AT_ONCE))
        for i in range(0, len(rows), count):
            for start in range(0, rows.shape[2], _FEATURES_AT_ONCE):
                some = slice(start, start + _FEATURES_AT_ONCE)
                _add_rows(total[..., some], squares[some], rows[i : i + count, :, some], first + i)
    average = total[0].sum(axis=0) / p**2
    # Shift-free variance loses about sixteen digits of the mean square: below CONSTANT nothing is left.
    variance = squares / p**2 - average**2
    variance[variance <= CONSTANT * squares / p**2] = 0.0
    return total / p, average, variance


def _add_rows(total: np.ndarray, squares: np.ndarray, rows: np.ndarray, first: int) -> None:
    """Adds some rows of pictures [row, b, feature], the first of which is a = first, to the sums along the lines.

    With each row written twice, one after the other, the rows shifted against each other are a matrix again, whose
    sums over the rows are those along the diagonals: a product with ones, many times faster than adding row by row.
    """
    count, p, features = rows.shape
    twice = np.empty((count, 2 * p, features))
    np.copyto(twice[:, :p], rows)
    np.copyto(twice[:, p:], twice[:, :p])
    own, ones, step = twice[:, :p], np.ones(count), features * twice.itemsize

    def along(start: int, shift: int) -> np.ndarray:
        """Sums over the rows, where each is read from `start`, and `shift` further on than the one before."""
        strides = ((2 * p + shift) * step, twice.itemsize)
        shifted = as_strided(twice[0, start:], (count, p * features), strides, writeable=False)
        return (ones @ shifted).reshape(p, features)

    total[0, first : first + count] += np.ones(p) @ own
    total[1] += along(0, 0)
    of_sum, of_difference = along(p, -1), along(0, 1)
    total[2, first:] += of_sum[: p - first]
    total[2, :first] += of_sum[p - first :]
    total[3, : first + 1] += of_difference[first::-1]
    total[3, first + 1 :] += of_difference[:first:-1]
    squares += np.einsum("abf,abf->f", own, own)


@public
def term_energy(acts: Activations, hook: str) -> xr.Dataset:
    """The variance of every feature at a hook, divided by direction and frequency.

    The terms of frequency k are cos and sin of wa ("a"), wb ("b"), w(a + b) ("sum") and w(a - b) ("difference"),
    w = 2 pi k / p. Variables: `energy`(line, k, feature), k = 1..p//2; `cross`(feature), products of two
    different frequencies; `total`(feature), the variance. energy summed over line and k, plus cross, is
    total (Parseval). For even p the wave cos(pi a) cos(pi b) lies on a + b and on a - b alike: it is counted once,
    on the answer's direction ("difference" for subtraction, else "sum").

    >>> from modscope.activations import record
    >>> from modscope.model import Transformer, TransformerConfig
    >>> from modscope.task import ModularTask
    >>> network = Transformer.initialised(TransformerConfig(5, d_model=8, n_heads=2, d_mlp=16))
    >>> parts = term_energy(record(network, ModularTask(5)), "mlp_post")
    >>> parts.energy.dims, bool(np.allclose(parts.energy.sum(("line", "k")) + parts.cross, parts.total))
    (('line', 'k', 'neuron'), True)
    """
    return energy_of_lines(line_means(acts, hook), acts.task.operation)


def energy_of_lines(means: xr.Dataset, operation: str = "add") -> xr.Dataset:
    """`term_energy` from the `line_means` of a hook."""
    mean, variance = means["mean"].transpose("line", "n", ...), means.variance
    p, features = means.sizes["n"], mean.dims[2:]
    energy = power(mean.values, 1)[:, 1:]
    energy[..., ~(variance.values > 0)] = 0.0
    if p % 2 == 0:
        opposite = "sum" if operation == "subtract" else "difference"
        energy[LINES.index(opposite), -1] = 0.0
    cross = np.maximum(variance.values - energy.sum(axis=(0, 1)), 0.0)
    return xr.Dataset(
        {
            "energy": (("line", "k", *features), energy),
            "cross": (features, cross),
            "total": (features, variance.values),
        },
        {"line": means.line, "k": np.arange(1, p // 2 + 1)},
        means.attrs,
    )
