"""At every size and in every frame all controls can be reached, and none lies upon another."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import xarray as xr

import modscope as ms
from modscope.viewer import View, fragments

pytestmark = pytest.mark.browser

SIZES = [(320, 568), (390, 844), (568, 320), (640, 360), (800, 600), (1000, 760), (1280, 800), (1920, 1080)]

# Boxes of what can be used, those that lie in each other's way, and what sticks out of the page.
LOOK = """() => {
  const all = [];
  const seek = (root) => { for (const el of root.querySelectorAll('*')) { if (el.shadowRoot) seek(el.shadowRoot);
    if (el.matches('button, select, input, summary, .plot, h2, .caption, .message, .badge, .notes') && el.checkVisibility({ visibilityProperty: true })) all.push(el); } };
  seek(document);
  const box = (el) => el.getBoundingClientRect();
  const name = (el) => el.getAttribute('aria-label') || el.className || el.tagName;
  const overlapping = [], unreachable = [], out = [];
  for (let i = 0; i < all.length; i++) {
    const a = box(all[i]);
    if (a.width < 1 || a.height < 1) continue;
    if (a.left < -0.5 || a.right > document.documentElement.clientWidth + 0.5 || a.top + scrollY < -0.5) out.push(name(all[i]));
    for (let j = i + 1; j < all.length; j++) {
      if (all[i].contains(all[j]) || all[j].contains(all[i])) continue;
      const b = box(all[j]);
      if (Math.min(a.right, b.right) - Math.max(a.left, b.left) > 1 && Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 1)
        overlapping.push(name(all[i]) + ' / ' + name(all[j]));
    }
  }
  for (const el of all) {
    if (!el.matches('button, select, input, summary')) continue;
    el.scrollIntoView({ block: 'center' });
    const b = box(el);
    let hit = document.elementFromPoint(b.left + b.width / 2, b.top + b.height / 2);
    while (hit && hit.shadowRoot && hit.shadowRoot.elementFromPoint(b.left + b.width / 2, b.top + b.height / 2) !== hit) hit = hit.shadowRoot.elementFromPoint(b.left + b.width / 2, b.top + b.height / 2);
    if (!hit || !(el === hit || el.contains(hit) || hit.contains(el))) unreachable.push(name(el));
  }
  scrollTo(0, 0);
  return { overlapping, unreachable, out, wide: document.documentElement.scrollWidth - document.documentElement.clientWidth, count: all.length };
}"""


def settled(screen: Any) -> dict[str, Any]:
    screen.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
    return screen.evaluate(LOOK)


def faults(found: dict[str, Any]) -> dict[str, Any]:
    return {key: found[key] for key in ("overlapping", "unreachable", "out") if found[key]} | (
        {"wide": found["wide"]} if found["wide"] > 0 else {}
    )


@pytest.fixture(scope="module")
def grids(waves: xr.DataArray) -> dict[int, View]:
    one = ms.show(waves, key_frequencies=[3, 7], bookmarks={"see c = 8": {"select": {"c": 8}}})
    two = one | ms.heatmap(waves)
    four = ms.grid(
        one, ms.heatmap(waves), ms.show([waves, waves + 1]), ms.show(waves, mode="spectrum"), columns=2
    )
    return {1: one, 2: two, 4: four, 6: ms.grid(*[one] * 3, *[ms.heatmap(waves)] * 3, columns=3)}


@pytest.mark.parametrize("count", [1, 2, 4, 6])
def test_nothing_is_hidden_or_covered_at_eight_sizes(opened: Any, grids: dict[int, View], count: int) -> None:
    screen = opened(grids[count])
    for button in screen.get_by_role("button", name="more", exact=True).all():
        button.click()
    for width, height in SIZES:
        screen.set_viewport_size({"width": width, "height": height})
        found = settled(screen)
        assert found["count"] > 10 * count
        assert faults(found) == {}, f"{count} views at {width} x {height}"


def test_at_twice_the_size_of_letters_everything_is_still_there(opened: Any, grids: dict[int, View]) -> None:
    # A zoom of 200 % halves the room in CSS pixels.
    screen = opened(grids[4])
    screen.set_viewport_size({"width": 640, "height": 400})
    assert faults(settled(screen)) == {}


def test_the_first_picture_has_few_controls_and_tab_stops(opened: Any, grids: dict[int, View]) -> None:
    screen = opened(grids[1])
    screen.set_viewport_size({"width": 390, "height": 844})
    screen.wait_for_selector(".slot[data-tiny]")
    seen = screen.evaluate(
        "() => [...document.querySelector('[data-modscope]').shadowRoot.querySelectorAll("
        "'button, select, input, summary')].filter(el => el.checkVisibility({ visibilityProperty: true }))"
        ".map(el => [el.getAttribute('aria-label') || el.textContent, el.tabIndex, el.disabled])"
    )
    assert len(seen) <= 20
    assert sum(1 for _, tab, disabled in seen if tab >= 0 and not disabled) <= 16
    assert screen.locator(".hint").inner_text() == "Space plays · f spectrum · ? keys"
    screen.locator(".card").focus()
    before = screen.locator(".plot").bounding_box()
    screen.keyboard.press("f")
    assert not screen.locator(".hint").is_visible()
    assert screen.locator(".plot").bounding_box() == before, "nothing moves when the hint goes"


def test_a_frame_is_told_how_high_its_page_is(screen: Any, waves: xr.DataArray, tmp_path: Path) -> None:
    two = ms.show(waves) | ms.heatmap(waves)
    path = tmp_path / "notebook.html"
    path.write_text(f"<!doctype html><body>{two._repr_html_()}</body>")
    for width in (1000, 500):
        screen.set_viewport_size({"width": width, "height": 700})
        screen.goto(f"file://{path}")
        frame = screen.frame_locator("iframe")
        frame.locator('.page[data-ready="true"]').wait_for()
        screen.wait_for_function("() => document.querySelector('iframe').style.height !== ''")
        screen.wait_for_timeout(300)
        room = screen.frames[1].evaluate("() => [document.documentElement.scrollHeight, innerHeight]")
        assert room[0] <= room[1] + 2, f"at {width} the page scrolls in its frame"


def test_in_a_page_of_one_s_own_views_take_the_room_they_need(
    screen: Any, waves: xr.DataArray, tmp_path: Path
) -> None:
    once, elements = fragments([ms.show(waves), ms.heatmap(waves)])
    path = tmp_path / "report.html"
    path.write_text(
        '<!doctype html><meta name="viewport" content="width=device-width"><body style="margin:8px">'
        f"{elements[0]}<p>words</p>{elements[1]}{once}"
    )
    for size in ((360, 640), (1000, 760)):
        screen.set_viewport_size({"width": size[0], "height": size[1]})
        screen.goto(f"file://{path}")
        screen.wait_for_function("() => document.querySelectorAll('[data-mounted]').length === 2")
        assert faults(settled(screen)) == {}
