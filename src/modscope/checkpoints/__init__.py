"""Foreign files in, one network out."""

from __future__ import annotations

from modscope.checkpoints.opening import Checkpoint, open_checkpoint
from modscope.checkpoints.own import save_safetensors

__all__ = ["Checkpoint", "open_checkpoint", "save_safetensors"]
