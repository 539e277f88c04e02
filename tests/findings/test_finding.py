"""Rules, intervals and the plain forms of findings."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modscope.errors import InputError, UnknownName
from modscope.findings import Finding, Findings, Measure, Picture, Rule
from modscope.findings.resampling import interval

numbers = st.floats(-10, 10)


@given(numbers, numbers, st.booleans())
def test_a_control_as_good_as_the_effect_sinks_the_claim(effect: float, worse: float, larger: bool) -> None:
    rule = (
        Rule(holds=1.0, in_part=0.5, larger=larger) if larger else Rule(holds=0.5, in_part=1.0, larger=False)
    )
    assert rule.verdict(effect, effect) == "does not hold"
    expected = {0: "does not hold", 1: "holds in part", 2: "holds"}[rule.grade(effect)]
    if rule.grade(worse) < rule.grade(effect):
        assert rule.verdict(effect, worse) == expected
    assert rule.verdict(effect, float("nan")) == expected
    assert rule.verdict(float("nan"), worse) == "does not hold"


@given(numbers)
def test_reversing_a_rule_reverses_its_grades(value: float) -> None:
    assert Rule(2.0, 1.0).grade(value) == Rule(-2.0, -1.0, larger=False).grade(-value)


def test_reasons_name_the_threshold() -> None:
    rule = Rule(holds=0.9, in_part=0.5)
    assert rule.reason(0.95, 0.1) == "0.95 is ≥ 0.9"
    assert rule.reason(0.6, 0.1) == "0.6 is ≥ 0.5"
    assert rule.reason(0.1, 0.1) == "0.1 is not ≥ 0.5"
    assert rule.reason(0.95, 0.93) == "the control does as well (0.93)"


@given(st.integers(0, 20))
def test_intervals_are_those_of_the_normal_law(seed: int) -> None:
    values = np.random.default_rng(seed).normal(size=400)
    found = interval(values, over="examples", seed=seed)
    assert found is not None
    assert found.low < values.mean() < found.high
    assert found.high - found.low == pytest.approx(2 * 1.96 * values.std() / 20, rel=0.25)


def test_no_interval_without_numbers() -> None:
    assert interval(np.array([1.0]), over="heads") is None
    assert interval(np.array([1.0, np.nan]), over="heads") is None


def made(value: float) -> Finding:
    measure = Measure(value, "", "a number")
    return Finding("some-claim", "Title", "It is so.", measure, measure, Rule(1, 0), "holds", "because")


def test_findings_are_plain_json() -> None:
    (row,) = json.loads(json.dumps(Findings([made(float("nan"))]).to_list(), allow_nan=False))
    assert row["effect"]["value"] is None
    assert {"id", "statement", "effect", "control", "rule", "verdict", "citations"} <= set(row)


def test_findings_by_number_and_by_id() -> None:
    found = Findings([made(1.0)])
    assert found[0] is found["some-claim"]
    assert len(found) == 1
    with pytest.raises(UnknownName, match="did you mean 'some-claim'"):
        found["some-clam"]


def test_a_picture_has_a_value_for_each_x() -> None:
    with pytest.raises(InputError, match="series 'y' has 2 values: expected 3"):
        Picture("lines", [1, 2, 3], {"y": [1.0, 2.0]}, "x", "y")
