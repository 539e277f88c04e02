"""Groups of waves that are equal up to scale, sign, shift, reversal, DC or spectrum, as continuous defects."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr

from modscope.activations import Activations, in_order
from modscope.analysis.controls import white_noise_like
from modscope.errors import InputError, UnknownName

__all__ = ["RELATIONS", "group_defects", "wave_defects"]

RELATIONS = ("identical", "sign", "shift", "reversal", "spectrum")

_PAIRS = 2000
_FEATURES = 32


def wave_defects(
    x: xr.DataArray, axis: str, across: str, *, together: Sequence[str] = (), seed: int = 0
) -> xr.Dataset:
    """How far the waves along one axis are from being the same for all indices of another, in [0, 1].

    Every two waves u, v that differ in `across` alone are compared by the smallest |u - Tv|^2 / (|u|^2 + |v|^2)
    over the transformations T of a relation: "identical" (none), "sign" (v or -v), "shift" (cyclic, whole),
    "reversal" (v reversed about any point), "spectrum" (any phases: equal amplitude at every frequency).
    0: the same; 1: no transformation brings them nearer than orthogonal waves. Axes `together` share one
    transformation, others have each their own. More than 2000 pairs are sampled (`seed`).

    `defect`(relation, dc, scale): dc "kept" or "removed" (each wave centred first); scale "kept" or "removed"
    (each wave divided by its norm first); pairs weigh by energy, with the scale removed alike. `control`: the
    same of white noise of the same axes; where many transformations are tried even noise comes nearer than 1.
    NaN where there is no pair with energy. Raises UnknownName for an axis that is not there.

    >>> n = np.arange(12)
    >>> waves = [2 * np.cos(2 * np.pi * n / 12), np.sin(2 * np.pi * n / 12) + 5]
    >>> found = wave_defects(xr.DataArray(waves, dims=("head", "token")), "token", "head").defect
    >>> found.sel(dc="removed", scale="removed").values.round(6).tolist()
    [1.0, 1.0, 0.0, 0.0, 0.0]
    """
    for name in (axis, across, *together):
        if name not in x.dims:
            raise UnknownName.of("axis", name, x.dims)
    if len({axis, across, *together}) != 2 + len(together):
        raise InputError(f"axes {axis!r}, {across!r}, {tuple(together)!r}: expected all different")
    found = xr.concat(
        [_defects(y, axis, across, tuple(together), seed) for y in (x, white_noise_like(x, seed=seed))],
        dim=xr.DataArray(["defect", "control"], dims="variable"),
    )
    return found.to_dataset("variable")


def _defects(x: xr.DataArray, axis: str, across: str, together: tuple[str, ...], seed: int) -> xr.DataArray:
    others = [d for d in x.dims if d not in (axis, across, *together)]
    values = x.transpose(*others, across, *together, axis).values
    n, p = x.sizes[across], x.sizes[axis]
    grid = values.reshape(-1, n, int(np.prod([x.sizes[d] for d in together])), p)
    group, first, second = _pairs(len(grid), n, seed)
    out = np.empty((len(RELATIONS), 2, 2))
    for i, centred in enumerate((False, True)):
        u, v = (grid[group, index].astype(np.float64) for index in (first, second))
        if centred:
            raw = np.sum(u**2 + v**2, axis=(1, 2))
            u, v = u - u.mean(-1, keepdims=True), v - v.mean(-1, keepdims=True)
            silent = np.sum(u**2 + v**2, axis=(1, 2)) <= 1e-12 * raw
            u[silent], v[silent] = 0.0, 0.0
        out[:, i] = _smallest_distances(u, v)
    coords = {"relation": list(RELATIONS), "dc": ["kept", "removed"], "scale": ["kept", "removed"]}
    return xr.DataArray(out, dims=("relation", "dc", "scale"), coords=coords)


def _pairs(groups: int, n: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(group, first, second) of all pairs within the groups, or of a sample of them."""
    first, second = np.triu_indices(n, 1)
    count = groups * len(first)
    chosen: np.ndarray = np.arange(count)
    if count > _PAIRS:
        chosen = np.random.default_rng(seed).choice(count, _PAIRS, replace=False)
    group, pair = np.divmod(chosen, max(len(first), 1))
    return group, first[pair], second[pair]


def _smallest_distances(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Defects [relation, scale kept or removed] of the pairs u, v [pair, together, n]."""
    p = u.shape[-1]
    U, V = np.fft.rfft(u), np.fft.rfft(v)
    weight = np.full(U.shape[-1], 2.0)
    weight[0] = 1.0
    if p % 2 == 0:
        weight[-1] = 1.0
    shifted = np.fft.irfft(np.sum(U * V.conj(), axis=1), n=p)
    inner = np.sum(u * v, axis=(1, 2))
    best = np.stack(
        [
            inner,
            np.abs(inner),
            shifted.max(axis=-1),
            np.fft.irfft(np.sum(U * V, axis=1), n=p).max(axis=-1),
            np.sum(weight * np.abs(U) * np.abs(V), axis=(1, 2)) / p,
        ]
    )
    of_u, of_v = np.sum(u**2, axis=(1, 2)), np.sum(v**2, axis=(1, 2))
    both = np.sqrt(of_u * of_v)
    sounding = both > 0
    if not sounding.any():
        return np.full((len(best), 2), np.nan)
    kept = 1 - 2 * best.sum(axis=1) / np.sum(of_u + of_v)
    removed = 1 - np.mean(best[:, sounding] / both[sounding], axis=1)
    return np.clip(np.stack([kept, removed], axis=1), 0.0, 1.0)


def group_defects(acts: Activations, hook: str, across: str, *, seed: int = 0) -> xr.Dataset:
    """`wave_defects` of the waves at a hook: across positions, heads, dimensions, or rows of one c.

    Before attention the waves are over the token; `across` is "pos" or an axis of the hook (head, d_head,
    d_model). After it they are the rows of the picture in the order (c, a); `across` is "c", with the rows
    of 32 features drawn at random (`seed`), or an axis of the hook. Raises UnknownName for other axes.
    """
    hook = acts.model.hook_name(hook)
    if hook not in acts.joint_hooks:
        x = acts[hook]
        if "token" not in x.dims:
            raise InputError(f"hook {hook} has no waves: expected one that depends on the token")
        return wave_defects(x, "token", across, seed=seed)
    x = acts.at(hook)
    features = [str(d) for d in x.dims if d not in ("a", "b")]
    if across not in ("c", *features):
        raise UnknownName.of("axis", across, ("c", *features))
    flat = x.stack(feature=features, create_index=False) if across == "c" else x
    if across == "c" and flat.sizes["feature"] > _FEATURES:
        chosen = np.random.default_rng(seed).choice(flat.sizes["feature"], _FEATURES, replace=False)
        flat = flat.isel(feature=np.sort(chosen))
    rows = in_order(flat.transpose("a", "b", ...), "c", "a", operation=acts.task.operation)
    return wave_defects(rows, "a", across, seed=seed)
