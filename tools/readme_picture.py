"""Makes docs/images/attn_out.png, the README's picture: a view of the shipped network in a real browser.

    python tools/readme_picture.py [CHROMIUM]

Needs the test extra (playwright) and a Chromium.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np
from playwright.sync_api import sync_playwright

import modscope as ms
from modscope import analysis

TARGET = Path(__file__).resolve().parents[1] / "docs" / "images" / "attn_out.png"


def main() -> None:
    checkpoint = ms.shipped_network()
    acts = ms.record(checkpoint.model, checkpoint.task)
    keys = analysis.key_frequencies(acts).frequencies
    waves = ms.in_order(acts.at("attn_out"), "c", "a")
    loudest = int(np.argmax(waves.std(("c", "a")).values))
    view = ms.show(
        waves.isel(d_model=loudest),
        x="a",
        play="c",
        select={"c": 40},
        mode="both",
        key_frequencies=keys,
        title=f"attn_out, dimension {loudest}",
    )
    executable = sys.argv[1] if len(sys.argv) > 1 else shutil.which("chromium")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        page_file = view.save(Path(folder) / "view.html")
        browser = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 980, "height": 745}, device_scale_factor=1.5)
        page.goto(page_file.as_uri())
        page.wait_for_timeout(1500)
        TARGET.parent.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=TARGET)
        browser.close()


if __name__ == "__main__":
    main()
