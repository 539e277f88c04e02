"""The live scope: a page that shows a network as it learns, from this machine only.

`Scope` stands between the training and the page: training tells it how it stands, the page asks it for pictures.
"""

from __future__ import annotations

from modscope.viewer.live.following import Followed, LiveView, live_view
from modscope.viewer.live.scope import Scope
from modscope.viewer.live.server import LiveServer

__all__ = ["Followed", "LiveServer", "LiveView", "Scope", "live_view"]
