"""Figures for print: their size, their fonts, and the numbers in them."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from PIL import Image

import modscope as ms
from modscope.errors import InputError


def wave() -> xr.DataArray:
    p = 11
    n = np.arange(p)
    x = np.cos(2 * np.pi * (n + n[:, None]) / p)
    return xr.DataArray(x, dims=("c", "a"), name="resid", attrs={"p": p, "operation": "add"})


@pytest.mark.parametrize("mode", ["wave", "spectrum", "both", "heatmap", "spectrum2d", "multiples", "ridge"])
def test_sizes_are_exact(tmp_path: Path, mode: str) -> None:
    view = ms.show(wave(), x="a", play="c", mode=mode, key_frequencies=(1,))
    with Image.open(view.figure(tmp_path / "one.png", width=3.3, height=2.0, dpi=100)) as image:
        assert image.size == (330, 200)
    svg = view.figure(tmp_path / "one.svg", width=3.3, height=2.0, size=8, font="serif").read_text("utf-8")
    assert 'width="237.6pt"' in svg
    assert 'height="144pt"' in svg
    assert re.search(r"<text[^>]*>", svg)
    assert "serif" in svg
    pdf = view.figure(tmp_path / "one.pdf", width=3.3).read_bytes()
    assert pdf.startswith(b"%PDF")
    assert b"/FontFile2" in pdf or b"/TrueType" in pdf or b"CIDFontType2" in pdf


def test_the_same_view_gives_the_same_bytes(tmp_path: Path) -> None:
    view = ms.show([wave(), wave() / 2], names=["one", "half"], x="a", play="c")
    for suffix in (".svg", ".pdf"):
        first, second = (
            view.figure(tmp_path / f"{name}{suffix}").read_bytes() for name in ("first", "second")
        )
        assert first == second


def test_what_cannot_be_printed_is_said(tmp_path: Path) -> None:
    view = ms.show(wave())
    with pytest.raises(InputError, match=r"ends in \.svg, \.pdf or \.png"):
        view.figure(tmp_path / "one.jpg")
    with pytest.raises(InputError, match="2 views in one output"):
        (view | ms.show(wave())).figure(tmp_path / "one.svg")
    with pytest.raises(InputError, match="width = 0"):
        view.figure(tmp_path / "one.svg", width=0)
    assert not list(tmp_path.iterdir())
