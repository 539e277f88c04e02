"""What every call of the table of the original notebook gives on the main run, against a computation of our own."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.analysis.by_hand import (
    ANSWER,
    B_AT,
    KEYS,
    ByHand,
    N,
    P,
    basis,
    centred,
    cross_entropy,
    even_share,
    lines,
    phasor,
    plane,
    rows_of_c,
    share,
)

import modscope as ms

DOC = Path(__file__).resolve().parents[2] / "docs" / "original-notebook.md"
CHECKS: dict[str, Callable[[Any, ByHand], None]] = {}
CLOSE = {"rtol": 2e-3, "atol": 2e-4}  # float32 against float64
K = KEYS[0]


def rows() -> list[list[str]]:
    lines = [line for line in DOC.read_text().splitlines() if re.match(r"\| \d", line)]
    return [[cell.strip() for cell in line.strip()[1:-1].split("|")] for line in lines]


def calls() -> list[str]:
    return sorted({code for row in rows() for code in re.findall(r"`([^`]+)`", row[2])})


def gives(*calls: str) -> Callable[[Callable[[Any, ByHand], None]], Callable[[Any, ByHand], None]]:
    def kept(check: Callable[[Any, ByHand], None]) -> Callable[[Any, ByHand], None]:
        CHECKS.update(dict.fromkeys(calls, check))
        return check

    return kept


def same(x: Any, expected: Any, **close: float) -> None:
    np.testing.assert_allclose(np.asarray(x), expected, **(CLOSE | close))


def same_angle(x: Any, expected: Any, atol: float = 2e-3) -> None:
    np.testing.assert_allclose(np.angle(np.exp(1j * (np.asarray(x) - expected))), 0, atol=atol)


def shown(view: Any, *expected: np.ndarray, x: str, play: str, atol: float = 2e-3) -> None:
    """The arrays that a view draws, and which axes it draws and plays."""
    assert len(view.tensors) == len(expected)
    assert (view.state["x"], view.state["play"]) == (x, play)
    for tensor, values in zip(view.tensors, expected, strict=True):
        np.testing.assert_allclose(tensor.values, values, rtol=1e-3, atol=atol)


@pytest.fixture(scope="module")
def names(published: Path) -> dict[str, Any]:
    """The names that the opening of the page defines, for the main run."""
    code = re.search(r"```python\n(.*?)```", DOC.read_text(), re.S)
    assert code
    found: dict[str, Any] = {}
    file = published / "nanda_mainline" / "end_run_data.pth"
    exec(code.group(1).replace("end_run_data.pth", str(file)), found)
    return found


@pytest.fixture(scope="module")
def by_hand(published: Path) -> ByHand:
    return ByHand.read(published / "nanda_mainline" / "end_run_data.pth")


def test_every_cell_is_in_the_table_once() -> None:
    assert all(len(row) == 4 for row in rows())
    cells = [int(cell) for row in rows() for cell in row[0].split(", ")]
    assert sorted(cells) == list(range(1, 59))


def test_every_call_is_checked() -> None:
    assert set(calls()) == set(CHECKS)


@pytest.mark.parametrize("call", calls())
def test_the_value_of_every_call(call: str, names: dict[str, Any], by_hand: ByHand) -> None:
    CHECKS[call](eval(call, names), by_hand)


# The network and its task


@gives("checkpoint.task.masks()")
def _(x: Any, h: ByHand) -> None:
    assert (x["train"] == h.train).all()
    assert (x["test"] == ~h.train).all()


@gives("checkpoint.model.config")
def _(x: Any, h: ByHand) -> None:
    heads, d_head, d_model = h.raw["blocks.0.attn.W_Q"].shape
    assert (x.p, x.d_model, x.n_heads, x.head_size, x.d_mlp) == (P, d_model, heads, d_head, len(h.W_out))


@gives("ms.__version__")
def _(x: Any, h: ByHand) -> None:
    assert x == ms.__version__


@gives('ms.show(np.zeros((12, 23, p)), dims=("head", "d_head", "a"))')
def _(x: Any, h: ByHand) -> None:
    shown(x, np.zeros((12, 23, P)), x="a", play="d_head")


@gives("acts.hooks")
def _(x: Any, h: ByHand) -> None:
    assert set(x) - {"pos_embed"} == set(h.hooks) - {"v=", "equals"}


@gives("keys")
def _(x: Any, h: ByHand) -> None:
    """The five largest of the embedding, which is the notebook's own rule."""
    size = [np.abs(phasor(h["embed"], k)).sum() for k in range(1, 57)]
    assert tuple(x) == tuple(sorted(1 + np.argsort(size)[-5:])) == KEYS


@gives('key_frequencies(acts, "embedding_norm").frequencies')
def _(x: Any, h: ByHand) -> None:
    norm = np.linalg.norm(basis() @ h["embed"], axis=1)
    large = np.flatnonzero(norm > norm[1:].max() / 4)
    assert x == tuple(sorted({int(row + 1) // 2 for row in large} - {0}))
    assert len(x) == 6


@gives("relations(keys, p)")
def _(x: Any, h: ByHand) -> None:
    assert list(x.harmonics.values()) == [28, 43, 31, 29, 9]
    assert all(min(2 * half % P, -2 * half % P) == k for k, (half,) in x.subharmonics.items())


@gives("relations(keys, p).intermodulation")
def _(x: Any, h: ByHand) -> None:
    assert len(x) == 10
    for (j, k), found in x.items():
        assert found == (min(j + k, P - j - k), k - j)


@gives('losses.losses(acts.at("logits").values, acts.task)')
def _(x: Any, h: ByHand) -> None:
    nats = cross_entropy(h["logits"])
    same(
        [x.train, x.test, x.all],
        [nats[h.train].mean(), nats[~h.train].mean(), nats.mean()],
        rtol=1e-4,
        atol=0,
    )


@gives('ms.in_order(acts.at("resid_post"), "c", "a")')
def _(x: Any, h: ByHand) -> None:
    assert x.dims[:2] == ("c", "a")
    same(x, rows_of_c(h["resid_post"]), atol=2e-3)


@gives('ms.in_order(acts.at("logits"), "c", "b")')
def _(x: Any, h: ByHand) -> None:
    assert x.dims[:2] == ("c", "b")
    same(x, np.stack([h["logits"][(c - N) % P, N] for c in N]), atol=5e-3)


@gives('ms.show(run.weights("W_E"))')
def _(x: Any, h: ByHand) -> None:
    (tensor,) = x.tensors
    same(tensor.values[0], h.W_E)


@gives("acts.nbytes")
def _(x: Any, h: ByHand) -> None:
    """Bytes of what has been looked at: no more than all hooks in float32."""
    joint = [hook for hook in h.hooks if h[hook].shape[:2] == (P, P)]
    tables = 4 * sum(h[hook].size for hook in ("embed", "resid_pre", "q", "k", "v"))
    assert tables < x < 1.1 * (tables + 4 * sum(h[hook].size for hook in joint))


@gives("overview.examples(acts)")
def _(x: Any, h: ByHand) -> None:
    assert (x.b.values == B_AT).all()
    same(x.loss, rows_of_c(cross_entropy(h["logits"])), rtol=1e-2, atol=1e-9)
    right = rows_of_c(np.take_along_axis(h["logits"], ANSWER[..., None], -1))[..., 0]
    others = h["logits"].copy()
    np.put_along_axis(others, ANSWER[..., None], -np.inf, -1)
    same(x.lead, right - rows_of_c(others.max(-1)), atol=5e-3)
    assert ((x.split == "train").values == rows_of_c(h.train)).all()


@gives("checkpoint.notes")
def _(x: Any, h: ByHand) -> None:
    assert isinstance(x, tuple)


@gives("{hook: dict(acts[hook].sizes) for hook in acts}")
def _(x: Any, h: ByHand) -> None:
    for hook, sizes in x.items():
        if hook in ("embed", "pos_embed"):
            continue
        both = h[hook].shape[:2] == (P, P)
        assert tuple(sizes.values()) == ((1, *h[hook].shape) if both else h[hook].shape)


@gives("list(acts.model.weights)")
def _(x: Any, h: ByHand) -> None:
    assert set(x) == {name for name in h.raw if "mask" not in name}


# Order, symmetry


@gives(
    'ms.show(ms.in_order(acts.at("resid_post"), "c", "a"), x="a", play="c")',
    'ms.show(ms.in_order(acts.at("resid_post"), "c", "a"))',
)
def _(x: Any, h: ByHand) -> None:
    shown(x, rows_of_c(h["resid_post"]), x="a", play="c")


@gives('ms.show(ms.in_order(acts.at("mlp_out"), "c", "a"))')
def _(x: Any, h: ByHand) -> None:
    shown(x, rows_of_c(h["mlp_out"]), x="a", play="c")


@gives("plane.even_fractions(acts)")
def _(x: Any, h: ByHand) -> None:
    for hook in ("attn_scores", "pattern", "z", "attn_out", "mlp_post", "resid_post", "logits"):
        same(x.even.sel(hook=hook), even_share(h[hook]), atol=1e-5)


@gives("plane.even_fractions(controls.permuted_tokens(acts))")
def _(x: Any, h: ByHand) -> None:
    """Both positions read the permuted table, so what is even stays even."""
    assert float(x.even.sel(hook="attn_out")) > 0.999


@gives("plane.even_fractions(controls.untrained(acts))")
def _(x: Any, h: ByHand) -> None:
    assert 0.9 < float(x.even.sel(hook="resid_post")) <= 1


@gives("inputs.ideal_stream(p, keys)")
def _(x: Any, h: ByHand) -> None:
    waves = [np.cos(2 * np.pi * k * (N - N[:, None] / 2) / P) for k in KEYS]
    total = sum(waves) / np.max(np.abs(sum(waves)))
    same(x.isel(a=7), np.stack([*waves, total]))


@gives('ms.show(inputs.ideal_stream(p, keys), x="b", play="a")')
def _(x: Any, h: ByHand) -> None:
    (tensor,) = x.tensors
    assert (x.state["x"], x.state["play"]) == ("b", "a")
    same(tensor.values[0, 8, 3], np.cos(2 * np.pi * K * (N - 4) / P))


@gives("inputs.places(8, 3, p)")
def _(x: Any, h: ByHand) -> None:
    assert x == {"a": 3, "b": 5, "c/2": 4, "c/2 + p/2": 4 + P / 2}


@gives("plane.fixed_points(p)")
def _(x: Any, h: ByHand) -> None:
    for name in ("first", "second"):
        assert ((2 * x[name].values - N) % P == 0).all()


@gives("inputs.reversed_sums(inputs.hand_made_wave(p))")
def _(x: Any, h: ByHand) -> None:
    wave = x.isel(part=0, shift=0).values
    turned = np.stack([wave[(s - N) % P] for s in N])
    same(x, np.stack([np.broadcast_to(wave, (P, P)), turned, wave + turned]))


@gives("plane.fixed_point_slopes(acts)")
def _(x: Any, h: ByHand) -> None:
    rows = rows_of_c(h["mlp_out"])
    F = np.fft.fft(rows, axis=1)
    w = 2j * np.pi * np.fft.fftfreq(P)
    slope = np.fft.ifft(w[:, None] * F, axis=1).real
    at = np.exp(2j * np.pi * np.fft.fftfreq(P) * N[:, None] / 2)  # c/2
    there = np.einsum("ck,ckd->cd", at, w[:, None] * F).real / P
    same(x["first"].sel(hook="mlp_out"), np.sqrt((there**2).mean() / (slope**2).mean()), rtol=1e-2)


@gives("plane.swap_shares(acts)")
def _(x: Any, h: ByHand) -> None:
    for hook in ("pattern", "z", "logits"):
        y = centred(h[hook])
        same(x.symmetric.sel(hook=hook), share((y + y.swapaxes(0, 1)) / 2, y), atol=1e-5)


@gives("plane.circulant_defects(acts)")
def _(x: Any, h: ByHand) -> None:
    for hook in ("attn_out", "mlp_out", "logits"):
        for line, mean in lines(h[hook]).items():
            same(x[line].sel(hook=hook), 1 - P * share(mean, centred(h[hook])), atol=1e-5)


# Before attention


@gives("inputs.reversal_errors(acts)")
def _(x: Any, h: ByHand) -> None:
    for hook in ("resid_pre", "q"):
        wave_a, wave_b = h[hook]
        found = x.sel(hook=hook)
        same(found.raw.sel(relation="reversed and shifted"), share(wave_b - wave_a, wave_a) ** 0.5, rtol=1e-3)
        turned = np.sqrt(share(np.stack([wave_b[(c - N) % P] - wave_a for c in N]), np.stack([wave_a] * P)))
        same(found.raw.sel(relation="not shifted"), turned, rtol=1e-3)
        assert float(found.centred.sel(relation="reversed and shifted")) < 1e-5


@gives('ms.show(signal.reversed_copies(acts.at("v", "b"), "token"))')
def _(x: Any, h: ByHand) -> None:
    (tensor,) = x.tensors
    copies = np.moveaxis(
        h["v"][1][(N[:, None] - N) % P], (0, 1), (tensor.dims.index("c"), tensor.dims.index("token"))
    )
    same(tensor.values, copies)


@gives('inputs.waves(acts, "q", keys)')
def _(x: Any, h: ByHand) -> None:
    for pos in (0, 1):
        for k in KEYS:
            found, wave = x.isel(pos=pos).sel(k=k, harmonic=1), phasor(h["q"][pos], k)
            same(found.amplitude, np.abs(wave), atol=1e-6)
            same_angle(found.phase, np.angle(wave), atol=5e-3)
    same(x.dc, h["q"].mean(1))


@gives('inputs.waves(acts, "q", keys).phase.sel(pos="a", harmonic=1).isel(head=0, d_head=0)')
def _(x: Any, h: ByHand) -> None:
    same_angle(x, [np.angle(phasor(h["q"][0, :, 0, 0], k)) for k in KEYS])


@gives("inputs.wave_rows(acts, keys)")
def _(x: Any, h: ByHand) -> None:
    columns = list(zip(*x.rows, strict=True))
    at = dict(zip(x.columns, columns, strict=True))
    some = [i for i in range(0, len(x.rows), 401) if at["hook"][i] in ("q", "k", "v")]
    assert len(some) > 10
    for i in some:
        pos = ("a", "b").index(at["pos"][i])
        wave = phasor(h[at["hook"][i]][pos, :, at["head"][i], at["dim"][i]], at["frequency"][i])
        same(at["amplitude"][i], abs(wave), atol=1e-6)


@gives('acts.at("q", "a")')
def _(x: Any, h: ByHand) -> None:
    same(x, h["q"][0])


@gives('inputs.group_defects(acts, "q", "d_head")')
def _(x: Any, h: ByHand) -> None:
    """One wave up to scale and sign: nearly so in q (largest singular value), far from it in the control."""
    found = x.defect.sel(dc="removed", scale="removed")
    q = h["q"][0] - h["q"][0].mean(0)
    beside = [1 - share(np.linalg.svd(q[:, head])[1][:1], q[:, head]) for head in range(4)]
    assert float(found.sel(relation="sign")) < 1e-3
    assert max(beside) < 1e-3
    assert float(x.control.sel(dc="removed", scale="removed", relation="sign")) > 0.9


@gives('inputs.group_defects(acts, "k", "d_head")')
def _(x: Any, h: ByHand) -> None:
    k = h["k"][0] - h["k"][0].mean(0)
    assert max(1 - share(np.linalg.svd(k[:, head])[1][:1], k[:, head]) for head in range(4)) < 1e-3
    assert float(x.defect.sel(dc="removed", scale="removed", relation="sign")) < 1e-3


@gives('inputs.group_defects(acts, "resid_post", "c")')
def _(x: Any, h: ByHand) -> None:
    """Rows of different c are no shifted copies of one wave, but far nearer to one another than noise is."""
    found = x.sel(dc="removed", scale="removed")
    assert (found.defect <= found.control + 1e-9).all()
    assert float(found.defect.sel(relation="identical")) > 0.5


@gives("inputs.head_frequencies(acts, keys)")
def _(x: Any, h: ByHand) -> None:
    for hook in "qkv":
        wave = h[hook][0]
        energy = np.array([np.square(np.abs(phasor(wave, k))).sum(-1) for k in range(1, 57)])
        same(x.share.sel(hook=hook), (energy / energy.sum(0)).T, atol=1e-5)
        among = energy[np.array(KEYS) - 1]
        assert x.frequency.sel(hook=hook).values.tolist() == np.array(KEYS)[among.argmax(0)].tolist()


# Attention


@gives("inputs.score_shares(acts)")
def _(x: Any, h: ByHand) -> None:
    for head in range(4):
        for i, pos in enumerate("ab"):
            score = lines(h["attn_scores"][:, :, head, i, None])[pos][:, 0]
            energy = np.array([abs(phasor(score, k)) ** 2 for k in range(1, 57)])
            same(x.share.sel(key_pos=pos).isel(head=head), energy / energy.sum(), atol=1e-5)
    same(x.spread, h["attn_scores"].std((0, 1)), rtol=1e-3)


@gives("inputs.pattern_statistics(acts)")
def _(x: Any, h: ByHand) -> None:
    A = h["pattern"]
    same(x["mean"], A.mean((0, 1)), atol=1e-6)
    same(x["spread"], A.std((0, 1)), atol=1e-6)
    same(x["gap"], np.abs(A[..., 0] - A[..., 1]).mean((0, 1)), atol=1e-5)
    pairs = [np.corrcoef(A[..., head, 0].ravel(), A[..., head, 1].ravel())[0, 1] for head in range(4)]
    same(x["correlation"], pairs, atol=1e-5)


@gives("inputs.log_odds_additivity(acts)")
def _(x: Any, h: ByHand) -> None:
    same(x.log_odds, np.ones((4, 3)), atol=1e-4)
    for i, pos in enumerate("ab="):
        A = centred(h["pattern"][..., i])
        fit = A.mean(0)[None] + A.mean(1)[:, None]
        same(x.pattern.sel(key_pos=pos), [share(fit[..., n], A[..., n]) for n in range(4)], atol=1e-4)


@gives("inputs.product_and_sum_of_waves(p, (2, 3), (0.0, 0.0))")
def _(x: Any, h: ByHand) -> None:
    one, two = (np.cos(2 * np.pi * k * n / P) for k, n in ((2, N + 0 * N[:, None]), (3, B_AT)))
    same(x["product"], one * two)
    same(x["sum"], one + two)


@gives("inputs.product_and_sum_of_waves(p, (k, k), (-0.9, -0.9))")
def _(x: Any, h: ByHand) -> None:
    """As the original turns them: wave i of a is shifted by i, the wave of b has the opposite phase; both come out even."""
    w = 2 * np.pi * K / P
    turned = np.array([np.real(np.exp(1j * (0.9 - i * w)) * np.exp(1j * w * N)) for i in N])
    still = np.array([np.real(np.exp(-0.9j) * np.exp(1j * w * N)) for _ in N])
    same(x["wave_a"], still)
    same(x["wave_b"], turned)
    same(x["product"], still * turned)
    same(x["sum"], still + turned)
    for name in ("product", "sum"):
        rows = x[name].values - x[name].values.mean(1, keepdims=True)
        same(share((rows + np.stack([rows[c, (c - N) % P] for c in N])) / 2, rows), 1.0, atol=1e-9)


@gives("inputs.score_products(acts, 0, 0)")
def _(x: Any, h: ByHand) -> None:
    q, k = h["q"][1][:, 0], h["k"][0][:, 0]
    at_b = q[B_AT]
    same(x.q, at_b[..., 0])
    same(x["product"], at_b[..., 0] * k[None, :, 0])
    same(x["sum"], at_b[..., 0] + k[None, :, 0])
    same(x.score, np.einsum("cam,am->ca", at_b, k) / 32**0.5, atol=1e-3)


@gives("inputs.product_parts(acts, keys)")
def _(x: Any, h: ByHand) -> None:
    z, mean = h["z"], h["pattern"].mean((0, 1))
    for head in range(4):
        energy = np.square(plane(centred(z[:, :, head]))).sum(-1)
        rows = [i for k in KEYS for i in (2 * k - 1, 2 * k)]
        same(
            x.linear.isel(place=head),
            (energy[0, rows].sum() + energy[rows, 0].sum()) / energy.sum(),
            atol=1e-4,
        )
        v = h["v"][:, :, head]
        constant = mean[head, 0] * v[0][:, None] + mean[head, 1] * v[1][None] + mean[head, 2] * h["v="][head]
        rest = z[:, :, head] - constant
        same(x.constant_pattern.isel(place=head), 1 - share(rest, centred(z[:, :, head])), atol=1e-4)


@gives('ms.show(signal.keep_frequencies(ms.in_order(acts.at("attn_out"), "c", "a"), "a", keys))')
def _(x: Any, h: ByHand) -> None:
    F = np.fft.fft(rows_of_c(h["attn_out"]), axis=1)
    F[:, ~np.isin(np.minimum(N, P - N), KEYS)] = 0
    shown(x, np.fft.ifft(F, axis=1).real, x="a", play="c")


@gives('ms.show([acts.at("z"), z_constant], names=["z", "z, constant pattern"])')
def _(x: Any, h: ByHand) -> None:
    constant = np.broadcast_to([0.463, 0.537, 0.0], h["pattern"].shape)
    shown(x, h["z"], h.after(h.hooks, constant)["z"], x="b", play="a")


@gives('ablate(acts, "pattern-constant", keys, controls=1)')
def _(x: Any, h: ByHand) -> None:
    pattern = h["pattern"]
    half = np.zeros_like(pattern)
    half[..., :2] = pattern.sum(-1, keepdims=True) / 2
    scored(x, h, h.after(h.hooks, half)["logits"])


@gives('ablate_with(acts, "pattern", constant, controls=1)')
def _(x: Any, h: ByHand) -> None:
    scored(x, h, h.after(h.hooks, np.broadcast_to([0.463, 0.537, 0.0], h["pattern"].shape))["logits"])


def scored(x: Any, h: ByHand, logits: np.ndarray) -> None:
    nats, right = cross_entropy(logits), logits.argmax(-1) == ANSWER
    same([x.ablated.loss.test, x.ablated.loss.all], [nats[~h.train].mean(), nats.mean()], rtol=1e-3)
    same(x.ablated.accuracy.all, right.mean(), atol=1e-3)
    same(x.intact.loss.all, cross_entropy(h["logits"]).mean(), rtol=1e-3, atol=0)


# Neurons


@gives('neurons.waves(acts, keys, rule="along b")', "neurons.waves(acts)")
def _(x: Any, h: ByHand) -> None:
    best = 1 + h.fve.argmax(0)
    own = h.frequency if not (x.frequency.values == best).all() else best
    assert (x.frequency.values == own).all()
    same(x.fve, h.fve[own - 1, np.arange(512)], atol=1e-4)
    sure = x.fve.values > 0.85
    k = own[sure]
    pre = h["mlp_pre"][:, :, sure]
    both = [phasor(pre[..., i].mean(1), f) + phasor(pre[..., i].mean(0), f) for i, f in enumerate(k)]
    same_angle(x.phase[sure], np.angle(both), atol=5e-3)
    same(x.amplitude[sure], np.abs(both) / 2, atol=1e-3)


@gives("waves.fve_pre")
def _(x: Any, h: ByHand) -> None:
    y, own = centred(h["mlp_pre"]), np.arange(512)
    for n in own[::16]:
        k = h.frequency[n]
        both = (phasor(y[:, :, n].mean(1), k) + phasor(y[:, :, n].mean(0), k)) / 2
        one = np.real(both * np.exp(2j * np.pi * k * N / P))
        same(x[n], 1 - share(y[:, :, n] - one[:, None] - one, y[:, :, n]), atol=1e-4)


@gives("neurons.cluster_summary(waves)")
def _(x: Any, h: ByHand) -> None:
    assert x.k.values.tolist() == list(KEYS)
    assert x.neurons.values.tolist() == [(h.frequency == k).sum() for k in KEYS]
    own = h.fve[h.frequency - 1, np.arange(512)]
    assert x.explained.values.tolist() == [(own[h.frequency == k] > 0.85).sum() for k in KEYS]


@gives('neurons.clusters(neurons.fve(acts.at("mlp_post")))')
def _(x: Any, h: ByHand) -> None:
    sure, best = h.fve.max(0) > 0.85, 1 + h.fve.argmax(0)
    counts = {int(k): int((sure & (best == k)).sum()) for k in np.unique(best[sure])}
    assert [counts[k] for k in KEYS] == [44, 95, 145, 87, 72]
    assert x.counts() == counts if callable(x.counts) else dict(x.counts) == counts


def ideal(phases: np.ndarray) -> np.ndarray:
    w = 2 * np.pi * K / P
    return np.cos(w * N[:, None] + phases[:, None, None]) + np.cos(w * N + phases[:, None, None])


EVEN_24 = -np.pi + 2 * np.pi * (np.arange(24) + 0.5) / 24


@gives("neurons.ideal_neurons(p, k, neurons.even_phases(24))")
def _(x: Any, h: ByHand) -> None:
    same(x, ideal(EVEN_24))


@gives("ms.show(neurons.ideal_neurons(p, k, neurons.even_phases(24)))")
def _(x: Any, h: ByHand) -> None:
    shown(x, ideal(EVEN_24), x="b", play="a")


@gives('ms.show(acts.at("mlp_pre").isel(neuron=members))')
def _(x: Any, h: ByHand) -> None:
    shown(x, h["mlp_pre"][:, :, h.frequency == K], x="b", play="a")


@gives("neurons.ideal_running_sum(p, k, weighted=True)")
def _(x: Any, h: ByHand) -> None:
    pre, weight = ideal(x.phase.values), np.cos(2 * x.phase.values)
    same(x.rectified, np.cumsum(weight[:, None, None] * np.maximum(pre, 0), 0))
    same(x.linear, np.cumsum(weight[:, None, None] * pre, 0))
    last = centred(x.rectified.values[-1])
    turned = np.cos(2 * np.pi * K * (N[:, None] + N) / P)
    assert np.corrcoef(last.ravel(), turned.ravel())[0, 1] > 0.9  # all but its ripple on a - b


@gives("neurons.ideal_running_sum(p, k, weighted=False)")
def _(x: Any, h: ByHand) -> None:
    same(x.rectified, np.cumsum(np.maximum(ideal(x.phase.values), 0), 0))
    last = centred(x.rectified.values[-1])
    assert P * share(lines(last)["difference"], last) > 0.99  # nothing of the answer


@gives("neurons.cluster_running_sum(acts, k, output=0)")
def _(x: Any, h: ByHand) -> None:
    members = np.flatnonzero(h.frequency == K)
    order = members[np.argsort(h.read_phase[members])]
    assert x.number.values.tolist() == order.tolist()
    terms = h["mlp_post"][:, :, order] * h.W_out[order, 0]
    same(x.rectified.isel(neuron=-1), terms.sum(-1), atol=1e-3)
    same(x.rectified.isel(neuron=9), terms[..., :10].sum(-1), atol=1e-3)
    same(x.linear.isel(neuron=-1), (h["mlp_pre"][:, :, order] * h.W_out[order, 0]).sum(-1), atol=1e-3)


@gives('np.sort(acts.model.weight("W_out").detach().numpy()[members, 0])')
def _(x: Any, h: ByHand) -> None:
    same(x, np.sort(h.W_out[h.frequency == K, 0]), atol=1e-6)


@gives("neurons.output_phases(acts, waves)")
def _(x: Any, h: ByHand) -> None:
    W_L = h.W_out @ h.W_U
    psi = np.angle([phasor(W_L[n], k) for n, k in enumerate(h.frequency)])
    same_angle(x.psi, psi)
    gap = np.abs(np.angle(np.exp(1j * (psi - 2 * h.read_phase))))
    sure = h.fve.max(0) > 0.85
    same(x.distance[sure], gap[sure], atol=5e-3)
    assert np.median(gap[sure]) < 0.1


@gives("neurons.phase_tiling(waves)")
def _(x: Any, h: ByHand) -> None:
    for k in KEYS:
        phases = np.sort(h.read_phase[h.frequency == k])
        gaps = np.diff(np.append(phases, phases[0] + 2 * np.pi))
        found = x.sel(k=k)
        same(found.largest_gap, gaps.max() * len(phases) / (2 * np.pi), atol=2e-2)
        same(found.resultant.sel(order=2), abs(np.exp(2j * phases).mean()), atol=5e-3)


@gives(
    'xr.dot(acts.at("mlp_post").isel(neuron=members), '
    'weights.linear_maps(acts.model)["W_out"].weight.isel(neuron=members), dim="neuron")'
)
def _(x: Any, h: ByHand) -> None:
    own = h.frequency == K
    same(x.transpose("a", "b", "d_model"), h["mlp_post"][:, :, own] @ h.W_out[own], atol=1e-3)


@gives('ablate(acts, f"cluster-mean/k={k}", keys, controls=1)')
def _(x: Any, h: ByHand) -> None:
    post = h["mlp_post"].copy()
    own = (1 + h.fve.argmax(0) == K) & (h.fve.max(0) > 0.85)
    post[:, :, own] = post[:, :, own].mean((0, 1))
    scored(x, h, h.last(h["resid_mid"], h["mlp_pre"], post)["logits"])


def kept_2d(x: np.ndarray, ks: list[int]) -> np.ndarray:
    F = np.fft.fft2(x, axes=(0, 1))
    own = np.isin(np.minimum(N, P - N), ks)
    F[~(own[:, None] & own)] = 0
    return np.fft.ifft2(F, axes=(0, 1)).real


@gives('signal.keep_frequencies(acts.at("mlp_out"), ("a", "b"), [0, k])')
def _(x: Any, h: ByHand) -> None:
    same(x, kept_2d(h["mlp_out"], [0, K]), atol=1e-3)


@gives('signal.remove_frequencies(acts.at("mlp_out"), ("a", "b"), [k])')
def _(x: Any, h: ByHand) -> None:
    """The complement of keeping it: only products of k with k, of which both axes have it, are gone."""
    same(x, h["mlp_out"] - kept_2d(h["mlp_out"], [K]), atol=1e-3)


@gives("neurons.harmonic_proportion(acts, keys)")
def _(x: Any, h: ByHand) -> None:
    for hook in ("attn_out", "mlp_out"):
        for k in KEYS:
            found = x.sel(hook=hook, k=k)
            for axis, name in ((1, "along_b"), (0, "along_a")):
                one, two = (np.abs(phasor(h[hook], j, axis=axis)).sum() for j in (k, 2 * k))
                same(found[name], two / one, atol=1e-4)


@gives("neurons.harmonic_shares(acts, keys)")
def _(x: Any, h: ByHand) -> None:
    whole = centred(h["mlp_out"])
    for line in ("a", "sum", "difference"):
        mean = lines(h["mlp_out"])[line]
        for k in KEYS:
            energy = P * P * np.square(np.abs(phasor(mean, k))).sum() / 2 / np.square(whole).sum()
            same(x.fundamental.sel(hook="mlp_out", line=line, k=k), energy, atol=1e-5)


@gives('stream.center_phasors(acts, keys, hook="mlp_post")')
def _(x: Any, h: ByHand) -> None:
    rows = rows_of_c(h["mlp_post"])
    for k in KEYS:
        turned = phasor(rows, k, axis=1) * np.exp(2j * np.pi * k * N / 2 / P)[:, None]
        same(x.sel(k=k), turned, atol=1e-3)


@gives('ms.show([acts.at("mlp_pre"), acts.at("mlp_post")], names=["before", "after"])')
def _(x: Any, h: ByHand) -> None:
    shown(x, h["mlp_pre"], h["mlp_post"], x="b", play="a")


@gives('ms.show(run.record("mlp_post", neuron=0), play="epoch")')
def _(x: Any, h: ByHand) -> None:
    (tensor,) = x.tensors
    assert (x.state["x"], x.state["play"]) == ("b", "epoch")
    same(np.asarray(tensor.values)[0], h["mlp_post"][:, :, 0], atol=2e-3)  # state_dicts[-1] is epoch 49900


# Maps and the stream


@gives('acts.model.run(keep=("logits",), replace={"resid_post": acts.model.weight("W_U").T})')
def _(x: Any, h: ByHand) -> None:
    same(x["logits"].detach(), h.W_U.T @ h.W_U)


@gives(
    'weights.spectral_matmul(acts.at("mlp_post"), weights.linear_maps(acts.model)["W_out"].weight, ("a", "b"), '
    "frequencies=[0, *keys])"
)
def _(x: Any, h: ByHand) -> None:
    same(x.transpose("a", "b", "d_model"), kept_2d(h["mlp_post"] @ h.W_out, [0, *KEYS]), atol=2e-3)


@gives("weights.map_gains(acts)")
def _(x: Any, h: ByHand) -> None:
    for name, before, after in (("W_in", "resid_mid", "mlp_pre"), ("W_out", "mlp_post", "mlp_out")):
        read, written = (lines(h[hook]) for hook in (before, after))
        for line in ("a", "sum"):
            size = [np.linalg.norm(phasor(y[line], K)) for y in (written, read)]
            same(x.gain.sel(map=name, line=line, k=K), size[0] / size[1], rtol=5e-3)
        W = h.W_in if name == "W_in" else h.W_out
        same(x.flat.sel(map=name), np.linalg.norm(W) / len(W) ** 0.5, rtol=1e-4)


@gives('weights.tap_coherence(acts, "W_in", keys)')
def _(x: Any, h: ByHand) -> None:
    for k in KEYS:
        reads = [lines(h["resid_mid"])[line] for line in ("a", "b", "sum", "difference")]
        terms = [phasor(read, k)[:, None] * h.W_in for read in reads]
        found = [np.abs(t.sum(0)) / np.abs(t).sum(0) for t in terms]
        assert any(np.allclose(x.coherence.sel(k=k), one, atol=5e-3) for one in found)


@gives("stream.phase_agreement(acts, keys)")
def _(x: Any, h: ByHand) -> None:
    mean = lines(h["resid_post"])["sum"]
    for k in KEYS:
        U, R = phasor(h.W_U.T, k), phasor(mean, k)
        same(x.exact.sel(k=k), np.abs(np.angle(R / U)), atol=5e-3)
        row = phasor(h["resid_post"][7], k) * np.exp(-2j * np.pi * k * 7 / P)
        same(x.by_row.sel(k=k, row=7), np.abs(np.angle(row / U)), atol=5e-3)
    assert abs(float(x.exact_control.mean()) - np.pi / 2) < 0.2


@gives('ms.show([W_U, first_row], names=["W_U", "resid_post at a = 0"], x="b")')
def _(x: Any, h: ByHand) -> None:
    own = [
        v if t.dims[0] == "d_model" else v.T
        for t, v in zip(x.tensors, (h.W_U, h["resid_post"][0].T), strict=True)
    ]
    shown(x, *own, x="b", play="d_model")


@gives('float(xr.corr(W_U - W_U.mean("b"), first_row - first_row.mean("b")))')
def _(x: Any, h: ByHand) -> None:
    def beside(row: np.ndarray) -> float:
        pairs = (y - y.mean(1, keepdims=True) for y in (h.W_U, row.T))
        return float(np.corrcoef(*(y.ravel() for y in pairs))[0, 1])

    same(x, beside(h["resid_post"][0]))
    same(x, 0.9212, atol=1e-4)
    same(beside(rows_of_c(h["resid_post"])[0]), -0.0174, atol=1e-3)  # the row c = 0


def rebuilt(h: ByHand, key_bias: bool) -> np.ndarray:
    """Least squares, by a solver: for each dimension cos and sin in a and in b with one coefficient, and bias(c)."""
    rows = rows_of_c(h["resid_post"])
    bias = rows.mean(1)
    even = np.zeros_like(rows)
    for k in KEYS:
        w = 2 * np.pi * k / P
        made = [np.cos(w * (N - N[:, None] / 2)) * f(w * N[:, None] / 2) for f in (np.cos, np.sin)]
        design = np.stack([m.ravel() for m in made], 1)
        fit, *_ = np.linalg.lstsq(design, (rows - bias[:, None]).reshape(P * P, -1), rcond=None)
        even += (design @ fit).reshape(rows.shape)
    if key_bias:
        F = np.fft.fft(bias, axis=0)
        F[~np.isin(np.minimum(N, P - N), [0, *KEYS])] = 0
        bias = np.fft.ifft(F, axis=0).real
    return even + bias[:, None]


@gives("stream.rebuilt_stream(acts, keys)")
def _(x: Any, h: ByHand) -> None:
    rows = rows_of_c(h["resid_post"])
    whole = rows - rows.mean((0, 1))
    for model, key_bias in (("cosines + bias", False), ("cosines + key bias", True)):
        made = rebuilt(h, key_bias)
        same(x.r2.sel(model=model), 1 - share(rows - made, whole), atol=1e-4)
        nats = cross_entropy(np.stack([made[(a + N) % P, a] for a in N]) @ h.W_U)
        same(x.loss.sel(model=model, split="all"), nats.mean(), rtol=1e-2, atol=0)


@gives("stream.stream_model(acts, keys)")
def _(x: Any, h: ByHand) -> None:
    made = rebuilt(h, key_bias=False)
    same(x.picture(), np.stack([made[(a + N) % P, a] for a in N]), atol=2e-3)


@gives("stream.envelope_fit(stream.center_phasors(acts, keys))")
def _(x: Any, h: ByHand) -> None:
    rows = rows_of_c(h["resid_post"])
    for k in KEYS:
        Z = phasor(rows, k, axis=1) * np.exp(2j * np.pi * k * N / 2 / P)[:, None]
        same(x.even.sel(k=k), share(Z.real, Z), atol=1e-4)
        turn = np.pi * k * N / P
        design = np.stack([np.cos(turn), -np.sin(turn)], 1)
        fit, *_ = np.linalg.lstsq(design, Z.real, rcond=None)
        same(x.amplitude.sel(k=k), np.hypot(*fit), rtol=2e-2, atol=1e-2)
        same(x.fve.sel(k=k), share(design @ fit, Z.real), atol=2e-3)


@gives("stream.error_budget(acts, keys)")
def _(x: Any, h: ByHand) -> None:
    y = centred(h["resid_post"])
    of_c = lines(y)["sum"]
    U = sum(np.real(phasor(h.W_U.T, k)[None] * np.exp(2j * np.pi * k * N / P)[:, None]) for k in KEYS)
    gain = (U * of_c).sum() / (U * U).sum()
    same(
        x.r2.isel(step=0),
        1 - (np.square(y).sum() - P * (gain**2) * np.square(U).sum()) / np.square(y).sum(),
        atol=1e-4,
    )
    same(x.r2.sel(step="other frequencies of c"), P * share(of_c, y), atol=1e-4)
    same(x.added.sum(), 1, atol=1e-6)


@gives("signal.spectrum_at(np.cos(2 * np.pi * 2.5 * np.arange(p) / p), 0, [2, 2.5, 3])")
def _(x: Any, h: ByHand) -> None:
    wave = np.cos(2 * np.pi * 2.5 * N / P)
    same(x, [2 / P * sum(wave * np.exp(-2j * np.pi * f * N / P)) for f in (2, 2.5, 3)])


# Two-dimensional spectra


@gives('plane.top_terms(plane.coefficient_plane(acts, "mlp_post"))')
def _(x: Any, h: ByHand) -> None:
    size = np.sqrt(np.square(plane(h["mlp_post"])).mean(-1)) / P
    size[0, 0] = 0
    largest = np.sort(size.ravel())[::-1][: x.sizes["rank"]]
    same(x["size"], largest, rtol=1e-3)
    labels = ["const", *(f"{f} {k}" for k in range(1, 57) for f in ("cos", "sin"))]
    i, j = np.unravel_index(size.argmax(), size.shape)
    assert (str(x.label_a[0].item()), str(x.label_b[0].item())) == (labels[i], labels[j])


@gives('ms.heatmap(plane.coefficient_plane(acts, "mlp_post"), y="a", x="b")')
def _(x: Any, h: ByHand) -> None:
    (tensor,) = x.tensors
    same(tensor.values, np.sqrt(np.square(plane(h["mlp_post"])).mean(-1)) / P, atol=1e-4)
    assert (x.state["x"], x.state["y"], x.state["mode"]) == ("b", "a", "heatmap")


def linear_and_quadratic(x: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Energies of each feature: 1-D terms, products of k with k, everything but the mean."""
    energy = np.square(plane(x))
    energy[0, 0] = 0
    own = [2 * k - 1, 2 * k]
    return (
        energy[0, own].sum(0) + energy[own, 0].sum(0),
        energy[np.ix_(own, own)].sum((0, 1)),
        energy.sum((0, 1)),
    )


@gives('table_of(plane.compare_hooks(acts, "mlp_pre", "mlp_post"), "Before and after", rows="k")')
def _(x: Any, h: ByHand) -> None:
    at = {row[0]: dict(zip(x.columns, row, strict=True)) for row in x.rows}
    assert set(KEYS) <= set(at)
    for hook, when in (("mlp_pre", "before"), ("mlp_post", "after")):
        one, two, whole = linear_and_quadratic(h[hook], K)
        same(at[K][f"linear_{when}"], one.sum() / whole.sum(), atol=1e-4)
        same(at[K][f"quadratic_{when}"], two.sum() / whole.sum(), atol=1e-4)


@gives('plane.feature_terms(acts, "mlp_post")')
def _(x: Any, h: ByHand) -> None:
    n = int(np.flatnonzero(h.frequency == K)[0])
    energies = [linear_and_quadratic(h["mlp_post"][:, :, n, None], k) for k in range(1, 57)]
    linear, quadratic = (np.array([e[i][0] / e[2][0] for e in energies]) for i in (0, 1))
    found = x.isel(neuron=n, rank=0)
    assert (int(found.linear_frequency), int(found.quadratic_frequency)) == (
        1 + linear.argmax(),
        1 + quadratic.argmax(),
    )
    same(found.linear_share, linear.max(), atol=1e-4)
    same(found.quadratic_share, quadratic.max(), atol=1e-4)


def test_the_checks_fail_on_another_network(names: dict[str, Any], by_hand: ByHand) -> None:
    """A control: some of the same checks refuse the network with its tokens permuted."""
    permuted = names["controls"].permuted_tokens(names["acts"])
    other = names | {"acts": permuted, "waves": names["neurons"].waves(permuted, KEYS, rule="along b")}
    for call in ("waves.fve_pre", "stream.rebuilt_stream(acts, keys)", "plane.circulant_defects(acts)"):
        with pytest.raises(AssertionError):
            CHECKS[call](eval(call, other), by_hand)
