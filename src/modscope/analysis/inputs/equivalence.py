"""Groups of waves that are equal up to scale, sign, shift, reversal, DC or spectrum, as continuous defects."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import xarray as xr

from modscope.activations import Activations
from modscope.analysis.controls import white_noise_like
from modscope.analysis.plane.terms import CONSTANT
from modscope.boundary import public
from modscope.errors import InputError, UnknownName
from modscope.orders import in_order
from modscope.signal.waves import defects_with_and_without_scale

__all__ = ["RELATIONS", "group_defects", "relation_defects"]

# What one wave may undergo to become the other, in the words of `modscope.signal.wave_defect`.
RELATIONS: Mapping[str, tuple[str, ...]] = {
    "identical": (),
    "sign": ("sign",),
    "shift": ("shift",),
    "reversal": ("reversal", "shift"),
    "spectrum": ("phases",),
}

_PAIRS = 500
_FEATURES = 32


@public
def relation_defects(
    x: xr.DataArray, axis: str, across: str, *, control: bool = True, seed: int = 0
) -> xr.Dataset:
    """How far the waves along one axis are from being the same for all indices of another, in [0, 1].

    Every two waves that differ in `across` alone are compared by `modscope.signal.wave_defect` under each
    relation: "identical", "sign" (either), "shift" (cyclic), "reversal" (and shift), "spectrum" (phases free).
    0: the same; 1: nothing in common. More than 500 pairs are sampled (`seed`).

    `defect`(relation, dc, scale): dc "kept" or "removed" (each wave centred first), scale "kept" or "removed"
    (up to a positive factor); pairs weigh by energy, with the scale removed alike. `control`: the same of
    white noise of the same axes (unless control=False); the more a relation allows, the more alike even noise
    looks. NaN where there is no pair with energy. Raises UnknownName for an axis that is not there.

    >>> n = np.arange(12)
    >>> waves = [2 * np.cos(2 * np.pi * n / 12), np.sin(2 * np.pi * n / 12) + 5]
    >>> found = relation_defects(xr.DataArray(waves, dims=("head", "token")), "token", "head").defect
    >>> found.sel(dc="removed", scale="removed").values.round(6).tolist()
    [1.0, 1.0, 0.0, 0.0, 0.0]
    """
    for name in (axis, across):
        if name not in x.dims:
            raise UnknownName.of("axis", name, x.dims)
    if axis == across:
        raise InputError(f"axes {axis!r} and {across!r}: expected two different ones")
    found = {"defect": _defects(x, axis, across, seed)}
    if control:
        found["control"] = _defects(white_noise_like(x, seed=seed), axis, across, seed)
    return xr.Dataset(found)


def _defects(x: xr.DataArray, axis: str, across: str, seed: int) -> xr.DataArray:
    others = [d for d in x.dims if d not in (axis, across)]
    grid = x.transpose(*others, across, axis).values.reshape(-1, x.sizes[across], x.sizes[axis])
    group, first, second = _pairs(len(grid), grid.shape[1], seed)
    u, v = (grid[group, index].astype(np.float64) for index in (first, second))
    out = np.empty((len(RELATIONS), 2, 2))
    for i, dc in enumerate(((), ("mean",))):
        sounding = _has_wave(u, v) if dc else np.any(u, axis=1) & np.any(v, axis=1)
        s, t = u[sounding], v[sounding]
        for r, allowed in enumerate(RELATIONS.values()):
            if not len(s):
                out[r, i] = np.nan
                continue
            kept, removed = defects_with_and_without_scale(s, t, up_to=(*allowed, *dc))
            out[r, i] = np.average(kept, weights=_energy(s, dc) + _energy(t, dc)), removed.mean()
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


def _has_wave(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Which pairs have more than DC in both waves."""
    both = [np.var(x, axis=1) > CONSTANT * np.mean(x**2, axis=1) for x in (u, v)]
    return both[0] & both[1]


def _energy(x: np.ndarray, dc: tuple[str, ...]) -> np.ndarray:
    return np.var(x, axis=1) if dc else np.mean(x**2, axis=1)


@public
def group_defects(
    acts: Activations, hook: str, across: str, *, control: bool = True, seed: int = 0
) -> xr.Dataset:
    """`relation_defects` of the waves at a hook: across positions, heads, dimensions, or answers c.

    Before attention the waves are over the token; `across` is "pos" or an axis of the hook (head, d_head,
    d_model). After it they are the rows of the picture in the order (c, a); `across` is "c", with the rows
    of 32 features drawn at random (`seed`), or an axis of the hook. Raises UnknownName for other axes.
    """
    hook = acts.hook_name(hook)
    if not acts.is_joint(hook):
        x = acts[hook]
        if "token" not in x.dims:
            raise InputError(f"hook {hook} has no waves: expected one that depends on the token")
        return relation_defects(x, "token", across, control=control, seed=seed)
    x = acts.at(hook)
    features = [str(d) for d in x.dims if d not in ("a", "b")]
    if across not in ("c", *features):
        raise UnknownName.of("axis", across, ("c", *features))
    if across == "c":
        x = x.stack(feature=features, create_index=False)
        if x.sizes["feature"] > _FEATURES:
            chosen = np.random.default_rng(seed).choice(x.sizes["feature"], _FEATURES, replace=False)
            x = x.isel(feature=np.sort(chosen))
    rows = in_order(x.transpose("a", "b", ...), "c", "a", operation=acts.task.operation)
    return relation_defects(rows, "a", across, control=control, seed=seed)
