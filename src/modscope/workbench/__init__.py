"""One object over a network, its task, its activations and its run: what `modscope.open` gives."""

from __future__ import annotations

from modscope.workbench.net import Net
from modscope.workbench.opening import open
from modscope.workbench.page import Page

__all__ = ["Net", "Page", "open"]
