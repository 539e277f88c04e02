"""Page, PNG, SVG, PDF, still and print show one picture: the page's own code draws all of them."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

import modscope as ms

SETTINGS: dict[str, dict[str, Any]] = {
    "wave": {"fold": True, "scale": "slice"},
    "spectrum": {"mode": "spectrum", "quantity": "db", "mute": [3]},
    "both": {"mode": "both", "style": "joins"},
    "heat": {"mode": "heatmap", "colours": "grey"},
    "plane": {"mode": "spectrum2d", "quantity": "power"},
    "multiples": {"mode": "multiples", "rows": "d_model"},
    "ridge": {"mode": "ridge", "rows": "d_model", "sort": "peak"},
}


@pytest.mark.browser
def test_the_svg_from_python_is_the_svg_of_the_page(opened: Any, waves: xr.DataArray) -> None:
    for name, options in SETTINGS.items():
        view = ms.show(waves, select={"d_model": 1, "c": 9}, key_frequencies=[3, 7], **options)
        screen = opened(view)
        screen.locator(".save summary").click()
        with screen.expect_download() as download:
            screen.get_by_role("button", name="SVG", exact=True).click()
        there = Path(download.value.path()).read_text()
        assert view.svg().replace("v0-", "") == there, name


@pytest.mark.browser
def test_the_csv_from_python_is_the_csv_of_the_page(opened: Any, waves: xr.DataArray) -> None:
    view = ms.show(waves, select={"d_model": 1, "c": 9}, mode="spectrum", quantity="phase")
    screen = opened(view)
    screen.locator(".save summary").click()
    with screen.expect_download() as download:
        screen.get_by_role("button", name="CSV of what is drawn").click()
    here, there = (
        [row.split(",") for row in text.splitlines()]
        for text in (view.csv(), Path(download.value.path()).read_text())
    )
    assert here[0] == there[0]
    # Two engines may differ in the last bit of an arc tangent.
    np.testing.assert_allclose(np.array(here[1:], float), np.array(there[1:], float), rtol=1e-12)


def test_stills_move_with_the_state_and_have_every_kind(waves: xr.DataArray) -> None:
    from matplotlib.image import imread

    view = ms.show(waves, select={"d_model": 1, "c": 9}, fold=True)
    png = view.png(dpi=50)
    assert imread(io.BytesIO(png)).shape[1] == 450
    assert view.pdf().startswith(b"%PDF")
    assert "even share about c/2" in view.svg()
    assert view.at(c=10).svg() != view.svg()
    pair = (view | ms.heatmap(waves)).svg()
    assert pair.count("<svg") == 3
    assert len(set(re.findall(r'id="([^"]+)"', pair))) == pair.count('id="')


def test_frames_are_the_stills_of_each_index(waves: xr.DataArray, tmp_path: Path) -> None:
    view = ms.show(waves, select={"d_model": 1})
    paths = view.frames(tmp_path / "film", every=15, dpi=30)
    assert [path.name for path in paths] == ["0000.png", "0001.png", "0002.png"]
    assert paths[1].read_bytes() == view.at(c=15).still(dpi=30)


def test_masked_values_are_masked_in_stills_too() -> None:
    x = np.ma.masked_array(np.arange(12.0).reshape(3, 4), np.eye(3, 4))
    assert "masked (□)" in ms.show(x).svg()


@pytest.mark.browser
def test_on_paper_there_is_the_whole_picture_and_no_control(opened: Any, waves: xr.DataArray) -> None:
    screen = opened(ms.show(waves) | ms.heatmap(waves))
    screen.emulate_media(media="print")
    screen.wait_for_function(
        "() => document.querySelector('[data-modscope]').shadowRoot.querySelectorAll('.printed svg').length === 2"
    )
    shown = screen.evaluate(
        "() => [...document.querySelector('[data-modscope]').shadowRoot.querySelectorAll("
        "'button, select, input, summary, canvas')].filter(el => el.checkVisibility()).length"
    )
    assert shown == 0
    pdf = screen.pdf()
    assert pdf.startswith(b"%PDF")
    screen.emulate_media(media="screen")


@pytest.mark.browser
def test_where_scripts_may_not_run_there_is_the_still(
    screen: Any, waves: xr.DataArray, tmp_path: Path
) -> None:
    path = ms.show(waves, title="Rows").save(tmp_path / "strict.html")
    policy = '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'">'
    path.write_text(path.read_text().replace("<head>", f"<head>{policy}"))
    screen.goto(f"file://{path}")
    still = screen.locator("[data-modscope] > svg")
    assert still.is_visible()
    assert still.bounding_box()["width"] > 300
    screen.wrong.clear()  # the browser reports what the policy forbade

    path = ms.show(waves).save(tmp_path / "styles.html")
    policy = "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; script-src 'unsafe-inline'\">"
    path.write_text(path.read_text().replace("<head>", f"<head>{policy}"))
    screen.goto(f"file://{path}")
    screen.wait_for_selector('.page[data-ready="true"]')
    assert screen.locator(".card").evaluate("e => getComputedStyle(e).display") == "flex"
    assert not screen.locator("[data-modscope] > svg").is_visible()
    screen.wrong.clear()
