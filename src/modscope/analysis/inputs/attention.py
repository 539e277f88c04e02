"""Attention: the pattern from the read position, the frequencies of the scores, and what comes of the product.

The score of key a is a function of a alone where the query is "=" (a constant), so the log-odds of the
pattern between a and b is one function of a minus one of b: exactly additive, by construction. Without "="
the query is the token at b, and q.k multiplies a wave over b with a wave over a.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr

from modscope.activations import Activations
from modscope.analysis.plane.marginals import checked_frequencies
from modscope.analysis.plane.terms import CONSTANT, term_energy
from modscope.boundary import public
from modscope.errors import InputError, UnknownName
from modscope.orders import in_order
from modscope.signal import basis_frequencies, fourier_basis

__all__ = [
    "log_odds_additivity",
    "pattern_statistics",
    "product_and_sum_of_waves",
    "product_parts",
    "score_products",
    "score_shares",
]


@public
def pattern_statistics(acts: Activations) -> xr.Dataset:
    """Mean, spread and range of the attention from the read position to each position, for each head.

    `mean`, `spread` (standard deviation), `lowest`, `highest` over (head, key_pos), over all pairs (a, b);
    `correlation`(head) of A_a with A_b over the pairs, NaN where one of them is constant; `gap`(head), the mean
    of |A_a - A_b|, to be read beside the spread. Raises InputError for a network without attention.
    """
    pattern = _attention(acts, "pattern").astype(np.float64)
    mean, spread = pattern.mean(("a", "b")), pattern.std(("a", "b"))
    on_a, on_b = pattern.sel(key_pos="a", drop=True), pattern.sel(key_pos="b", drop=True)
    together = ((on_a - on_a.mean(("a", "b"))) * (on_b - on_b.mean(("a", "b")))).mean(("a", "b"))
    scale = on_a.std(("a", "b")) * on_b.std(("a", "b"))
    moves = (spread**2 > CONSTANT * mean**2).sel(key_pos=["a", "b"]).all("key_pos")
    return xr.Dataset(
        {
            "mean": mean,
            "spread": spread,
            "lowest": pattern.min(("a", "b")),
            "highest": pattern.max(("a", "b")),
            "correlation": (together / scale.where(moves)),
            "gap": abs(on_a - on_b).mean(("a", "b")),
        }
    ).assign_attrs(p=acts.task.p)


def _attention(acts: Activations, hook: str) -> xr.DataArray:
    if hook not in acts and acts.network is not None:
        raise InputError(f"this network has no attention: {hook} does not exist in it")
    return acts.at(hook)


@public
def score_shares(acts: Activations) -> xr.Dataset:
    """The shares of the variance of each attention score at each frequency.

    `share`(head, key_pos, k), k = 1..p//2: 1-D terms of frequency k and products of k with k; `mixed`(head,
    key_pos): products of two different frequencies (zero where the query is "="); together they are 1.
    A constant score, as that of "=" with itself, has NaN. `spread`(head, key_pos): the standard deviation of
    the score, in units of the exponent. In white noise over one token each share is about 2/p.
    """
    scores = _attention(acts, "attn_scores").transpose("head", "key_pos", "a", "b").astype(np.float64)
    p = acts.task.p
    basis, frequency = fourier_basis(p), basis_frequencies(p)
    energy = (basis @ scores.values @ basis.T) ** 2 / p**2
    square, variance = (scores.values**2).mean((-2, -1)), scores.values.var((-2, -1))
    shares, mixed = _by_frequency(energy, frequency)
    total = np.where(variance > CONSTANT * square, variance, np.nan)
    coords = {"key_pos": scores.key_pos.values, "k": np.arange(1, p // 2 + 1)}
    return xr.Dataset(
        {
            "share": (("head", "key_pos", "k"), shares / total[..., None]),
            "mixed": (("head", "key_pos"), mixed / total),
            "spread": (("head", "key_pos"), np.sqrt(variance)),
        },
        coords,
    )


def _by_frequency(energy: np.ndarray, frequency: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Energy [..., i, j] summed where i and j have one frequency or one of them is constant: [..., k], and
    the rest [...]."""
    high = np.maximum.outer(frequency, frequency)
    low = np.minimum.outer(frequency, frequency)
    pure = (low == 0) | (low == high)
    by_k = [energy[..., pure & (high == k)].sum(-1) for k in range(1, int(frequency.max()) + 1)]
    return np.stack(by_k, axis=-1), energy[..., ~pure].sum(-1)


@public
def log_odds_additivity(acts: Activations) -> xr.Dataset:
    """How much of the log-odds between two attended positions, and of the pattern itself, is f(a) + g(b).

    `log_odds`(head, ratio): the share of the variance over the pairs of log(A_x / A_y) that row and column
    means explain, for the ratios "a/b", "a/=" and "b/="; 1 by construction where the query is "=".
    `pattern`(head, key_pos): the same of A itself. White noise gives 2/(p + 1); a constant gives NaN.
    """
    pattern = _attention(acts, "pattern").astype(np.float64)
    if getattr(acts.model.config, "attention_rate", 1.0) == 1.0:
        logs = _attention(acts, "attn_scores").astype(np.float64)  # exact where a softmax underflows
    else:
        logs = pattern.copy(data=np.log(pattern.values))
    names = [str(name) for name in pattern.key_pos.values]
    pairs = [(x, y) for i, x in enumerate(names) for y in names[i + 1 :]]
    odds = [logs.sel(key_pos=x, drop=True) - logs.sel(key_pos=y, drop=True) for x, y in pairs]
    ratios = xr.DataArray([f"{x}/{y}" for x, y in pairs], dims="ratio", name="ratio")
    return xr.Dataset(
        {"log_odds": _additive_share(xr.concat(odds, dim=ratios)), "pattern": _additive_share(pattern)}
    ).transpose("head", ...)


def _additive_share(x: xr.DataArray) -> xr.DataArray:
    on_a, on_b, mean = x.mean("b"), x.mean("a"), x.mean(("a", "b"))
    variance = x.var(("a", "b"))
    explained = on_a.var("a") + on_b.var("b")
    return explained / variance.where(variance > CONSTANT * (mean**2 + variance))


@public
def product_parts(acts: Activations, key_frequencies: Sequence[int] | None = None) -> xr.Dataset:
    """What attention makes of the two waves: the parts of z, head by head, and of attn_out that are 1-D, on
    a + b, on a - b, and products of two frequencies.

    Shares of the variance over (place,), a place being "z head 0", ..., "attn_out": `linear`, `sum`,
    `difference`, `cross`, summing to 1; with key frequencies the first three count these only and `other` is
    what lies at the others. `constant_pattern`: the share of the variance that stays explained when each
    head's pattern is replaced by its mean over all pairs. White noise puts 2/(p + 1) on
    the 1-D terms and, for odd p, half as much on each of a + b and a - b.
    """
    _attention(acts, "z")
    p = acts.task.p
    keys = np.array(
        checked_frequencies(range(1, p // 2 + 1) if key_frequencies is None else key_frequencies, p)
    )
    z, out = term_energy(acts, "z").sum("d_head"), term_energy(acts, "attn_out").sum("d_model")
    places = [f"z head {head}" for head in range(z.sizes["head"])] + ["attn_out"]
    parts = [z.isel(head=head) for head in range(z.sizes["head"])] + [out]
    rows = [_part_shares(part, keys) for part in parts]
    result = xr.Dataset(
        {name: (("place",), [row[name] for row in rows]) for name in rows[0]}, {"place": places}
    )
    return result.assign(constant_pattern=(("place",), _constant_pattern_shares(acts)))


def _part_shares(part: xr.Dataset, keys: np.ndarray) -> dict[str, float]:
    total = float(part.total) or float("nan")
    at_keys = part.energy.sel(k=keys).sum("k")
    shares = {
        "linear": float(at_keys.sel(line=["a", "b"]).sum()) / total,
        "sum": float(at_keys.sel(line="sum")) / total,
        "difference": float(at_keys.sel(line="difference")) / total,
        "cross": float(part.cross) / total,
    }
    return shares | {"other": max(0.0, 1.0 - sum(shares.values())) if np.isfinite(total) else total}


def _constant_pattern_shares(acts: Activations) -> list[float]:
    """1 - |x - x with the mean pattern|^2 / |x - mean|^2 for z by head and for attn_out."""
    pattern = _attention(acts, "pattern")
    mean = pattern.mean(("a", "b"), dtype=np.float64).astype(pattern.dtype)
    fixed: dict[str, xr.DataArray] = {}
    names = [str(name) for name in pattern.key_pos.values]
    if acts.is_joint("v"):
        # in a later layer the values at other positions depend on both tokens too
        return [float("nan")] * (pattern.sizes["head"] + 1)
    values = {name: acts.at("v", name) for name in names}
    by_token = {
        name: v.rename(token=acts.residue_at(name)) if "token" in v.dims else v for name, v in values.items()
    }
    weighted = [mean.sel(key_pos=name, drop=True) * by_token[name] for name in names]
    fixed["z"] = sum(weighted[1:], start=weighted[0]).transpose("a", "b", "head", "d_head")
    W_O = acts.weight("W_O").detach().numpy()
    bias = acts.weight("b_O").detach().numpy() if acts.has_weight("b_O") else 0.0
    z = fixed["z"].values
    out = z.reshape(*z.shape[:2], -1) @ W_O.reshape(-1, W_O.shape[-1]) + bias
    true_z, true_out = acts.at("z").values, acts.at("attn_out").values
    return [_explained(true_z[:, :, head], z[:, :, head]) for head in range(z.shape[2])] + [
        _explained(true_out, out)
    ]


def _explained(x: np.ndarray, fit: np.ndarray) -> float:
    """The fraction of the variance of x [a, b, feature] that a fit explains."""
    mean = x.mean(axis=(0, 1), dtype=np.float64)
    variance = size = error = 0.0
    for row, fitted in zip(x, fit, strict=True):  # in float64 the whole would be twice as large as both
        own, moving, apart = row.astype(np.float64), row - mean, (row - fitted).astype(np.float64)
        size += float(np.vdot(own, own))
        variance += float(np.vdot(moving, moving))
        error += float(np.vdot(apart, apart))
    return 1.0 - error / variance if variance > CONSTANT * size else float("nan")


@public
def score_products(acts: Activations, head: int, dim: int, *, query: str = "b", key: str = "a") -> xr.Dataset:
    """One dimension of one head, seen as a query wave times a key wave and as their sum, in the order (c, a).

    `q`, `k`: the two waves over (c, a); `product`, `sum`; `score`: the product summed over the dimensions of
    the head and divided by sqrt(d_head), which is the attention score of that query and key. A product of waves
    at j and k holds j + k and j - k; a sum holds j and k only. The query "=" is a constant.
    Raises UnknownName for a position, InputError for a head or dimension that is not there.
    """
    _attention(acts, "attn_scores")
    positions = acts.input_positions
    for name in (query, key):
        if name not in positions:
            raise UnknownName.of("position", name, positions)
    hooks = [f"rot_{name}" if f"rot_{name}" in acts else name for name in ("q", "k")]
    q, k = _over_pairs(acts, hooks[0], query), _over_pairs(acts, hooks[1], key)
    for axis, index in (("head", head), ("d_head", dim)):
        if not 0 <= index < q.sizes[axis]:
            raise InputError(f"{axis} {index}: expected 0 to {q.sizes[axis] - 1}")
    q, k = q.isel(head=head), k.isel(head=head)
    score = (q * k).sum("d_head") / np.sqrt(q.sizes["d_head"])
    q, k = q.isel(d_head=dim), k.isel(d_head=dim)
    waves = {"q": q, "k": k, "product": q * k, "sum": q + k, "score": score}
    operation = acts.task.operation
    return xr.Dataset(
        {name: in_order(x.transpose("a", "b"), "c", "a", operation=operation) for name, x in waves.items()}
    )


def _over_pairs(acts: Activations, hook: str, pos: str) -> xr.DataArray:
    x = acts.at(hook, pos)
    if "token" in x.dims:
        x = x.rename(token=acts.residue_at(pos))
    residues = np.arange(acts.task.p)
    missing = {name: residues for name in ("a", "b") if name not in x.dims}
    return x.expand_dims(missing).transpose("a", "b", "head", "d_head")


@public
def product_and_sum_of_waves(p: int, frequencies: tuple[int, int], phases: tuple[float, float]) -> xr.Dataset:
    """Two hand-made unit cosines over the two tokens, in the order (c, a), with their product and their sum.

    `wave_a` = cos(w_j a + phase), `wave_b` = cos(w_k (c - a) + phase): each row of the second is a wave over b
    reversed and shifted by c. product = (cos(x + y) + cos(x - y))/2: with j = k the first depends on c
    alone, so each row of the product is a constant plus frequency 2k, while a row of the sum has k only.

    >>> waves = product_and_sum_of_waves(5, (1, 1), (0.0, 0.0))
    >>> bool(np.isclose(waves["product"].sel(c=0).mean(), 0.5)), bool(np.isclose(waves["sum"].sel(c=0, a=0), 2))
    (True, True)
    """
    residues = np.arange(p)
    c, a = residues[:, None], residues[None, :]
    turn = 2 * np.pi / p
    wave_a = np.cos(turn * frequencies[0] * a + phases[0]) + 0.0 * c
    wave_b = np.cos(turn * frequencies[1] * (c - a) + phases[1])
    waves = {"wave_a": wave_a, "wave_b": wave_b, "product": wave_a * wave_b, "sum": wave_a + wave_b}
    return xr.Dataset(
        {name: (("c", "a"), wave) for name, wave in waves.items()}, {"c": residues, "a": residues}
    )
