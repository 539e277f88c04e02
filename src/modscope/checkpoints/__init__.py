"""Foreign files in, one network out."""

from __future__ import annotations

from modscope.checkpoints.own import save_safetensors

__all__ = ["save_safetensors"]
