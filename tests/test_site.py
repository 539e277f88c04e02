"""The documents as a site: built strictly, complete from the disk, with a search that works there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.viewer.conftest import _some_chromium, _tab, browser_type_launch_args, screen

__all__ = ["_some_chromium", "_tab", "browser_type_launch_args", "screen"]

ROOT = Path(__file__).resolve().parents[1]
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built with --strict: a broken link, anchor or reference fails here."""
    pytest.importorskip("mkdocs", reason="the site needs mkdocs-material: pip install modscope[docs]")
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    environment = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_nothing_is_fetched_from_elsewhere(site: Path) -> None:
    for page in site.rglob("*.html"):
        text = page.read_text("utf-8")
        assert not re.search(r'<(?:script|img|iframe)[^>]+src="https?:', text), page
        assert not re.search(r'<link[^>]+rel="(?:stylesheet|preconnect)"[^>]+href="https?:', text), page


def test_every_block_that_asks_for_a_view_has_one(site: Path) -> None:
    for source in (ROOT / "docs").rglob("*.md"):
        wanted = source.read_text("utf-8").count("```python show")
        page = site / source.relative_to(ROOT / "docs").with_suffix(".html")
        assert page.read_text("utf-8").count('<div class="modscope-view"><iframe') == wanted, source


def test_the_reference_shows_the_docstrings(site: Path) -> None:
    text = (site / "reference/workbench.html").read_text("utf-8")
    assert "A network on the workbench" in text
    assert "counterfactual" in text or "had some activations been others" in text


@pytest.mark.browser
def test_search_works_from_the_disk(site: Path, screen: Any) -> None:
    screen.set_viewport_size({"width": 1300, "height": 800})
    asked: list[str] = []
    screen.on("request", lambda r: asked.append(r.url) if r.url.startswith("http") else None)
    screen.goto((site / "ideas/signals.html").as_uri())
    screen.locator(".md-search__input").click()
    screen.wait_for_timeout(1000)
    screen.keyboard.type("aliasing", delay=40)
    screen.locator(".md-search-result__link").first.wait_for(timeout=15000)
    assert not asked
