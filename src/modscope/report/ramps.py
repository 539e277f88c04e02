"""Colour ramps of the report's pictures, the same as the viewer's on a light ground, made in OKLab."""

from __future__ import annotations

from functools import lru_cache
from typing import Literal

import numpy as np

__all__ = ["Ramp", "ramp_pixels", "ramp_table"]

Ramp = Literal["sequential", "diverging"]

# (lightness, chroma, hue in degrees) of the stops
_STOPS: dict[str, tuple[tuple[float, float, float], ...]] = {
    "sequential": (
        (0.985, 0.01, 95), (0.86, 0.1, 85), (0.7, 0.15, 40), (0.5, 0.16, 0), (0.33, 0.13, 310), (0.2, 0.07, 285),
    ),
    "diverging": (
        (0.3, 0.1, 262), (0.5, 0.15, 250), (0.75, 0.09, 240), (0.985, 0, 0), (0.77, 0.11, 60), (0.57, 0.17, 38),
        (0.34, 0.11, 30),
    ),
}  # fmt: skip
_TO_CONE = np.array(
    [[1, 0.3963377774, 0.2158037573], [1, -0.1055613458, -0.0638541728], [1, -0.0894841775, -1.291485548]]
)
_TO_RGB = np.array(
    [
        [4.0767416621, -3.3077115913, 0.2309699292],
        [-1.2684380046, 2.6097574011, -0.3413193965],
        [-0.0041960863, -0.7034186147, 1.707614701],
    ]
)


@lru_cache(maxsize=len(_STOPS))
def ramp_table(name: Ramp) -> np.ndarray:
    """The 256 colours of a ramp as uint8[256, 3]; "diverging" is white in the middle.

    >>> ramp_table("diverging")[127].min() > 245
    np.True_
    """
    L, chroma, hue = np.array(_STOPS[name]).T
    angle = np.deg2rad(hue)
    stops = np.stack([L, chroma * np.cos(angle), chroma * np.sin(angle)])
    at = np.linspace(0, len(L) - 1, 256)
    lab = np.stack([np.interp(at, np.arange(len(L)), row) for row in stops], axis=1)
    linear = (lab @ _TO_CONE.T) ** 3 @ _TO_RGB.T
    curved = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * np.maximum(linear, 0) ** (1 / 2.4) - 0.055)
    return np.clip(np.rint(255 * curved), 0, 255).astype(np.uint8)


def ramp_pixels(values: np.ndarray, low: float, high: float, name: Ramp) -> np.ndarray:
    """The values [row, column] as uint8[row, column, 4]; clear where they are not finite."""
    known = np.isfinite(values)
    span = high - low or 1.0
    place = np.clip(np.rint(255 * (np.where(known, values, low) - low) / span), 0, 255).astype(int)
    alpha = np.where(known, 255, 0).astype(np.uint8)
    return np.concatenate([ramp_table(name)[place], alpha[..., None]], axis=-1)
