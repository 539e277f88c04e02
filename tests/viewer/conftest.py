"""A Chromium for the tests of the page, and arrays to look at."""

from __future__ import annotations

import itertools
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr


def chromium() -> str | None:
    """The browser named in MODSCOPE_CHROMIUM, the system's, or None for playwright's own."""
    for name in (
        os.environ.get("MODSCOPE_CHROMIUM"),
        "/usr/bin/chromium",
        "chromium-browser",
        "google-chrome",
    ):
        if name and (found := shutil.which(name)):
            return found
    return None


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args: dict[str, Any]) -> dict[str, Any]:
    return {**browser_type_launch_args, "executable_path": chromium(), "args": ["--no-sandbox"]}


@pytest.fixture(scope="session")
def _some_chromium(playwright: Any) -> None:
    own = Path(playwright.chromium.executable_path)
    if chromium() is None and not own.exists():
        pytest.skip(
            "no Chromium: set MODSCOPE_CHROMIUM, install chromium, or run `playwright install chromium`"
        )


@pytest.fixture(scope="session")
def _tab(_some_chromium: None, browser: Any) -> Any:
    """One page for all tests: opening a browser's page costs more than most of them."""
    with browser.new_context(viewport=SIZE, accept_downloads=True) as context:
        page = context.new_page()
        page.set_default_timeout(15_000)
        page.wrong = []
        page.on("pageerror", lambda error: page.wrong.append(str(error)))
        page.on(
            "console",
            lambda message: page.wrong.append(message.text) if message.type == "error" else None,
        )
        page.on(
            "request",
            lambda request: page.wrong.append(request.url) if request.url.startswith("http") else None,
        )
        yield page


SIZE = {"width": 1000, "height": 760}


@pytest.fixture
def screen(_tab: Any) -> Any:
    """The tests' page, whose script errors and requests fail the test."""
    _tab.wrong.clear()
    yield _tab
    errors = list(_tab.wrong)
    # What still plays or computes would take time from the next test.
    _tab.goto("about:blank")
    _tab.set_viewport_size(SIZE)
    _tab.emulate_media(color_scheme="light", reduced_motion="no-preference", media="screen")
    assert errors == []


@pytest.fixture
def opened(screen: Any, tmp_path: Path) -> Callable[..., Any]:
    """Saves a view, opens it from disk, waits until its numbers are there."""
    count = itertools.count()

    def open_view(view: Any, fragment: str = "") -> Any:
        path = view.save(tmp_path / f"view{next(count)}.html")
        screen.goto(f"file://{path}{fragment}")
        screen.wait_for_selector('.page[data-ready="true"]')
        return screen

    return open_view


@pytest.fixture(scope="session")
def waves() -> xr.DataArray:
    """[d_model, c, a]: rows even about c/2 plus a part of a alone, over 31 residues."""
    p, d = 31, 3
    c, a = np.arange(p)[:, None], np.arange(p)[None, :]
    rng = np.random.default_rng(3)
    rows = []
    for i in range(d):
        envelope = rng.standard_normal((p, 1))
        wave = envelope * np.cos(2 * np.pi * (3 + i) * (a - c / 2) / p) + 0.4 * np.cos(
            2 * np.pi * 7 * (a - c / 2) / p
        )
        rows.append(wave + 0.1 * i * np.sin(2 * np.pi * 5 * a / p) + rng.standard_normal((p, 1)))
    return xr.DataArray(
        np.stack(rows).astype(np.float32),
        dims=("d_model", "c", "a"),
        attrs={"p": p, "operation": "add", "hook": "resid_post"},
    )
