"""Foreign files in, one network out."""

from __future__ import annotations

from modscope.checkpoints.checkpoint import Checkpoint
from modscope.checkpoints.opening import open_checkpoint
from modscope.checkpoints.own import Saved, read_safetensors, save_safetensors

__all__ = ["Checkpoint", "Saved", "open_checkpoint", "read_safetensors", "save_safetensors"]
