"""Arrays at the edges of what may be shown: every mode of the page draws them without an error."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import modscope as ms

pytestmark = pytest.mark.browser

ARRAYS = {
    "one axis": np.arange(7.0),
    "one value": np.ones((1, 1)),
    "two samples": np.array([[1.0, -1.0], [2.0, 0.5]]),
    "nothing finite": np.full((3, 5), np.nan),
    "constant": np.full((3, 5), -2.5),
    "huge and tiny": np.array([[1e30, -1e30, 0.0], [1e-30, 0.0, 2e-30]]),
    "five axes of different sizes": np.random.default_rng(0).standard_normal((2, 3, 4, 5, 6)),
    "ten lines": [np.random.default_rng(i).standard_normal((4, 9)) for i in range(10)],
}


# Goes through the modes, the pointer over three places of each, and tells what each says of itself.
EVERY_MODE = """async () => {
  const root = document.querySelector('[data-modscope]').shadowRoot, canvas = root.querySelector('canvas'), said = [];
  const frames = () => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)));
  for (const button of root.querySelectorAll('.segments button')) {
    button.click();
    await frames();
    const box = canvas.getBoundingClientRect();
    for (const f of [0.2, 0.5, 0.8])
      canvas.dispatchEvent(new PointerEvent('pointermove', { bubbles: true, clientX: box.left + f * box.width, clientY: box.top + box.height / 2 }));
    await frames();
    said.push([button.textContent, canvas.getAttribute('aria-label')]);
  }
  return said;
}"""
CASES = [
    *((name, "float32") for name in ARRAYS),
    ("nothing finite", "int16"),
    ("huge and tiny", "int16"),
    ("five axes of different sizes", "waves"),
]


@pytest.mark.parametrize(("name", "precision"), CASES)
def test_every_mode_draws(screen: Any, tmp_path: Path, name: str, precision: str) -> None:
    view = ms.show(ARRAYS[name], key_frequencies=[1, 2], precision=precision)  # type: ignore[arg-type]
    assert view.still(dpi=30)
    screen.goto(f"file://{view.save(tmp_path / 'view.html')}")
    screen.wait_for_selector('.page[data-ready="true"]')
    screen.locator(".card").focus()
    for mode, label in screen.evaluate(EVERY_MODE):
        assert label, mode
        assert "undefined" not in label, mode
        assert "NaN," not in label, mode
    for key in ("ArrowRight", "ArrowUp", "ArrowRight", "s", "b", "x", "0", "Space", "Space"):
        screen.keyboard.press(key)
    screen.locator(".save summary").click()
    with screen.expect_download() as download:
        screen.get_by_role("button", name="SVG", exact=True).click()
    text = Path(download.value.path()).read_text()
    assert 'd="undefined' not in text
    assert "NaN" not in text.split("</title>")[1].replace("(NaN or inf)", "")
