"""Shares with intervals, groups, outliers: against independent computations and planted populations."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modscope.errors import InputError, UnknownName
from modscope.sweep.page import population_page
from modscope.sweep.population import Population, wilson


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 400), st.floats(0, 1))
def test_wilson_is_where_the_score_test_just_does_not_reject(of: int, share: float) -> None:
    count = round(share * of)
    found = wilson(count, of)
    for bound, at_edge in ((found.low, count == 0), (found.high, count == of)):
        if at_edge:
            assert bound in (0.0, 1.0)
        else:
            # the hypothesis p = bound is exactly 1.96 standard errors away
            score = abs(count / of - bound) / math.sqrt(bound * (1 - bound) / of)
            assert score == pytest.approx(1.959964, abs=1e-4)
    assert 0 <= found.low <= found.share <= found.high <= 1


def test_wilson_agrees_with_scipy() -> None:
    from scipy.stats import binomtest

    for count, of in ((0, 5), (3, 7), (24, 24), (1, 100)):
        theirs = binomtest(count, of).proportion_ci(method="wilson")
        assert (wilson(count, of).low, wilson(count, of).high) == pytest.approx((theirs.low, theirs.high))


def test_wilson_of_nothing_says_nothing() -> None:
    assert (wilson(0, 0).low, wilson(0, 0).high) == (0.0, 1.0)
    assert math.isnan(wilson(0, 0).share)
    with pytest.raises(InputError, match="3 of 2"):
        wilson(3, 2)


def planted(**columns: Any) -> pd.DataFrame:
    """Nine networks of p = 5 and three of p = 7; one of the nine is far from the others."""
    rows = []
    for i in range(12):
        head = {
            "network": f"n{i}",
            "case": "one" if i < 9 else "two",
            "task.p": 5 if i < 9 else 7,
            "seed": i,
            "recipe": f"quick seed={i}",
            "modscope": "1",
            "commit": "c",
            "trained_by": "c",
        }
        verdict = ["holds", "holds in part", "does not hold", "not applicable"][0 if i < 6 else i % 4]
        effect = 9.0 if i == 4 else 0.5 + 0.01 * i
        rows += [
            head | {"kind": "training", "measure": "ended", "text": "settled" if i % 3 else "last step"},
            head | {"kind": "training", "measure": "settled at", "value": 100.0 + i if i % 3 else np.nan},
            head
            | {
                "kind": "finding",
                "measure": "which-mechanism",
                "value": effect,
                "control": 0.1,
                "verdict": verdict,
            },
            head | {"kind": "number", "measure": "which-mechanism: rectified sum", "value": 0.6},
            head | {"kind": "number", "measure": "which-mechanism: weight at 3", "value": 0.6},
            head | {"kind": "number", "measure": "which-mechanism: margin kept, none", "value": 0.6},
        ]
    table = pd.DataFrame(rows)
    for name in ("value", "control", "verdict", "text"):
        table[name] = table.get(name)
    return table.assign(**columns)


def test_verdicts_are_counted_by_group_and_over_what_they_apply_to() -> None:
    one, two = Population(planted(), "task.p").verdicts()
    assert (one.group, one.holds.count, one.in_part.count, one.fails.count, one.not_applicable) == (
        "p 5",
        7,
        0,
        1,
        1,
    )
    assert (one.holds.of, two.holds.of) == (8, 2)
    assert (two.group, two.holds.count, two.in_part.count, two.fails.count) == ("p 7", 0, 1, 1)
    (whole,) = Population(planted()).verdicts()
    assert whole.holds.count == one.holds.count + two.holds.count


def test_what_was_not_reached_is_not_in_the_distribution() -> None:
    spread = Population(planted(), "case").spreads("settled at")[0]
    assert (spread.group, spread.reached.count, spread.reached.of) == ("one", 6, 9)
    assert (spread.low, spread.median, spread.high) == (101.0, 104.5, 108.0)


def test_the_one_that_is_far_is_named_and_no_other() -> None:
    outliers = Population(planted(), "task.p").outliers()
    assert [(one.network, one.measure) for one in outliers] == [("n4", "which-mechanism")]
    assert Population(planted()[lambda t: t.network != "n4"], "task.p").outliers() == []


def test_mechanisms_are_shares_alone() -> None:
    assert Population(planted()).mechanisms() == ["which-mechanism: rectified sum"]


def test_unknown_axis_and_empty_table() -> None:
    with pytest.raises(UnknownName, match=r"unknown axis 'task.q' \(did you mean 'task.p'\?\)"):
        Population(planted(), "task.q")
    with pytest.raises(InputError, match="nothing is done yet"):
        Population(planted().iloc[:0])


def test_the_page_is_whole_and_its_texts_cannot_leave_their_place() -> None:
    page = population_page(planted(case="</script><b>"), title="a & b", by="task.p", where="s w")
    assert "</script><b>" not in page
    assert "a &amp; b" in page
    assert "http://" not in page.replace("http://www.w3.org/2000/svg", "")
    assert "modscope report 's w/networks/n4.safetensors'" in page


@pytest.mark.browser
def test_the_page_in_a_browser(page: Any, tmp_path: Any) -> None:
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    file = tmp_path / "p.html"
    file.write_text(population_page(planted(), title="planted", by="task.p", where="s"), encoding="utf-8")
    page.goto(file.as_uri())
    assert page.locator("#shares tbody tr").count() == 1
    assert (
        page.locator("#shares svg")
        .first.get_attribute("aria-label")
        .startswith("7 of 8 hold, 0 in part, 1 not")
    )
    page.locator("#spread .dot[role=button]").nth(4).click()
    assert page.locator("#picked code").inner_text() == "modscope report s/networks/n4.safetensors"
    page.select_option("#by", "")
    assert page.locator("#shares thead th").nth(1).inner_text() == "all networks (12)"
    page.select_option("#measure", "settled at")
    assert page.locator("#spread .dot[role=button]").count() == 8
    assert "8 of 12" in page.locator("#spread-table").inner_text()
    assert not errors


def test_a_table_that_is_none_of_a_sweep_is_refused() -> None:
    with pytest.raises(InputError, match="has no column case, value: expected the table of a sweep"):
        Population(
            pd.DataFrame(
                {name: ["x"] for name in ("network", "recipe", "kind", "measure", "control", "verdict")}
            )
        )
