"""The names of the axes that hooks have."""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np
import xarray as xr

from modscope.boundary import public
from modscope.errors import UnknownName

__all__ = ["coordinates", "feature_axes", "labelled", "layer_of", "without_layer"]

_FEATURES: Mapping[str, tuple[str, ...]] = {
    "embed": ("d_model",),
    "pos_embed": ("d_model",),
    "resid_pre": ("d_model",),
    "q": ("head", "d_head"),
    "k": ("head", "d_head"),
    "v": ("head", "d_head"),
    "attn_scores": ("head", "key_pos"),
    "pattern": ("head", "key_pos"),
    "z": ("head", "d_head"),
    "attn_out": ("d_model",),
    "resid_mid": ("d_model",),
    "mlp_pre": ("neuron",),
    "mlp_post": ("neuron",),
    "mlp_out": ("d_model",),
    "ln1": ("d_model",),
    "ln2": ("d_model",),
    "ln_final": ("d_model",),
    "rot_q": ("head", "d_head"),
    "rot_k": ("head", "d_head"),
    "mlp_pre_linear": ("neuron",),
    "resid_post": ("d_model",),
    "logits": ("answer",),
}


def without_layer(hook: str) -> str:
    """The name of a hook without its layer.

    >>> without_layer("blocks.1.mlp_post"), without_layer("logits")
    ('mlp_post', 'logits')
    """
    return re.sub(r"^blocks\.\d+\.", "", hook)


def layer_of(hook: str) -> int | None:
    """The layer that the name of a hook says, if any.

    >>> layer_of("blocks.1.mlp_post"), layer_of("mlp_post")
    (1, None)
    """
    found = re.match(r"^blocks\.(\d+)\.", hook)
    return int(found[1]) if found else None


@public
def feature_axes(hook: str) -> tuple[str, ...]:
    """The names of the axes that a hook has beside position, tokens and residues, in whichever layer.

    >>> feature_axes("pattern"), feature_axes("blocks.1.mlp_post")
    (('head', 'key_pos'), ('neuron',))
    """
    short = without_layer(hook)
    if short not in _FEATURES:
        raise UnknownName.of("hook", hook, _FEATURES)
    return _FEATURES[short]


def labelled(
    x: np.ndarray, dims: tuple[str, ...], hook: str, attrs: Mapping[str, object], **coords: object
) -> xr.DataArray:
    """A named array whose residue axes count from 0; coords: those of other axes, or of `a` where it is a part."""
    return xr.DataArray(
        x, dims=dims, coords=coordinates(dims, x.shape, **coords), name=hook, attrs=dict(attrs)
    )


def coordinates(dims: tuple[str, ...], shape: tuple[int, ...], **coords: object) -> xr.Coordinates:
    """The coordinates that `labelled` gives; made once they serve every array of the same axes."""
    every = {dim: np.arange(size) for dim, size in zip(dims, shape, strict=True) if dim in _RESIDUES}
    every |= {dim: coords[dim] for dim in coords if dim in dims}  # type: ignore[misc]
    return xr.Coordinates(every)


_RESIDUES = ("a", "b", "token")
