"""The core journeys in Debian's Firefox, driven over its remote protocol; skipped where it is not installed."""

from __future__ import annotations

import importlib.util
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import xarray as xr

import modscope as ms

pytestmark = pytest.mark.browser
VIEW = "document.querySelector('[data-modscope]')"
MODEL = f"{VIEW}.modscope.models[0]"


@pytest.fixture(scope="module")
def firefox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    program = shutil.which("firefox-esr") or shutil.which("firefox")
    if program is None:
        pytest.skip("no Firefox: apt-get install firefox-esr")
    # Test folders are no packages: the helper beside this file is loaded by its path.
    spec = importlib.util.spec_from_file_location("marionette", Path(__file__).with_name("marionette.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    with module.firefox(program, tmp_path_factory.mktemp("firefox") / "profile") as one:
        if one is None:
            pytest.skip("Firefox did not start within 90 s on this machine")
        yield one


def opened(firefox: Any, page: Path) -> None:
    firefox.goto(page.as_uri())
    firefox.until(f"{VIEW}?.shadowRoot?.querySelector('.page[data-ready=\"true\"]')")
    firefox.run("window.wrong = []; addEventListener('error', e => window.wrong.push(e.message));")
    firefox.run(f"{VIEW}.shadowRoot.querySelector('.card').focus();")


def text(firefox: Any, selector: str) -> str:
    """What an element says, two frames later."""
    return str(
        firefox.run(
            "await new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)));"
            f"return {VIEW}.shadowRoot.querySelector(arguments[0]).textContent;",
            selector,
        )
    )


def colours(firefox: Any) -> list[int]:
    """How many pixels of the picture are those of the wave and those of marks."""
    found = firefox.run(
        "await new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)));"
        f"const c = {VIEW}.shadowRoot.querySelector('canvas'), d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;"
        "let blue = 0, mark = 0; for (let i = 0; i < d.length; i += 4) {"
        "if (d[i + 2] > 120 && d[i] < 60 && d[i + 1] < 150) blue++; if (d[i] > 140 && d[i + 1] < 60 && d[i + 2] > 110) mark++; }"
        "return [blue, mark];"
    )
    return [int(n) for n in found]


def test_a_saved_page_is_read_played_and_muted(firefox: Any, waves: xr.DataArray, tmp_path: Path) -> None:
    opened(
        firefox,
        ms.show(waves, select={"d_model": 1, "c": 9}, key_frequencies=[4]).save(tmp_path / "view.html"),
    )
    blue, mark = colours(firefox)
    assert blue > 500, "the wave is drawn"
    assert mark > 50, "and the marks"

    firefox.press("ArrowRight")
    assert text(firefox, ".caption") == "resid_post[d_model=1, c=10, :]"
    assert text(firefox, ".message") == "0 + 10 = 10 (mod 31)"
    firefox.press(" ")
    firefox.until(f"{MODEL}.index.c.value > 12")
    firefox.press(" ")
    at = firefox.run(f"return {MODEL}.index.c.value;")
    assert text(firefox, ".caption") == f"resid_post[d_model=1, c={at}, :]"

    box = firefox.run(
        f"const b = {VIEW}.shadowRoot.querySelector('canvas').getBoundingClientRect(); return [b.left, b.top, b.width, b.height];"
    )
    x, y = box[0] + 0.5 * box[2], box[1] + 0.5 * box[3]
    firefox.point(("move", x, y))
    said = text(firefox, ".tip")
    found = re.search(r"a = (\d+)", said)
    assert found is not None
    value = firefox.run(f"return {MODEL}.hover.value.x;")
    assert int(found[1]) == value
    # Dragging plays; a click in the spectrum mutes.
    firefox.point(("down", x, y), ("move", x + 60, y), ("move", x + 120, y), ("up", x + 120, y))
    assert firefox.run(f"return {MODEL}.index.c.value;") != at
    firefox.press("f")
    firefox.until(f"{MODEL}.state.mode.value === 'spectrum'")
    text(firefox, ".caption")
    x4 = firefox.run(
        f"const root = {VIEW}.shadowRoot; const b = root.querySelector('canvas').getBoundingClientRect();"
        f"for (let f = 0.05; f < 1; f += 0.004) {{ root.querySelector('canvas').dispatchEvent(new PointerEvent('pointermove', {{ bubbles: true, clientX: b.left + f * b.width, clientY: b.top + 0.5 * b.height }})); if ({MODEL}.hover.value?.x === 4) return b.left + f * b.width; }} return -1;"
    )
    assert x4 > 0
    firefox.point(("down", x4, y), ("up", x4, y))
    firefox.until(f"{MODEL}.state.mute.value.includes(4)")
    assert "muted: 4" in text(firefox, ".notes")
    assert firefox.run("return window.wrong;") == []


def test_pictures_and_rows_are_drawn(firefox: Any, waves: xr.DataArray, tmp_path: Path) -> None:
    opened(firefox, ms.heatmap(waves).save(tmp_path / "map.html"))
    for mode in ("Heat map", "2-D spectrum", "Multiples", "Ridge", "Both"):
        label = firefox.run(
            f"const root = {VIEW}.shadowRoot; [...root.querySelectorAll('.segments button')].find(b => b.textContent === arguments[0]).click();"
            "await new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)));"
            "const c = root.querySelector('canvas'), d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data, seen = new Set();"
            "for (let i = 0; i < d.length; i += 4) seen.add(d[i] << 16 | d[i + 1] << 8 | d[i + 2]); return seen.size;",
            mode,
        )
        assert label > 20, mode
    assert firefox.run("return window.wrong;") == []
