"""What every engine can do: the loss of a network on pairs, and its gradient."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from modscope.training.shapes import Config
from modscope.training.tables import Pairs

__all__ = ["Batch", "Config", "Engine"]


@dataclass(frozen=True)
class Batch:
    """Mean loss over the pairs of a step, and the share answered rightly, before the step is taken."""

    loss: float
    accuracy: float


class Engine(ABC):
    """Loss and gradient of a network on pairs; `gradients` writes `.grad` of every weight."""

    name: str
    config: Config
    kernel: str = ""  # how the compiled kernel goes about its work; empty where none is used

    @abstractmethod
    def gradients(self, weights: Mapping[str, Tensor], pairs: Pairs) -> Batch:
        """Set each weight's `.grad` to the gradient of the mean loss over the pairs."""

    @abstractmethod
    def scores(self, weights: Mapping[str, Tensor], pairs: Pairs) -> Batch:
        """Mean loss and accuracy over the pairs, without gradients."""

    def state(self) -> dict[str, Tensor]:
        """What has to be kept, beside the weights, to go on bit-identically."""
        return {}

    def restore(self, state: Mapping[str, Tensor]) -> None:  # noqa: B027 - most engines keep nothing
        """Take back what `state` gave."""
