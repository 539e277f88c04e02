"""What is measured of an opened network, and what has to be said of it first and last."""

from __future__ import annotations

from dataclasses import replace

from modscope.checkpoints.checkpoint import Checkpoint
from modscope.checkpoints.stated import disagreements, not_compared
from modscope.grounds import Grounds

__all__ = ["NOT_VERIFIED", "judged", "measured_of"]


NOT_VERIFIED = "not verified: the file has no checksum, so damage to its numbers would not show"


def measured_of(grounds: Grounds) -> dict[str, float]:
    """Loss and accuracy over each known split, by the names under which files state them."""
    every = {f"{split}_loss": value for split, value in grounds.loss.to_dict().items()}
    every |= {f"{split}_accuracy": value for split, value in grounds.accuracy.to_dict().items()}
    return {name: value for name, value in every.items() if value is not None}


def judged(checkpoint: Checkpoint) -> Checkpoint:
    """The checkpoint with notes on what cannot be judged, which come first, and on what does not agree."""
    first = [f"cannot be judged: {problem.says}" for problem in checkpoint.grounds.problems]
    if checkpoint.at_chance:
        first.append(
            "at chance: not trained, another operation, or axes in another order than this layout has"
        )
    stated, measured = checkpoint.stated, checkpoint.measured
    last = [f"disagrees with its file: {text}" for text in disagreements(stated, measured)]
    last += not_compared(stated, measured)
    return replace(checkpoint, notes=(*first, *checkpoint.notes, *last))
