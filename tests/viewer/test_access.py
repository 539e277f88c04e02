"""axe-core in every mode and both themes, over pages, grids, a report's page and what is open."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import xarray as xr

import modscope as ms
from modscope.viewer import fragments

pytestmark = pytest.mark.browser
AXE = Path(__file__).resolve().parents[2] / "js/node_modules/axe-core/axe.min.js"


@pytest.fixture(autouse=True)
def _axe_is_there() -> None:
    if not AXE.is_file():
        pytest.skip("axe-core is not there: run `npm ci` in js/")


@pytest.fixture(autouse=True)
def _nothing_fades(screen: Any) -> None:
    # axe would read a colour on its way to another.
    screen.emulate_media(reduced_motion="reduce")


def violations(screen: Any, *, covered: bool = False) -> str:
    """What axe finds; under an open menu controls are covered, and so too small for it."""
    if not screen.evaluate("() => !!window.axe"):
        screen.evaluate(AXE.read_text())
    found = screen.evaluate(
        "covered => axe.run(document, { resultTypes: ['violations'], rules: covered ? { 'target-size': { enabled: false } } : {},"
        " runOnly: ['wcag2a', 'wcag2aa', 'wcag21aa', 'wcag22aa', 'best-practice'] })",
        covered,
    )
    told = [(v["id"], [n["html"][:140] for n in v["nodes"]][:3]) for v in found["violations"]]
    return json.dumps(told, indent=1) if told else ""


def test_every_mode_in_both_themes(opened: Any, waves: xr.DataArray) -> None:
    screen = opened(
        ms.show([waves, waves + 1], bookmarks={"c = 8": {"select": {"c": 8}}}, key_frequencies=[3])
    )
    screen.get_by_role("button", name="more", exact=True).click()
    for theme in ("light", "dark"):
        for mode in ("Wave", "Spectrum", "Both", "Heat map", "2-D spectrum", "Multiples", "Ridge"):
            screen.get_by_role("button", name=mode, exact=True).click()
            screen.evaluate(
                "() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"
            )
            assert violations(screen) == "", f"{theme} {mode}"
        screen.get_by_role("button", name="light or dark").click()


def test_what_opens_has_no_fault_either(opened: Any, waves: xr.DataArray) -> None:
    screen = opened(ms.heatmap(waves))
    screen.locator(".save summary").click()
    assert violations(screen, covered=True) == "", "menu"
    screen.get_by_role("button", name="table of the numbers").click()
    assert violations(screen) == "", "table"
    screen.get_by_role("button", name="keys", exact=True).click()
    assert violations(screen, covered=True) == "", "keys"


def test_a_grid_and_a_report_s_page(opened: Any, screen: Any, waves: xr.DataArray, tmp_path: Path) -> None:
    opened(ms.grid(ms.show(waves), ms.show(waves), ms.heatmap(waves), ms.show(waves, title="other")))
    assert violations(screen) == "", "grid"
    once, elements = fragments([ms.show(waves, title="one"), ms.show(waves, title="two")])
    path = tmp_path / "report.html"
    body = f"<main><h1>r</h1>{elements[0]}{elements[1]}</main>{once}"
    path.write_text(
        f'<!doctype html><html lang="en"><title>r</title><meta name="viewport" content="width=device-width">{body}</html>'
    )
    screen.goto(f"file://{path}")
    screen.wait_for_function("() => document.querySelectorAll('[data-mounted]').length === 2")
    assert violations(screen) == "", "report"
