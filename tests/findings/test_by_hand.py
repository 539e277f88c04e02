"""The numbers of findings and summary on the main run of Nanda et al. 2023, computed again from the raw weights in numpy."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
import torch

from modscope.analysis.overview.summary import Summary
from modscope.findings import Findings

P = 113
KS = (14, 35, 41, 42, 52)
N = np.arange(P)
LABELS = (N[:, None] + N) % P


class ByHand:
    """A forward pass over all pairs in float64, the network written out; nothing of modscope is used."""

    def __init__(self, path: Path) -> None:
        stored = torch.load(path, weights_only=True, map_location="cpu")
        self.w = {
            name: x.double().numpy()
            for name, x in stored["state_dicts"][-1].items()
            if "W_" in name or "b_" in name
        }
        self.train = np.zeros((P, P), bool)
        pairs = [(a, b) for a in range(P) for b in range(P)]
        random.seed(0)
        random.shuffle(pairs)
        for a, b in pairs[: int(0.3 * P * P)]:
            self.train[a, b] = True
        self.tokens = self.w["embed.W_E"].T
        self.pattern, self.values = self.attention()
        self.mid = self.after(self.pattern)
        self.pre = self.mid @ self.weight("W_in").T + self.weight("b_in")
        self.post = np.maximum(self.pre, 0)
        self.logits = self.read(self.mid)

    def weight(self, short: str) -> np.ndarray:
        return next(x for name, x in self.w.items() if name.endswith(short))

    def attention(self) -> tuple[np.ndarray, list[np.ndarray]]:
        """The pattern from "=" [a, b, head, 3] and the values of the tokens at each position [token, head, d_head]."""
        where = self.weight("W_pos")
        at = [self.tokens[:P] + where[0], self.tokens[:P] + where[1], self.tokens[P:] + where[2]]
        q = np.einsum("hdm,m->hd", self.weight("W_Q"), at[2][0])
        keys = [np.einsum("hdm,nm->nhd", self.weight("W_K"), x) for x in at]
        values = [np.einsum("hdm,nm->nhd", self.weight("W_V"), x) for x in at]
        s_a, s_b, s_e = (np.einsum("hd,nhd->nh", q, k) / np.sqrt(q.shape[1]) for k in keys)
        heads = q.shape[0]
        scores = np.stack(
            [np.broadcast_to(s_a[:, None], (P, P, heads)), np.broadcast_to(s_b, (P, P, heads)),
             np.broadcast_to(s_e, (P, P, heads))], axis=-1,
        )  # fmt: skip
        e = np.exp(scores - scores.max(axis=-1, keepdims=True))
        return e / e.sum(axis=-1, keepdims=True), values

    def after(self, pattern: np.ndarray) -> np.ndarray:
        """resid_mid at "=" [a, b, d_model] with a pattern."""
        v_a, v_b, v_e = self.values
        z = pattern[..., :1] * v_a[:, None] + pattern[..., 1:2] * v_b[None] + pattern[..., 2:] * v_e[None]
        written = z.reshape(P, P, -1) @ self.weight("W_O").T
        return written + self.tokens[P] + self.weight("W_pos")[2]

    def read(self, mid: np.ndarray) -> np.ndarray:
        post = np.maximum(mid @ self.weight("W_in").T + self.weight("b_in"), 0)
        final = mid + post @ self.weight("W_out").T + self.weight("b_out")
        return (final @ self.weight("W_U"))[..., :P]


def loss_of(logits: np.ndarray) -> np.ndarray:
    right = np.take_along_axis(logits, LABELS[..., None], -1)
    others = np.where(np.arange(P) == LABELS[..., None], -np.inf, logits - right)
    return np.log1p(np.exp(others).sum(axis=-1))


def right_of(logits: np.ndarray) -> float:
    return float((logits.argmax(-1) == LABELS).mean())


def margin_of(logits: np.ndarray) -> float:
    return float((np.take_along_axis(logits, LABELS[..., None], -1)[..., 0] - logits.mean(-1)).mean())


def on_sums(x: np.ndarray) -> np.ndarray:
    """Mean over the pairs of each a + b, [c, ...]."""
    return np.stack([x[N, (c - N) % P].mean(axis=0) for c in N])


def kept(x: np.ndarray, ks: tuple[int, ...]) -> np.ndarray:
    """x [c, ...] with some frequencies alone."""
    bins = np.fft.rfft(x, axis=0)
    bins[[k for k in range(len(bins)) if k not in ks]] = 0
    return np.fft.irfft(bins, n=P, axis=0)


@pytest.fixture(scope="module")
def hand(published: Path) -> ByHand:
    return ByHand(published / "nanda_mainline" / "end_run_data.pth")


@pytest.fixture
def said(mainline_summary: Summary, mainline_findings: Findings) -> tuple[Summary, Findings]:
    return mainline_summary, mainline_findings


def test_loss_logits_and_restriction(hand: ByHand, said: tuple[Summary, Findings]) -> None:
    summary, found = said
    loss = loss_of(hand.logits)
    assert summary.loss.train == pytest.approx(loss[hand.train].mean(), rel=2e-3)
    assert summary.loss.test == pytest.approx(loss[~hand.train].mean(), rel=2e-3)
    assert summary.loss.all == pytest.approx(loss.mean(), rel=2e-3)
    by_offset = np.stack([hand.logits[N[:, None], N, (LABELS + e) % P].mean() for e in N])
    alpha = np.array([2 / P * (np.cos(2 * np.pi * k * N / P) @ by_offset) for k in range(P // 2 + 1)])
    centred = hand.logits - hand.logits.mean(-1, keepdims=True)
    energy = alpha[list(KS)] ** 2 / 2
    assert summary.keys.frequencies == KS
    assert summary.logit_fve == pytest.approx(energy.sum() / (centred**2).mean(), rel=1e-5)
    assert summary.logit_fve_uncentred == pytest.approx(energy.sum() / hand.logits.var(), rel=1e-5)
    fit = sum(alpha[k] * np.cos(2 * np.pi * k * (LABELS[..., None] - N) / P) for k in KS)
    numbers = found["logits-are-cosines"].numbers
    assert numbers["loss of the fit"] == pytest.approx(loss_of(fit).mean(), rel=1e-3)
    profile = on_sums(hand.logits)
    restricted = (kept(profile, KS) + hand.logits.mean(axis=(0, 1)))[LABELS]
    excluded = hand.logits - kept(profile, KS)[LABELS]
    suffice, needed = found["key-frequencies-suffice"].numbers, found["key-frequencies-needed"].numbers
    for split, mask in (("train", hand.train), ("test", ~hand.train), ("all", hand.train | True)):
        assert suffice[f"restricted loss, {split}"] == pytest.approx(
            loss_of(restricted)[mask].mean(), rel=2e-3
        )
        assert needed[f"excluded loss, {split}"] == pytest.approx(loss_of(excluded)[mask].mean(), rel=1e-4)
    assert suffice["restricted accuracy, all"] == right_of(restricted) == 1.0
    main = summary.restrictions["directions"]
    assert main.excluded_accuracy.all == pytest.approx(right_of(excluded), abs=1e-4)


def test_attention(hand: ByHand, said: tuple[Summary, Findings]) -> None:
    _, found = said
    whole = margin_of(hand.logits)
    a, b = hand.pattern[..., 0], hand.pattern[..., 1]
    equal = hand.pattern.copy()
    equal[..., 0] = equal[..., 1] = (a + b) / 2
    logits = hand.read(hand.after(equal))
    finding = found["equal-weights"]
    assert finding.effect.value == pytest.approx(margin_of(logits) / whole, abs=1e-4)
    numbers = finding.numbers
    assert numbers["accuracy, equalised"] == pytest.approx(right_of(logits), abs=5e-4)
    assert numbers["mean |A_a - A_b|"] == pytest.approx(np.abs(a - b).mean(), abs=1e-5)
    together = (a + b).mean(axis=(0, 1))
    assert numbers["mean imbalance pair by pair"] == pytest.approx(
        (np.abs(a - b).mean(axis=(0, 1)) / together).mean(), abs=1e-5
    )
    correlations = [np.corrcoef(a[..., h].ravel(), b[..., h].ravel())[0, 1] for h in range(4)]
    assert numbers["largest correlation of A_a and A_b"] == pytest.approx(max(correlations), abs=1e-4)
    assert max(correlations) < -0.86
    constant = np.broadcast_to(hand.pattern.mean(axis=(0, 1)), hand.pattern.shape)
    logits = hand.read(hand.after(constant))
    finding = found["constant-attention"]
    assert finding.effect.value == pytest.approx(margin_of(logits) / whole, abs=1e-4)
    assert finding.numbers["accuracy, constant pattern"] == pytest.approx(right_of(logits), abs=5e-4)
    assert finding.numbers["loss, constant pattern"] == pytest.approx(loss_of(logits).mean(), rel=1e-4)
    spread = hand.pattern[..., :2].std(axis=(0, 1)) / hand.pattern[..., :2].mean(axis=(0, 1))
    assert finding.numbers["spread over mean, largest"] == pytest.approx(spread.max(), rel=1e-4)
    assert finding.verdict == found["equal-weights"].verdict == "does not hold"


def test_mechanism_and_products(hand: ByHand, said: tuple[Summary, Findings]) -> None:
    _, found = said
    x, whole = hand.mid, margin_of(hand.logits)
    mean = x.mean(axis=(0, 1))
    linear = x.mean(axis=1, keepdims=True) + x.mean(axis=0, keepdims=True) - mean
    logits = {"linear": hand.read(linear), "rest": hand.read(x - linear + mean)}
    logits["none"] = hand.read(np.broadcast_to(mean, x.shape))
    v = {name: margin_of(found_logits) / whole for name, found_logits in logits.items()}
    rectified = (v["linear"] - v["none"] + 1 - v["rest"]) / 2
    margins = np.take_along_axis(hand.logits, LABELS[..., None], -1)[..., 0] - hand.logits.mean(-1)
    train, test = margins[hand.train], margins[~hand.train]
    chance = 2 * np.sqrt(train.var() / len(train) + test.var() / len(test))
    memorised = max(0.0, (train.mean() - test.mean() - chance) / train.mean())
    numbers = found["which-mechanism"].numbers
    assert numbers["rectified sum"] == pytest.approx((1 - memorised) * rectified, abs=1e-4)
    assert numbers["product in attention"] == pytest.approx((1 - memorised) * (1 - rectified), abs=1e-4)
    assert numbers["memorisation"] == pytest.approx(memorised, abs=1e-4)
    products = found["products-not-needed"]
    assert products.effect.value == pytest.approx(v["linear"], abs=1e-4)
    assert products.control.value == pytest.approx(v["rest"], abs=1e-4)
    assert products.numbers["accuracy, linear"] == pytest.approx(right_of(logits["linear"]), abs=5e-4)


def test_embedding_neurons_and_distance(hand: ByHand, said: tuple[Summary, Findings]) -> None:
    summary, found = said
    power = (np.abs(np.fft.rfft(hand.tokens[:P], axis=0)[1:]) ** 2).sum(axis=1)
    shares = power / power.sum()
    ordered = np.sort(shares)
    n = len(ordered)
    gini = ((2 * np.arange(1, n + 1) - n - 1) * ordered).sum() / (n * ordered.sum())
    assert found["sparse-embedding"].effect.value == pytest.approx(gini, abs=1e-5)
    assert found["sparse-embedding"].numbers["share at the key frequencies"] == pytest.approx(
        shares[np.array(KS) - 1].sum(), abs=1e-5
    )
    centred = hand.post - hand.post.mean(axis=(0, 1))
    F = np.fft.fft2(centred, axes=(0, 1))
    energy = np.abs(F) ** 2
    fve = []
    for k in range(1, P // 2 + 1):
        rows = [0, k, P - k]
        fve.append(energy[np.ix_(rows, rows)].sum(axis=(0, 1)) / np.maximum(energy.sum(axis=(0, 1)), 1e-30))
    best, share = np.argmax(fve, axis=0) + 1, np.max(fve, axis=0)
    assert int((share > 0.85).sum()) == int(summary.clusters.explained.sum()) == 443
    for k in KS:
        assert (
            found["one-frequency"].numbers[f"neurons of frequency {k}"]
            == ((best == k) & (share > 0.85)).sum()
        )
    y = hand.post - np.stack([on_sums(hand.post)])[0][LABELS]
    even = (y + y.transpose(1, 0, 2)) / 2
    assert found["even-about-half-c"].effect.value == pytest.approx((even**2).sum() / (y**2).sum(), abs=1e-5)
    right = np.take_along_axis(hand.logits, LABELS[..., None], -1)[..., 0]
    by_distance = [right[(N + d) % P, N].std() for d in N]
    numbers = found["distance-irrelevant"].numbers
    assert numbers["distance irrelevance"] == pytest.approx(np.mean(by_distance) / right.std(), abs=1e-5)
    margins = right - hand.logits.mean(-1)
    own = np.array([margins[(N + d) % P, N].mean() for d in N])
    spread = numbers["spread over distances of the mean margin, over its mean"]
    assert spread == pytest.approx(own.std() / own.mean(), rel=1e-4)
