"""Changes made while a network trains: each takes effect at a step, is written down, and is made again at that step.

A run folder keeps them in events.json. Going on after any end makes them again, and so does training the recipe once more
with `events`; both end at the same bits.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from modscope.runs.events import Event

__all__ = ["Steering", "without_frequency"]


def _never() -> bool:
    return False


def _none() -> Sequence[tuple[str, float]]:
    return ()


@dataclass(frozen=True)
class Steering:
    """What is asked between two steps: whether to wait, and which changes (kind, value) to make before the next one.

    events: changes known beforehand, each made before its step.
    """

    paused: Callable[[], bool] = _never
    changes: Callable[[], Sequence[tuple[str, float]]] = _none
    events: Sequence[Event] = field(default_factory=tuple)


@torch.no_grad()
def without_frequency(embedding: Tensor, p: int, k: int) -> None:
    """Take the waves cos and sin of 2 pi k n / p over the residues n out of an embedding [token, d_model], in place."""
    angle = 2 * math.pi / p * (k * torch.arange(p, dtype=torch.float64) % p)
    waves = torch.stack([angle.cos(), angle.sin()] if 2 * k != p else [angle.cos()])
    waves = waves / waves.norm(dim=1, keepdim=True)
    rows = embedding[:p].double().cpu()
    embedding[:p] = (rows - waves.T @ (waves @ rows)).to(embedding.dtype).to(embedding.device)
