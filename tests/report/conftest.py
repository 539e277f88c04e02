"""The browser of the viewer's tests, for the report's page too."""

from __future__ import annotations

from tests.viewer.conftest import _some_chromium, _tab, browser_type_launch_args, screen

__all__ = ["_some_chromium", "_tab", "browser_type_launch_args", "screen"]
