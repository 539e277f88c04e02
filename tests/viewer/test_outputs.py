"""An array that several outputs of a notebook show is stored once, and running a cell again always mends its view."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings

import modscope as ms
from modscope.viewer import fragments, html
from modscope.viewer.outputs import Outputs, Run, outputs_here
from modscope.viewer.parcels import Parcels

CELLS, ARRAYS = ("one", "two", "three"), ("A", "B")


class Notebook:
    """Cells and what their outputs carry and need, as a front end would keep them."""

    def __init__(self) -> None:
        self.outputs = Outputs()
        self.carried: dict[str, set[str]] = {}
        self.needed: dict[str, set[str]] = {}
        self.deleted: set[str] = set()
        self.number = 0

    def run(self, cell: str, shown: list[str]) -> None:
        self.number += 1
        self.outputs.begin(Run(cell, self.number), self.deleted)
        self.deleted = set()
        self.carried[cell], self.needed[cell] = set(), set()
        for name in shown:
            elsewhere = set(self.outputs.elsewhere({name: 10}))
            self.needed[cell] |= elsewhere
            self.carried[cell] |= {name} - elsewhere

    def remove(self, cell: str) -> None:
        """Deleted; the kernel hears of it when a cell is run next."""
        if self.carried.pop(cell, None) is not None:
            self.needed.pop(cell)
            self.deleted.add(cell)

    def lacking(self, cell: str) -> set[str]:
        return self.needed[cell] - set().union(*self.carried.values())


runs = st.tuples(st.sampled_from(CELLS), st.lists(st.sampled_from(ARRAYS), max_size=3))


@settings(max_examples=80)
@given(st.lists(st.one_of(runs, st.sampled_from(CELLS)), max_size=12), runs)
def test_a_view_whose_cell_was_just_run_has_its_numbers(
    steps: list[Any], last: tuple[str, list[str]]
) -> None:
    book = Notebook()
    for step in [*steps, last]:
        if isinstance(step, str):
            book.remove(step)
            continue
        book.run(*step)
        assert book.lacking(step[0]) == set()


def test_run_from_top_to_bottom_twice_an_array_is_there_once() -> None:
    book = Notebook()
    for _ in range(2):
        for cell in CELLS:
            book.run(cell, ["A", "A"])
        assert [len(book.carried[cell]) for cell in CELLS] == [1, 0, 0]
    # A cell that cleared its output, or was cleared by hand and run again alone, is no trap either.
    book.outputs.forget({"three"})
    book.run("two", ["A"])
    assert book.carried["two"] == {"A"}


def test_outside_of_a_notebook_every_view_is_whole(
    waves: xr.DataArray, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert outputs_here() is None
    bundle = ms.show(waves)._repr_mimebundle_()
    assert set(bundle) == {"text/html", "text/plain"}
    assert 'data-needs=""' in bundle["text/html"]

    def shell(parent: dict[str, Any], **more: Any) -> Any:
        events = SimpleNamespace(register=lambda *_: None)
        return SimpleNamespace(
            get_parent=lambda: parent, execution_count=4, display_pub=object(), events=events, **more
        )

    ran = {"header": {"msg_type": "execute_request"}}
    for parent, shared in (
        ({"header": {"msg_type": "comm_msg"}}, False),
        (ran, False),
        (ran | {"metadata": {"cellId": "x"}}, True),
        (ran | {"content": {"allow_stdin": False}}, True),
    ):
        monkeypatch.setitem(
            __import__("sys").modules,
            "IPython",
            SimpleNamespace(get_ipython=lambda parent=parent: shell(parent)),
        )
        assert (outputs_here() is not None) == shared


def test_a_notebook_that_holds_too_much_says_so() -> None:
    outputs = Outputs()
    outputs.begin(Run("one", 1))
    with pytest.warns(UserWarning, match=r"outputs of this notebook hold.* 30\.0 MB"):
        outputs.elsewhere({"A": 30_000_000})


def test_one_array_has_one_parcel_whatever_is_drawn_of_it(waves: xr.DataArray) -> None:
    parcels = Parcels()
    ways = [{}, {"x": "c"}, {"mode": "heatmap"}, {"x": "d_model", "play": "a"}]
    blocks = [ms.show(waves, **way).blocks(parcels=parcels) for way in ways]
    assert len({block.id for (block,) in blocks}) == 1
    # What must be exact is not taken from what was rounded.
    (small,) = ms.show(waves, precision="int16").blocks(parcels=(rounded := Parcels()))
    assert ms.show(waves).blocks(parcels=rounded) == [small]
    assert ms.show(waves, precision="float32").blocks(parcels=rounded)[0].enc == "f32"


def test_the_budget_of_several_views_is_that_of_their_page() -> None:
    x = [np.random.default_rng(n).standard_normal((60, 113, 113)).astype(np.float32) for n in range(3)]
    assert ms.show(x[0]).blocks()[0].enc == "f32"
    once, _ = fragments([ms.show(one) for one in x])
    assert once.count('"enc":"i16"') == 3
    again, _ = fragments([ms.show(x[0]), ms.show(x[0], x="axis1"), ms.heatmap(x[0])])
    assert again.count('"enc":"f32"') == 3
    assert again.count('type="application/octet-stream"') == 1


def written(path: Path, texts: list[str]) -> str:
    path.write_text("<!doctype html><body>" + "\n".join(f"<div>{text}</div>" for text in texts))
    return f"file://{path}"


@pytest.mark.browser
def test_outputs_find_their_numbers_and_say_what_is_missing(
    screen: Any, waves: xr.DataArray, tmp_path: Path
) -> None:
    outputs, texts = Outputs(), []
    for n, view in enumerate((ms.show(waves), ms.show(waves, x="c"), ms.heatmap(waves)), 1):
        outputs.begin(Run(f"cell {n}", n))
        texts.append(html.frame(view, outputs))
    carried = [re.findall(r'data-carries="([^"]*)"', text)[0].split() for text in texts]
    assert [len(names) for names in carried] == [2, 0, 0], "numbers and viewer, once"
    assert max(map(len, texts[1:])) < 40_000

    # In whatever order they stand.
    screen.goto(written(tmp_path / "book.html", [texts[2], texts[0], texts[1]]))
    for n in range(3):
        screen.frame_locator("iframe").nth(n).locator('.page[data-ready="true"]').wait_for()
    got = [
        frame.evaluate(
            "() => { const m = document.querySelector('[data-modscope]').modscope.models[0];"
            " return m.reader.slice(0, [2], [2, 5, 0]).length }"
        )
        for frame in screen.frames[1:]
    ]
    assert got == [31, 31, 31]
    assert screen.locator(".modscope-lost:visible").count() == 0

    # The cell that carries them is deleted: the others go on and say that they would not be there again.
    screen.locator(".modscope-view").nth(1).evaluate("e => e.remove()")
    screen.evaluate("() => modscopeOutputs()")
    assert screen.locator(".modscope-lost:visible").count() == 2
    assert "another output (the one of [1])" in screen.locator(".modscope-lost").first.inner_text()

    # Opened again without it (and with less patience).
    assert texts[1].count("5e3") == 1
    screen.goto(written(tmp_path / "book.html", [texts[1].replace("5e3", "300")]))
    frame = screen.frame_locator("iframe")
    frame.get_by_text("Run this cell again, and it holds them itself").wait_for()
    frame.locator("img").wait_for()
    assert "[1]" in frame.get_by_role("status").inner_text()
    # Run again it carries them; an output that comes late is found too.
    outputs.begin(Run("cell 2", 4))
    again = html.frame(ms.show(waves, x="c"), outputs)
    screen.evaluate(
        "text => { const d = document.createElement('div'); d.innerHTML = text; document.body.append(d) }",
        again,
    )
    frame.first.locator('.page[data-ready="true"]').wait_for()
