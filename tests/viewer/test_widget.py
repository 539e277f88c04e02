"""The live widget: the real Python side and the real page, with the widget protocol carried between them."""

from __future__ import annotations

import base64
from typing import Any

import comm
import numpy as np
import pytest
import xarray as xr
from comm.base_comm import BaseComm
from ipywidgets.widgets.widget import _remove_buffers

import modscope as ms
from modscope.errors import InputError, UnknownName
from modscope.viewer.html import bundle
from modscope.viewer.widget import WHOLE_BYTES, ViewWidget


class Wire(BaseComm):
    """Keeps what the kernel says until somebody carries it to the page."""

    said: list[tuple[dict[str, Any], list[bytes]]]

    def publish_msg(
        self, msg_type: str, data: Any = None, metadata: Any = None, buffers: Any = None, **keys: Any
    ) -> None:
        self.__dict__.setdefault("said", [])
        if msg_type == "comm_msg":
            self.said.append((data, [bytes(one) for one in buffers or ()]))


@pytest.fixture(autouse=True)
def _wired(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(comm, "create_comm", lambda *args, **keys: Wire(*args, **keys))


@pytest.fixture
def large() -> xr.DataArray:
    """More than is sent whole."""
    rng = np.random.default_rng(0)
    values = rng.standard_normal((90, 113, 113)).astype(np.float32)
    assert values.nbytes > WHOLE_BYTES
    return xr.DataArray(values, dims=("neuron", "c", "a"), attrs={"p": 113, "operation": "add"})


def requested(widget: ViewWidget, **message: Any) -> tuple[dict[str, Any], list[bytes]]:
    """The answer to a custom message, through the protocol."""
    widget.comm.said.clear()
    widget.comm.handle_msg({"content": {"data": {"method": "custom", "content": message}}, "buffers": []})
    ((answer, buffers),) = widget.comm.said
    return answer["content"], buffers


def test_small_tensors_are_sent_whole_and_large_ones_not(waves: xr.DataArray, large: xr.DataArray) -> None:
    small = ms.show([waves, 2 * waves], live=True)
    metas = small.spec["tensors"]
    assert [int(meta["src"]) for meta in metas] == [0, waves.nbytes]
    got = np.frombuffer(small.data, "<f4", offset=waves.nbytes).reshape(waves.shape)
    np.testing.assert_array_equal(got, 2 * waves.values)
    widget = ms.show(large, live=True)
    assert widget.data == b""
    state, _, buffers = _remove_buffers(widget.get_state())
    assert sum(len(one) for one in buffers) == 0
    assert len(repr({key: value for key, value in state.items() if key != "_esm"})) < 10_000


def test_slices_on_request_are_numpys(large: xr.DataArray) -> None:
    widget = ms.show(large, live=True)
    rng = np.random.default_rng(1)
    for _ in range(30):
        keep = rng.permutation(3)[: rng.integers(4)].tolist()
        index = [int(rng.integers(size)) for size in large.shape]
        if len(keep) == 3:
            continue
        answer, (buffer,) = requested(widget, kind="read", id=7, t=0, keep=keep, index=index)
        assert answer == {"id": 7}
        wanted = large.values[tuple(slice(None) if i in keep else at for i, at in enumerate(index))]
        wanted = wanted.transpose([sorted(keep).index(axis) for axis in keep])
        np.testing.assert_array_equal(np.frombuffer(buffer, "<f4"), wanted.ravel())


@pytest.mark.parametrize(
    "message",
    [
        {"t": 1, "keep": [2], "index": [0, 0, 0]},
        {"t": 0, "keep": [3], "index": [0, 0, 0]},
        {"t": 0, "keep": [2, 2], "index": [0, 0, 0]},
        {"t": 0, "keep": [2], "index": [0, 113, 0]},
        {"t": 0, "keep": [2], "index": [0, -1, 0]},
        {"t": 0, "keep": [2]},
        {"t": "0", "keep": [2], "index": [0, 0, 0]},
    ],
)
def test_a_mistaken_request_is_answered_with_a_sentence(large: xr.DataArray, message: dict[str, Any]) -> None:
    answer, buffers = requested(ms.show(large, live=True), kind="read", id="x", **message)
    assert answer["id"] == "x"
    assert answer["error"]
    assert buffers == []


def test_python_cannot_move_the_page_to_where_nothing_is(waves: xr.DataArray) -> None:
    widget = ms.show(waves, live=True, select={"c": 8})
    with pytest.raises(UnknownName, match="unknown axis 'd'"):
        widget.index = {"d": 1}
    with pytest.raises(InputError, match="index 31 of axis c: expected 0 to 30"):
        widget.index = {"c": 31}
    with pytest.raises(UnknownName, match="did you mean 'spectrum'"):
        widget.mode = "spectrun"
    with pytest.raises(UnknownName):
        widget.x = "q"
    assert widget.index == {"d_model": 0, "c": 8, "a": 0}
    widget.index = {"c": 3}
    assert widget.index == {"d_model": 0, "c": 3, "a": 0}
    assert widget.view.state["x"] == "a"


# In a page

# The front end's side of the widget protocol: traits, changes, custom messages; `queue` is what goes to Python.
_HOST = """
<!doctype html><meta charset="utf-8"><link rel="icon" href="data:,"><div id="cell"></div><div id="second"></div>
<script>
const bytes = (text) => new DataView(Uint8Array.from(atob(text), (c) => c.charCodeAt(0)).buffer);
window.hostModel = (state) => {
  const heard = {}, changed = {}, queue = [];
  const tell = (event, ...rest) => [...(heard[event] ?? [])].forEach((f) => f(...rest));
  return {
    queue,
    get: (name) => state[name],
    set(name, value) { state[name] = value; changed[name] = value; tell(`change:${name}`); },
    save_changes() { queue.push({ method: "update", state: structuredClone(changed) }); for (const k in changed) delete changed[k]; },
    send(content) { queue.push({ method: "custom", content }); },
    on(event, f) { (heard[event] ??= []).push(f); },
    off(event, f) { heard[event] = (heard[event] ?? []).filter((g) => g !== f); },
    listening: () => Object.values(heard).flat().length,
    update(news) { Object.assign(state, news); for (const name in news) tell(`change:${name}`); },
    custom(content, buffers) { tell("msg:custom", content, buffers.map(bytes)); },
  };
};
</script>
"""


class Cell:
    """A widget displayed in a page, and the one who carries messages between them."""

    def __init__(self, page: Any, widget: ViewWidget) -> None:
        self.page, self.widget = page, widget
        self.wire = widget.comm
        self.wire.__dict__.setdefault("said", []).clear()
        self.asked: list[dict[str, Any]] = []
        page.set_content(_HOST)
        state = {name: value for name, value in widget.get_state().items() if not name.startswith("_")}
        data = state.pop("data")
        state = {name: value for name, value in state.items() if name in widget.class_trait_names(sync=True)}
        page.evaluate(
            """async ([source, state, data]) => {
                const module = await import(URL.createObjectURL(new Blob([source], { type: "text/javascript" })));
                window.widget = module.default;
                window.model = hostModel({ ...state, data: bytes(data) });
                window.end = widget.render({ model, el: document.getElementById("cell") });
            }""",
            [
                bundle(),
                {k: v for k, v in state.items() if k not in ("layout", "tabbable", "tooltip")},
                _text(data),
            ],
        )

    def carry(self, rounds: int = 12) -> None:
        """Messages both ways, until there are none for a while."""
        for _ in range(rounds):
            self.page.wait_for_timeout(40)
            for message in self.page.evaluate("() => model.queue.splice(0)"):
                if message["method"] == "custom":
                    self.asked.append(message["content"])
                self.wire.handle_msg({"content": {"data": message}, "buffers": []})
            for data, buffers in self.wire.said[:]:
                if data["method"] == "update":
                    self.page.evaluate("news => model.update(news)", data["state"])
                elif data["method"] == "custom":
                    self.page.evaluate(
                        "([content, buffers]) => model.custom(content, buffers)",
                        [data["content"], [_text(one) for one in buffers]],
                    )
            self.wire.said.clear()

    def text(self, selector: str) -> str:
        return self.page.locator(selector).first.inner_text()


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


@pytest.fixture
def bench(_some_chromium: None, page: Any) -> Any:
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
    page.set_viewport_size({"width": 1000, "height": 900})
    page.set_default_timeout(20_000)
    yield page
    assert wrong == []


@pytest.mark.browser
def test_the_page_tells_python_where_it_is(bench: Any, waves: xr.DataArray) -> None:
    cell = Cell(bench, ms.show(waves, live=True, select={"c": 2}))
    seen: list[dict[str, int]] = []
    cell.widget.observe(lambda change: seen.append(change.new), "index")
    bench.locator(".card").focus()
    bench.keyboard.press("ArrowRight")
    bench.keyboard.press("f")
    cell.carry()
    assert seen[-1]["c"] == cell.widget.index["c"] == 3
    assert cell.widget.mode == "spectrum"
    assert cell.widget.state[0]["index"]["c"] == 3
    bench.keyboard.press("f")
    box = bench.locator("canvas").bounding_box()
    bench.mouse.move(box["x"] + 0.6 * box["width"], box["y"] + 0.5 * box["height"])
    cell.carry()
    hover = cell.widget.hover
    assert hover["kind"] == "wave"
    value = float(hover["text"][1].replace("−", "-"))
    assert value == pytest.approx(float(waves[0, 3, round(hover["x"])]), rel=1e-3)
    bench.mouse.move(box["x"] + 5, box["y"] - 40)
    cell.carry()
    assert cell.widget.hover is None


@pytest.mark.browser
def test_python_moves_the_page(bench: Any, waves: xr.DataArray) -> None:
    cell = Cell(bench, ms.show(waves, live=True))
    cell.widget.index = {"c": 9, "d_model": 2}
    cell.carry()
    assert cell.text(".caption") == "resid_post[d_model=2, c=9, :]"
    cell.widget.mode = "heatmap"
    cell.widget.x = "c"
    cell.carry()
    assert cell.widget.state[0]["mode"] == "heatmap"
    assert cell.widget.state[0]["x"] == "c"
    assert cell.widget.index["c"] == 9


@pytest.mark.browser
def test_a_large_tensor_comes_slice_by_slice(bench: Any, large: xr.DataArray) -> None:
    cell = Cell(bench, ms.show(large, live=True, select={"neuron": 5, "c": 0}))
    cell.carry()
    assert cell.asked
    sizes = [np.prod([large.shape[axis] for axis in one["keep"]]) for one in cell.asked]
    assert 4 * sum(sizes) < 0.2 * large.nbytes
    before = len(cell.asked)
    bench.locator(".card").focus()
    for _ in range(5):
        bench.keyboard.press("ArrowRight")
    cell.carry()
    assert len(cell.asked) == before, "the play axis came with the first pane"
    assert cell.widget.index["c"] == 5
    box = bench.locator("canvas").bounding_box()
    bench.mouse.move(box["x"] + 0.6 * box["width"], box["y"] + 0.5 * box["height"])
    cell.carry()
    hover = cell.widget.hover
    value = float(hover["text"][1].replace("−", "-"))
    assert value == pytest.approx(float(large[5, 5, round(hover["x"])]), rel=1e-3)
    cell.widget.index = {"neuron": 60}
    cell.carry()
    assert len(cell.asked) > before


@pytest.mark.browser
def test_two_outputs_of_one_widget_show_the_same_and_end_apart(bench: Any, large: xr.DataArray) -> None:
    cell = Cell(bench, ms.show(large, live=True))
    listening = bench.evaluate("() => model.listening()")
    bench.evaluate("() => { window.end2 = widget.render({ model, el: document.getElementById('second') }); }")
    cell.widget.index = {"c": 7}
    cell.carry()
    captions = bench.locator(".caption").all_inner_texts()
    assert captions == ["x[neuron=0, c=7, :]"] * 2
    bench.evaluate("() => end2()")
    assert bench.locator(".caption").count() == 1
    cell.widget.index = {"c": 8}
    cell.carry()
    assert cell.text(".caption") == "x[neuron=0, c=8, :]"
    # The listener for answers stays with the model; those for changes go.
    assert bench.evaluate("() => model.listening()") <= listening + 1
