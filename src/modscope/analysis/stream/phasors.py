"""Phasors about c/2, and whether the residual stream and the unembedding agree in phase."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr

from modscope.activations import Activations
from modscope.analysis.plane.marginals import answer_sign, checked_frequencies
from modscope.analysis.stream.model import unembedding_phasors
from modscope.boundary import public
from modscope.errors import InputError
from modscope.networks.kinds import need_stream

__all__ = ["center_phasors", "envelope_fit", "phase_agreement"]


@public
def center_phasors(
    acts: Activations, key_frequencies: Sequence[int], *, hook: str = "resid_post"
) -> xr.DataArray:
    """The phasor of every row c about its centre c/2: row c at frequency k is |Z| cos(w_k(a - c/2) + arg Z).

    Z(k, c, ...) = (2/p) sum_a x[c, a] e^{-i w_k (a - c/2)}, with c in 0..p-1, and the axes of the hook. Its real part is the
    envelope, the weight of the cosine about c/2; its imaginary part belongs to the odd part and is 0 where
    the activation is even. c/2 of c + p is c/2 + p/2, where the cosine has the sign (-1)^k: as a function of
    c the envelope of an odd frequency changes sign after p.
    Raises InputError where the answer is neither a + b nor a - b.
    """
    ks, sign, p = checked_frequencies(key_frequencies, acts.task.p), answer_sign(acts), acts.task.p
    hook, w = acts.hook_name(hook), 2 * np.pi / p * np.asarray(ks)
    n = np.arange(p)
    total: np.ndarray | None = None
    for rows, block in acts.array_blocks(hook):
        x = block[hook].reshape(len(rows), p, -1)
        if total is None:
            total = np.zeros((len(ks), p, x.shape[-1]), np.complex128)
        for a, row in zip(rows, x, strict=True):
            of_c = row[(sign * (n - a)) % p].astype(np.float64)
            for turned, turn in zip(total, np.exp(-1j * w * a), strict=True):
                turned.real += turn.real * of_c
                turned.imag += turn.imag * of_c
    assert total is not None
    scale = np.where(2 * np.asarray(ks) == p, 1.0, 2.0) / p
    total *= (scale[:, None] * np.exp(0.5j * w[:, None] * n))[..., None]
    coords = {"k": list(ks), "c": n}
    axes = {dim: size for dim, size in acts.axes_of(hook).items() if dim not in ("a", "b")}
    values = total.reshape(len(ks), p, *axes.values())
    return xr.DataArray(
        values, dims=("k", "c", *axes), coords=coords, name=hook, attrs={"hook": hook, "p": p}
    )


@public
def envelope_fit(Z: xr.DataArray) -> xr.Dataset:
    """How well the weight of each cosine follows one wave of c: Re Z(c) = Re(P e^{i w_k c/2}).

    Z(k, c, ...) from `center_phasors`. Variables over k: even, the share of |Z|^2 in the real part;
    fve, the share of the envelope's energy in that one wave, over all features; amplitude (k, ...)
    and phase (k, ...): those of P. Without any wave at k, NaN.
    """
    p, c = int(Z.attrs["p"]), Z.c.values
    k = Z.k.values
    turn = np.exp(-0.5j * 2 * np.pi / p * k[:, None] * c)
    flat = Z.values.reshape(len(k), len(c), -1)
    P = 2 / p * np.einsum("kc,kcf->kf", turn, flat.real)
    fitted = (np.conj(turn)[..., None] * P[:, None]).real
    envelope = np.sum(flat.real**2, axis=(1, 2))
    size = np.sum(abs(flat) ** 2, axis=(1, 2))
    left = np.sum((flat.real - fitted) ** 2, axis=(1, 2))
    dims, P = ("k", *Z.dims[2:]), P.reshape(len(k), *Z.shape[2:])
    with np.errstate(divide="ignore", invalid="ignore"):
        even, fve = envelope / size, 1 - left / envelope
    return xr.Dataset(
        {
            "even": (("k",), even),
            "fve": (("k",), fve),
            "amplitude": (dims, abs(P)),
            "phase": (dims, np.angle(P)),
        },
        {"k": k},
        attrs=dict(Z.attrs),
    )


@public
def phase_agreement(
    acts: Activations,
    key_frequencies: Sequence[int],
    *,
    hook: str = "resid_post",
    controls: int = 20,
    seed: int = 0,
) -> xr.Dataset:
    """How far the phases of the residual stream are from those of the unembedding, in radians, 0 to pi.

    W_U[d] is a wave over the answer with phase u_dk. By row: at fixed a, resid_post[d] is a wave of b whose
    phase, with the turn w_k a taken off, would be u_dk if it were Re(U e^{i w_k(a+b)}); row by row it also
    holds the cosines about c/2, which are no part of that. Exact: the phase of the coefficient on
    e^{i w_k(a+b)} over all pairs. Two unrelated phases differ by pi/2 on average.

    Variables: by_row(k, row, d_model), exact(k, d_model): absolute differences, mean over everything is the
    summary; by_row_control and exact_control (control): the same summary with the dimensions of W_U
    permuted at random (seeded); weight(k, d_model): |U| |R|, to average with; cosine(k): the real part of
    the normalised inner product of U and R over the dimensions, 1 if R is U times one positive number.
    Raises InputError where not applicable.
    """
    ks, p = checked_frequencies(key_frequencies, acts.task.p), acts.task.p
    rows, U = _comparable_phasors(acts, hook, ks)
    R = rows.mean(axis=1)
    generator = np.random.default_rng(seed)
    orders = [generator.permutation(U.shape[1]) for _ in range(controls)]
    with np.errstate(divide="ignore", invalid="ignore"):
        cosine = np.sum(R * U.conj(), axis=1).real / np.sqrt(np.sum(abs(R) ** 2, 1) * np.sum(abs(U) ** 2, 1))
    return xr.Dataset(
        {
            "by_row": (("k", "row", "d_model"), _distance(rows, U[:, None])),
            "exact": (("k", "d_model"), _distance(R, U)),
            "by_row_control": (("control",), [float(_distance(rows, U[:, None, o]).mean()) for o in orders]),
            "exact_control": (("control",), [float(_distance(R, U[:, o]).mean()) for o in orders]),
            "weight": (("k", "d_model"), abs(R) * abs(U)),
            "cosine": (("k",), cosine),
        },
        {"k": list(ks), "row": np.arange(p)},
        attrs={"hook": acts.hook_name(hook), "unit": "rad"},
    )


def _comparable_phasors(acts: Activations, hook: str, ks: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """Phasors of the rows of a hook [k, a, feature] and of W_U [k, feature], of the same features."""
    if acts.network is not None:
        need_stream(acts.network, "the comparison of phases")
    U = unembedding_phasors(acts, ks)
    rows = _row_phasors(acts, hook, ks, answer_sign(acts))
    if rows.shape[-1] != U.shape[-1]:
        raise InputError(
            f"{hook} has {rows.shape[-1]} features, W_U reads {U.shape[-1]}: expected a residual stream"
        )
    return rows, U


def _row_phasors(acts: Activations, hook: str, ks: Sequence[int], sign: int) -> np.ndarray:
    """Coefficients [k, a, feature] of each row a on e^{i w_k c}, c = a + sign * b; their mean over a is exact."""
    p, k = acts.task.p, np.asarray(ks)
    turn = np.exp(-2j * np.pi / p * sign * (k[:, None] * np.arange(p) % p)) * (2 / p)
    hook, parts = acts.hook_name(hook), []
    for rows, block in acts.array_blocks(hook):
        x = block[hook].astype(np.float64).reshape(len(rows), p, -1)
        own = np.exp(-2j * np.pi / p * (k[:, None] * np.arange(rows.start, rows.stop) % p))
        parts.append(np.einsum("kb,abf->kaf", turn, x, optimize=True) * own[..., None])
    return np.concatenate(parts, axis=1)


def _distance(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.abs(np.angle(x * np.conj(y)))
