"""`x.ms`: the functions of orders and signal as methods of an array."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

import modscope as ms
from modscope import signal
from modscope.errors import InputError


def picture(p: int, seed: int = 0) -> xr.DataArray:
    x = np.random.default_rng(seed).normal(size=(p, p, 3))
    return xr.DataArray(x, dims=("a", "b", "neuron"), attrs={"p": p, "operation": "add"})


@given(p=st.sampled_from([5, 6, 7]), seed=st.integers(0, 50))
def test_parts_by_frequency_add_up(p: int, seed: int) -> None:
    x = picture(p, seed)
    for y in (x, x.ms.in_order("c", "a")):
        parts = y.ms.split([1, 2])
        assert parts.dims[0] == "frequency"
        xr.testing.assert_allclose(parts.sum("frequency"), y)
        xr.testing.assert_allclose(parts.isel(frequency=0, drop=True), y.ms.keep([1]))


def test_axes_are_the_residues_that_there_are() -> None:
    x = picture(7)
    rows = x.ms.in_order("c", "a")
    xr.testing.assert_identical(rows, ms.in_order(x, "c", "a"))
    xr.testing.assert_identical(x.ms.keep([0, 1]), signal.keep_frequencies(x, ("a", "b"), [0, 1]))
    xr.testing.assert_identical(rows.ms.keep([0, 1]), signal.keep_frequencies(rows, "a", [0, 1]))
    xr.testing.assert_identical(x.ms.remove([1], "b"), signal.remove_frequencies(x, "b", [1]))
    xr.testing.assert_identical(rows.ms.spectrum(), signal.spectrum(rows, "a"))
    token = x.isel(b=0, drop=True).rename(a="token")
    for name in ("amplitude", "phase", "power"):
        xr.testing.assert_identical(getattr(token.ms, name)(), getattr(signal, name)(token, "token"))
    xr.testing.assert_identical(token.ms.shift(0.5), signal.shift(token, "token", 0.5))
    xr.testing.assert_identical(token.ms.resample(21), signal.resample(token, "token", 21))


def test_even_about_half_c_is_symmetric() -> None:
    x = picture(7)
    even = x.ms.in_order("c", "a").ms.even("c", "a")
    np.testing.assert_allclose(even.ms.in_order("a", "b"), (x.values + x.values.swapaxes(0, 1)) / 2)
    odd = x.ms.in_order("c", "a").ms.odd("c")
    xr.testing.assert_allclose(even + odd, x.ms.in_order("c", "a"))


def test_it_shows_itself() -> None:
    view = picture(5).ms.in_order("c", "a").ms.show(play="c")
    assert view.state["play"] == "c"
    assert picture(5).ms.heatmap(y="a").state["mode"] == "heatmap"


def test_what_is_unclear_is_asked() -> None:
    x = picture(5)
    with pytest.raises(InputError, match="name one axis"):
        x.ms.shift(1)
    with pytest.raises(InputError, match="name the axis that holds residues"):
        x.rename(a="x", b="y").ms.keep([1])
    with pytest.raises(InputError, match="each once"):
        x.ms.split([1, 1])


@pytest.mark.parametrize("first", ["import xarray, modscope", "import modscope, xarray; modscope.in_order"])
def test_arrays_have_it_whichever_is_imported_first(first: str) -> None:
    code = f"{first}; print(xarray.DataArray([1.0, 2.0], dims='token').ms.power().sizes['k'])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "2"
