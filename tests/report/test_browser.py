"""The report in a real browser: it asks for nothing, breaks nowhere, and its viewers move."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from modscope import planted
from modscope.activations import record
from modscope.analysis.overview.summary import summarise
from modscope.findings import findings
from modscope.report import Look, report_page, write_page

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def page_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    acts = record(*planted.pizza(23, (3, 8)))
    summary = summarise(acts)
    look = Look(summary, acts, title="planted", findings=findings(acts, only=["which-mechanism"]))
    return write_page(report_page(look), tmp_path_factory.mktemp("report") / "report.html")


@pytest.fixture
def opened(screen: Any, page_file: Path) -> Any:
    screen.goto(page_file.as_uri())
    return screen


def test_the_page_asks_for_nothing_and_fits(opened: Any) -> None:
    assert "adds mod 23 without an error" in opened.locator("h1").inner_text()
    opened.wait_for_selector("#symmetry canvas")
    for width in (1100, 768, 390, 320):
        opened.set_viewport_size({"width": width, "height": 800})
        assert opened.evaluate("document.documentElement.scrollWidth") <= width
        assert opened.evaluate(
            "[...document.querySelectorAll('svg.chart')].every(e => e.getBoundingClientRect().right <= innerWidth + 1)"
        ), "no chart needs sideways scrolling"


def test_findings_are_open_in_print_and_viewers_are_left_out(opened: Any) -> None:
    body = opened.locator("#finding-which-mechanism .body p").first
    assert not body.is_visible()
    opened.emulate_media(media="print")
    assert body.evaluate("e => e.getBoundingClientRect().height") > 5
    assert not opened.locator(".viewer").first.is_visible()
    drawn = "e => e.shadowRoot.querySelectorAll('.printed svg').length"
    assert [one.evaluate(drawn) for one in opened.locator(".viewer [data-mounted]").all()].count(0) >= 2
    assert opened.locator("#findings").evaluate("e => e.getBoundingClientRect().width") > 300


def test_findings_open(opened: Any) -> None:
    opened.locator("#finding-which-mechanism > summary").click()
    assert opened.locator("#finding-which-mechanism .body").is_visible()
    assert "pizza" in opened.locator("#finding-which-mechanism").inner_text()


def test_both_themes_have_their_own_ink(opened: Any) -> None:
    ink = []
    for scheme in ("light", "dark"):
        opened.emulate_media(color_scheme=scheme)
        text = "#frequencies svg text"
        ink.append(opened.evaluate(f"getComputedStyle(document.querySelector('{text}')).fill"))
    assert ink[0] != ink[1]
