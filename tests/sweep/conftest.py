"""The browser of the viewer's tests, for the page of a sweep too."""

from __future__ import annotations

from tests.viewer.conftest import _some_chromium, browser_type_launch_args

__all__ = ["_some_chromium", "browser_type_launch_args"]
