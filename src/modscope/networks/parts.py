"""What layered networks are made of beside linear maps: norms and rotary positions."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["NORMS", "normalised", "rotated"]

NORMS = ("layer", "rms")


def normalised(x: Tensor, kind: str, epsilon: float) -> Tensor:
    """x over its size, feature by feature: "layer" takes the mean away first (Ba et al. 2016), "rms" does not
    (Zhang and Sennrich 2019).

    >>> normalised(torch.tensor([3.0, -3.0]), "rms", 0.0)
    tensor([ 1., -1.])
    """
    if kind == "layer":
        x = x - x.mean(dim=-1, keepdim=True)
    return x * torch.rsqrt(x.square().mean(dim=-1, keepdim=True) + epsilon)


def rotated(x: Tensor, *, base: float, width: int, neighbours: bool) -> Tensor:
    """Queries or keys [batch, pos, head, d_head] turned by their position (Su et al. 2021).

    The first `width` features are turned, in pairs (i, i + width/2), or with neighbours (2i, 2i + 1); pair i
    by pos * base^(-2i/width) radians.

    >>> x = torch.zeros(1, 2, 1, 2); x[..., 0] = 1
    >>> rotated(x, base=10000.0, width=2, neighbours=False)[0, 1, 0].round(decimals=3)
    tensor([0.5400, 0.8410])
    """
    half = width // 2
    speed = base ** (-torch.arange(half, dtype=torch.float64) / half)
    angle = torch.arange(x.shape[1], dtype=torch.float64)[:, None, None] * speed
    cos, sin = angle.cos().to(x), angle.sin().to(x)
    turning, rest = x[..., :width], x[..., width:]
    if neighbours:
        first, second = turning[..., 0::2], turning[..., 1::2]
        turned = torch.stack((first * cos - second * sin, second * cos + first * sin), dim=-1).flatten(-2)
    else:
        first, second = turning[..., :half], turning[..., half:]
        turned = torch.cat((first * cos - second * sin, second * cos + first * sin), dim=-1)
    return torch.cat((turned, rest), dim=-1)
