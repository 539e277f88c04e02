"""When training is over.

A network is settled when it generalises and its clean-up has ended: every test pair is answered rightly, and
over the last decay time the root of the summed squared weights has moved by less than half a hundredth of itself and the
test loss by less than a quarter. The decay time is 1 / (learning rate * weight decay) steps, the time in
which weight decay alone shrinks a weight by the factor e: 1,000 steps for the published recipe. While a schedule
moves the rate nothing is settled: the rate must have been the same all that time. It is 100 steps and three
evaluations at least: at high rates a short rest between two falls is not the end.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from modscope.training.engine import Batch
from modscope.training.recipe import Recipe

__all__ = ["STEPS", "Settling", "reason_to_stop"]

STEPS = "last step"
NORM_MOVES, LOSS_MOVES, ENOUGH, REST, EVALUATIONS = 0.005, 0.25, 1.0, 100.0, 3


@dataclass
class Settling:
    """The measures of the last decay times, from which it follows whether a network is settled.

    >>> settling = Settling()
    >>> for epoch in range(0, 301, 50): settling.add(epoch, Batch(1e-7, 1.0), weight_norm=30.0, decay_time=100)
    >>> settling.settled
    True
    """

    window: float = math.inf
    measures: list[tuple[float, float, float, float, float]] = field(default_factory=list)

    def add(self, epoch: int, test: Batch, *, weight_norm: float, decay_time: float) -> None:
        """Take note of an evaluation; one of the same epoch takes its place.

        Without weight decay (an infinite decay time) nothing ever settles.
        """
        self.window = max(decay_time, REST)
        self.forget_from(epoch)
        self.measures.append((float(epoch), test.loss, test.accuracy, weight_norm, decay_time))
        self.measures = [measure for measure in self.measures if measure[0] >= epoch - 2 * self.window]

    def forget_from(self, epoch: int) -> None:
        """Drop the measures of an epoch and of later ones: they will be made again."""
        self.measures = [measure for measure in self.measures if measure[0] < epoch]

    @property
    def settled(self) -> bool:
        """Whether the last decay time changed nothing any more."""
        if not self.measures:
            return False
        now, loss, accuracy, norm, decay_time = self.measures[-1]
        recent = [measure for measure in self.measures if measure[0] >= now - self.window]
        if accuracy < ENOUGH or self.measures[0][0] > now - self.window or len(recent) < EVALUATIONS:
            return False
        # A pair whose answer ties with another costs log 2 at least; so may one that is right by a hair.
        if loss >= math.log(2) or any(measure[4] != decay_time for measure in recent):
            return False
        norms = [measure[3] for measure in recent]
        losses = [measure[1] for measure in recent]
        return max(norms) - min(norms) < NORM_MOVES * norm and max(losses) - min(losses) < LOSS_MOVES * loss


def reason_to_stop(recipe: Recipe, epoch: int, test: Batch | None, settling: Settling) -> str:
    """Why training is over at this epoch; empty while it is not."""
    stop = recipe.stop
    if test is not None and stop.test_loss and test.loss < stop.test_loss:
        return f"test loss below {stop.test_loss:g}"
    if test is not None and stop.settled and settling.settled:
        return "settled"
    return STEPS if epoch >= stop.steps else ""
