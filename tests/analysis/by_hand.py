"""The main run of Nanda et al. 2023 computed from its raw file, in float64 and by plain numpy: nothing of modscope."""

from __future__ import annotations

import random
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch

P = 113
KEYS = (14, 35, 41, 42, 52)
N = np.arange(P)
ANSWER = (N[:, None] + N) % P
B_AT = (N[:, None] - N) % P  # b at [c, a]


def rows_of_c(x: np.ndarray) -> np.ndarray:
    """[a, b, ...] as [c, a, ...]."""
    return np.stack([x[N, (c - N) % P] for c in N])


def phasor(x: np.ndarray, k: float, axis: int = 0) -> np.ndarray:
    """(2/p) sum of x e^{-2 pi i k n / p} over one axis."""
    wave = np.exp(-2j * np.pi * k * np.arange(x.shape[axis]) / x.shape[axis])
    return 2 / x.shape[axis] * np.tensordot(wave, x, (0, axis))


def basis() -> np.ndarray:
    """[label, n]: the orthonormal rows const, cos 1, sin 1, ..."""
    rows = [np.full(P, P**-0.5)]
    for k in range(1, P // 2 + 1):
        rows += [f(2 * np.pi * k * N / P) * (2 / P) ** 0.5 for f in (np.cos, np.sin)]
    return np.array(rows)


def plane(x: np.ndarray) -> np.ndarray:
    """[a, b, ...] in the basis of both axes, by two matrix products."""
    F = basis()
    return np.einsum("ia,jb,ab...->ij...", F, F, x, optimize=True)


def centred(x: np.ndarray) -> np.ndarray:
    """Without the mean over the pairs."""
    return x - x.mean(axis=(0, 1))


def lines(x: np.ndarray) -> dict[str, np.ndarray]:
    """The means of a centred picture along lines of equal a, b, a + b and a - b, [residue, ...]."""
    x = centred(x)
    return {
        "a": x.mean(1),
        "b": x.mean(0),
        "sum": np.stack([x[N, (s - N) % P].mean(0) for s in N]),
        "difference": np.stack([x[(d + N) % P, N].mean(0) for d in N]),
    }


def share(part: np.ndarray, whole: np.ndarray) -> float:
    """Energy over energy."""
    return float(np.square(np.abs(part)).sum() / np.square(np.abs(whole)).sum())


def even_share(x: np.ndarray) -> float:
    """The energy of the part of the rows of c, means removed, that does not change with a -> c - a."""
    rows = rows_of_c(x)
    rows = rows - rows.mean(1, keepdims=True)
    turned = np.stack([rows[c, (c - N) % P] for c in N])
    return share((rows + turned) / 2, rows)


def cross_entropy(logits: np.ndarray) -> np.ndarray:
    """[a, b]: nats."""
    top = logits.max(-1, keepdims=True)
    total = np.log(np.exp(logits - top).sum(-1)) + top[..., 0]
    return total - np.take_along_axis(logits, ANSWER[..., None], -1)[..., 0]


@dataclass(frozen=True)
class ByHand:
    """Weights and activations at "=" [a, b, ...], and the waves at a and b [pos, token, ...]."""

    raw: dict[str, np.ndarray]

    @classmethod
    def read(cls, path: Path) -> ByHand:
        data = torch.load(path, weights_only=True, map_location="cpu")
        return cls({name: x.double().numpy() for name, x in data["state_dicts"][-1].items()})

    def __getitem__(self, hook: str) -> np.ndarray:
        return self.hooks[hook]

    @cached_property
    def W_E(self) -> np.ndarray:
        return self.raw["embed.W_E"].T

    @cached_property
    def W_O(self) -> np.ndarray:
        """[head, d_head, d_model]"""
        return self.raw["blocks.0.attn.W_O"].T.reshape(4, 32, 128)

    @cached_property
    def W_in(self) -> np.ndarray:
        return self.raw["blocks.0.mlp.W_in"].T

    @cached_property
    def W_out(self) -> np.ndarray:
        return self.raw["blocks.0.mlp.W_out"].T

    @cached_property
    def W_U(self) -> np.ndarray:
        """[d_model, answer], without "="."""
        return self.raw["unembed.W_U"][:, :P]

    def W(self, name: str) -> np.ndarray:
        """W_Q, W_K or W_V as [head, d_model, d_head]."""
        return self.raw[f"blocks.0.attn.{name}"].transpose(0, 2, 1)

    @cached_property
    def hooks(self) -> dict[str, np.ndarray]:
        """q, k, v as [pos, token, head, d_head]; what depends on both tokens as [a, b, ...]."""
        W_pos = self.raw["pos_embed.W_pos"]
        x = np.stack([self.W_E[:P] + W_pos[0], self.W_E[:P] + W_pos[1]])
        equals = self.W_E[P] + W_pos[2]
        waves = {n: np.einsum("ptd,hdm->pthm", x, self.W(f"W_{n.upper()}")) for n in "qkv"}
        last = {n: np.einsum("d,hdm->hm", equals, self.W(f"W_{n.upper()}")) for n in "qkv"}
        to_a, to_b = (np.einsum("hm,thm->th", last["q"], waves["k"][i]) for i in (0, 1))
        to_equals = np.einsum("hm,hm->h", last["q"], last["k"])
        scores = np.empty((P, P, 4, 3))
        scores[..., 0], scores[..., 1], scores[..., 2] = to_a[:, None], to_b[None], to_equals
        scores /= 32**0.5
        pattern = np.exp(scores - scores.max(-1, keepdims=True))
        pattern /= pattern.sum(-1, keepdims=True)
        found = {"embed": self.W_E[:P], "resid_pre": x, **waves, "v=": last["v"], "equals": equals}
        return found | {"attn_scores": scores, "pattern": pattern} | self.after(found, pattern)

    def after(self, found: dict[str, np.ndarray], pattern: np.ndarray) -> dict[str, np.ndarray]:
        """What follows a pattern [a, b, head, key]."""
        v = found["v"]
        z = pattern[..., 0, None] * v[0][:, None] + pattern[..., 1, None] * v[1][None]
        z += pattern[..., 2, None] * found["v="]
        attn_out = z.reshape(P, P, 128) @ self.W_O.reshape(128, 128)
        resid_mid = attn_out + found["equals"]
        pre = resid_mid @ self.W_in + self.raw["blocks.0.mlp.b_in"]
        return {"z": z, "attn_out": attn_out, "resid_mid": resid_mid} | self.last(resid_mid, pre)

    def last(
        self, resid_mid: np.ndarray, pre: np.ndarray, post: np.ndarray | None = None
    ) -> dict[str, np.ndarray]:
        """What follows the input of the MLP, or given neurons."""
        post = np.maximum(pre, 0) if post is None else post
        out = post @ self.W_out + self.raw["blocks.0.mlp.b_out"]
        stream = resid_mid + out
        return {
            "mlp_pre": pre,
            "mlp_post": post,
            "mlp_out": out,
            "resid_post": stream,
            "logits": stream @ self.W_U,
        }

    @cached_property
    def train(self) -> np.ndarray:
        """bool[a, b]"""
        pairs = [(a, b) for a in range(P) for b in range(P)]
        random.seed(0)
        random.shuffle(pairs)
        mask = np.zeros((P, P), bool)
        for a, b in pairs[: int(0.3 * P * P)]:
            mask[a, b] = True
        return mask

    @cached_property
    def frequency(self) -> np.ndarray:
        """Of each neuron: the key frequency of the largest summed amplitude along b of mlp_pre."""
        size = [np.abs(phasor(self["mlp_pre"], k, axis=1)).sum(0) for k in KEYS]
        return np.array(KEYS)[np.argmax(size, axis=0)]

    @cached_property
    def read_phase(self) -> np.ndarray:
        """Of each neuron: the angle of the mean of its phasors in a and in b at its frequency."""
        x = self["mlp_pre"]
        both = {k: phasor(x.mean(1), k) + phasor(x.mean(0), k) for k in KEYS}
        return np.angle([both[k][n] for n, k in enumerate(self.frequency)])

    @cached_property
    def fve(self) -> np.ndarray:
        """[k - 1, neuron]: the share of mlp_post in {1, cos, sin} x {1, cos, sin} of frequency k."""
        energy = np.square(plane(self["mlp_post"]))
        energy[0, 0] = 0
        total = energy.sum((0, 1))
        return np.array(
            [
                energy[np.ix_([0, 2 * k - 1, 2 * k], [0, 2 * k - 1, 2 * k])].sum((0, 1)) / total
                for k in range(1, 57)
            ]
        )
