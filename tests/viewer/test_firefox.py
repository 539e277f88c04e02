"""The core journey in Debian's Firefox, driven over its remote protocol; skipped where it is not installed."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
import xarray as xr

import modscope as ms

pytestmark = pytest.mark.browser


def test_a_saved_page_paints_in_firefox(waves: xr.DataArray, tmp_path: Path) -> None:
    firefox = shutil.which("firefox-esr") or shutil.which("firefox")
    if firefox is None:
        pytest.skip("no Firefox: apt-get install firefox-esr")
    from PIL import Image

    page = ms.show(waves, select={"d_model": 1, "c": 9}).save(tmp_path / "view.html")
    shot = tmp_path / "shot.png"
    command = [
        firefox,
        "--headless",
        "--no-remote",
        "--profile",
        str(tmp_path / "profile"),
        "--window-size=900,760",
    ]
    (tmp_path / "profile").mkdir()
    try:
        subprocess.run(
            [*command, "--screenshot", str(shot), page.as_uri()], capture_output=True, timeout=90, check=False
        )
    except subprocess.TimeoutExpired:
        pytest.skip("Firefox did not start within 90 s on this machine")
    assert shot.is_file()
    with Image.open(shot) as image:
        colours = image.convert("RGB").getcolors(1 << 24)
    blue = sum(n for n, (r, g, b) in colours or [] if b > 120 and r < 60 and g < 150)
    mark = sum(n for n, (r, g, b) in colours or [] if r > 140 and g < 60 and b > 110)
    assert blue > 500, "the wave is drawn"
    assert mark > 50, "and the marks"
