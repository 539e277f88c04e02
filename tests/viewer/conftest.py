"""A Chromium for the tests of the page, and arrays to look at."""

from __future__ import annotations

import os
import shutil
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


@pytest.fixture
def screen(_some_chromium: None, page: Any) -> Any:
    """A page whose script errors fail the test."""
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.on("request", lambda request: errors.append(request.url) if request.url.startswith("http") else None)
    page.set_viewport_size({"width": 1000, "height": 760})
    yield page
    assert errors == []


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
