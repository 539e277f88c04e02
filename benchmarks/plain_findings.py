"""The quantities of all findings, computed the way a notebook does it: the other side of `findings.py`.

One cache of every hook at all positions; each ablation a full forward pass with one hook changed; torch.fft along
the axes; cubes of cosines for the logits; loops over frequencies and over neurons where their arrays are
ragged. It knows addition with "=" only, and the claims' sizes of controls. Nothing here is shared with modscope but the
forward pass itself.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from modscope.model import Transformer
from modscope.task import ModularTask

Numbers = dict[str, tuple[float, float]]


class Plain:
    """The notebook's state: tokens, labels, cache."""

    def __init__(self, model: Transformer, task: ModularTask) -> None:
        self.model, self.task, self.p = model, task, task.p
        self.tokens = torch.from_numpy(task.tokens())
        self.labels = torch.from_numpy(task.labels).reshape(-1)
        self.cache = model.run(self.tokens, keep=model.hooks, positions="all")
        n = torch.arange(self.p)
        self.a, self.b = n.repeat_interleave(self.p), n.repeat(self.p)
        self.logits = self.cache["logits"][:, -1]
        self.rng = np.random.default_rng(0)

    def at(self, hook: str) -> Tensor:
        return self.cache[hook][:, -1].reshape(self.p, self.p, *self.cache[hook].shape[2:])

    def with_hook(self, hook: str, value: Tensor) -> Tensor:
        """Logits of a full forward pass with the read position of one hook changed."""
        whole = self.cache[hook].clone()
        whole[:, -1] = value.reshape(whole[:, -1].shape)
        return self.model.run(self.tokens, replace={hook: whole}, positions="all")["logits"][:, -1]

    def loss(self, logits: Tensor) -> float:
        return float(torch.nn.functional.cross_entropy(logits.double(), self.labels))

    def margin(self, logits: Tensor) -> Tensor:
        return logits[torch.arange(len(logits)), self.labels].double() - logits.double().mean(dim=1)

    def in_order_c_a(self, x: Tensor) -> Tensor:
        n = torch.arange(self.p)
        return x[n[None, :], (n[:, None] - n[None, :]) % self.p]

    def cube(self, k: int) -> Tensor:
        n = torch.arange(self.p)
        angle = 2 * math.pi * k / self.p * ((n[:, None, None] + n[:, None] - n) % self.p)
        return torch.cos(angle).reshape(self.p**2, self.p)


def _parts(s: Plain, x: Tensor) -> dict[str, Tensor]:
    mean = x.mean(dim=(0, 1), keepdim=True)
    linear = x.mean(dim=1, keepdim=True) + x.mean(dim=0, keepdim=True) - mean
    of_c = s.in_order_c_a(x).mean(dim=1)
    answer = of_c[s.labels].reshape(x.shape)
    n = torch.arange(s.p)
    of_d = torch.stack([x[n, (n - d) % s.p].mean(dim=0) for d in range(s.p)])
    opposite = of_d[(n[:, None] - n) % s.p]
    return {
        "mean": mean.expand_as(x), "linear": linear, "without linear": x - linear + mean,
        "answer": answer, "without answer": x - answer + mean, "opposite": opposite,
    }  # fmt: skip


def key_frequencies(s: Plain) -> tuple[list[int], Tensor, Tensor]:
    """Weights of the cosines of a + b - c, their shares of the variance, and the frequencies above 1 %."""
    centred = s.logits - s.logits.mean(dim=1, keepdim=True)
    variance = (centred.double() ** 2).sum()
    alpha, share = torch.zeros(s.p // 2 + 1), torch.zeros(s.p // 2 + 1)
    for k in range(1, s.p // 2 + 1):
        cube = s.cube(k)
        norm = (cube**2).sum()
        dot = (centred * cube).sum()
        alpha[k], share[k] = dot / norm, dot**2 / norm / variance
    return [k for k in range(1, s.p // 2 + 1) if share[k] > 0.01 and alpha[k] > 0], alpha, share


def mechanism(s: Plain, ks: list[int], alpha: Tensor) -> dict[str, float]:
    whole = s.margin(s.logits).mean()
    found: dict[str, float] = {}
    plan = {
        "pattern": ["mean"],
        "resid_mid": ["mean", "linear", "without linear", "answer", "without answer"],
        "mlp_post": ["mean", "answer", "without answer", "linear", "opposite"],
    }
    for hook, names in plan.items():
        parts = _parts(s, s.at(hook))
        for name in names:
            logits = s.with_hook(hook, parts[name])
            found[f"{hook}: {name}"] = float(s.margin(logits).mean() / whole)
            found[f"loss, {hook}: {name}"] = s.loss(logits)
            found[f"accuracy, {hook}: {name}"] = float((logits.argmax(dim=1) == s.labels).float().mean())
            for k in ks:
                found[f"{k}, {hook}: {name}"] = float((logits * s.cube(k)).mean())
    for k in ks:
        alone = _isolated(s, k)
        turned = torch.stack(
            [alone[torch.arange(len(alone)), (s.labels + e) % s.p] for e in range(s.p)], dim=1
        )
        weight = turned.double() @ torch.cos(2 * math.pi * k / s.p * torch.arange(s.p)).double()
        distance = (s.a - s.b) % s.p
        curve = torch.stack([weight[distance == d].mean() for d in range(s.p)]) * 2 / s.p
        envelope = torch.cos(math.pi * k / s.p * torch.arange(s.p)).abs().double()
        design = torch.stack([torch.ones_like(envelope), envelope], dim=1)
        slope = torch.linalg.lstsq(design, curve[:, None]).solution[1, 0]
        found[f"pizza {k}"] = float((slope * envelope.mean() / curve.mean()).clamp(0, 1))
    return found


def _isolated(s: Plain, k: int) -> Tensor:
    table = s.model.weight("W_E").clone()
    bins = torch.fft.rfft(table[: s.p], dim=0)
    kept = torch.zeros_like(bins)
    kept[0], kept[k] = bins[0], bins[k]
    table[: s.p] = torch.fft.irfft(kept, n=s.p, dim=0)
    network = Transformer(s.model.config, dict(s.model.weights) | {"embed.W_E": table})
    return network.run(s.tokens, positions="all")["logits"][:, -1]


def _gini(x: np.ndarray) -> float:
    x = np.sort(x) / x.sum()
    n = len(x)
    return float(1 - 2 * np.sum(x * (n - np.arange(1, n + 1) + 0.5)) / n)


def sparse_embedding(s: Plain) -> tuple[float, float]:
    table = s.model.weight("W_E")[: s.p].double()

    def energies(x: Tensor) -> Tensor:
        return (torch.fft.rfft(x, dim=0)[1:].abs() ** 2).T

    own = energies(table)
    noise = [_gini(energies(torch.randn(table.shape)).sum(dim=0).numpy()) for _ in range(20)]
    for _ in range(400):
        _gini(own[torch.randint(len(own), (len(own),))].sum(dim=0).numpy())
    return _gini(own.sum(dim=0).numpy()), max(noise)


def reversed_inputs(s: Plain) -> tuple[float, float]:
    n = torch.arange(s.p)
    order = torch.randperm(s.p)
    worst, best = 0.0, math.inf
    for hook in ("resid_pre", "q", "k", "v"):
        x = s.cache[hook].reshape(s.p, s.p, 3, -1)
        of_a, of_b = s.in_order_c_a(x[:, :, 0]), s.in_order_c_a(x[:, :, 1])
        of_a, of_b = of_a - of_a.mean(dim=(0, 1)), of_b - of_b.mean(dim=(0, 1))
        relations = [
            of_a[n[:, None], (n[:, None] - n) % s.p], of_a[n[:, None], (n - n[:, None]) % s.p], of_a,
            of_a[n[:, None], order[(n[:, None] - n) % s.p]],
        ]  # fmt: skip
        errors = [float((of_b - r).norm() / of_a.norm()) for r in relations]
        worst, best = max(worst, errors[0]), min(best, *errors[1:])
    return worst, best


def turned_circles(s: Plain, ks: list[int]) -> tuple[float, float]:
    """The share of pairs whose answer moves by 2 turns when the key rows of fft(W_E) are turned, and the most of controls."""
    own, turns = s.logits.argmax(dim=1), np.linspace(1, s.p - 1, 24).round().astype(int)

    def moved(chosen: list[int], turn: int) -> float:
        spectrum = torch.fft.fft(s.model.weights["embed.W_E"][: s.p].double(), dim=0)
        for k in chosen:
            spectrum[k] *= np.exp(2j * np.pi * k * turn / s.p)
            if 2 * k != s.p:
                spectrum[-k] *= np.exp(-2j * np.pi * k * turn / s.p)
        table = s.model.weights["embed.W_E"].clone()
        table[: s.p] = torch.fft.ifft(spectrum, dim=0).real.to(table.dtype)
        network = Transformer(s.model.config, s.model.weights | {"embed.W_E": table})
        return float(((network(s.tokens).argmax(dim=1) - own - 2 * turn) % s.p == 0).float().mean())

    rest = [k for k in range(1, s.p // 2 + 1) if k not in ks]
    controls = [np.mean([moved(rest, int(turn)) for turn in turns])]
    for others in _others(s, ks, 20):
        controls.append(np.mean([moved(others, int(turn)) for turn in turns[[0, 12, 23]]]))
    return float(np.mean([moved(ks, int(turn)) for turn in turns])), float(max(controls))


def equal_weights(s: Plain) -> tuple[float, float]:
    pattern, whole = s.at("pattern"), s.margin(s.logits).mean()
    equal, one = pattern.clone(), pattern.clone()
    equal[..., :2] = pattern[..., :2].mean(dim=-1, keepdim=True)
    one[..., 0], one[..., 1] = pattern[..., :2].sum(dim=-1), 0
    kept = [float(s.margin(s.with_hook("pattern", x)).mean() / whole) for x in (equal, one)]
    return kept[0], kept[1]


def even_about_half_c(s: Plain) -> tuple[float, float]:
    n = torch.arange(s.p)

    def even(x: Tensor) -> tuple[Tensor, Tensor]:
        y = s.in_order_c_a(x)
        y = y - y.mean(dim=1, keepdim=True)
        half = (y + y[n[:, None], (n[:, None] - n) % s.p]) / 2
        return (half**2).sum(dim=(0, 1)), (y**2).sum(dim=(0, 1))

    own, energy = even(s.at("mlp_post"))
    order = torch.randperm(s.p)
    even(s.at("mlp_post")[order][:, order])
    noise = [x.sum() for x in even(torch.randn(s.p, s.p, 32))]
    for _ in range(400):
        drawn = torch.randint(len(own), (len(own),))
        own[drawn].sum() / energy[drawn].sum()
    return float(own.sum() / energy.sum()), float(noise[0] / noise[1])


def one_frequency(s: Plain) -> tuple[float, float, Tensor]:
    def best(x: Tensor) -> tuple[Tensor, Tensor]:
        spectrum = torch.fft.fft2(x - x.mean(dim=(0, 1)), dim=(0, 1)).abs() ** 2
        total, found = spectrum.sum(dim=(0, 1)), []
        for k in range(1, s.p // 2 + 1):
            bins = [0, k, s.p - k]
            found.append(spectrum[bins][:, bins].sum(dim=(0, 1)) / total)
        return torch.stack(found).max(dim=0)

    fve, frequency = best(s.at("mlp_post"))
    mixture = torch.linalg.qr(torch.randn(fve.numel(), 64))[0]
    mixed, _ = best(s.at("mlp_post") @ mixture)
    frequency = torch.where(fve > 0.85, frequency + 1, 0)
    return float((fve > 0.85).float().mean()), float((mixed > 0.85).float().mean()), frequency


def phases(s: Plain, frequency: Tensor) -> tuple[Numbers, Tensor, Tensor]:
    along_a = torch.fft.rfft(s.at("mlp_pre"), dim=0).mean(dim=1)
    along_b = torch.fft.rfft(s.at("mlp_pre"), dim=1).mean(dim=0)
    W_L = torch.fft.rfft(s.model.weight("W_out") @ s.model.weight("W_U"), dim=1)
    rows, expected, written = [], [], []
    for neuron in torch.nonzero(frequency).flatten().tolist():
        k = int(frequency[neuron])
        phi_a, phi_b = float(along_a[k, neuron].angle()), float(along_b[k, neuron].angle())
        rows.append((k, phi_a, phi_b))
        expected.append(phi_a + phi_b)
        written.append(float(W_L[neuron, k].angle()))
    k, phi_a, phi_b = (torch.tensor(x) for x in zip(*rows, strict=True))
    expect, psi = torch.tensor(expected), torch.tensor(written)
    shuffled = torch.arange(len(k))
    for group in k.unique():
        members = torch.nonzero(k == group).flatten()
        shuffled[members] = members[torch.randperm(len(members))]
    gap, other = _distance(phi_a, phi_b), _distance(phi_a, phi_b[shuffled])
    out, out_other = _distance(psi, expect), _distance(psi, expect[shuffled])
    for x in (gap, out):
        for _ in range(400):
            x[torch.randint(len(x), (len(x),))].median()
    tiling = [_resultants(k, (phi_a + phi_b) / 2), _resultants(k, phi_a.remainder(2 * math.pi) / 4)]
    for _ in range(20):
        _resultants(k, torch.rand(len(k)) * 2 * math.pi)
    numbers = {
        "phases-agree": (float(gap.median()), float(other.median())),
        "phases-tile": (tiling[0], tiling[1]),
        "output-phase": (float(out.median()), float(out_other.median())),
    }
    return numbers, k, phi_a


def _distance(x: Tensor, y: Tensor) -> Tensor:
    return torch.angle(torch.exp(1j * (x - y))).abs()


def _resultants(k: Tensor, phi: Tensor) -> float:
    found = []
    for m in (1, 2, 4):
        lengths = [
            torch.exp(1j * m * phi[k == group]).mean().abs() * (k == group).sum() for group in k.unique()
        ]
        found.append(float(sum(lengths)) / len(k))
    return max(found)


def second_harmonics(s: Plain, ks: list[int]) -> tuple[float, float]:
    def doubled(k: int) -> int:
        return min(2 * k % s.p, -2 * k % s.p)

    keys = [k for k in ks if doubled(k) not in ks]
    amplitude = []
    for hook in ("mlp_pre", "mlp_post"):
        along = [torch.fft.rfft(s.at(hook), dim=d).abs().mean(dim=(1 - d, 2)) for d in (0, 1)]
        mean = (along[0] + along[1]) / 2
        amplitude.append(mean / mean[keys].mean())
    gain = amplitude[1] - amplitude[0]
    used = {0, *ks, *map(doubled, keys)}
    others = self_choice(s, [k for k in range(1, s.p // 2 + 1) if k not in used], 12)
    controls = [float(gain[self_choice(s, others, len(keys))].mean()) for _ in range(20)]
    return float(gain[[doubled(k) for k in keys]].mean()), max(controls)


def self_choice(s: Plain, pool: list[int], size: int) -> list[int]:
    return s.rng.choice(pool, size, replace=False).tolist()


def stream(s: Plain, ks: list[int]) -> Numbers:
    x = s.at("resid_post").reshape(s.p**2, -1).double()
    x = x - x.mean(dim=0)
    sums = torch.zeros(s.p, x.shape[1], dtype=torch.float64).index_add_(0, s.labels, x) / s.p
    bias = sums[s.labels]

    def columns(frequencies: list[int], of: list[Tensor]) -> Tensor:
        w = [2 * math.pi * k / s.p for k in frequencies]
        return torch.stack([f(v * n) for v in w for n in of for f in (torch.cos, torch.sin)], dim=1).double()

    def cosines(frequencies: list[int]) -> Tensor:
        w = [2 * math.pi * k / s.p for k in frequencies]
        made = [f(v * s.a) + f(v * s.b) for v in w for f in (torch.cos, torch.sin)]
        design = torch.stack(made, dim=1).double()
        return design @ torch.linalg.lstsq(design, x - bias).solution

    def fitted(frequencies: list[int]) -> Tensor:
        design = columns(frequencies, [s.labels])
        return cosines(frequencies) + design @ torch.linalg.lstsq(design, bias).solution

    mean = s.at("resid_post").reshape(s.p**2, -1).double().mean(dim=0)
    W_U = s.model.weight("W_U").double()
    losses, right = [], []
    for model in (cosines(ks), bias, fitted(ks)):
        logits = (model + mean) @ W_U
        losses.append(s.loss(logits))
        right.append(float((logits.argmax(dim=1) == s.labels).float().mean()))
    r2 = [float(1 - ((x - fitted(k)) ** 2).sum() / (x**2).sum()) for k in (ks, *_others(s, ks, 20))]
    return {
        "cosines-carry-the-answer": (right[0], right[1]),
        "rebuilt-stream": (r2[0], max(r2[1:])),
        "shared-phases": _shared_phases(s, ks),
    }


def _shared_phases(s: Plain, ks: list[int]) -> tuple[float, float]:
    U = torch.fft.rfft(s.model.weight("W_U").double(), dim=1)[:, ks].T
    rows = torch.fft.rfft(s.at("resid_post").double(), dim=1)[:, ks]
    turn = torch.exp(-2j * math.pi / s.p * torch.tensor(ks) * torch.arange(s.p)[:, None]).to(rows.dtype)
    rows = rows * turn[..., None]
    R = rows.mean(dim=0)
    weight = U.abs() * R.abs()
    exact = float((weight * _distance(U.angle(), R.angle())).sum() / weight.sum())
    _distance(rows.angle(), U.angle()[None]).mean()
    controls = []
    for _ in range(20):
        order = torch.randperm(U.shape[1])
        controls.append(float((weight * _distance(U.angle()[:, order], R.angle())).sum() / weight.sum()))
        _distance(rows.angle(), U.angle()[None][..., order]).mean()
    return exact, float(np.mean(controls))


def _others(s: Plain, ks: list[int], draws: int) -> list[list[int]]:
    pool = [k for k in range(1, s.p // 2 + 1) if k not in ks]
    return [self_choice(s, pool, len(ks)) for _ in range(draws)]


def _projected(s: Plain, logits: Tensor, ks: list[int], labels: Tensor) -> Tensor:
    """The part of the logits on cos and sin w(a + b)."""
    w = [2 * math.pi * k / s.p for k in ks]
    whole = torch.stack([f(v * s.labels) for v in w for f in (torch.cos, torch.sin)], dim=1).to(logits.dtype)
    some = torch.stack([f(v * labels) for v in w for f in (torch.cos, torch.sin)], dim=1).to(logits.dtype)
    return some @ (whole.T @ logits) * 2 / s.p**2


def key_frequency_losses(s: Plain, ks: list[int]) -> Numbers:
    logits = s.logits.double()
    mean, chance = logits.mean(dim=0), math.log(s.p)
    restricted = [s.loss(_projected(s, logits, k, s.labels) + mean) for k in (ks, *_others(s, ks, 20))]
    excluded = s.loss(logits - _projected(s, logits, ks, s.labels))
    sample = torch.from_numpy(s.rng.choice(s.p**2, 2000, replace=False))
    controls = []
    for k in _others(s, ks, 20):
        left = logits[sample] - _projected(s, logits, k, s.labels[sample])
        controls.append(float(torch.nn.functional.cross_entropy(left, s.labels[sample])))
    return {
        "key-frequencies-suffice": (1 - restricted[0] / chance, 1 - min(restricted[1:]) / chance),
        "key-frequencies-needed": (excluded / chance, max(controls) / chance),
    }


def distance(s: Plain, ks: list[int], alpha: Tensor) -> tuple[float, float]:
    gap = (s.a - s.b) % s.p
    n, pizza = torch.arange(s.p), torch.zeros(s.p)
    for k in ks:
        envelope = torch.cos(math.pi * k / s.p * n).abs()
        pizza += alpha[k] * envelope / envelope.mean()
    right = s.logits[torch.arange(len(s.labels)), s.labels]
    triples = torch.from_numpy(s.rng.integers(s.p, size=(2000, 3)))
    tokens = torch.cat([triples[:, :2], torch.full((2000, 1), s.p)], dim=1)
    embed = s.model.weight("W_E")[tokens].clone().requires_grad_()
    with torch.enable_grad():
        logits = s.model.run(tokens, replace={"embed": embed}, positions="all")["logits"][:, -1]
        (gradient,) = torch.autograd.grad(logits[torch.arange(2000), triples[:, 2]].sum(), embed)
    torch.nn.functional.cosine_similarity(gradient[:, 0], gradient[:, 1]).mean()
    effect, control = (
        torch.stack([x.double()[gap == d].std(unbiased=False) for d in range(s.p)]).mean()
        / x.double().std(unbiased=False)
        for x in (right, pizza[gap])
    )
    return float(effect), float(control)


@torch.no_grad()
def plain_findings(model: Transformer, task: ModularTask) -> Numbers:
    """(effect, control) by the id of the claim."""
    torch.manual_seed(0)
    s = Plain(model, task)
    ks, alpha, share = key_frequencies(s)
    made = mechanism(s, ks, alpha)
    linear, rest, none = (made[f"resid_mid: {x}"] for x in ("linear", "without linear", "mean"))
    rectified = (linear - none + 1 - rest) / 2
    margin, train = s.margin(s.logits), torch.from_numpy(task.train_mask).reshape(-1)
    on, off = margin[train], margin[~train]
    chance = 2 * (on.var(unbiased=False) / len(on) + off.var(unbiased=False) / len(off)).sqrt()
    memorised = float(((on.mean() - off.mean() - chance) / on.mean()).clamp(0, 1))
    order = torch.randperm(task.p)
    permuted = s.logits.reshape(task.p, task.p, -1)[order][:, order].reshape(task.p**2, -1)
    left = abs(float(s.margin(permuted).mean() / margin.mean()))
    explained, mixed, frequency = one_frequency(s)
    of_phases, _, _ = phases(s, frequency)
    others = [float(share[k].sum()) for k in _others(s, ks, 20)]
    return {
        "which-mechanism": (
            max((1 - memorised) * rectified, (1 - memorised) * (1 - rectified), memorised),
            left,
        ),
        "sparse-embedding": sparse_embedding(s),
        "turned-circles": turned_circles(s, ks),
        "reversed-inputs": reversed_inputs(s),
        "equal-weights": equal_weights(s),
        "constant-attention": (made["pattern: mean"], none),
        "even-about-half-c": even_about_half_c(s),
        "products-not-needed": (linear, rest),
        "one-frequency": (explained, mixed),
        **of_phases,
        "second-harmonics": second_harmonics(s, ks),
        **stream(s, ks),
        "logits-are-cosines": (float(share[ks].sum()), max(others)),
        "distance-irrelevant": distance(s, ks, alpha),
        **key_frequency_losses(s, ks),
    }
