"""The exported page in a real Chromium: keys, play, toggle, read-outs against numbers computed here, exports."""

from __future__ import annotations

import io
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

import modscope as ms
from modscope.signal import amplitude, phase, power
from modscope.viewer import fragments

pytestmark = pytest.mark.browser

Opener = Callable[..., Any]


def settle(screen: Any) -> None:
    screen.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")


def state(screen: Any, n: int = 0) -> dict[str, Any]:
    return screen.evaluate(f"() => document.querySelector('[data-modscope]').modscope.models[{n}].snapshot()")


def pixels(screen: Any) -> bytes:
    settle(screen)
    return screen.locator("canvas").first.screenshot()


def plot_box(screen: Any) -> dict[str, float]:
    return screen.locator("canvas").first.bounding_box()


def tip(screen: Any, fx: float, fy: float = 0.5) -> str:
    box = plot_box(screen)
    screen.mouse.move(box["x"] + fx * box["width"], box["y"] + fy * box["height"])
    settle(screen)
    return screen.locator(".tip").first.inner_text()


def number(text: str, after: str) -> float:
    found = re.search(re.escape(after) + r"\s*([−+-]?[\d.]+(?:e[+-]?\d+)?)", text)
    assert found, f"{after!r} is not in {text!r}"
    return float(found.group(1).replace("−", "-"))


def test_a_page_paints_says_where_it_is_and_needs_no_network(opened: Opener, waves: xr.DataArray) -> None:
    screen = opened(ms.show(waves, select={"d_model": 1, "c": 8, "a": 3}, title="Rows"))
    assert screen.locator("h2").inner_text() == "Rows"
    assert screen.locator(".caption").inner_text() == "resid_post[d_model=1, c=8, :]"
    assert screen.locator(".message").inner_text() == "3 + 5 = 8 (mod 31)"
    assert screen.locator(".badge").inner_text() == "f32"
    blank = screen.evaluate(
        "() => { const c = document.querySelector('[data-modscope]').shadowRoot.querySelector('canvas');"
        "const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;"
        "let n = 0; for (let i = 0; i < d.length; i += 4) if (d[i] + d[i+1] + d[i+2] < 600) n++; return n; }"
    )
    assert blank > 2000


def test_hover_says_the_value_and_the_offset_from_half_c(opened: Opener, waves: xr.DataArray) -> None:
    screen = opened(ms.show(waves, select={"d_model": 2, "c": 9}))
    text = tip(screen, 0.6)
    a = int(number(text, "a ="))
    assert number(text, "(c/2 + ") == pytest.approx(a - 4.5)
    value = float(text.splitlines()[1].replace("−", "-"))
    assert value == pytest.approx(float(waves[2, 9, a]), rel=1e-3)


def test_hover_in_a_spectrum_agrees_with_the_package(opened: Opener, waves: xr.DataArray) -> None:
    screen = opened(ms.show(waves, select={"d_model": 2, "c": 9}, mode="spectrum", key_frequencies=[5, 7]))
    wave = waves.values[2, 9].astype(np.float64)
    text = tip(screen, 0.5)
    k = int(number(text, "k ="))
    assert number(text, "period") == pytest.approx(31 / k, rel=1e-3)
    assert number(text, "amplitude") == pytest.approx(amplitude(wave, 0)[k], rel=1e-5)
    assert number(text, "phase") == pytest.approx(phase(wave, 0)[k], rel=1e-3, abs=1e-3)
    shares = power(wave, 0)[1:] / power(wave, 0)[1:].sum()
    assert number(text, "share") == pytest.approx(100 * shares[k - 1], abs=0.006)
    assert number(text, "rank") == 1 + (shares > shares[k - 1]).sum()


def test_keys_step_choose_toggle_and_reset(opened: Opener, waves: xr.DataArray) -> None:
    screen = opened(ms.show(waves, select={"c": 0}))
    screen.keyboard.press("ArrowRight")
    assert state(screen)["index"]["c"] == 0, "keys belong to the view only while it has the focus"
    screen.locator(".card").focus()
    for key, want in (
        ("ArrowRight", 1),
        ("Shift+ArrowRight", 11),
        ("ArrowLeft", 10),
        ("End", 30),
        ("ArrowRight", 0),
    ):
        screen.keyboard.press(key)
        assert state(screen)["index"]["c"] == want
    screen.keyboard.press("ArrowUp")
    screen.keyboard.press("ArrowRight")
    assert state(screen)["index"]["d_model"] == 1
    for key, name, want in (
        ("f", "mode", "spectrum"),
        ("f", "mode", "wave"),
        ("h", "mode", "heatmap"),
        ("h", "mode", "wave"),
        ("s", "fold", True),
    ):
        screen.keyboard.press(key)
        assert state(screen)[name] == want
    screen.keyboard.press("+")
    assert state(screen)["seconds"] == 5
    screen.keyboard.press("-")
    screen.keyboard.press("x")
    screen.keyboard.press("1")
    assert (state(screen)["x"], state(screen)["play"]) == ("c", "a")
    screen.keyboard.press("?")
    assert screen.get_by_role("dialog", name="keys").is_visible()
    screen.keyboard.press("Escape")
    screen.locator(".card").focus()
    screen.keyboard.press("0")
    assert state(screen)["x"] == "a"
    assert state(screen)["index"] == {"d_model": 0, "c": 0, "a": 0}


def test_space_plays_every_step_and_stops(opened: Opener, waves: xr.DataArray) -> None:
    screen = opened(ms.show(waves, select={"c": 0}, seconds_per_cycle=2))
    screen.evaluate(
        "() => { const m = document.querySelector('[data-modscope]').modscope.models[0]; window.seen = [];"
        "m.index.c.subscribe(v => window.seen.push(v)); }"
    )
    screen.locator(".card").focus()
    screen.keyboard.press("Space")
    screen.wait_for_function("() => window.seen.length > 12")
    screen.keyboard.press("Space")
    seen = screen.evaluate("() => window.seen")
    assert seen == [n % 31 for n in range(len(seen))]
    screen.wait_for_timeout(150)
    assert screen.evaluate("() => window.seen") == seen


def test_once_stops_at_the_end_and_bounce_turns(opened: Opener, waves: xr.DataArray) -> None:
    screen = opened(ms.show(waves[:, :4], loop="once", seconds_per_cycle=1, p=31))
    screen.get_by_role("button", name="play c").click()
    screen.wait_for_function(
        "() => document.querySelector('[data-modscope]').modscope.models[0].index.c.value === 3"
    )
    screen.locator('.play[aria-label="play c"][aria-pressed="false"]').wait_for()
    settle(screen)
    assert state(screen)["index"]["c"] == 3


def test_sliders_are_real_and_speak(opened: Opener, waves: xr.DataArray) -> None:
    screen = opened(ms.show(waves, select={"c": 0}))
    slider = screen.get_by_role("slider", name="c", exact=True)
    slider.focus()
    slider.press("ArrowRight")
    assert slider.get_attribute("aria-valuetext") == "c = 1 of 31"
    assert state(screen)["index"]["c"] == 1
    box = screen.get_by_role("spinbutton", name="index of d_model")
    box.fill("99")
    box.press("Enter")
    assert state(screen)["index"]["d_model"] == 2
    assert box.input_value() == "2"


def test_axes_swap_by_choice_and_by_drag(opened: Opener, waves: xr.DataArray) -> None:
    screen = opened(ms.show(waves))
    screen.get_by_role("combobox", name="along x").select_option("c")
    assert (state(screen)["x"], state(screen)["play"]) == ("c", "a")
    screen.locator(".dim", has_text="d_model").drag_to(screen.locator(".axis", has_text="drawn").first)
    assert state(screen)["x"] == "d_model"


def test_dragging_plays_a_click_reads_and_the_wheel_steps_when_focused(
    opened: Opener, waves: xr.DataArray
) -> None:
    screen = opened(ms.show(waves, select={"c": 0}))
    box = plot_box(screen)
    middle = (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    screen.mouse.move(*middle)
    screen.mouse.wheel(0, 100)
    settle(screen)
    assert state(screen)["index"]["c"] == 0
    screen.locator(".card").focus()
    screen.mouse.wheel(0, 100)
    screen.wait_for_function(
        "() => document.querySelector('[data-modscope]').modscope.models[0].index.c.value === 1"
    )
    for _ in range(10):
        screen.mouse.wheel(0, 12)  # a trackpad
    screen.wait_for_function(
        "() => document.querySelector('[data-modscope]').modscope.models[0].index.c.value === 3"
    )
    before = state(screen)["index"]["a"]
    screen.mouse.down()
    screen.mouse.move(middle[0] + 200, middle[1], steps=4)
    screen.mouse.up()
    moved = state(screen)["index"]
    assert 8 < moved["c"] < 13, "once through over the width"
    assert moved["a"] == before
    screen.mouse.click(middle[0] + 200, middle[1])
    assert state(screen)["index"]["a"] > 18
    screen.keyboard.press("ArrowRight")
    assert state(screen)["index"]["c"] == moved["c"] + 1, "after a click the arrows step what is played"


def test_a_click_mutes_a_frequency_and_the_wave_is_rebuilt(opened: Opener, waves: xr.DataArray) -> None:
    screen = opened(ms.show(waves, select={"d_model": 2, "c": 9}, mode="spectrum"))
    text = tip(screen, 0.5, 0.7)
    k = int(number(text, "k ="))
    box = plot_box(screen)
    screen.mouse.click(box["x"] + box["width"] / 2, box["y"] + 0.7 * box["height"])
    assert state(screen)["mute"] == [k]
    wave = waves.values[2, 9].astype(np.float64)
    shares = power(wave, 0)[1:] / power(wave, 0)[1:].sum()
    settle(screen)
    assert number(screen.locator(".notes").inner_text(), f"muted: {k};") == pytest.approx(
        100 * (1 - shares[k - 1]), abs=0.006
    )
    screen.get_by_role("button", name="Wave", exact=True).click()
    phasors = np.fft.rfft(wave)
    phasors[k] = 0
    got = screen.evaluate(
        "() => { const m = document.querySelector('[data-modscope]').modscope.models[0]; return [...m.heard(m.lines()[0].values).values] }"
    )
    np.testing.assert_allclose(got, np.fft.irfft(phasors, len(wave)), atol=1e-5)
    screen.get_by_role("button", name="unmute all").click()
    assert state(screen)["mute"] == []


def test_shift_click_solos(opened: Opener, waves: xr.DataArray) -> None:
    screen = opened(ms.show(waves, mode="spectrum"))
    box = plot_box(screen)
    k = int(number(tip(screen, 0.5, 0.7), "k ="))
    screen.keyboard.down("Shift")
    screen.mouse.click(box["x"] + box["width"] / 2, box["y"] + 0.7 * box["height"])
    screen.keyboard.up("Shift")
    assert state(screen)["mute"] == [n for n in range(16) if n != k]


def test_fold_says_the_even_share(opened: Opener, waves: xr.DataArray) -> None:
    screen = opened(ms.show(waves, select={"d_model": 2, "c": 9}, fold=True))
    wave = waves.values[2, 9].astype(np.float64)
    wave = wave - wave.mean()
    even = (wave + wave[(9 - np.arange(31)) % 31]) / 2
    settle(screen)
    assert number(screen.locator(".notes").inner_text(), "c/2:") == pytest.approx(
        (even**2).sum() / (wave**2).sum(), abs=6e-5
    )


def test_every_mode_and_option_paints_something_else(
    opened: Opener, screen: Any, waves: xr.DataArray
) -> None:
    # With less motion nothing morphs: a picture is there two frames after it was asked for.
    screen.emulate_media(reduced_motion="reduce")
    opened(ms.show(waves, select={"c": 9}, key_frequencies=[3, 7]))
    seen = {pixels(screen)}
    screen.get_by_role("button", name="more", exact=True).click()
    for name in ("mirror:", "mirror lines:", "centre c/2:"):
        screen.get_by_role("button", name=name).click()
        seen.add(pixels(screen))
    for mode in ("Spectrum", "Both", "Heat map", "2-D spectrum", "Multiples", "Ridge"):
        screen.get_by_role("button", name=mode, exact=True).click()
        settle(screen)
        seen.add(pixels(screen))
    screen.get_by_role("button", name="Spectrum", exact=True).click()
    for quantity in ("power", "db", "phase", "cossin", "share"):
        screen.get_by_role("combobox", name="show").select_option(quantity)
        settle(screen)
        seen.add(pixels(screen))
    assert len(seen) >= 14


def test_overlay_hides_solos_and_compares(opened: Opener, waves: xr.DataArray) -> None:
    screen = opened(
        ms.show([waves, waves + 0.5 * waves[::-1].values], names=["full", "other"], select={"c": 4})
    )
    screen.get_by_role("button", name="other").click()
    assert state(screen)["hide"] == [1]
    screen.get_by_role("button", name="full").click(modifiers=["Shift"])
    assert state(screen)["hide"] == [], "alone already: all again"
    screen.get_by_role("button", name="other").click(modifiers=["Shift"])
    assert state(screen)["hide"] == [0]
    screen.get_by_role("button", name="full").click()
    screen.locator("select[aria-label=compare]").select_option("A-B")
    settle(screen)
    got = screen.evaluate(
        "() => [...document.querySelector('[data-modscope]').modscope.models[0].lines()[0].values]"
    )
    a, b = waves.values[0, 4], (waves + 0.5 * waves[::-1].values).values[0, 4]
    np.testing.assert_allclose(got, a - b, atol=1e-6)
    want = np.linalg.norm(a - b) / np.linalg.norm(b)
    assert number(screen.locator(".notes").inner_text(), "‖B‖ =") == pytest.approx(want, rel=1e-3)
    screen.locator(".card").focus()
    before = pixels(screen)
    screen.keyboard.press("b")
    screen.keyboard.press("b")
    assert pixels(screen) != before


def test_views_of_one_output_share_indices_and_cursor(opened: Opener, waves: xr.DataArray) -> None:
    screen = opened(ms.show(waves, select={"c": 0}) | ms.heatmap(waves))
    screen.locator(".card").first.focus()
    screen.keyboard.press("ArrowRight")
    assert state(screen, 1)["index"]["c"] == 1
    screen.set_viewport_size({"width": 1300, "height": 760})
    box = screen.locator("canvas").nth(1).bounding_box()
    screen.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + box["height"] * 0.7)
    settle(screen)
    row = state(screen, 0)["index"]["c"]
    assert row > 5, "hovering a row of the map moves the line view"
    text = screen.locator(".tip").nth(1).inner_text()
    assert number(text, "c =") == row
    assert float(text.splitlines()[1].replace("−", "-")) == pytest.approx(
        float(waves[0, row, int(number(text, "a ="))]), rel=1e-3
    )


def test_the_address_keeps_the_state(opened: Opener, waves: xr.DataArray) -> None:
    screen = opened(ms.show(waves), "#v1;c=8;d_model=2;.mode=spectrum;.mute=[3]")
    now = state(screen)
    assert (now["index"]["c"], now["index"]["d_model"], now["mode"], now["mute"]) == (8, 2, "spectrum", [3])
    screen.locator(".card").focus()
    screen.keyboard.press("ArrowRight")
    screen.wait_for_function("() => location.hash.includes('c=9')")
    assert ".mode=spectrum" in screen.evaluate("() => location.hash")


def save(screen: Any, name: str) -> tuple[str, bytes]:
    screen.locator(".save summary").first.click()
    with screen.expect_download() as download:
        screen.locator(".menu").first.get_by_role("button", name=name, exact=True).click()
    return download.value.suggested_filename, Path(download.value.path()).read_bytes()


def test_pictures_and_numbers_come_out(opened: Opener, waves: xr.DataArray) -> None:
    screen = opened(ms.show(waves, select={"d_model": 1, "c": 8}, title="Rows of c"))
    name, data = save(screen, "PNG")
    assert name == "Rows_of_c.png"
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    width = int.from_bytes(data[16:20], "big")
    _, double = save(screen, "PNG, twice the size")
    assert int.from_bytes(double[16:20], "big") == 2 * width
    _, svg = save(screen, "SVG")
    assert svg.startswith(b"<svg")
    assert b"resid_post[d_model=1, c=8, :]" in svg
    _, csv = save(screen, "CSV of what is drawn")
    rows = csv.decode().split()
    assert rows[0] == "a,resid_post"
    np.testing.assert_allclose([float(r.split(",")[1]) for r in rows[1:]], waves.values[1, 8], rtol=1e-6)
    _, npy = save(screen, "NPY of the slice")
    np.testing.assert_array_equal(np.load(io.BytesIO(npy)), waves.values[1, 8])
    screen.get_by_role("button", name="Heat map").click()
    _, npy = save(screen, "NPY of the slice")
    np.testing.assert_array_equal(np.load(io.BytesIO(npy)), waves.values[1])


def test_the_python_call_makes_the_same_view(opened: Opener, waves: xr.DataArray) -> None:
    screen = opened(ms.show(waves, select={"d_model": 1, "c": 8}))
    screen.locator(".card").focus()
    screen.keyboard.press("f")
    screen.evaluate("() => Object.defineProperty(navigator, 'clipboard', { value: undefined })")
    screen.locator(".save summary").click()
    screen.get_by_role("button", name="copy as Python").click()
    code = screen.get_by_label("copy this text").input_value()
    *setup, call = code.strip().split("\n")
    names = {"waves": waves}
    exec("\n".join(setup), names)
    view = eval(call, names)
    assert view.state["mode"] == "spectrum"
    assert view.state["select"] == {"d_model": 1, "c": 8, "a": 0}


def test_rubbish_in_the_address_changes_nothing(opened: Opener, waves: xr.DataArray) -> None:
    screen = opened(
        ms.show(waves), "#v1;c=nine;d_model=77;.mode=garbage;.mute=5;.x=zzz;.seconds=-1;.constructor=1"
    )
    now = state(screen)
    assert (now["mode"], now["mute"], now["x"], now["seconds"]) == ("wave", [], "a", 10)
    assert now["index"] == {"d_model": 2, "c": 10, "a": 0}


def test_only_axes_of_residues_close(opened: Opener, waves: xr.DataArray) -> None:
    look = "return [m.isCircle(m.state.x.value), m.style, m.marks().length, m.axes().length, m.keys.length]"
    keys = {"key_frequencies": [3, 7]}
    assert model(opened(ms.show(waves, **keys)), look) == [True, "curve", 4, 2, 2]
    # The same numbers under another name, a part of the residues, labels, coordinates with a gap: lines with ends.
    for other in (
        ms.show(waves.rename(a="step", c="run"), **keys),
        ms.show(waves, x="d_model", play="c", **keys),
        ms.show(waves[:, :, :20], x="a", p=31, **keys),
        ms.show(waves.assign_coords(a=[f"n{i}" for i in range(31)]), x="a", **keys),
        ms.show(waves[:, :, 1:].assign_coords(a=range(1, 31)), x="a", **keys),
    ):
        assert model(opened(other), look) == [False, "joins", 0, 0, 0]
    told = ms.show(waves.rename(a="shift"), x="shift", periodic="shift", **keys)
    assert model(opened(told), look)[:2] == [True, "curve"]


def test_coordinates_stand_where_they_are(opened: Opener) -> None:
    x = xr.DataArray(np.arange(6.0).reshape(2, 3), dims=("row", "epoch"), coords={"epoch": [0, 1000, 2625]})
    screen = opened(ms.show(x, x="epoch"))
    settle(screen)
    seen = [tip(screen, f).splitlines() for f in np.linspace(0.08, 0.98, 46)]
    at = [text[0] for text in seen if text]
    change = [i for i in range(1, len(at)) if at[i] != at[i - 1]]
    assert sorted(set(at), key=at.index) == ["epoch = 0", "epoch = 1000", "epoch = 2625"]
    # Halfway between neighbours: at 500 and at 1812 of 2625.
    assert (change[1] - change[0]) / len(at) == pytest.approx((1812 - 500) / 2730, abs=0.06)


def test_rectified_stepped_and_spiky_waves_are_joined_straight(opened: Opener, waves: xr.DataArray) -> None:
    a = np.arange(31)
    kinds = {
        "rectified": np.maximum(waves.values[0], 0),
        "steps": np.where((a[None] + a[:, None]) % 31 < 12, 1.0, -1.0),
        "spikes": (a[None] == a[:, None]) * 1.0,
    }
    for name, values in kinds.items():
        screen = opened(ms.show(values, dims=("c", "a")))
        assert model(screen, "return m.style") == "joins", name


def test_the_residue_along_x_follows_from_the_other_two(opened: Opener) -> None:
    p = 7
    f, c, a, b = np.meshgrid(np.arange(2), *[np.arange(p)] * 3, indexing="ij")
    x = xr.DataArray(np.cos(2 * np.pi * (1 + f) * (a + b - c) / p), dims=("frequency", "c", "a", "b"))
    screen = opened(ms.show(x, x="b", select={"c": 1, "a": 3, "b": 0}))
    assert screen.locator(".message").inner_text() == "3 + 5 = 1 (mod 7)"
    screen.get_by_role("combobox", name="along x").select_option("frequency")
    assert screen.locator(".message").inner_text() == "", "3 + 0 = 1 would not be true"


@pytest.mark.parametrize("name", ["wave", "spectrum", "heatmap", "ridge"])
def test_pictures_stay_what_they_were(opened: Opener, waves: xr.DataArray, name: str) -> None:
    """Within 2 % of the pixels: fonts differ between machines. MODSCOPE_WRITE_PICTURES=1 writes them anew."""
    from matplotlib.image import imread

    kept = Path(__file__).with_name("pictures") / f"{name}.png"
    screen = opened(ms.show(waves, mode=name, select={"d_model": 1, "c": 9, "a": 2}, key_frequencies=[4, 7]))
    screen.wait_for_timeout(200)
    now = pixels(screen)
    if os.environ.get("MODSCOPE_WRITE_PICTURES"):
        kept.parent.mkdir(exist_ok=True)
        kept.write_bytes(now)
    got, want = (imread(io.BytesIO(data))[..., :3] for data in (now, kept.read_bytes()))
    assert got.shape == want.shape
    assert (np.abs(got - want).max(-1) > 0.15).mean() < 0.02


def test_bookmarks_are_buttons(opened: Opener, waves: xr.DataArray) -> None:
    marks = {"see c = 8": {"select": {"c": 8}}, "its spectrum": {"mode": "spectrum", "quantity": "power"}}
    screen = opened(ms.show(waves, bookmarks=marks))
    screen.get_by_role("button", name="see c = 8").click()
    screen.get_by_role("button", name="its spectrum").click()
    now = state(screen)
    assert (now["index"]["c"], now["mode"], now["quantity"]) == (8, "spectrum", "power")


def test_gaps_are_counted_and_drawn_as_gaps(opened: Opener, waves: xr.DataArray) -> None:
    holed = waves.copy(data=waves.values.copy())
    holed[0, 0, 5] = np.nan
    holed[0, 0, 6] = np.inf
    screen = opened(ms.show(holed, select={"c": 0}))
    settle(screen)
    assert screen.locator(".badge").inner_text() == "f32 · 2 NaN or inf"
    assert screen.locator(".notes").inner_text() == "1 NaN (×), 1 +inf (⌃ above)"
    texts = [tip(screen, f).splitlines()[1] for f in np.linspace(0.2, 0.32, 9)]
    assert {"NaN", "+inf"} <= set(texts)


def test_sixteen_bits_wear_a_badge(opened: Opener, waves: xr.DataArray) -> None:
    view = ms.show(waves, precision="int16")
    screen = opened(view)
    assert screen.locator(".badge").inner_text() == f"16-bit ±{view.blocks()[0].error:.1e}".replace(
        "e-0", "e-"
    )
    got = screen.evaluate(
        "() => [...document.querySelector('[data-modscope]').modscope.models[0].lines()[0].values]"
    )
    assert np.abs(np.array(got) - waves.values[0, 10]).max() <= view.blocks()[0].error


def test_a_notebook_s_frame_runs_sandboxed(screen: Any, waves: xr.DataArray, tmp_path: Path) -> None:
    path = tmp_path / "notebook.html"
    path.write_text(f"<!doctype html><body>{ms.show(waves)._repr_html_()}</body>")
    screen.goto(f"file://{path}")
    frame = screen.frame_locator("iframe")
    frame.locator('.page[data-ready="true"]').wait_for()
    frame.locator(".card").focus()
    screen.keyboard.press("ArrowRight")
    assert frame.locator(".caption").inner_text() == "resid_post[d_model=0, c=11, :]"
    fits = screen.frames[1].evaluate("() => document.documentElement.scrollHeight <= innerHeight + 1")
    assert fits, "the frame is high enough for everything in it"


def test_fragments_live_in_a_page_of_one_s_own(screen: Any, waves: xr.DataArray, tmp_path: Path) -> None:
    once, elements = fragments([ms.show(waves), ms.show(waves, mode="spectrum", title="second")])
    path = tmp_path / "report.html"
    path.write_text(
        f"<!doctype html><style>button{{font-size:90px}}</style>{elements[0]}<p>words</p>{elements[1]}{once}"
    )
    screen.goto(f"file://{path}")
    screen.wait_for_function("() => document.querySelectorAll('[data-mounted]').length === 2")
    assert screen.locator("h2").all_inner_texts() == ["resid_post", "second"]
    assert screen.locator("button").first.bounding_box()["height"] < 40


def test_dark_and_light(opened: Opener, waves: xr.DataArray) -> None:
    screen = opened(ms.show(waves))
    light = screen.locator(".card").evaluate("e => getComputedStyle(e).backgroundColor")
    screen.emulate_media(color_scheme="dark")
    screen.wait_for_function(
        "() => document.querySelector('[data-modscope]').shadowRoot.querySelector('.page').dataset.theme === 'dark'"
    )
    dark = screen.locator(".card").evaluate("e => getComputedStyle(e).backgroundColor")
    assert light != dark
    screen.get_by_role("button", name="more", exact=True).click()
    screen.get_by_role("button", name="light or dark").click()
    assert screen.locator(".card").evaluate("e => getComputedStyle(e).backgroundColor") == light


def test_reduced_motion_plays_at_two_steps_a_second_until_asked(
    opened: Opener, waves: xr.DataArray, screen: Any
) -> None:
    screen.emulate_media(reduced_motion="reduce")
    screen = opened(ms.show(waves))
    screen.get_by_role("button", name="more", exact=True).click()
    assert screen.locator(".rate").inner_text() == "2.0 steps/s"
    screen.get_by_role("combobox", name="seconds per cycle").select_option("5")
    assert screen.locator(".rate").inner_text() == "6.2 steps/s"


def test_errors_in_a_block_are_told(screen: Any, waves: xr.DataArray, tmp_path: Path) -> None:
    text = ms.show(waves).save(tmp_path / "x.html").read_text()
    broken = re.sub(r'(<script type="application/octet-stream" id=")[^"]*', r"\1gone", text)
    (tmp_path / "x.html").write_text(broken)
    screen.goto(f"file://{tmp_path}/x.html")
    screen.wait_for_function(
        "() => document.querySelector('[data-modscope]').modscope.models[0].reader.error"
    )
    assert "has no block" in screen.evaluate(
        "() => document.querySelector('[data-modscope]').modscope.models[0].reader.error"
    )


def model(screen: Any, code: str) -> Any:
    return screen.evaluate(
        f"() => {{ const m = document.querySelector('[data-modscope]').modscope.models[0]; {code} }}"
    )


@pytest.mark.parametrize("walk", ["odometer", "diagonal"])
def test_two_axes_play_together(opened: Opener, waves: xr.DataArray, walk: str) -> None:
    screen = opened(ms.show(waves, play="c", select={"c": 0}, seconds_per_cycle=1))
    screen.get_by_role("button", name="more", exact=True).click()
    screen.get_by_role("combobox", name="play along").select_option(f"{walk} d_model")
    model(screen, "window.seen = []; m.index.c.subscribe(c => window.seen.push([c, m.index.d_model.peek()]))")
    screen.locator(".card").focus()
    screen.keyboard.press("Space")
    screen.wait_for_function("() => window.seen.length > 40")
    screen.keyboard.press("Space")
    # The second axis is written after the first within one batch: read it one step later.
    seen = [tuple(pair) for pair in screen.evaluate("() => window.seen")]
    for n, (c, d) in enumerate(seen):
        assert c == n % 31
        assert d == (n // 31 % 3 if walk == "odometer" else n % 3)


def test_bounce_turns_at_the_end(opened: Opener, waves: xr.DataArray) -> None:
    screen = opened(ms.show(waves[:, :3], loop="bounce", seconds_per_cycle=1, p=31))
    model(screen, "window.seen = []; m.index.c.subscribe(c => window.seen.push(c))")
    screen.locator(".card").focus()
    screen.keyboard.press("Space")
    screen.wait_for_function("() => window.seen.length > 6")
    assert screen.evaluate("() => window.seen.slice(0, 7)") == [0, 1, 2, 1, 0, 1, 2]


def test_ghosts_stay_when_the_slice_moves(opened: Opener, waves: xr.DataArray) -> None:
    screen = opened(ms.show(waves, select={"c": 0}))
    screen.get_by_role("button", name="more", exact=True).click()
    screen.get_by_role("button", name="pin:").click()
    screen.locator(".card").focus()
    screen.keyboard.press("ArrowRight")
    settle(screen)
    np.testing.assert_array_equal(model(screen, "return [...m.pins.value[0].values]"), waves.values[0, 0])
    pinned = pixels(screen)
    screen.get_by_role("button", name="pin:").click()
    assert pixels(screen) != pinned
    screen.get_by_role("button", name="trail:").click()
    screen.locator(".card").focus()
    for _ in range(5):
        screen.keyboard.press("ArrowRight")
    past = model(screen, "return m.trail.map(lines => [...lines[0].values])")
    np.testing.assert_array_equal(past, waves.values[0, [5, 4, 3]])


def test_recentred_the_axis_stands_still(opened: Opener, waves: xr.DataArray) -> None:
    screen = opened(ms.show(waves, recentre=True, select={"c": 9}))
    first = tip(screen, 0.53).split("(c/2 ")[1].split(")")[0]
    screen.locator(".card").focus()
    screen.keyboard.press("ArrowRight")
    screen.keyboard.press("ArrowRight")
    moved = tip(screen, 0.53)
    assert moved.split("(c/2 ")[1].split(")")[0] == first
    assert screen.get_by_role("spinbutton", name="index of c").input_value() == "11"


def test_wave_and_spectrum_morph_into_each_other(opened: Opener, waves: xr.DataArray) -> None:
    screen = opened(ms.show(waves))
    screen.locator(".card").focus()
    start = pixels(screen)
    screen.evaluate(
        "() => { window.shots = new Set(); const c = document.querySelector('[data-modscope]').shadowRoot.querySelector('canvas');"
        "const look = () => { window.shots.add(c.toDataURL()); if (window.shots.size < 60) requestAnimationFrame(look); }; look(); }"
    )
    screen.keyboard.press("f")
    screen.wait_for_function("() => window.shots.size > 3")
    assert pixels(screen) != start


def test_cells_over_two_axes_select_and_open(opened: Opener, waves: xr.DataArray) -> None:
    x = waves.expand_dims(head=2).transpose("head", "d_model", "c", "a")
    screen = opened(ms.show(x, rows="head", columns="d_model"))
    assert state(screen)["mode"] == "multiples"
    box = plot_box(screen)
    place = (box["x"] + 0.8 * box["width"], box["y"] + 0.75 * box["height"])
    screen.mouse.click(*place)
    now = state(screen)
    assert (now["index"]["head"], now["index"]["d_model"], now["mode"]) == (1, 2, "multiples")
    screen.mouse.click(*place)
    assert state(screen)["mode"] == "wave"


def test_rows_sort_by_peak_and_a_click_selects(opened: Opener, waves: xr.DataArray) -> None:
    flipped = waves[::-1]
    screen = opened(ms.show(flipped, mode="ridge", rows="d_model", sort="peak", select={"c": 5}))
    peaks = 1 + np.argmax(np.abs(np.fft.rfft(flipped.values[:, 5]))[:, 1:], axis=1)
    box = plot_box(screen)
    screen.mouse.click(box["x"] + box["width"] / 2, box["y"] + 40)
    assert peaks[state(screen)["index"]["d_model"]] == peaks.min()


def test_pictures_as_small_multiples(opened: Opener, waves: xr.DataArray) -> None:
    screen = opened(ms.show(waves, rows="d_model", y="c", play="d_model"))
    box = plot_box(screen)
    screen.mouse.click(box["x"] + 0.85 * box["width"], box["y"] + box["height"] * 0.4)
    assert state(screen)["index"]["d_model"] == 2


def test_two_dimensional_spectrum_names_what_lies_on_a_diagonal(opened: Opener) -> None:
    p = 15
    a, b = np.meshgrid(np.arange(p), np.arange(p), indexing="ij")
    x = xr.DataArray(3 * np.cos(2 * np.pi * 4 * (a + b) / p) + 1.0, dims=("a", "b"))
    screen = opened(ms.heatmap(x, mode="spectrum2d"))
    values = model(screen, "return [m.size('a'), m.size('b')]")
    assert values == [15, 15]
    settle(screen)
    pane = screen.evaluate(
        "() => { const c = document.querySelector('[data-modscope]').shadowRoot.querySelector('canvas'); return c.getBoundingClientRect().toJSON() }"
    )
    found = set()
    for fx in np.linspace(0.25, 0.75, 61):
        for fy in (0.5 - (fx - 0.5) * pane["width"] / pane["height"],):
            screen.mouse.move(pane["x"] + fx * pane["width"], pane["y"] + float(fy) * pane["height"] - 16)
            if screen.locator(".tip").first.is_visible():
                found.add(screen.locator(".tip").first.inner_text())
    peak = [text for text in found if text.endswith("amplitude 3")]
    assert peak
    assert all("on a + b" in text for text in peak)


def test_robust_colours_count_what_they_clip(opened: Opener, waves: xr.DataArray) -> None:
    spiked = waves.copy(data=waves.values.copy())
    spiked[0, 3, 3] = 1000
    screen = opened(ms.heatmap(spiked, robust=True))
    settle(screen)
    assert screen.locator(".notes").inner_text() == "1 cells beyond the colours (hatched)"


def test_one_cycle_as_a_film(opened: Opener, waves: xr.DataArray) -> None:
    screen = opened(ms.show(waves, seconds_per_cycle=1))
    name, data = save(screen, "WebM of one cycle")
    assert name == "resid_post.webm"
    assert data[:4] == b"\x1aE\xdf\xa3"
    assert len(data) > 5000


def test_the_values_are_copied_and_tabulated(opened: Opener, waves: xr.DataArray) -> None:
    screen = opened(ms.show(waves, select={"c": 3}))
    screen.evaluate("() => Object.defineProperty(navigator, 'clipboard', { value: undefined })")
    screen.locator(".save summary").click()
    screen.get_by_role("button", name="copy the values").click()
    rows = screen.get_by_label("copy this text").input_value().split()
    np.testing.assert_allclose([float(r.split(",")[1]) for r in rows[1:]], waves.values[0, 3], rtol=1e-6)
    screen.get_by_role("button", name="close").click()
    screen.locator(".save summary").click()
    screen.get_by_role("button", name="table of the numbers").click()
    cells = screen.locator(".numbers td").all_inner_texts()
    np.testing.assert_array_equal(
        np.array([c.replace("−", "-") for c in cells], np.float32), waves.values[0, 3]
    )


def test_listening_plays_the_harmonics(opened: Opener, waves: xr.DataArray) -> None:
    screen = opened(ms.show(waves, select={"c": 3}))
    screen.evaluate(
        "() => { const make = AudioContext.prototype.createPeriodicWave;"
        "AudioContext.prototype.createPeriodicWave = function (re, im) { window.heard = [...re].map((v, k) => Math.hypot(v, im[k]));"
        "return make.call(this, re, im); } }"
    )
    screen.get_by_role("button", name="more", exact=True).click()
    button = screen.get_by_role("button", name="listen: the wave as a sound")
    assert button.get_attribute("aria-pressed") == "false"
    button.click()
    want = amplitude(waves.values[0, 3].astype(np.float64), 0)
    np.testing.assert_allclose(screen.evaluate("() => window.heard")[1:], want[1:], rtol=1e-4, atol=1e-6)
    button.click()
    assert button.get_attribute("aria-pressed") == "false"


@pytest.mark.usefixtures("_some_chromium")
def test_touch_scrubs(browser: Any, waves: xr.DataArray, tmp_path: Path) -> None:
    path = ms.show(waves).save(tmp_path / "touch.html")
    with browser.new_context(has_touch=True, viewport={"width": 700, "height": 700}) as context:
        page = context.new_page()
        page.goto(f"file://{path}")
        page.wait_for_selector('.page[data-ready="true"]')
        box = page.locator("canvas").bounding_box()
        page.touchscreen.tap(box["x"] + box["width"] * 0.7, box["y"] + box["height"] / 2)
        at = page.evaluate("() => document.querySelector('[data-modscope]').modscope.models[0].index.a.value")
        assert 15 < at < 28


def test_marks_by_callable_follow_the_index(opened: Opener, waves: xr.DataArray) -> None:
    def points(indices: list[int]) -> tuple[list[float], list[str]]:
        return [indices[1] / 2, float("nan")], ["half", "nowhere"]

    screen = opened(ms.show(waves, markers=points, message=lambda c: f"c is {c}", select={"c": 7}))
    assert model(screen, "return m.marks()[0]") == {"x": 3.5, "label": "half"}
    assert screen.locator(".message").inner_text() == "c is 7"
    screen.locator(".card").focus()
    screen.keyboard.press("ArrowRight")
    assert model(screen, "return m.marks()[0].x") == 4
    assert screen.locator(".message").inner_text() == "c is 8"


def test_labels_name_indices_and_samples(opened: Opener) -> None:
    x = xr.DataArray(
        np.random.default_rng(0).standard_normal((2, 7)), dims=("pos", "a"), coords={"pos": ["b", "="]}
    )
    screen = opened(ms.show(x, labels={"a": list("uvwxyz.")}, select={"pos": "="}))
    assert screen.locator(".caption").inner_text() == "x[pos==, :]"
    assert tip(screen, 0.5).splitlines()[0].split("=")[1].strip()[0] in "uvwxyz."


def test_the_screen_reader_hears_where_the_steps_end(opened: Opener, waves: xr.DataArray) -> None:
    screen = opened(ms.show(waves, select={"c": 0}))
    screen.locator(".card").focus()
    for _ in range(4):
        screen.keyboard.press("ArrowRight")
    # Steps before the last are announced only where the machine is slower than the pause that ends them.
    screen.wait_for_function(
        "() => document.querySelector('[data-modscope]').shadowRoot.querySelector('[aria-live]')"
        ".textContent === 'c = 4 of 31, 0 + 4 = 4 (mod 31)'"
    )


def test_a_folder_page_reads_its_numbers_from_beside(
    screen: Any, waves: xr.DataArray, tmp_path: Path
) -> None:
    import functools
    import http.server
    import threading

    ms.show(waves).save(tmp_path / "big.html", folder=True)
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(tmp_path))
    handler.log_message = lambda *_: None  # type: ignore[attr-defined]
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        page = screen.context.new_page()
        page.goto(f"http://127.0.0.1:{server.server_address[1]}/big.html")
        page.wait_for_selector('.page[data-ready="true"]')
        got = page.evaluate(
            "() => [...document.querySelector('[data-modscope]').modscope.models[0].lines()[0].values]"
        )
        page.close()
        server.shutdown()
    np.testing.assert_array_equal(np.array(got, np.float32), waves.values[0, 10])
