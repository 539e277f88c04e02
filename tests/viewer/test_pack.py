"""What goes into a page comes out of it: exactly, or within the error that the badge states."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import modscope
from modscope.errors import UnknownName
from modscope.viewer.inputs import tensor_of
from modscope.viewer.pack import LOSSLESS_LIMIT, as_text, from_text, meta_of, packed, unpacked
from modscope.viewer.parcels import Parcels
from modscope.viewer.sums_of_waves import SHARE

FLOATS = hnp.arrays(
    np.float32,
    hnp.array_shapes(min_dims=1, max_dims=4, max_side=7),
    elements=st.floats(width=32, allow_nan=True, allow_infinity=True),
)


@given(FLOATS)
def test_float32_comes_back_bit_for_bit(values: np.ndarray) -> None:
    block = packed(tensor_of(values), precision="float32")
    assert (block.enc, block.error) == ("f32", 0.0)
    np.testing.assert_array_equal(unpacked(block, values.shape), values)


@given(
    hnp.arrays(
        np.float32,
        hnp.array_shapes(min_dims=1, max_dims=3, max_side=7),
        elements=st.floats(-1e6, 1e6, width=32) | st.sampled_from([np.nan, np.inf, -np.inf]),
    )
)
def test_sixteen_bits_stay_within_the_stated_error_and_keep_gaps(values: np.ndarray) -> None:
    block = packed(tensor_of(values), precision="int16")
    back = unpacked(block, values.shape)
    finite = np.isfinite(values)
    np.testing.assert_array_equal(np.isfinite(back), finite)
    np.testing.assert_array_equal(back[~finite], values[~finite])
    if finite.any():
        assert np.abs(back[finite] - values[finite]).max() <= block.error
    rows = np.where(finite, values, np.nan).reshape(-1, values.shape[-1]).astype(np.float64)
    with np.errstate(all="ignore"):
        span = np.nanmax(np.where(finite.any(), rows, 0)) - np.nanmin(np.where(finite.any(), rows, 0))
    assert block.error <= 1.6e-5 * span + 2e-7 * np.abs(np.where(finite, values, 0)).max(initial=0) + 1e-30


@given(
    hnp.arrays(
        np.float32,
        hnp.array_shapes(min_dims=1, max_dims=4, max_side=7),
        elements=st.floats(-1e6, 1e6, width=32),
    )
)
def test_sums_of_waves_stay_within_a_share_of_each_picture(values: np.ndarray) -> None:
    block = packed(tensor_of(values), precision="waves")
    assert block.enc == ("waves" if values.ndim > 1 else "i16")
    off = np.abs(unpacked(block, values.shape) - values)
    assert off.max() <= block.error * (1 + 1e-6)
    if block.enc == "waves":
        span = np.ptp(values, axis=(-2, -1)).astype(np.float64)
        size = np.abs(values).max(axis=(-2, -1)) * np.sqrt(values.shape[-1] * values.shape[-2])
        assert (off.max(axis=(-2, -1)) <= SHARE * span + 5e-7 * size).all()


def test_rows_of_c_are_the_block_of_their_pictures() -> None:
    x = xr.DataArray(np.random.default_rng(0).normal(size=(2, 5, 5)), dims=("d", "a", "b"), attrs={"p": 5})
    y = modscope.in_order(x, "c", "a")
    views = [modscope.show(one, x=along, precision="waves") for one, along in ((x, "b"), (y, "a"))]
    parcels = Parcels()
    (pairs,), (rows,) = (view.blocks(parcels=parcels) for view in views)
    assert (pairs.id, pairs.enc, rows.enc) == (rows.id, "waves", "sheared")
    assert np.abs(unpacked(rows, (2, 5, 5)) - y.values).max() <= rows.error * 1.001
    (turned,) = modscope.show(y, x="c", precision="waves").blocks(parcels=parcels)
    assert turned.enc == "waves"


def test_few_waves_take_few_bytes_and_gaps_are_kept_in_sixteen_bits() -> None:
    n = np.arange(113)
    wave = np.cos(2 * np.pi * 5 * (n[:, None] + n) / 113 + np.arange(32)[:, None, None])
    wave += 1e-3 * np.random.default_rng(0).normal(size=wave.shape)
    summed, sixteen = (packed(tensor_of(wave), precision=name) for name in ("waves", "int16"))
    assert len(summed.data) < len(sixteen.data) / 40
    wave[0, 0, 0] = np.nan
    assert packed(tensor_of(wave), precision="waves").enc == "i16"


@given(st.binary(max_size=200))
def test_text_of_bytes_needs_no_escape_and_comes_back(data: bytes) -> None:
    text = as_text(data)
    assert from_text(text) == data
    assert not set(text) & set("<>&\"'\\ ")


def test_only_large_arrays_lose_precision() -> None:
    rng = np.random.default_rng(0)
    small = tensor_of(rng.standard_normal((4, 113, 113)))
    assert packed(small).enc == "f32"
    large = packed(tensor_of(rng.standard_normal((128, 113, 113))))
    assert large.enc == "i16"
    assert 0 < large.error < 1e-4
    assert len(as_text(large.data)) < 4_200_000
    constant = packed(tensor_of(np.ones((400, 113, 113))))
    assert constant.enc == "f32"
    assert len(constant.data) < LOSSLESS_LIMIT


def test_unknown_precision_is_named() -> None:
    with pytest.raises(UnknownName, match=r"unknown precision 'float64'.*float32"):
        packed(tensor_of(np.zeros(3)), precision="float64")


def test_gaps_are_counted_and_left_out_of_the_range() -> None:
    meta = meta_of(tensor_of(np.array([[np.nan, 1.0], [np.inf, -2.0]]), dims=("a", "b")))
    assert (meta["nan"], meta["inf"], meta["lo"], meta["hi"]) == (1, 1, -2.0, 1.0)
