"""The residual stream rebuilt from phasors, with the error of each step."""

from __future__ import annotations

from modscope.analysis.stream.budget import error_budget
from modscope.analysis.stream.model import StreamModel, rebuilt_stream, stream_model, unembedding_phasors
from modscope.analysis.stream.phasors import center_phasors, envelope_fit, phase_agreement

__all__ = [
    "StreamModel",
    "center_phasors",
    "envelope_fit",
    "error_budget",
    "phase_agreement",
    "rebuilt_stream",
    "stream_model",
    "unembedding_phasors",
]
