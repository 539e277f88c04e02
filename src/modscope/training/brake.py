"""The rate of each tensor, taken back while its gradient turns round from one step to the next.

With all pairs in every step nothing is random: a gradient that points against the one before it says that the step
overshot. At high rates this comes before every spike of the loss (in the unembedding first, some steps
ahead), and a rate that is halved there ends it. The rule of signs is that of Rprop (Riedmiller and Braun 1993),
here for whole tensors.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

__all__ = ["CUT", "LEAST", "RECOVERY", "TURNED", "Brake"]

TURNED, CUT, RECOVERY, LEAST = -0.3, 0.5, 1.03, 0.05


class Brake:
    """For each tensor, the share of the learning rate that it moves by.

    A gradient whose cosine with the one before is below -0.3 halves the share, down to 1/20; every other step gives
    3 % of it back, up to 1.

    >>> weight = torch.zeros(2, requires_grad=True)
    >>> brake = Brake({"w": weight})
    >>> shares = []
    >>> for grad in ([1.0, 0.0], [1.0, 0.1], [-1.0, 0.1], [1.0, 0.1], [1.0, 0.1]):
    ...     weight.grad = torch.tensor(grad)
    ...     shares.append(brake.shares()["w"])
    >>> shares
    [1.0, 1.0, 0.5, 0.25, 0.2575]
    """

    def __init__(self, weights: Mapping[str, Tensor]) -> None:
        self._weights = weights
        self._before: dict[str, Tensor] = {}
        self._shares = dict.fromkeys(weights, 1.0)

    @torch.no_grad()
    def shares(self) -> dict[str, float]:
        """The shares for the step that the weights' gradients ask for; to be called once a step."""
        for name, weight in self._weights.items():
            grad = weight.grad
            assert grad is not None
            before = self._before.get(name)
            if before is None:
                self._before[name] = grad.clone()
                continue
            size = grad.norm() * before.norm()
            turned = bool((grad * before).sum() < TURNED * size)
            share = self._shares[name]
            self._shares[name] = max(share * CUT, LEAST) if turned else min(share * RECOVERY, 1.0)
            before.copy_(grad)
        return dict(self._shares)

    def release(self) -> None:
        """Every tensor moves at the whole rate again, and the gradient before is forgotten."""
        self._before = {}
        self._shares = dict.fromkeys(self._weights, 1.0)

    def state(self) -> dict[str, Tensor]:
        """All that has to be kept to go on bit-identically."""
        shares = {f"share.{name}": torch.tensor(x, dtype=torch.float64) for name, x in self._shares.items()}
        return shares | {f"before.{name}": grad for name, grad in self._before.items()}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Take back what `state` gave."""
        for name, value in state.items():
            kind, _, weight = name.partition(".")
            if kind == "share":
                self._shares[weight] = float(value)
            else:
                self._before[weight] = value.to(self._weights[weight].device, copy=True)
