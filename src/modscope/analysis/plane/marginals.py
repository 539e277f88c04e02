"""The parts of an activation that are functions of one number: of a, of b, of a + b, of a - b.

For odd p these four are orthogonal to each other and to the mean, so their powers add up; what is left is
cross terms. For even p the wave (-1)^(a+b) = (-1)^(a-b) belongs to two of them: it is counted with the
answer's direction.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from modscope.activations import Activations
from modscope.analysis.plane.terms import line_means
from modscope.boundary import public
from modscope.display import Shown
from modscope.errors import InputError

__all__ = ["Marginals", "add_turned", "answer_sign", "checked_frequencies", "marginals", "phasors_of"]


@dataclass(frozen=True, repr=False)
class Marginals(Shown):
    """Means of an activation over all but one number, each without the overall mean; float64 [residue, feature].

    of_a, of_b: over the token at a and at b; of_answer: over c, the answer; of_opposite: over the other
    diagonal (a - b for addition, a + b for subtraction). mean: [feature]. power: mean square over pairs of
    the centred activation, summed over features. sign: c = a + sign * b. features: names and sizes of the
    axes that were flattened to one.
    """

    hook: str
    sign: int
    mean: np.ndarray
    of_a: np.ndarray
    of_b: np.ndarray
    of_answer: np.ndarray
    of_opposite: np.ndarray
    power: float
    features: tuple[tuple[str, int], ...] = ()

    @property
    def p(self) -> int:
        """The modulus."""
        return len(self.of_a)

    @public
    def share(self, *parts: np.ndarray) -> float:
        """Power of tables [residue, feature] as a share of the power of the whole; 0 where that is 0."""
        power = sum(float(np.sum(part**2)) for part in parts) / self.p
        return power / self.power if self.power > 0 else 0.0


def answer_sign(acts: Activations) -> int:
    """+1 where c = a + b, -1 where c = a - b; InputError for operations whose answer is neither."""
    signs = {"add": 1, "subtract": -1}
    if acts.task.operation not in signs:
        raise InputError(
            f"not applicable to operation {acts.task.operation!r}: the answer must be a + b or a - b "
            "for waves about c/2 to exist; expected add or subtract"
        )
    return signs[acts.task.operation]


def checked_frequencies(key_frequencies: Sequence[int], p: int) -> tuple[int, ...]:
    """The key frequencies as ints from 1 to p//2, each once; InputError otherwise.

    >>> checked_frequencies([3, 1], 7)
    (3, 1)
    >>> checked_frequencies([3, 4], 7)
    Traceback (most recent call last):
    modscope.errors.InputError: key frequency 4 mod 7: expected an integer from 1 to 3 (4 and 3 are the same wave)
    """
    ks = tuple(int(k) for k in key_frequencies)
    for k in ks:
        if not 1 <= k <= p // 2:
            same = f" ({k} and {min(k % p, -k % p)} are the same wave)" if k % p else " (0 is DC)"
            raise InputError(f"key frequency {k} mod {p}: expected an integer from 1 to {p // 2}{same}")
    if not ks or len(set(ks)) != len(ks):
        raise InputError(f"key frequencies {list(ks)}: expected at least one, each once")
    return ks


def phasors_of(x: np.ndarray, ks: Sequence[int]) -> np.ndarray:
    """Phasors [k, ...] of waves x [residue, ...]: the component at k is Re(C_k e^{i w_k n}).

    >>> n = np.arange(7)
    >>> abs(phasors_of(3 * np.cos(2 * np.pi * 2 * n / 7), [2, 1])).round(9).tolist()
    [3.0, 0.0]
    """
    p, k = len(x), np.asarray(ks, np.int64)
    turn = np.exp(-2j * np.pi / p * (k[:, None] * np.arange(p) % p))
    scale = np.where(2 * k % p == 0, 1.0, 2.0) / p
    return np.tensordot(turn * scale[:, None], x, axes=1)


def add_turned(picture: np.ndarray, table: np.ndarray, a: int, sign: int) -> None:
    """Adds to a row [b, ...] of a picture, in place, a table [residue, ...] read at a + sign * b.

    >>> row = np.zeros(3)
    >>> add_turned(row, np.array([10.0, 20.0, 30.0]), 1, -1)
    >>> row.tolist()
    [20.0, 10.0, 30.0]
    """
    p = len(table)
    if sign > 0:
        picture[: p - a] += table[a:]
        picture[p - a :] += table[:a]
    else:
        picture[: a + 1] += table[a::-1]
        picture[a + 1 :] += table[:a:-1]


@public
def marginals(acts: Activations, hook: str) -> Marginals:
    """The one-number parts of a hook, streamed in float64; the features are flattened to one axis.

    Raises InputError where the answer is neither a + b nor a - b, UnknownName for a hook that does not
    depend on both tokens.
    """
    sign, p = answer_sign(acts), acts.task.p
    means = line_means(acts, hook)
    mean = means.average.values.ravel()
    of_a, of_b, plus, minus = means["mean"].values.reshape(4, p, -1) - mean
    answer, opposite = (plus, minus) if sign == 1 else (minus, plus)
    if p % 2 == 0:
        alternating = (-1.0) ** np.arange(p)[:, None]
        opposite = opposite - alternating * (opposite * alternating).mean(axis=0)
    power = float(means.variance.sum())
    features = tuple((str(dim), size) for dim, size in means.average.sizes.items())
    return Marginals(means.attrs["hook"], sign, mean, of_a, of_b, answer, opposite, power, features)
