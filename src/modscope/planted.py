"""Networks whose weights are written by hand, so that the mechanism is known and not inferred: ground truth for any tool.

Every builder returns (network, task); `answering` the network alone. Waves are cos and sin of 2 pi k n / p over the tokens n;
the residual stream is divided into slots, and each head or neuron reads one and writes another. All take any p of at
least 3, odd or even, and frequencies from 1 to p//2.

>>> import modscope
>>> network, task = rectified_sum(11, [2, 3])
>>> modscope.open(modscope.record(network, task), keys=[2, 3]).summary.accuracy.all
1.0
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch

from modscope.errors import InputError, UnknownName
from modscope.model import PairMLP, PairMLPConfig, Transformer, TransformerConfig
from modscope.residues import modulus
from modscope.task import ModularTask, Split

__all__ = [
    "answering",
    "between",
    "clock",
    "memoriser",
    "pair_table",
    "pizza",
    "random_weights",
    "rectified_sum",
]

FAR = 60.0  # a score that softmax turns into 0
SMALL = 0.2  # scores so small that softmax is nearly linear in them


@dataclass
class Stream:
    """The residual stream as named slots, and the heads and neurons that read and write them."""

    p: int
    equals: bool
    slots: dict[str, slice] = field(default_factory=dict)
    width: int = 0
    heads: list[dict[str, np.ndarray]] = field(default_factory=list)
    neurons: list[tuple[np.ndarray, float, np.ndarray]] = field(default_factory=list)

    def add(self, name: str, size: int) -> None:
        self.slots[name] = slice(self.width, self.width + size)
        self.width += size

    def vector(self, name: str, values: np.ndarray | float) -> np.ndarray:
        v = np.zeros(self.width)
        v[self.slots[name]] = values
        return v

    def unit(self, name: str, i: int) -> np.ndarray:
        return np.eye(self.width)[self.slots[name].start + i]

    def flag(self, pos: str) -> np.ndarray:
        return self.unit("flags", ("a", "b", "=").index(pos))

    def head(
        self, score: Sequence[tuple[np.ndarray, np.ndarray]], move: Sequence[tuple[np.ndarray, np.ndarray]]
    ) -> None:
        """score: (read by the query, read by the key) pairs, summed; move: (read, written) pairs."""
        self.heads.append({"score": np.array(score).reshape(-1, 2, self.width), "move": np.array(move)})

    def only(self, pos: str, size: float = FAR) -> tuple[np.ndarray, np.ndarray]:
        """The score that lets the reader see one position alone."""
        return size * self.reader(), self.flag(pos)

    def not_equals(self) -> tuple[np.ndarray, np.ndarray]:
        """The score that hides "=" from the reader."""
        return -FAR * self.reader(), self.flag("=")

    def reader(self) -> np.ndarray:
        return self.flag("=" if self.equals else "b")

    def neuron(self, read: np.ndarray, bias: float, write: np.ndarray) -> None:
        self.neurons.append((read, bias, write))

    def network(self, tokens: np.ndarray, unembedding: np.ndarray) -> Transformer:
        """tokens [p, width], unembedding [width, p]."""
        positions = 3 if self.equals else 2
        d_head = max(max(len(h["score"]), len(h["move"])) for h in self.heads)
        config = TransformerConfig(
            self.p, d_model=self.width, n_heads=len(self.heads), d_head=d_head, d_mlp=max(1, len(self.neurons)),
            equals=self.equals, causal=self.equals,
        )  # fmt: skip
        w = {name: torch.zeros(shape, dtype=torch.float64) for name, shape in config.shapes().items()}
        w["embed.W_E"][: self.p] = torch.from_numpy(tokens)
        for i, pos in enumerate(("a", "b", "=")[:positions]):
            w["pos_embed.W_pos"][i] = torch.from_numpy(self.flag(pos))
        for h, head in enumerate(self.heads):
            for i, (query, key) in enumerate(head["score"]):
                w["blocks.0.attn.W_Q"][h, :, i] = torch.from_numpy(query) * d_head**0.5
                w["blocks.0.attn.W_K"][h, :, i] = torch.from_numpy(key)
            for i, (read, written) in enumerate(head["move"]):
                w["blocks.0.attn.W_V"][h, :, i] = torch.from_numpy(read)
                w["blocks.0.attn.W_O"][h, i] = torch.from_numpy(written)
        for n, (read, bias, write) in enumerate(self.neurons):
            w["blocks.0.mlp.W_in"][:, n] = torch.from_numpy(read)
            w["blocks.0.mlp.b_in"][n] = bias
            w["blocks.0.mlp.W_out"][n] = torch.from_numpy(write)
        w["unembed.W_U"] = torch.from_numpy(unembedding)
        return Transformer(config, w)


def _waves(p: int, ks: Sequence[int]) -> np.ndarray:
    """[n, 2 * len(ks)]: cos and sin of each frequency."""
    angle = 2 * np.pi * np.outer(np.arange(p), ks) / p
    return np.stack((np.cos(angle), np.sin(angle)), axis=2).reshape(p, -1)


def _stream(p: int, ks: Sequence[int], *, equals: bool) -> Stream:
    if modulus(p) and (not ks or any(not 0 < k <= p // 2 for k in ks) or len(set(ks)) != len(ks)):
        raise InputError(f"frequencies {list(ks)}: expected different ones from 1 to {p // 2}")
    s = Stream(p, equals)
    for name, size in {"token": 2, "octave": 2, "a": 2, "b": 2, "answer": 2}.items():
        s.add(name, size * len(ks))
    s.add("flags", 3)
    return s


def _finish(
    s: Stream, ks: Sequence[int], gain: float, operation: str = "add"
) -> tuple[Transformer, ModularTask]:
    waves = _waves(s.p, ks)
    tokens = np.zeros((s.p, s.width))
    tokens[:, s.slots["token"]] = waves
    tokens[:, s.slots["octave"]] = _waves(s.p, [2 * k for k in ks])
    unembedding = np.zeros((s.width, s.p))
    unembedding[s.slots["answer"]] = gain * waves.T
    return s.network(tokens, unembedding), ModularTask(s.p, operation, Split("python", 0.3, 0))


def _add_rectified_sum(
    s: Stream,
    ks: Sequence[int],
    *,
    phases: int,
    offsets: Sequence[float],
    sign: int,
    weight: float,
    mirror: bool,
) -> None:
    """Heads that copy a and b, and neurons ReLU(cos(wa + phi) + cos(+-wb + phi + offset)) read at
    2 phi + offset."""
    width = 2 * len(ks)
    for pos in ("a", "b"):
        # mirror: no scores at all, so both heads see every position alike and the neurons read their sum
        score = [] if mirror else [s.only(pos)]
        copy = [(s.unit("token", i), s.unit(pos, i)) for i in range(width)]
        s.head(score, copy)
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


def _add_clock(s: Stream, ks: Sequence[int], *, weight: float) -> None:
    """Heads whose pattern is a wave and whose values are waves: their product is written as w(a + b)."""
    for j in range(len(ks)):
        cos, sin = s.unit("token", 2 * j), s.unit("token", 2 * j + 1)
        out_cos, out_sin = s.unit("answer", 2 * j), s.unit("answer", 2 * j + 1)
        if not s.equals:
            _add_clock_read_at_b(s, (cos, sin), (out_cos, out_sin), j, weight)
            continue
        # (A_a - 1/2)(v_a - v_b) with A_a - 1/2 = tanh((s_a - s_b) / 2) / 2; the pair of heads of opposite
        # score leaves the product alone. (cos a - cos b)^2 - (sin a - sin b)^2
        # = cos 2a + cos 2b - 2 cos(a + b), so the octave is added back.
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


def _add_clock_read_at_b(
    s: Stream, wave: tuple[np.ndarray, np.ndarray], out: tuple[np.ndarray, np.ndarray], j: int, weight: float
) -> None:
    """Read at b the query is a wave of b, so the score at a is a product: SMALL cos w(a + b)."""
    cos, sin = wave
    for terms, written, octave in (
        ([(cos, cos), (-sin, sin)], out[0], s.unit("octave", 2 * j)),
        ([(sin, cos), (cos, sin)], out[1], s.unit("octave", 2 * j + 1)),
    ):
        score = [(SMALL * q, k) for q, k in terms]
        s.head(score, [(s.flag("a") - s.flag("b"), weight * 2 / SMALL * written)])
        # the key at b scores cos 2wb, a wave of one token, which a head that sees b alone takes back
        s.head([s.only("b")], [(octave, weight * written)])


def clock(
    p: int, ks: Sequence[int], *, equals: bool = True, gain: float = 120.0
) -> tuple[Transformer, ModularTask]:
    """An ideal clock: cos w(a + b) and sin w(a + b) are products made in attention; the MLP passes a part on."""
    s = _stream(p, ks, equals=equals)
    _add_clock(s, ks, weight=0.8)
    for i in range(2 * len(ks)):
        for sign in (1.0, -1.0):  # ReLU(x) - ReLU(-x) = x
            s.neuron(sign * s.unit("answer", i), 0.0, 0.25 * sign * s.unit("answer", i))
    return _finish(s, ks, gain / len(ks))


def pizza(
    p: int, ks: Sequence[int], *, phases: int = 16, equals: bool = True, gain: float = 120.0
) -> tuple[Transformer, ModularTask]:
    """The rectified sum of equal waves: logits |cos w(a - b)/2| cos w(a + b - c), attention constant and equal."""
    s = _stream(p, ks, equals=equals)
    _add_rectified_sum(s, ks, phases=phases, offsets=(0.0,), sign=1, weight=1.0, mirror=True)
    return _finish(s, ks, gain / len(ks))


def rectified_sum(
    p: int,
    ks: Sequence[int],
    *,
    phases: int = 16,
    offsets: Sequence[float] = (0.0, np.pi / 2, np.pi, 3 * np.pi / 2),
    equals: bool = True,
    operation: str = "add",
    gain: float = 120.0,
) -> tuple[Transformer, ModularTask]:
    """Sums of waves, rectified, phases in quadrature: the sum of |cos(w(a - b) - offset)/2| over the offsets
    is nearly constant, so no envelope is left: logits cos w(a + b - c). One head sees a, one b."""
    if operation not in ("add", "subtract"):
        raise UnknownName.of("operation of a rectified sum", operation, ("add", "subtract"))
    s = _stream(p, ks, equals=equals)
    sign = 1 if operation == "add" else -1
    _add_rectified_sum(s, ks, phases=phases, offsets=offsets, sign=sign, weight=1.0, mirror=False)
    return _finish(s, ks, gain / len(ks), operation)


def between(
    p: int, ks: Sequence[int], share: float, *, equals: bool = True, gain: float = 120.0
) -> tuple[Transformer, ModularTask]:
    """Both at once: `share` of the logits by a clock, the rest by a rectified sum."""
    if not 0 <= share <= 1:
        raise InputError(f"a share of {share}: expected a number from 0 to 1")
    s = _stream(p, ks, equals=equals)
    _add_clock(s, ks, weight=share)
    offsets = (0.0, np.pi / 2, np.pi, 3 * np.pi / 2)
    # the mean of |2 cos(x)| is 4 / pi
    weight = (1 - share) * np.pi / 4
    _add_rectified_sum(s, ks, phases=16, offsets=offsets, sign=1, weight=weight, mirror=False)
    return _finish(s, ks, gain / len(ks))


def memoriser(p: int, *, fraction: float = 0.3, gain: float = 30.0) -> tuple[Transformer, ModularTask]:
    """A look-up table: one neuron for each training pair, silent for all others; nothing about p is used."""
    task = ModularTask(p, "add", Split("python", fraction, 0))
    s = Stream(p, True)
    for name, size in {"token": p, "a": p, "b": p, "answer": p, "flags": 3}.items():
        s.add(name, size)
    for pos in ("a", "b"):
        s.head([s.only(pos)], [(s.unit("token", i), s.unit(pos, i)) for i in range(p)])
    for a, b in np.argwhere(task.train_mask):
        s.neuron(s.unit("a", a) + s.unit("b", b), -1.0, s.unit("answer", task.labels[a, b]))
    tokens, unembedding = np.zeros((p, s.width)), np.zeros((s.width, p))
    tokens[:, s.slots["token"]] = np.eye(p)
    unembedding[s.slots["answer"]] = gain * np.eye(p)
    return s.network(tokens, unembedding), task


def pair_table(p: int, *, operation: str = "add", gain: float = 30.0) -> tuple[PairMLP, ModularTask]:
    """A network without attention, one neuron for each pair: it knows all answers of an operation and no reason."""
    task = ModularTask(p, operation, Split("python", 0.3, 0))
    a, b = np.divmod(np.arange(p * p), p)
    answers = np.maximum(task.labels.reshape(-1), 0)
    w = {
        name: torch.zeros(shape)
        for name, shape in PairMLPConfig(p, d_hidden=p * p, biases=("b_in",)).shapes().items()
    }
    w["mlp.W_in_a"][a, np.arange(p * p)] = 1.0
    w["mlp.W_in_b"][b, np.arange(p * p)] = 1.0
    w["mlp.b_in"] -= 1.0
    w["unembed.W_U"][np.arange(p * p), answers] = gain
    return PairMLP(PairMLPConfig(p, d_hidden=p * p, biases=("b_in",)), w), task


def answering(answers: np.ndarray, *, gain: float = 30.0) -> PairMLP:
    """A network that gives a table of answers [a, b], whatever it is."""
    p = len(answers)
    network, _ = pair_table(p, gain=gain)
    W_U = torch.zeros_like(network.weights["unembed.W_U"])
    W_U[np.arange(p * p), answers.reshape(-1)] = gain
    return PairMLP(network.config, {**network.weights, "unembed.W_U": W_U})


def random_weights(p: int, *, equals: bool = True, seed: int = 0) -> tuple[Transformer, ModularTask]:
    """A network before training."""
    config = TransformerConfig(p, d_model=32, n_heads=4, d_mlp=64, equals=equals, causal=equals)
    return Transformer.initialised(config, seed=seed), ModularTask(p)
