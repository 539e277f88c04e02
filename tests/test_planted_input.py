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
    with pytest.raises(UnknownName, match="operation of a rectified sum"):
        planted.rectified_sum(13, [2], operation="multiply")
