"""Whether there is anything to judge: asked once, before every verdict, headline, finding and caution."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from modscope.boundary import public
from modscope.display import Shown
from modscope.losses import Logits, Scores, is_guessing, losses_and_accuracies
from modscope.operations import FITS, Recognition, recognise
from modscope.task import ModularTask

__all__ = ["Grounds", "Problem", "grounds_of"]

LEARNT, FORGOTTEN = 0.9, 0.5  # accuracy on training pairs above, on the others below: by heart
FAR = 3.0  # a loss above this many times ln p is far above guessing
BETTER = 0.05  # by how much another operation must agree better with the answers

Kind = Literal["broken", "operation", "chance", "memorised", "accuracy", "loss"]


@dataclass(frozen=True)
class Problem:
    """Why nothing can be said of how a network reaches its answers.

    kind: "broken" (logits that are no numbers), "operation" (the answers are of another operation), "chance",
    "memorised" (training pairs known, the others not), "accuracy" (fewer than half of the answers right), "loss" (far
    above ln p).
    """

    kind: Kind
    says: str


@dataclass(frozen=True, repr=False)
class Grounds(Shown):
    """What has to be known of a network before anything is said of how it works.

    accuracy and loss: as measured. recognition: which operation its answers are, from the answers alone. stated: what its
    file says of itself. problems: most serious first; where there is one, no claim about mechanisms is applicable.
    """

    task: ModularTask
    accuracy: Scores
    loss: Scores
    recognition: Recognition
    stated: Mapping[str, float] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()

    def _told(self) -> dict[str, object]:
        told: dict[str, object] = {"task": str(self.task), "answers": str(self.recognition)}
        told |= {problem.kind: problem.says for problem in self.problems}
        return told | ({} if self.problems else {"": "there is something to judge"})

    @property
    def problem(self) -> Problem | None:
        """The most serious problem; None where the network can be judged."""
        return self.problems[0] if self.problems else None

    @property
    def why_not(self) -> str:
        """The most serious problem in words; empty where the network can be judged."""
        return self.problems[0].says if self.problems else ""

    @property
    def split_known(self) -> bool:
        """Whether the training pairs and the others can be told apart."""
        return self.accuracy.train is not None and self.accuracy.test is not None

    @property
    def memorised(self) -> bool:
        """Whether the most serious problem is that the network knows its training pairs and not the others."""
        return self.problem is not None and self.problem.kind == "memorised"

    def to_dict(self) -> dict[str, Any]:
        """The grounds as plain JSON values."""
        return {
            "can_be_judged": not self.problems,
            "problems": [{"kind": problem.kind, "says": problem.says} for problem in self.problems],
            "recognised": self.recognition.to_dict(),
        }


@public
def grounds_of(logits: Logits, task: ModularTask, *, stated: Mapping[str, float] | None = None) -> Grounds:
    """The grounds on which a network with logits [a, b, answer] can be judged on a task.

    stated: losses and accuracies that its file gives (train_accuracy, test_accuracy, ...): where the split is not
    known they tell a network that has memorised.

    >>> n = np.arange(7)
    >>> logits = 30.0 * np.eye(7)[np.maximum(n[:, None], n)]
    >>> grounds_of(logits, ModularTask(7)).why_not
    'the answers are those of max(a,b), on 100.0% of the pairs, and not those of a+b (26.5%): --operation "max(a,b)"'
    >>> grounds_of(logits, ModularTask(7, "max")).problems
    ()
    """
    with np.errstate(all="ignore"):  # a broken network has infinite logits
        loss, accuracy = losses_and_accuracies(logits, task)
    recognition = recognise(logits.argmax(axis=-1))
    grounds = Grounds(task, accuracy, loss, recognition, dict(stated or {}))
    found = [
        Problem("broken", _broken(logits)),
        Problem("operation", _another_operation(grounds)),
        Problem("chance", _chance(grounds)),
        Problem("memorised", _memorised(grounds)),
        Problem("accuracy", _too_few_right(grounds)),
        Problem("loss", _loss(grounds)),
    ]  # fmt: skip
    problems = tuple(problem for problem in found if problem.says)
    return Grounds(task, accuracy, loss, recognition, dict(stated or {}), problems)


def _broken(logits: Logits) -> str:
    # logits made block by block are looked at where they are made
    if not isinstance(logits, np.ndarray) or np.isfinite(logits).all():
        return ""
    return "some logits are not finite numbers: the network is broken, and so is all that follows"


def _another_operation(grounds: Grounds) -> str:
    """Where another operation agrees clearly better with the answers than the task does."""
    found, own = grounds.recognition, grounds.accuracy.all
    if not found.fits or found.best.share < own + BETTER:
        return ""
    best = found.best
    asked = "" if best.operation.is_table else f': --operation "{best.text}"'
    if best.operation.group is not None:
        asked = f": --operation {best.operation.name}"
    return (
        f"the answers are those of {best.text}, on {best.share:.1%} of the pairs, and not those of "
        f"{grounds.task.what.text} ({own:.1%}){asked}"
    )


def _chance(grounds: Grounds) -> str:
    own, p = grounds.accuracy.all, grounds.task.p
    if not is_guessing(own, p):
        return ""
    constant = grounds.recognition.constant
    always = f", and the answer is {constant} on most of them" if constant is not None else ""
    nearest = "" if always else f"; {grounds.recognition}"
    return f"the accuracy over all pairs is {own:.4f}, no better than guessing (1/{p}){always or nearest}"


def _memorised(grounds: Grounds) -> str:
    train, test = grounds.accuracy.train, grounds.accuracy.test
    stated = train is None or test is None
    if stated:
        train, test = (grounds.stated.get(f"{name}_accuracy") for name in ("train", "test"))
    if train is None or test is None or train < LEARNT or test >= FORGOTTEN:
        return ""
    shares = f"{train:.1%} of its training pairs are right and {test:.1%} of the others"
    if not stated:
        return f"it has memorised: {shares}"
    return (
        f"it has memorised, as its file states ({shares}); {grounds.accuracy.all:.1%} of all pairs are right"
    )


def _too_few_right(grounds: Grounds) -> str:
    own = grounds.accuracy.all
    if own >= FITS or _chance(grounds) or _memorised(grounds):
        return ""
    unknown = (
        ""
        if grounds.split_known
        else "; it may have memorised its training pairs, but which they are is not known"
    )
    nearest = "" if grounds.recognition.fits else f"; {grounds.recognition}"
    return f"only {own:.1%} of the answers are right{unknown or nearest}"


def _loss(grounds: Grounds) -> str:
    loss, guessing = grounds.loss.all, math.log(grounds.task.p)
    if not loss > FAR * guessing or grounds.accuracy.all < FITS:
        return ""
    return (
        f"the loss over all pairs is {loss:.3g}, where guessing costs ln {grounds.task.p} = {guessing:.2f}: it is sure of "
        "wrong answers, so the network may not have been read as it was trained"
    )
