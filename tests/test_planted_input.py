"""Planted networks refuse what they cannot be."""

from __future__ import annotations

import pytest

from modscope import planted
from modscope.errors import InputError, UnknownName


def test_what_is_refused() -> None:
    for build in (planted.clock, planted.pizza, planted.rectified_sum):
        for ks in ([], [0], [7], [2, 2]):
            with pytest.raises(InputError, match="expected different ones from 1 to 6"):
                build(13, ks)
        with pytest.raises(InputError):
            build(2, [1])
    with pytest.raises(InputError, match=r"share of 1\.5"):
        planted.between(13, [2], 1.5)
    for build in (planted.clock, planted.pizza, planted.rectified_sum):
        with pytest.raises(UnknownName, match="operation of a planted network"):
            build(13, [2], operation="multiply")
    with pytest.raises(UnknownName, match="part of a mixture"):
        planted.mixture(13, [2], {"clocks": 1.0})
    for shares in ({"clock": 0.5}, {"clock": 1.5, "pizza": -0.5}, {}):
        with pytest.raises(InputError, match="sum to 1"):
            planted.mixture(13, [2], shares)
