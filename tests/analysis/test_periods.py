"""Numbers on a line: trends and periods that were planted are found, and noise has none."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from modscope.activations import Activations
from modscope.analysis.overview.measures import measure_table
from modscope.analysis.plane.periods import number_periods, periods_table
from modscope.errors import InputError, UnknownName
from modscope.signal import detrended, period_basis, trend_basis


@given(
    n=st.integers(4, 40),
    coefficients=st.tuples(st.floats(-3, 3), st.floats(-3, 3), st.floats(-3, 3)),
    seed=st.integers(0, 9),
)
def test_detrending_removes_its_polynomial_and_nothing_else(
    n: int, coefficients: tuple[float, float, float], seed: int
) -> None:
    line = np.arange(n)
    noise = np.random.default_rng(seed).standard_normal((n, 2))
    polynomial = sum(c * line**power for power, c in enumerate(coefficients))
    for trend, degree in (("mean", 0), ("linear", 1), ("quadratic", 2)):
        added = sum(c * line**power for power, c in enumerate(coefficients[: degree + 1]))
        first = detrended(noise, 0, trend)  # type: ignore[arg-type]
        assert np.allclose(detrended(noise + np.reshape(added, (-1, 1)), 0, trend), first, atol=1e-6)  # type: ignore[arg-type]
        fitted = np.polynomial.polynomial.polyfit(line, noise, degree)
        assert np.allclose(first, noise - np.polynomial.polynomial.polyval(line, fitted).T, atol=1e-8)
    assert np.allclose(detrended(polynomial[:, None] + noise, 0, "none"), polynomial[:, None] + noise)  # type: ignore[index]


@given(n=st.integers(6, 30), data=st.data())
def test_the_basis_is_orthonormal_and_free_of_the_trend(n: int, data: st.DataObject) -> None:
    periods = data.draw(st.lists(st.floats(2, n), max_size=4))
    basis = period_basis(n, periods, "linear")
    assert np.allclose(basis.T @ basis, np.eye(basis.shape[1]), atol=1e-8)
    assert np.allclose(trend_basis(n, "linear").T @ basis, 0, atol=1e-8)
    for period in periods:
        wave = detrended(np.cos(2 * np.pi * np.arange(n) / period), 0, "linear")
        assert np.allclose(basis @ (basis.T @ wave), wave, atol=1e-6)


def planted(p: int = 40) -> xr.DataArray:
    """A line in a, a wave of period 10 in a + b (not modular), one of period 5 in b, and noise."""
    n = np.arange(p)
    a, b = n[:, None], n[None, :]
    wave = np.cos(2 * np.pi * (a + b) / 10)
    parts = [0.1 * a + 0 * b, 3 * wave, np.sin(2 * np.pi * b / 5) + 0 * a]
    x = np.stack(parts, axis=-1) + 0.01 * np.random.default_rng(0).standard_normal((p, p, 3))
    return xr.DataArray(x, dims=("a", "b", "feature"))


def test_what_was_planted_is_found_where_it_was() -> None:
    x = planted()
    of_a, of_b, of_sum = (
        number_periods(x, along=along, periods=[2, 5, 10, 20]) for along in ("a", "b", "a+b")
    )
    assert float(of_a.trend) > 0.99
    assert float(of_b.share.sel(period=5)) > 0.99
    assert float(of_b.control.sel(period=5)) < 0.2
    assert float(of_sum.share.sel(period=10)) > 0.8
    assert float(of_sum.largest.sel(period=10)) > 0.99
    assert float(of_sum.line) > 0.6
    # waves of a + b that close over the columns are none of a
    assert float(of_a.line) < 0.3


def test_shares_agree_with_least_squares() -> None:
    line = np.random.default_rng(1).standard_normal((30, 4))
    found = number_periods(xr.DataArray(line, dims=("token", "f")), periods=[2, 7.5, 10], detrend="quadratic")
    n = np.arange(30)
    base = np.stack([n**0, n, n**2], axis=1)
    before = line - base @ np.linalg.lstsq(base, line, rcond=None)[0]
    for period in (2, 7.5, 10):
        waves = np.stack([np.cos(2 * np.pi * n / period), np.sin(2 * np.pi * n / period)], axis=1)
        columns = np.concatenate([base, waves], axis=1)
        after = line - columns @ np.linalg.lstsq(columns, line, rcond=None)[0]
        assert float(found.share.sel(period=period)) == pytest.approx(
            1 - (after**2).sum() / (before**2).sum()
        )
    assert float(found.trend) == pytest.approx(1 - (before**2).sum() / ((line - line.mean(0)) ** 2).sum())
    assert float(found.line) == pytest.approx(1.0)


def test_noise_has_no_more_than_its_control() -> None:
    x = xr.DataArray(np.random.default_rng(2).standard_normal((50, 50, 30)), dims=("a", "b", "f"))
    for along in ("a", "b", "a+b"):
        found = number_periods(x, along=along, periods=[2, 5, 10, 25])
        assert float(found.together) == pytest.approx(float(found.control_together), abs=0.05)
        assert (found.share <= found.control_largest + 0.03).all()


def test_the_table_is_a_measure_of_records_of_numbers() -> None:
    acts = Activations.from_arrays({"layers.3": planted()}, 40)
    table = periods_table(acts, periods=[5, 10])
    assert table.columns == ("hook", "along", "line %", "trend %", "T=5", "T=10", "all", "c. all")
    assert [row[:2] for row in table.rows] == [("layers.3", "a"), ("layers.3", "b"), ("layers.3", "a+b")]
    assert table.rows[1][4] > 99  # type: ignore[operator]
    own = measure_table(acts, "periods", ())
    assert own.columns[4:8] == ("T=2", "T=5", "T=10", "T=20")
    still = number_periods(xr.DataArray(np.ones((8, 8, 1)), dims=("a", "b", "f")))
    assert np.isnan(still.share).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"periods": [1.5]}, "period 1.5 of 40 numbers: expected 2 to 40"),
        ({"periods": [41]}, "period 41 of 40 numbers"),
        ({"along": "a-b"}, "unknown line 'a-b'"),
        ({"detrend": "cubic"}, "unknown trend 'cubic'"),
    ],
)
def test_what_cannot_be_asked(options: dict, message: str) -> None:
    with pytest.raises((InputError, UnknownName), match=message):
        number_periods(planted(), **options)
    with pytest.raises(InputError, match="expected a and b, or one of"):
        number_periods(xr.DataArray(np.zeros((4, 4)), dims=("x", "y")))
    with pytest.raises(InputError, match="expected 6 or more"):
        number_periods(xr.DataArray(np.zeros((4, 4)), dims=("token", "y")))
