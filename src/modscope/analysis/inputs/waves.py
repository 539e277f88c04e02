"""Before attention: each position carries a wave over its own token.

In the order (c, a) with c = a + b the token at b is c - a, so the wave of position b is the wave of
position a reversed and shifted by c: X_b[c, a] = X_a[c, c - a]. With one embedding for both positions the
two can differ by the positional embedding alone, which is DC; so this holds of every such network,
trained or not, and what it is worth shows only beside the alternatives (`reversal_errors`).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import numpy as np
import xarray as xr

from modscope.activations import Activations
from modscope.analysis.plane.marginals import checked_frequencies
from modscope.analysis.tables import Table
from modscope.boundary import public
from modscope.errors import InputError, MissingHook
from modscope.residues import harmonic
from modscope.signal import spectrum

__all__ = ["head_frequencies", "reversal_errors", "token_hooks", "wave_rows", "wave_table"]

RELATIONS = ("reversed and shifted", "not reversed", "not shifted", "permuted")


@public
def token_hooks(acts: Activations) -> tuple[str, ...]:
    """The hooks that carry a wave over the token for each of a and b: resid_pre, q, k, v, or embed without
    attention."""
    found = tuple(hook for hook in acts if hook not in acts.joint_hooks and _is_per_position(acts, hook))
    if not found and acts.network is None:
        raise MissingHook(
            "not applicable: the record holds no wave of one token, such as embed over (token, feature)"
        )
    return found


def _is_per_position(acts: Activations, hook: str) -> bool:
    return {"pos", "token"} <= set(acts[hook].dims)


@public
def reversal_errors(acts: Activations, *, seed: int = 0) -> xr.Dataset:
    """How far the wave at b is from the wave at a, reversed and shifted by c, in the order (c, a).

    Relative error |X_b - relation(X_a)| / |X_a| over all c, a and features, for each hook before attention:

    - "reversed and shifted": X_a[c, c - a], what addition predicts (for subtraction, where b = a - c,
      the prediction is X_a[c, a - c], shifted only, and stands under this name too);
    - "not reversed": shifted by c but not reversed (for subtraction: reversed);
    - "not shifted": X_a[c, a] as it is;
    - "permuted": the prediction, with the tokens of b permuted at random (`seed`).

    Variables `raw` and `centred` (DC of each wave removed), both over (hook, relation). The positional
    embedding is the whole of the difference between them. A wave without content other than DC gives NaN.
    Raises InputError for operations other than addition and subtraction.
    """
    _need_shift(acts)
    hooks = token_hooks(acts)
    errors = np.array([_relation_errors(acts[hook], seed) for hook in hooks])
    coords = {"hook": list(hooks), "relation": list(RELATIONS)}
    return xr.Dataset(
        {"raw": (("hook", "relation"), errors[:, 0]), "centred": (("hook", "relation"), errors[:, 1])}, coords
    )


def _need_shift(acts: Activations) -> None:
    if acts.task.operation not in ("add", "subtract"):
        raise InputError(
            f"operation {acts.task.operation!r}: the wave at b is a shifted copy of the wave at a for "
            "add and subtract only"
        )


def _relation_errors(x: xr.DataArray, seed: int) -> list[list[float]]:
    """Errors [raw, centred][relation]. In the order (c, a) every token meets every c once, so sums over
    (c, a) are p times sums over the token."""
    at = x.transpose("pos", "token", ...).values.reshape(2, x.sizes["token"], -1).astype(np.float64)
    p = at.shape[1]
    backwards = -np.arange(p) % p
    order = np.random.default_rng(seed).permutation(p)
    rows = []
    for a, b in (at, at - at.mean(axis=1, keepdims=True)):
        size = np.sum(a**2)
        errors = [
            np.sum((b - a) ** 2),
            np.sum((b - a[backwards]) ** 2),
            # every token of b against every token of a
            np.sum(a**2) + np.sum(b**2) - 2 * np.sum(a.sum(axis=0) * b.sum(axis=0)) / p,
            np.sum((b[order] - a) ** 2),
        ]
        # DC left over from rounding is not a wave
        still = size <= 1e-12 * max(np.sum(at[0] ** 2), np.finfo(float).tiny)
        rows.append([float("nan") if still else float(np.sqrt(max(e, 0.0) / size)) for e in errors])
    return rows


@public
def wave_table(acts: Activations, hook: str, key_frequencies: Sequence[int]) -> xr.Dataset:
    """Amplitude, phase and DC of every wave at each key frequency and its second harmonic.

    Before attention a wave is a function of the token at a or b: variables over (pos, [head,] dim, k,
    harmonic). After it, a wave is a row of the picture in the order (c, a): (c, [head,] dim, k, harmonic).
    `amplitude` and `phase` are those of A cos(2 pi f n / p + phase) at f = `frequency`(k, harmonic), which
    is k, then 2k aliased; `dc`, without the axes k and harmonic, is the mean. Where the second harmonic is
    DC itself (k = p/2) amplitude and phase are NaN. A second harmonic above p/2 is named by its alias.

    Raises InputError for a frequency outside 1..p//2, UnknownName for a hook that is not there.
    """
    p, hook = acts.task.p, acts.hook_name(hook)
    key = checked_frequencies(key_frequencies, p)
    names = np.array([[k, harmonic(k, 2, p)] for k in key])
    if hook in token_hooks(acts):
        C = spectrum(acts[hook], "token")
    elif hook in acts.joint_hooks:
        C = _row_spectrum(acts, hook, names)
    else:
        raise InputError(
            f"hook {hook}: expected one with a wave for each position, such as {', '.join(token_hooks(acts))}"
        )
    at = xr.DataArray(names, dims=("k", "harmonic"))
    picked = C.sel(k=at).assign_coords(k=list(key), harmonic=[1, 2])
    real = xr.DataArray(names != 0, dims=("k", "harmonic"))
    amplitude = abs(picked).where(real)
    phase = xr.DataArray(np.angle(picked), dims=picked.dims, coords=picked.coords).where(real)
    result = xr.Dataset({"amplitude": amplitude, "phase": phase, "dc": C.sel(k=0, drop=True).real})
    return result.assign_coords(frequency=(("k", "harmonic"), names)).assign_attrs(hook=hook, p=p)


@public
def wave_rows(
    acts: Activations, key_frequencies: Sequence[int], *, hooks: Sequence[str] = ("q", "k", "v")
) -> Table:
    """`wave_table` of the hooks before attention as one long table, a row for every wave and frequency.

    Columns: hook, pos, head, dim, k, frequency (k or its second harmonic), amplitude, phase, dc. A hook without
    heads has a dash for the head. 7680 rows for four heads of 32 and five key frequencies: `to_csv()` is for all,
    `Table(title, columns, rows[:20])` for a look.
    """
    rows: list[tuple[object, ...]] = []
    for hook in hooks:
        found = wave_table(acts, hook, key_frequencies)
        if "pos" not in found.dims:
            raise InputError(f"hook {hook}: expected one before attention, {', '.join(token_hooks(acts))}")
        rows += _rows_of(found, hook)
    columns = ("hook", "pos", "head", "dim", "k", "frequency", "amplitude", "phase", "dc")
    return Table("Waves before attention", columns, tuple(rows))


def _rows_of(waves: xr.Dataset, hook: str) -> list[tuple[object, ...]]:
    """A row for every (pos, head, dim, k, harmonic) of a `wave_table` of one hook, the last changing fastest."""
    heads: list[object] = list(range(waves.sizes["head"])) if "head" in waves.dims else [None]
    if "head" not in waves.dims:
        waves = waves.expand_dims("head")
    dim = next(str(d) for d in waves.dims if d not in ("pos", "head", "k", "harmonic"))
    order = ("pos", "head", dim, "k", "harmonic")
    # plain lists: indexing named arrays number by number costs a hundred times the arithmetic
    amplitude, phase = (
        waves[name].transpose(*order).values.ravel().tolist() for name in ("amplitude", "phase")
    )
    dc = np.repeat(waves.dc.transpose(*order[:3]).values.ravel(), waves.frequency.size).tolist()
    named = [
        (k, f)
        for k, fs in zip(waves.k.values.tolist(), waves.frequency.values.tolist(), strict=True)
        for f in fs
    ]
    places = product(map(str, waves["pos"].values), heads, range(waves.sizes[dim]), named)
    return [
        (hook, pos, head, place, *at, *numbers)
        for (pos, head, place, at), *numbers in zip(places, amplitude, phase, dc, strict=True)
    ]


def _row_spectrum(acts: Activations, hook: str, names: np.ndarray) -> xr.DataArray:
    """Phasors of the rows of the picture in the order (c, a), at the named frequencies and DC alone."""
    if acts.task.operation not in ("add", "subtract"):
        raise InputError(
            f"operation {acts.task.operation!r}: rows of one c, each a wave over every a, exist for add and subtract"
        )
    p, labels = acts.task.p, acts.task.labels
    ks = np.unique([0, *names.ravel()])
    total: np.ndarray | None = None
    shape: dict[str, int] = {}
    for block in acts.blocks(hook):
        x = block[hook].transpose("a", "b", ...)
        shape = {str(dim): size for dim, size in x.sizes.items() if dim not in ("a", "b")}
        rows = np.empty(x.shape, np.float64)
        rows[np.arange(len(rows))[:, None], labels[x.a.values]] = x.values
        angle = 2 * np.pi / p * (np.outer(ks, x.a.values) % p)
        parts = np.concatenate([np.cos(angle), -np.sin(angle)]) @ rows.reshape(len(rows), -1)
        total = parts if total is None else total + parts
    assert total is not None
    scale = np.where((ks == 0) | (2 * ks == p), 1.0, 2.0) / p
    C = (total[: len(ks)] + 1j * total[len(ks) :]) * scale[:, None]
    named = xr.DataArray(
        C.reshape(len(ks), p, *shape.values()), dims=("k", "c", *shape), coords={"k": ks, "c": np.arange(p)}
    )
    return named.transpose("c", "k", ...)


@public
def head_frequencies(acts: Activations, key_frequencies: Sequence[int] | None = None) -> xr.Dataset:
    """Which frequency each head's q, k and v carry.

    `share`(hook, head, k): the part of the energy outside DC of the waves over the token at position a that
    lies at frequency k, over all dimensions of the head; k runs over 1..p//2. `frequency`(hook, head): the k
    of the largest share, among the key frequencies if they are given; `largest`: that share. A head with
    no wave at all has NaN and frequency 0. In white noise a frequency has a share of about 2/p.
    Raises InputError for a network without attention.
    """
    # heads of the first layer: those of later ones read what depends on both tokens
    first = {name: f"blocks.0.attn.hook_{name}" for name in ("q", "k", "v")}
    hooks = [name if name in acts.hooks else full for name, full in first.items() if name in acts]
    if not hooks and acts.network is None:
        raise MissingHook("not applicable: the record has no q, k or v")
    if not hooks:
        raise InputError("this network has no heads: q, k and v do not exist without attention")
    p = acts.task.p
    among = np.array(checked_frequencies(key_frequencies or range(1, p // 2 + 1), p))
    rows = []
    for hook in hooks:
        C = spectrum(acts.at(hook, "a"), "token")
        # a cosine of amplitude A has energy A^2/2; the Nyquist wave, always at its peak, A^2
        weight = xr.where(2 * C.k == p, 1.0, 0.5).where(C.k > 0, 0.0)
        energy = (weight * abs(C) ** 2).sum("d_head")
        total, peak = energy.sum("k"), abs(C.sel(k=0)).max("d_head")
        rows.append((energy / total.where(total > 1e-12 * peak**2)).sel(k=slice(1, None)))
    share = xr.concat(rows, dim=xr.DataArray(hooks, dims="hook", name="hook")).transpose("hook", "head", "k")
    best = share.sel(k=among)
    frequency = best.fillna(-1.0).argmax("k")
    largest = best.max("k")
    named = xr.DataArray(among[frequency.values], dims=frequency.dims).where(largest.notnull().values, 0)
    return xr.Dataset({"frequency": named.astype(int), "largest": largest, "share": share})
