"""Two-dimensional spectra: linear terms, quadratic terms, and two hooks side by side.

In the real Fourier basis of both residues a picture is a table of coefficients with rows and columns const, cos 1,
sin 1, ...: the first row and column are linear terms, the 2x2 block at (k, k) the quadratic terms of k, which
span the waves on a + b and on a - b, and the rest products of two frequencies (cross).
"""

from __future__ import annotations

import numpy as np
import xarray as xr

from modscope.activations import Activations
from modscope.analysis.plane.terms import term_energy
from modscope.boundary import public
from modscope.errors import InputError
from modscope.signal import basis_frequencies, basis_labels, power, to_fourier

__all__ = ["coefficient_plane", "compare_hooks", "feature_terms", "terms_by_frequency", "top_terms"]

_FEATURES_AT_ONCE = 64


@public
def coefficient_plane(
    acts: Activations, hook: str, feature: int | tuple[int, ...] | None = None
) -> xr.DataArray:
    """The 2-D spectrum at a hook as a heat map: (a, b) with the labels const, cos k, sin k on both axes.

    With a feature (its index, or one index for each axis, as (head, dim)) the signed coefficients of that
    feature, divided by p: a term A cos(wa) cos(wb) has A/2, a term A cos(wa) has A/sqrt 2, const is the mean;
    their squares add up to the mean square. Without one, the root mean square of each coefficient over all features.
    The coordinate `frequency_a`, `frequency_b` is the frequency of each row and column.
    Raises InputError for a feature that is not there.
    """
    x = _picture(acts, hook)
    p = acts.task.p
    if feature is None:
        squares = np.zeros((p, p))
        flat = x.values.reshape(p, p, -1)
        for start in range(0, flat.shape[-1], _FEATURES_AT_ONCE):
            block = flat[..., start : start + _FEATURES_AT_ONCE].astype(np.float64)
            squares += np.square(to_fourier(block, (0, 1))).sum(axis=-1)
        values = np.sqrt(squares / flat.shape[-1]) / p
    else:
        values = to_fourier(_one_feature(x, feature).values.astype(np.float64), (0, 1)) / p
    ks, labels = basis_frequencies(p), basis_labels(p)
    coords = {"a": labels, "b": labels, "frequency_a": ("a", ks), "frequency_b": ("b", ks)}
    return xr.DataArray(values, dims=("a", "b"), coords=coords, name=x.name, attrs={"p": p})


def _picture(acts: Activations, hook: str) -> xr.DataArray:
    hook = acts.hook_name(hook)
    if not acts.is_joint(hook):
        raise InputError(f"hook {hook} depends on one token: expected one of {', '.join(acts.joint_hooks)}")
    return acts.at(hook).transpose("a", "b", ...)


def _one_feature(x: xr.DataArray, feature: int | tuple[int, ...]) -> xr.DataArray:
    dims = x.dims[2:]
    index = (feature,) if isinstance(feature, int | np.integer) else tuple(feature)
    sizes = tuple(x.sizes[d] for d in dims)
    if len(index) != len(dims) or not all(0 <= i < size for i, size in zip(index, sizes, strict=True)):
        raise InputError(
            f"feature {feature!r}: expected an index below {sizes} for the axes {', '.join(map(str, dims))}"
        )
    return x.isel(dict(zip(dims, index, strict=True)))


@public
def top_terms(plane: xr.DataArray, *, count: int = 10) -> xr.Dataset:
    """The largest terms of a `coefficient_plane`, as a table over (rank,).

    `label_a`, `label_b`: the term, as cos 14 and sin 14; `kind`: "linear", "quadratic" (one frequency in both)
    or "cross"; `size`: the absolute coefficient; `share` of all energy outside the mean.

    >>> labels = ["const", "cos 1", "sin 1"]
    >>> plane = xr.DataArray([[9.0, 0, 0], [0, 0, 3], [4, 0, 0]], dims=("a", "b"), coords={"a": labels, "b": labels})
    >>> found = top_terms(plane, count=2)
    >>> found.kind.values.tolist(), found.share.values.round(2).tolist()
    (['linear', 'quadratic'], [0.64, 0.36])
    """
    values = np.abs(plane.transpose("a", "b").values.astype(np.float64))
    values[0, 0] = 0.0
    energy = values**2
    count = min(count, energy.size - 1)
    order = np.argsort(-energy, axis=None, kind="stable")[:count]
    i, j = np.unravel_index(order, energy.shape)
    k = basis_frequencies(len(energy))
    kind = np.where((i == 0) | (j == 0), "linear", np.where(k[i] == k[j], "quadratic", "cross"))
    total = energy.sum() or np.nan
    columns = {
        "label_a": plane.a.values[i],
        "label_b": plane.b.values[j],
        "kind": kind,
        "size": values[i, j],
        "share": energy[i, j] / total,
    }
    return xr.Dataset(
        {name: ("rank", column) for name, column in columns.items()}, {"rank": np.arange(1, count + 1)}
    )


@public
def terms_by_frequency(acts: Activations, hook: str) -> xr.Dataset:
    """The linear and quadratic terms at a hook, frequency by frequency, over all features.

    Over (k,), as shares of the variance: `linear`, `quadratic`, and the two halves of the latter `sum` (on a + b) and
    `difference` (on a - b); `cross` is the share left to products of two frequencies; `variance` the whole, in
    the units of the hook squared, summed over features. A hook before attention has linear terms only
    (mean over positions a and b). White noise has 4/(p^2 - 1) in each of linear and quadratic (odd p).
    """
    hook = acts.hook_name(hook)
    if acts.is_joint(hook):
        parts = term_energy(acts, hook)
        energy = parts.energy.sum([d for d in parts.energy.dims if d not in ("line", "k")])
        variance, cross = float(parts.total.sum()), float(parts.cross.sum())
        linear = energy.sel(line=["a", "b"]).sum("line")
        on_sum, on_difference = (energy.sel(line=line, drop=True) for line in ("sum", "difference"))
    else:
        linear = _token_energy(acts, hook)
        on_sum = on_difference = xr.zeros_like(linear)
        variance, cross = float(linear.sum()), 0.0
    whole = variance or float("nan")
    shares = {
        "linear": linear,
        "quadratic": on_sum + on_difference,
        "sum": on_sum,
        "difference": on_difference,
    }
    found = {name: share / whole for name, share in shares.items()}
    return xr.Dataset(
        found | {"cross": cross / whole, "variance": variance}, attrs={"hook": hook, "p": acts.task.p}
    )


def _token_energy(acts: Activations, hook: str) -> xr.DataArray:
    """Energy (k,) of a hook before attention, summed over features, mean over the positions a and b."""
    p = acts.task.p
    if hook == "pos_embed":
        return xr.DataArray(np.zeros(p // 2), dims="k", coords={"k": np.arange(1, p // 2 + 1)})
    x = acts[hook].astype(np.float64)
    energy = power(x.sel(pos=["a", "b"]) if "pos" in x.dims else x, "token").sel(k=slice(1, None))
    if "pos" in energy.dims:
        energy = energy.mean("pos")
    size = float((x**2).mean())
    energy = energy.sum([d for d in energy.dims if d != "k"])
    return energy.where(float(energy.sum()) > 1e-12 * size, 0.0)


@public
def compare_hooks(acts: Activations, before: str, after: str, *, count: int = 10) -> xr.Dataset:
    """The linear and quadratic terms of two hooks side by side, for the frequencies that matter at either.

    Over (k,), largest first: `linear_before`, `linear_after`, `quadratic_before`, `quadratic_after`, shares of the
    variance of each hook. k: the `count` frequencies with the largest of the four shares.
    Control: `compare_hooks` of `controls.permuted_tokens(acts)`, where no frequency stands out.
    """
    first, second = (terms_by_frequency(acts, hook) for hook in (before, after))
    columns = {
        f"{name}_{when}": terms[name]
        for name in ("linear", "quadratic")
        for when, terms in (("before", first), ("after", second))
    }
    table = xr.Dataset(columns)
    largest = table.to_array().max("variable", skipna=True).fillna(0.0)
    order = np.argsort(-largest.values, kind="stable")[:count]
    return table.isel(k=order).assign_attrs(before=first.attrs["hook"], after=second.attrs["hook"])


@public
def feature_terms(acts: Activations, hook: str, *, count: int = 3) -> xr.Dataset:
    """The top frequencies of every feature at a hook, linear and quadratic, over (feature axes, rank).

    `linear_frequency`, `linear_share`: the frequencies whose 1-D terms hold most of the feature's variance;
    `quadratic_frequency`, `quadratic_share`: the same of products of k with k. A feature without variance has
    frequency 0 and share NaN.
    """
    parts = term_energy(acts, hook)
    total = parts.total.where(parts.total > 0)
    found = {}
    for name, lines in (("linear", ["a", "b"]), ("quadratic", ["sum", "difference"])):
        energy = parts.energy.sel(line=lines).sum("line").transpose(..., "k")
        order = np.argsort(-energy.values, axis=-1, kind="stable")[..., :count]
        dims = (*energy.dims[:-1], "rank")
        share = xr.DataArray(np.take_along_axis(energy.values, order, -1), dims=dims) / total
        found[f"{name}_frequency"] = xr.DataArray(energy.k.values[order], dims=dims).where(share.notnull(), 0)
        found[f"{name}_share"] = share
    return xr.Dataset(found).assign_coords(rank=np.arange(1, order.shape[-1] + 1))
