"""Networks that add or subtract by waves: a clock, rectified sums, a pizza, and mixtures of them in known shares."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from modscope.boundary import public
from modscope.errors import InputError, UnknownName
from modscope.model import Transformer
from modscope.planted.stream import Stream
from modscope.residues import modulus
from modscope.task import ModularTask, Split

__all__ = ["between", "clock", "mixture", "pizza", "rectified_sum"]

SMALL = 0.2  # scores so small that softmax is nearly linear in them
QUADRATURE = (0.0, np.pi / 2, np.pi, 3 * np.pi / 2)
_SIGNS = {"add": 1, "subtract": -1}
PARTS = ("clock", "rectified sum", "pizza")


def _waves(p: int, ks: Sequence[int]) -> np.ndarray:
    """[n, 2 * len(ks)]: cos and sin of each frequency."""
    angle = 2 * np.pi * np.outer(np.arange(p), ks) / p
    return np.stack((np.cos(angle), np.sin(angle)), axis=2).reshape(p, -1)


def _sign(operation: str) -> int:
    if operation not in _SIGNS:
        raise UnknownName.of("operation of a planted network", operation, _SIGNS)
    return _SIGNS[operation]


def _reads_equals(equals: bool | None, sign: int) -> bool:
    """Whether a network with a clock in it reads at "="; InputError where none that does can subtract."""
    if equals and sign < 0:
        raise InputError(
            'a clock that reads at "=" cannot subtract: a pattern whose query is a constant is symmetric in a and b as far '
            "as products of two waves go, and a - b is not; expected equals=False, which reads at b"
        )
    return sign > 0 if equals is None else equals


def _stream(p: int, ks: Sequence[int], *, equals: bool) -> Stream:
    if modulus(p) and (not ks or any(not 0 < k <= p // 2 for k in ks) or len(set(ks)) != len(ks)):
        raise InputError(f"frequencies {list(ks)}: expected different ones from 1 to {p // 2}")
    s = Stream(p, equals)
    for name, size in {"token": 2, "octave": 2, "a": 2, "b": 2, "answer": 2}.items():
        s.add(name, size * len(ks))
    s.add("flags", 3)
    return s


def _finish(s: Stream, ks: Sequence[int], gain: float, operation: str) -> tuple[Transformer, ModularTask]:
    waves = _waves(s.p, ks)
    tokens = np.zeros((s.p, s.width))
    tokens[:, s.slots["token"]] = waves
    tokens[:, s.slots["octave"]] = _waves(s.p, [2 * k for k in ks])
    unembedding = np.zeros((s.width, s.p))
    unembedding[s.slots["answer"]] = gain / len(ks) * waves.T
    return s.network(tokens, unembedding), ModularTask(s.p, operation, Split("python", 0.3, 0))


def _add_copies(s: Stream, ks: Sequence[int], *, alike: bool = False) -> None:
    """Two heads that copy the waves of a and of b to their slots; alike: both see every position alike, so that each slot
    holds the same sum."""
    for pos in ("a", "b"):
        score = [] if alike else [s.only(pos)]
        s.head(score, [(s.unit("token", i), s.unit(pos, i)) for i in range(2 * len(ks))])


def _add_rectified_sum(
    s: Stream, ks: Sequence[int], *, phases: int, offsets: Sequence[float], sign: int, weight: float
) -> None:
    """Neurons ReLU(cos(wa + phi) + cos(+-wb + phi + offset)), read at 2 phi + offset."""
    scale = weight / (phases * len(offsets))
    for j in range(len(ks)):
        for offset in offsets:
            for phi in 2 * np.pi * np.arange(phases) / phases:
                other = phi + offset
                read = np.cos(phi) * s.unit("a", 2 * j) - np.sin(phi) * s.unit("a", 2 * j + 1)
                read += np.cos(other) * s.unit("b", 2 * j) - sign * np.sin(other) * s.unit("b", 2 * j + 1)
                # sum over phi of ReLU(cos(x + phi)) cos(2 phi) is (phases / 2) (2 / 3 pi) cos(2 x)
                out = 2 * phi + offset
                write = np.cos(out) * s.unit("answer", 2 * j) - np.sin(out) * s.unit("answer", 2 * j + 1)
                s.neuron(read, 0.0, scale * 3 * np.pi * write)


def _add_clock(s: Stream, ks: Sequence[int], *, weight: float, sign: int) -> None:
    """Heads whose pattern is a wave and whose values are waves: their product is written as w(a +- b)."""
    for j in range(len(ks)):
        if s.equals:
            _add_clock_read_at_equals(s, j, weight)
        else:
            _add_clock_read_at_b(s, j, weight, sign)


def _add_clock_read_at_equals(s: Stream, j: int, weight: float) -> None:
    """(A_a - 1/2)(v_a - v_b) with A_a - 1/2 = tanh((s_a - s_b) / 2) / 2; the pair of heads of opposite score leaves
    the product alone. (cos a - cos b)^2 - (sin a - sin b)^2 = cos 2a + cos 2b - 2 cos(a + b), so the octave is added
    back."""
    cos, sin = s.unit("token", 2 * j), s.unit("token", 2 * j + 1)
    out_cos, out_sin = s.unit("answer", 2 * j), s.unit("answer", 2 * j + 1)
    gain = weight / SMALL
    for direction in (1.0, -1.0):
        g = -gain * direction / 2
        for key, moves in (
            (cos, [(cos, g * 2 * out_cos), (sin, g * out_sin * 2)]),
            (sin, [(sin, -g * 2 * out_cos), (cos, g * out_sin * 2)]),
        ):
            s.head([s.not_equals(), (direction * SMALL * s.reader(), key)], moves)
    octave = [(s.unit("octave", 2 * j + i), weight * out) for i, out in enumerate((out_cos, out_sin))]
    s.head([s.not_equals()], octave)


def _add_clock_read_at_b(s: Stream, j: int, weight: float, sign: int) -> None:
    """Read at b the query is a wave of b, so the score at a is a product: SMALL cos w(a +- b)."""
    cos, sin = s.unit("token", 2 * j), s.unit("token", 2 * j + 1)
    # The key at b scores cos w(b +- b), a wave of one token or a constant, which a head that sees b alone takes back.
    own_cos, own_sin = (
        (s.unit("octave", 2 * j), s.unit("octave", 2 * j + 1)) if sign > 0 else (s.flag("b"), None)
    )
    for i, terms, own in (
        (0, [(cos, cos), (-sign * sin, sin)], own_cos),
        (1, [(cos, sin), (sign * sin, cos)], own_sin),
    ):
        written = s.unit("answer", 2 * j + i)
        score = [(SMALL * q, k) for q, k in terms]
        s.head(score, [(s.flag("a") - s.flag("b"), weight * 2 / SMALL * written)])
        if own is not None:
            s.head([s.only("b")], [(own, weight * written)])


@public
def clock(
    p: int, ks: Sequence[int], *, operation: str = "add", equals: bool | None = None, gain: float = 120.0
) -> tuple[Transformer, ModularTask]:
    """An ideal clock: cos w(a + b) and sin w(a + b) are products made in attention; the MLP passes a part on.

    equals: reads at "=", which no clock that subtracts can (InputError), or at b; None takes "=" where it can be. To add,
    a product of waves of frequency k brings waves of one token at 2k with it, which the embedding holds for that reason and a
    head takes back: what is said of the circle of k alone is not said of the whole network then.

    >>> network, task = clock(11, [2, 3], operation="subtract")
    >>> network.config.positions, bool((network.all_logits().argmax(-1).numpy() == task.labels).all())
    (('a', 'b'), True)
    """
    sign = _sign(operation)
    s = _stream(p, ks, equals=_reads_equals(equals, sign))
    _add_clock(s, ks, weight=0.8, sign=sign)
    for i in range(2 * len(ks)):
        for half in (1.0, -1.0):  # ReLU(x) - ReLU(-x) = x
            s.neuron(half * s.unit("answer", i), 0.0, 0.25 * half * s.unit("answer", i))
    return _finish(s, ks, gain, operation)


@public
def pizza(
    p: int,
    ks: Sequence[int],
    *,
    phases: int = 16,
    operation: str = "add",
    equals: bool = True,
    gain: float = 120.0,
) -> tuple[Transformer, ModularTask]:
    """The rectified sum of equal waves: logits |cos w(a - b)/2| cos w(a + b - c), attention constant.

    To add, the two tokens are seen alike by every head. a - b is not symmetric in them, so to subtract, one head sees a
    and one b; the envelope is |cos w(a + b)/2| then.

    >>> network, task = pizza(11, [2, 3], operation="subtract")
    >>> bool((network.all_logits().argmax(-1).numpy() == task.labels).all())
    True
    """
    sign = _sign(operation)
    s = _stream(p, ks, equals=equals)
    _add_copies(s, ks, alike=sign > 0)
    _add_rectified_sum(s, ks, phases=phases, offsets=(0.0,), sign=sign, weight=1.0)
    return _finish(s, ks, gain, operation)


@public
def rectified_sum(
    p: int,
    ks: Sequence[int],
    *,
    phases: int = 16,
    offsets: Sequence[float] = QUADRATURE,
    equals: bool = True,
    operation: str = "add",
    gain: float = 120.0,
) -> tuple[Transformer, ModularTask]:
    """Sums of waves, rectified, phases in quadrature: the sum of |cos(w(a - b) - offset)/2| over the offsets
    is nearly constant, so no envelope is left: logits cos w(a + b - c). One head sees a, one b."""
    sign = _sign(operation)
    s = _stream(p, ks, equals=equals)
    _add_copies(s, ks)
    _add_rectified_sum(s, ks, phases=phases, offsets=offsets, sign=sign, weight=1.0)
    return _finish(s, ks, gain, operation)


@public
def between(
    p: int,
    ks: Sequence[int],
    share: float,
    *,
    operation: str = "add",
    equals: bool | None = None,
    gain: float = 120.0,
) -> tuple[Transformer, ModularTask]:
    """Both at once: `share` of the logits by a clock, the rest by a rectified sum (`mixture`)."""
    if not 0 <= share <= 1:
        raise InputError(f"a share of {share}: expected a number from 0 to 1")
    shares = {"clock": share, "rectified sum": 1 - share}
    return mixture(p, ks, shares, operation=operation, equals=equals, gain=gain)


@public
def mixture(
    p: int,
    ks: Sequence[int],
    shares: Mapping[str, float],
    *,
    phases: int = 16,
    operation: str = "add",
    equals: bool | None = None,
    gain: float = 120.0,
) -> tuple[Transformer, ModularTask]:
    """Several mechanisms at once, each with its share of the mean weight that the answer's waves have in the logits.

    shares: of "clock", "rectified sum" and "pizza", which sum to 1. A pizza is a rectified sum as well: of all that is
    rectified, pizza / (pizza + rectified sum) has its envelope. One head sees a, one b, beside those of the clock. equals
    as in `clock`, where there is one.

    >>> network, task = mixture(11, [2, 3], {"clock": 0.25, "rectified sum": 0.5, "pizza": 0.25})
    >>> bool((network.all_logits().argmax(-1).numpy() == task.labels).all())
    True
    """
    for name in shares:
        if name not in PARTS:
            raise UnknownName.of("part of a mixture", name, PARTS)
    if any(not 0 <= share <= 1 for share in shares.values()) or abs(sum(shares.values()) - 1) > 1e-6:
        raise InputError(f"shares {dict(shares)}: expected numbers from 0 to 1 that sum to 1")
    sign = _sign(operation)
    turning = shares.get("clock", 0.0)
    reads_equals = _reads_equals(equals, sign) if turning or equals is None else equals
    s = _stream(p, ks, equals=reads_equals)
    if turning:
        _add_clock(s, ks, weight=turning, sign=sign)
    _add_copies(s, ks)
    for name, offsets in (("rectified sum", QUADRATURE), ("pizza", (0.0,))):
        # the mean of |2 cos(x)| is 4 / pi
        if weight := shares.get(name, 0.0) * np.pi / 4:
            _add_rectified_sum(s, ks, phases=phases, offsets=offsets, sign=sign, weight=weight)
    return _finish(s, ks, gain, operation)
