"""Keys, fingers and zoom: what they do, and what they must never do."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

import modscope as ms

pytestmark = pytest.mark.browser

MODEL = "document.querySelector('[data-modscope]').modscope.models[0]"


def look(screen: Any, code: str) -> Any:
    return screen.evaluate(f"() => {{ const m = {MODEL}; return {code}; }}")


def settle(screen: Any) -> None:
    screen.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")


def at(screen: Any, fx: float, fy: float = 0.5) -> tuple[float, float]:
    box = screen.locator("canvas").first.bounding_box()
    return box["x"] + fx * box["width"], box["y"] + fy * box["height"]


def test_keys_go_on_after_the_list_of_keys_was_closed(opened: Any, waves: xr.DataArray) -> None:
    screen = opened(ms.show(waves))
    screen.locator(".card").focus()
    for how in ("Escape", "Enter", "?"):
        screen.keyboard.press("?")
        screen.get_by_role("dialog", name="keys").wait_for()
        screen.keyboard.press(how)
        assert screen.get_by_role("dialog", name="keys").count() == 0
        before = look(screen, "m.index.c.value")
        screen.keyboard.press("ArrowRight")
        assert look(screen, "m.index.c.value") == before + 1, how


def test_hiding_every_line_says_so_in_every_mode(opened: Any, waves: xr.DataArray) -> None:
    screen = opened(ms.show([waves, waves + 1], names=["one", "two"], fold=True))
    for name in ("one", "two"):
        screen.locator(".legend").get_by_role("button", name=name).click()
    for mode in look(
        screen,
        "[...document.querySelector('[data-modscope]').shadowRoot.querySelectorAll('.segments button')].map(b => b.textContent)",
    ):
        screen.get_by_role("button", name=mode, exact=True).click()
        settle(screen)
        screen.mouse.move(*at(screen, 0.4))
    screen.locator(".legend").get_by_role("button", name="one").click()
    assert look(screen, "m.lines().length") == 1


def test_frequencies_are_read_and_muted_by_keyboard(opened: Any, waves: xr.DataArray) -> None:
    screen = opened(ms.show(waves))
    screen.locator(".card").focus()
    screen.keyboard.press("k")
    for _ in range(2):
        screen.keyboard.press("ArrowRight")
    said = (
        "() => document.querySelector('[data-modscope]').shadowRoot.querySelector('[aria-live]').textContent"
    )
    screen.wait_for_function(f"() => ({said})().startsWith('k = 3, period')")
    screen.keyboard.press("m")
    assert look(screen, "m.state.mute.value") == [3]
    screen.wait_for_function(f"() => ({said})() === 'k = 3 muted'")
    screen.keyboard.press("Shift+M")
    assert look(screen, "m.state.mute.value") == [k for k in range(16) if k != 3]
    screen.keyboard.press("f")
    screen.wait_for_function(f"() => ({said})() === 'Wave'")


def test_zoom_by_wheel_and_key_pans_by_drag_and_ends_by_a_double_click(
    opened: Any, waves: xr.DataArray
) -> None:
    screen = opened(ms.show(waves, select={"c": 9}))
    place = at(screen, 0.5)
    screen.mouse.move(*place)
    screen.keyboard.down("Control")
    screen.mouse.wheel(0, -200)
    screen.keyboard.up("Control")
    screen.wait_for_function(f"() => {MODEL}.windows.value.wave")
    lo, hi = look(screen, "m.windows.value.wave.x")
    assert 12 < hi - lo < 25
    before = look(screen, "m.index.c.value")
    screen.mouse.down()
    screen.mouse.move(place[0] - 150, place[1], steps=3)
    screen.mouse.up()
    moved = look(screen, "m.windows.value.wave.x")
    assert moved[0] > lo + 1
    assert moved[1] - moved[0] == pytest.approx(hi - lo)
    assert look(screen, "m.index.c.value") == before
    assert screen.get_by_role("button", name="zoom out").is_visible()
    screen.mouse.dblclick(*place)
    assert look(screen, "Object.keys(m.windows.value).length") == 0
    screen.locator(".card").focus()
    screen.keyboard.press("z")
    assert look(screen, "m.windows.value.wave.x[1] - m.windows.value.wave.x[0]") == pytest.approx(
        15.5, abs=0.1
    )
    screen.keyboard.press("h")
    settle(screen)
    assert look(screen, "Object.keys(m.windows.value).length") == 0, "another picture, another window"


def test_a_wipe_has_a_handle_and_keeps_the_curve(opened: Any, waves: xr.DataArray) -> None:
    screen = opened(ms.show([waves, -waves], compare="wipe"))
    assert look(screen, "m.style") == "curve"
    place = at(screen, 0.5)
    screen.mouse.move(*place)
    screen.mouse.down()
    screen.mouse.move(place[0] + 200, place[1], steps=3)
    screen.mouse.up()
    assert 0.65 < look(screen, "m.wipe.value") < 0.85


def test_lines_that_lie_upon_each_other_come_apart(opened: Any, waves: xr.DataArray) -> None:
    screen = opened(ms.show([waves, waves], names=["one", "two"], offset=True))
    settle(screen)
    assert "lines moved apart" in screen.locator(".notes").inner_text()


def test_a_film_puts_the_index_back(opened: Any, waves: xr.DataArray) -> None:
    screen = opened(ms.show(waves, select={"c": 9}, seconds_per_cycle=1))
    screen.locator(".save summary").click()
    with screen.expect_download():
        screen.get_by_role("button", name="WebM of one cycle").click()
    assert look(screen, "m.index.c.value") == 9


def test_long_axes_and_large_pictures_do_not_freeze(opened: Any) -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((2, 20_000)).astype(np.float32)
    x[1, 12_345] = 99
    screen = opened(ms.show(x, dims=("row", "sample")))
    for mode in ("Spectrum", "Both", "Heat map", "Wave"):
        screen.get_by_role("button", name=mode, exact=True).click()
        settle(screen)
    screen.locator(".card").focus()
    screen.keyboard.press("ArrowRight")
    settle(screen)
    assert screen.locator(".caption").inner_text() == "x[row=1, :]"
    assert height_of_the_line(screen) > 0.4, "the spike is not lost between pixels"
    screen.mouse.move(*at(screen, 0.5))
    settle(screen)
    assert float(screen.locator(".tip").inner_text().splitlines()[1].replace("−", "-")) in x[1]

    y = rng.standard_normal((2000, 2000)).astype(np.float32)
    screen = opened(ms.heatmap(y, dims=("row", "column"), precision="int16"))
    screen.mouse.move(*at(screen, 0.5))
    settle(screen)
    row, column = look(screen, "[m.hover.value.y, m.hover.value.x]")
    said = float(screen.locator(".tip").inner_text().splitlines()[-1].split()[-1].replace("−", "-"))
    assert said == pytest.approx(float(y[row, column]), abs=1e-3)
    screen = opened(ms.show(y[:700, :900], dims=("row", "column"), mode="spectrum2d"))
    longest = screen.evaluate(
        "async () => { let worst = 0, last = performance.now(); const end = last + 20000;"
        f"while (performance.now() < end) {{ await new Promise(requestAnimationFrame); const now = performance.now(); worst = Math.max(worst, now - last); last = now;"
        f"const got = {MODEL}.jobs.known.get('plane'); if (got && got.done) return worst; }} return -1; }}"
    )
    assert longest >= 0, "the transform comes to its end"


def height_of_the_line(screen: Any) -> float:
    """From the lowest to the highest pixel in the colour of the line, as a share of the picture."""
    return float(
        screen.evaluate(
            "() => { const c = document.querySelector('[data-modscope]').shadowRoot.querySelector('canvas');"
            "const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data, rows = [];"
            "for (let i = 0; i < d.length; i += 4) if (d[i + 2] > 120 && d[i] < 60 && d[i + 1] < 150) rows.push(Math.floor(i / 4 / c.width));"
            "return rows.length ? (rows.at(-1) - rows[0]) / c.height : 0; }"
        )
    )


def test_a_click_on_the_losses_goes_to_their_epoch(opened: Any) -> None:
    x = np.zeros((5, 3, 4), np.float32)
    view = ms.show(x, dims=("epoch", "row", "k"), select={"epoch": 4})
    losses = {"axis": "epoch", "lines": [{"name": "test loss", "values": [4.0, 3.9, 3.0, 0.1, None]}]}
    screen = opened(dataclasses.replace(view, views=({**view.views[0], "losses": losses},)))
    strip = screen.locator("canvas.losses")
    box = strip.bounding_box()
    for fraction, epoch in ((0.02, 0), (0.5, 2), (0.98, 4)):
        strip.click(position={"x": fraction * box["width"], "y": box["height"] / 2})
        assert look(screen, "m.index.epoch.value") == epoch


def contrast(one: tuple[float, ...], other: tuple[float, ...]) -> float:
    """Of two colours, by their relative luminance."""

    def luminance(colour: tuple[float, ...]) -> float:
        parts = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in colour]
        return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]

    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_bars_stand_out_three_to_one(opened: Any, waves: xr.DataArray, theme: str) -> None:
    view = ms.show(
        [waves, waves / 2], theme=theme, mode="spectrum", key_frequencies=[3], mute=[4], select={"c": 9}
    )
    screen = opened(view)

    def colour(text: str) -> tuple[float, ...]:
        found = screen.evaluate(
            "text => { const c = document.createElement('canvas').getContext('2d'); c.fillStyle = text; c.fillRect(0, 0, 1, 1); return [...c.getImageData(0, 0, 1, 1).data]; }",
            text,
        )
        return tuple(v / 255 for v in found[:3])

    style = screen.locator(".page").evaluate(
        "e => { const s = getComputedStyle(e); return ['--ground', '--accent', '--mark', '--faint'].map(n => s.getPropertyValue(n).trim()); }"
    )
    ground = colour(style[0])
    assert all(contrast(colour(text), ground) >= 3 for text in style[1:])
    seen = 0
    for bar in re.finditer(r"<rect [^>]*>", view.svg()):
        fill, alpha = (re.search(rf'{name}="([^"]+)"', bar[0]) for name in ("fill", "(?:fill-)?opacity"))
        if not fill or not fill[1].startswith("#") or contrast(colour(fill[1]), ground) < 1.2:
            continue  # the ground itself
        share = float(alpha[1]) if alpha else 1.0
        blended = tuple(share * v + (1 - share) * g for v, g in zip(colour(fill[1]), ground, strict=True))
        assert contrast(blended, ground) >= 3, bar[0]
        seen += 1
    assert seen > 20


def test_numbers_are_said_to_the_last_digit_and_gaps_by_name(opened: Any) -> None:
    x = np.ma.masked_array(
        np.array([[12345.0, 0.1, np.nan, np.inf, -np.inf, 7.0]] * 2), [[0, 0, 0, 0, 0, 1]] * 2
    )
    screen = opened(ms.show(x, dims=("row", "k")))
    said = []
    for f in np.linspace(0.07, 0.98, 40):
        screen.mouse.move(*at(screen, float(f)))
        settle(screen)
        if screen.locator(".tip").is_visible():
            said.append(screen.locator(".tip").inner_text().splitlines()[1])
    assert list(dict.fromkeys(said)) == ["12345", "0.1", "NaN", "+inf", "−inf", "masked"]
    assert (
        screen.locator(".notes").inner_text() == "1 NaN (×), 1 +inf (⌃ above), 1 −inf (⌄ below), 1 masked (□)"
    )
    screen.get_by_role("button", name="Heat map").click()
    settle(screen)
    assert "2 NaN (grey ×)" in screen.locator(".notes").inner_text()
    empty = opened(ms.show(np.full((2, 4), np.nan), mode="spectrum"))
    settle(empty)
    empty.mouse.move(*at(empty, 0.5))
    settle(empty)
    assert "no numbers in this slice" in empty.locator(".tip").inner_text()


def test_the_mean_keeps_its_sign_and_the_bar_says_what_it_is_of(opened: Any, waves: xr.DataArray) -> None:
    screen = opened(ms.show(-np.abs(waves), mode="spectrum", quantity="amplitude"))
    box = screen.locator("canvas").bounding_box()
    for f in np.linspace(0.06, 0.14, 12):
        screen.mouse.move(box["x"] + f * box["width"], box["y"] + 0.7 * box["height"])
        settle(screen)
        text = screen.locator(".tip").inner_text() if screen.locator(".tip").is_visible() else ""
        if text.startswith("k = 0"):
            break
    assert "mean −" in text
    scene = "m.range(['c', 'a'], [m.lines(['c', 'a'])[0].values]).over"
    assert look(opened(ms.heatmap(waves, play="d_model")), scene) == "axis"
    assert look(opened(ms.heatmap(waves, play="c")), scene) == "slice"


@pytest.mark.usefixtures("_some_chromium")
def test_touch_reads_plays_and_pinches(browser: Any, waves: xr.DataArray, tmp_path: Path) -> None:
    path = ms.show(waves, mode="spectrum").save(tmp_path / "touch.html")
    with browser.new_context(
        has_touch=True, is_mobile=True, viewport={"width": 390, "height": 800}
    ) as context:
        page = context.new_page()
        page.goto(f"file://{path}")
        page.wait_for_selector('.page[data-ready="true"]')
        small = page.evaluate(
            "() => [...document.querySelector('[data-modscope]').shadowRoot.querySelectorAll('button, select, summary, input')]"
            ".filter(el => el.checkVisibility({ visibilityProperty: true })).filter(el => el.getBoundingClientRect().height < 43.5)"
            ".map(el => el.getAttribute('aria-label') || el.textContent)"
        )
        assert small == [], "targets of 44 pixels"
        box = page.locator("canvas").bounding_box()
        x, y = box["x"] + 0.6 * box["width"], box["y"] + 0.6 * box["height"]
        client = context.new_cdp_session(page)

        def touch(kind: str, *points: tuple[float, float]) -> None:
            client.send(
                "Input.dispatchTouchEvent",
                {
                    "type": kind,
                    "touchPoints": [{"x": px, "y": py, "id": i} for i, (px, py) in enumerate(points)],
                },
            )

        touch("touchStart", (x, y))
        page.wait_for_timeout(500)
        touch("touchEnd")
        page.wait_for_timeout(50)
        assert look(page, "m.state.mute.value") == [], "a long press reads and never mutes"
        assert page.locator(".tip").is_visible(), "and what it read stays"
        page.evaluate(f"() => {{ {MODEL}.state.mode.value = 'wave'; {MODEL}.set('c', 2); }}")
        page.wait_for_timeout(100)
        touch("touchStart", (x, y))
        for step in range(1, 6):
            touch("touchMove", (x - 20 * step, y))
        touch("touchEnd")
        assert look(page, "m.index.c.value") != 2, "a drag plays"
        touch("touchStart", (x - 30, y), (x + 30, y))
        for step in range(1, 6):
            touch("touchMove", (x - 30 - 8 * step, y), (x + 30 + 8 * step, y))
        touch("touchEnd")
        assert look(page, "!!m.windows.value.wave"), "a pinch zooms"
        page.locator(".save summary").tap()
        menu = page.locator(".menu").bounding_box()
        assert 0 <= menu["x"] <= 390 - menu["width"]
