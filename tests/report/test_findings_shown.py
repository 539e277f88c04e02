"""Findings on the page: bars that stand where the numbers are, sentences that add up to 100."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modscope.findings import Finding, Measure, Rule
from modscope.report.gauge import WIDTH, gauge, threshold_text
from modscope.report.mechanism import mechanism_sentences, whole_percents


def finding(effect: float, control: float, rule: Rule, **more: object) -> Finding:
    measures = Measure(effect, "share", "what"), Measure(control, "share", "what")
    return Finding("x", "X", "x.", *measures, rule, rule.verdict(effect, control), "because", **more)  # type: ignore[arg-type]


@given(st.floats(-2, 3), st.floats(-2, 3), st.booleans())
def test_the_dot_of_a_gauge_lies_in_the_zone_of_its_grade(
    effect: float, control: float, larger: bool
) -> None:
    rule = Rule(0.9, 0.4) if larger else Rule(0.1, 0.5, larger=False)
    drawn = gauge(finding(effect, control, rule))
    dot = float(re.search(r'class="is" cx="([\d.]+)"', drawn)[1])  # type: ignore[index]
    zones = {
        name: (float(x), float(x) + float(width))
        for name, x, width in re.findall(
            r'class="(fails|part|holds)" x="([\d.]+)" y="8" width="([\d.]+)"', drawn
        )
    }
    wanted = ("fails", "part", "holds")[rule.grade(effect)]
    low, high = zones[wanted]
    assert low - 0.11 <= dot <= high + 0.11
    assert 0 <= dot <= WIDTH


def test_a_gauge_of_nothing_is_nothing() -> None:
    assert gauge(finding(float("nan"), 0.0, Rule(0.9, 0.5))) == ""
    assert threshold_text(finding(0.2, 0.0, Rule(0.95, 0.5))) == "holds from 0.95 up"


@given(st.lists(st.floats(0, 1), min_size=1, max_size=5).filter(lambda shares: sum(shares) > 1e-6))
def test_percents_add_up_to_100(shares: list[float]) -> None:
    found = whole_percents({str(i): share for i, share in enumerate(shares)})
    assert sum(found.values()) == 100
    total = sum(shares)
    assert all(abs(found[str(i)] - 100 * share / total) < 1 for i, share in enumerate(shares))


def test_the_mechanism_is_said_in_words_that_add_up() -> None:
    numbers = {"rectified sum": 0.626, "product in attention": 0.367, "memorisation": 0.007}
    told = mechanism_sentences(
        finding(0.63, 0.0, Rule(0.9, 0.4), numbers=numbers | {"pizza, share of the circles' weight": 0.4})
    )
    assert sum(map(int, re.findall(r"(\d+) %", told[0]))) == 100
    assert told[0].index("rectified sum") < told[0].index("clock") < told[0].index("memorisation")
    assert "pizza" in told[1]
    assert "40 %" in told[1]
    alone = mechanism_sentences(finding(1.0, 0.0, Rule(0.9, 0.4), numbers={"memorisation": 1.0}))
    assert alone == [
        "What lifts the right answer above the others is made 100 % by remembering single pairs it was trained on (memorisation)."
    ]


@pytest.mark.parametrize("effect", [float("nan")])
def test_what_is_not_known_is_not_said(effect: float) -> None:
    unknown = finding(effect, effect, Rule(0.9, 0.4))
    assert mechanism_sentences(unknown) == ["How the answer is made is not said: because."]
    assert mechanism_sentences(None) == []
