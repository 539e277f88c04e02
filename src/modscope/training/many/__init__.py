"""Many networks of one shape trained at once: the network is one more axis of every array."""

from __future__ import annotations

from modscope.training.many.engine import ManyEngine
from modscope.training.many.training import pays, shape_of, train_many

__all__ = ["ManyEngine", "pays", "shape_of", "train_many"]
