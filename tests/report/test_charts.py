"""Charts: values stand where the axes say, labels stay apart and inside, pictures have row 0 at the top."""

from __future__ import annotations

import base64
import io
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from modscope.report.chart import chart
from modscope.report.marks import Bars, Dots, Heat, Labels, Line, text_width
from modscope.report.ramps import ramp_pixels, ramp_table
from modscope.report.scales import Axis, axis_over, nice_ticks

finite = st.floats(-1e6, 1e6, allow_nan=False)


@given(st.lists(finite, min_size=1, max_size=20))
@settings(max_examples=60)
def test_every_value_is_inside_its_axis(values: list[float]) -> None:
    for zero in (False, True):
        axis = axis_over(values, zero=zero)
        assert all(-1e-9 <= axis.fraction(v) <= 1 + 1e-9 for v in values)
        assert all(axis.low - 1e-9 <= v <= axis.high + 1e-9 for v, _ in axis.marks(4))


@given(st.lists(st.floats(1e-12, 1e6), min_size=1, max_size=20))
@settings(max_examples=60)
def test_equal_factors_are_equal_steps_on_a_logarithmic_axis(values: list[float]) -> None:
    axis = axis_over(values, log=True, margin=0.1)
    steps = [axis.fraction(2 * v) - axis.fraction(v) for v in values]
    assert np.ptp(steps) < 1e-9
    assert all(-1e-9 <= axis.fraction(v) <= 1 + 1e-9 for v in values)


@given(finite, st.floats(1e-3, 1e6))
@settings(max_examples=60)
def test_ticks_are_even_and_inside(low: float, span: float) -> None:
    ticks = nice_ticks(low, low + span)
    assert all(low - 1e-6 * span <= t <= low + span * (1 + 1e-6) for t in ticks)
    assert len(ticks) <= 7
    if len(ticks) > 2:
        assert np.diff(ticks) == pytest.approx(ticks[1] - ticks[0], rel=1e-6, abs=1e-9)


def test_values_stand_where_the_axes_say() -> None:
    drawn = chart([Dots([0.0, 10.0], [0.0, 5.0])], x=Axis(0, 10), y=Axis(0, 5))
    (x0, y0), (x1, y1) = [
        (float(a), float(b)) for a, b in re.findall(r'<circle cx="([\d.]+)" cy="([\d.]+)"', drawn)
    ]
    assert x1 > x0
    assert y1 < y0, "larger values are higher up"
    upside = chart([Dots([0.0, 0.0], [0.0, 5.0])], x=Axis(0, 10), y=Axis(0, 5, downwards=True))
    first, second = [float(y) for y in re.findall(r'cy="([\d.]+)"', upside)]
    assert first < second


def test_a_gap_interrupts_a_line_and_a_missing_bar_is_not_a_bar_of_zero() -> None:
    drawn = chart([Line([0, 1, 2, 3, 4], [1, 1, np.nan, 1, 1])], x=Axis(0, 4), y=Axis(0, 1))
    assert drawn.count("<polyline") == 2
    bars = chart([Bars([0, 1], [np.nan, 2.0])], x=Axis(-1, 2), y=Axis(0, 2))
    assert bars.count("<rect") == 1


def test_labels_at_one_place_do_not_stand_on_each_other() -> None:
    texts = ["41", "42", "43", "a longer one"]
    drawn = chart([Labels([41, 42, 43, 43.5], [1.0] * 4, texts)], x=Axis(0, 100), y=Axis(0, 2))
    found = [
        (float(x), float(y), text)
        for x, y, text in re.findall(
            r'<text x="([\d.]+)" y="([\d.-]+)" text-anchor="middle"[^>]*>([^<]+)</text>', drawn
        )
        if text in texts
    ]
    assert len(found) == len(texts)
    for i, (x, y, text) in enumerate(found):
        for u, v, other in found[:i]:
            assert abs(y - v) >= 12 or abs(x - u) >= (text_width(text) + text_width(other)) / 2


def test_a_heat_map_has_row_0_at_the_top_and_clear_cells_where_nothing_is_known() -> None:
    drawn = chart([Heat(np.array([[0.0, 1.0], [np.nan, 0.5]]), 0, 1)], x=Axis(-0.5, 1.5), y=Axis(-0.5, 1.5))
    match = re.search(r"base64,([^\"]+)", drawn)
    assert match is not None
    pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(match[1]))))
    assert pixels.shape == (2, 2, 4)
    np.testing.assert_array_equal(pixels[0, 0, :3], ramp_table("sequential")[0])
    np.testing.assert_array_equal(pixels[0, 1, :3], ramp_table("sequential")[255])
    assert pixels[1, 0, 3] == 0


def test_the_middle_of_a_diverging_ramp_is_white_and_lightness_falls_to_both_sides() -> None:
    pixels = ramp_pixels(np.array([[-1.0, -0.5, 0.0, 0.5, 1.0]]), -1, 1, "diverging")[0, :, :3].sum(axis=1)
    assert pixels[2] > 3 * 245
    assert pixels[0] < pixels[1] < pixels[2] > pixels[3] > pixels[4]
    assert (np.diff(ramp_table("sequential").astype(int).sum(axis=1)) <= 4).all()
