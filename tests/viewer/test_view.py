"""`modscope view` as it is started from a shell, in a real Chromium: picking, reading off, coming back, ending."""

from __future__ import annotations

import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from tests.processes import modscope_running

from modscope.activations import record
from modscope.cli import main
from modscope.model import Transformer, TransformerConfig
from modscope.orders import in_order
from modscope.runs import Run
from modscope.runs.folder import RunFolder
from modscope.task import ModularTask

P, EPOCHS = 11, (0, 40, 90)
AXE = Path(__file__).resolve().parents[2] / "js/node_modules/axe-core/axe.min.js"


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("runs") / "a-run"
    config = TransformerConfig(P, d_model=12, n_heads=2, d_mlp=10)
    with RunFolder.create(path, recipe="", environment={}) as folder:
        for seed, epoch in enumerate(EPOCHS):
            folder.write_checkpoint(
                Transformer.initialised(config, seed=seed), ModularTask(P), {"epoch": epoch}
            )
    return path


def viewing(*arguments: str) -> AbstractContextManager[subprocess.Popen[str]]:
    return modscope_running("view", *arguments, "--no-open")


def address_of(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    said = ""
    for line in process.stdout:
        said += line
        if found := re.search(r"http://\S+", line):
            return found.group()
    raise AssertionError(f"no address: {said}{process.stderr.read() if process.stderr else ''}")


@pytest.fixture(scope="module")
def served(run_folder: Path) -> Iterator[str]:
    with viewing(str(run_folder)) as process:
        address = address_of(process)
        # whoever comes before the run is open waits and is answered
        assert httpx.get(address.replace("/?", "/spec.json?"), timeout=120).json()["v"] == 1
        yield address
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20)
    assert process.returncode == 0, err
    assert err == ""
    assert out.rstrip().endswith("ended")


@pytest.fixture(scope="module")
def served_tab(_some_chromium: None, browser: Any) -> Iterator[Any]:
    with browser.new_context(viewport=SIZE) as context:
        page = context.new_page()
        page.set_default_timeout(20_000)
        yield page


SIZE = {"width": 1000, "height": 760}


@pytest.fixture
def screen(served_tab: Any, served: str) -> Any:
    """The served page; errors of its script and requests elsewhere fail the test."""
    page, wrong, home = served_tab, [], served.split("?")[0]
    heard = {
        "pageerror": lambda error: wrong.append(str(error)),
        "console": lambda message: wrong.append(message.text) if message.type == "error" else None,
        "request": lambda request: (
            None if request.url.startswith((home, "data:", "blob:")) else wrong.append(request.url)
        ),
    }
    for event, listener in heard.items():
        page.on(event, listener)
    page.goto("about:blank")
    page.goto(served)
    values(page)
    page.allowed = "\0"
    yield page
    for event, listener in heard.items():
        page.remove_listener(event, listener)
    page.set_viewport_size(SIZE)
    page.emulate_media(color_scheme="light", reduced_motion="no-preference")
    assert [one for one in wrong if page.allowed not in one and one != "about:blank"] == []


_MODEL = "document.querySelector('main').modscope.models[0]"


def state(screen: Any) -> dict[str, Any]:
    return screen.evaluate(f"() => {_MODEL}.snapshot()")


def values(screen: Any, name: str = "") -> np.ndarray:
    """The wave on the screen, once it has come."""
    screen.wait_for_function(
        f"name => document.querySelector('main').modscope && (!name || {_MODEL}.spec.name === name) && {_MODEL}.lines()",
        arg=name,
    )
    return np.array(screen.evaluate(f"() => [...{_MODEL}.lines()[0].values]"), np.float32)


def settle(screen: Any) -> None:
    screen.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")


def tip(screen: Any, fx: float) -> str:
    box = screen.locator("canvas").bounding_box()
    screen.mouse.move(box["x"] + fx * box["width"], box["y"] + 0.5 * box["height"])
    settle(screen)
    return screen.locator(".tip").inner_text()


@pytest.fixture(scope="module")
def wave(run_folder: Path) -> Callable[..., np.ndarray]:
    """Rows of an activation by the public functions."""
    run = Run.open(run_folder)

    def row(epoch: int, hook: str, feature: int, c: int) -> np.ndarray:
        x = in_order(record(run.model(epoch), run.task).at(hook), "c", "a")
        return x.transpose(..., "c", "a").values[feature, c]

    return row


@pytest.mark.browser
def test_the_page_shows_the_last_epoch_and_says_what_it_shows(
    screen: Any, wave: Callable[..., np.ndarray]
) -> None:
    assert screen.title() == "a-run"
    assert screen.locator("h2").inner_text() == "resid_post at ="
    assert screen.locator(".caption").inner_text() == "resid_post[epoch=90, d_model=0, c=3, :]"
    np.testing.assert_allclose(values(screen), wave(90, "resid_post", 0, 3), rtol=2e-5, atol=2e-6)


@pytest.mark.browser
def test_hover_reads_off_the_number_that_python_computes(
    screen: Any, wave: Callable[..., np.ndarray]
) -> None:
    text = tip(screen, 0.6)
    a = int(re.search(r"a = (\d+)", text).group(1))  # type: ignore[union-attr]
    value = float(text.splitlines()[1].replace("−", "-"))
    assert value == pytest.approx(float(wave(90, "resid_post", 0, 3)[a]), rel=1e-3)


@pytest.mark.browser
def test_picking_a_hook_and_an_epoch_keeps_the_place(screen: Any, wave: Callable[..., np.ndarray]) -> None:
    screen.evaluate(f"() => {_MODEL}.set('c', 4)")
    screen.get_by_label("activation or weight").select_option("activations/mlp_post")
    got = values(screen, "mlp_post")
    assert state(screen)["index"]["c"] == 4
    np.testing.assert_allclose(got, wave(90, "mlp_post", 0, 4), rtol=2e-5, atol=2e-6)
    screen.get_by_role("combobox", name="epoch", exact=True).select_option("40")
    np.testing.assert_allclose(values(screen), wave(40, "mlp_post", 0, 4), rtol=2e-5, atol=2e-6)
    assert "epoch=40" in screen.locator(".caption").inner_text()
    screen.get_by_label("epoch before").click()
    np.testing.assert_allclose(values(screen), wave(0, "mlp_post", 0, 4), rtol=2e-5, atol=2e-6)
    text = tip(screen, 0.4)
    a = int(re.search(r"a = (\d+)", text).group(1))  # type: ignore[union-attr]
    value = float(text.splitlines()[1].replace("−", "-"))
    assert value == pytest.approx(float(wave(0, "mlp_post", 0, 4)[a]), rel=1e-3, abs=1e-9)


@pytest.mark.browser
def test_position_and_order_are_picked(screen: Any) -> None:
    screen.get_by_role("combobox", name="order", exact=True).select_option("a,b")
    screen.wait_for_function(f"() => {_MODEL}.spec.dims.includes('b')")
    assert state(screen)["x"] == "b"
    screen.get_by_label("activation or weight").select_option("activations/q")
    screen.wait_for_function(f"() => {_MODEL}.spec.name === 'q'")
    screen.get_by_role("combobox", name="position", exact=True).select_option("=")
    screen.wait_for_function(f"() => !{_MODEL}.spec.dims.includes('token')")
    assert screen.locator(".caption").inner_text().startswith("q[epoch=90, head=")
    assert screen.get_by_role("combobox", name="order", exact=True).count() == 0


@pytest.mark.browser
def test_a_weight_is_shown_and_played_over_the_epochs(screen: Any, run_folder: Path) -> None:
    screen.get_by_label("activation or weight").select_option("weights/W_E")
    values(screen, "W_E")
    screen.evaluate(f"() => {{ {_MODEL}.assign('x', 'token'); {_MODEL}.assign('play', 'epoch'); }}")
    wanted = Run.open(run_folder).weights("W_E").values[:, :P, 0]
    for i in range(len(EPOCHS)):
        screen.evaluate(f"i => {_MODEL}.set('epoch', i)", i)
        np.testing.assert_allclose(values(screen), wanted[i], rtol=1e-6)


@pytest.mark.browser
def test_the_page_guides_knows_the_keys_and_opens_weights_as_what_they_are(
    screen: Any, run_folder: Path
) -> None:
    # Untrained networks have no key frequency that stands out: the page asks, and goes on without.
    assert screen.evaluate(
        "async () => (await fetch('/keys.json' + location.search)).json()"
    ) == screen.evaluate(f"() => {_MODEL}.spec.keys")
    screen.get_by_role("button", name="its spectrum").click()
    screen.wait_for_function(f"() => {_MODEL}.state.mode.value === 'spectrum'")
    screen.get_by_role("button", name="one neuron").click()
    values(screen, "mlp_post")
    assert state(screen)["mode"] == "wave"
    screen.get_by_role("button", name="over training").click()
    values(screen, "resid_post")
    assert state(screen)["play"] == "epoch"
    screen.get_by_label("activation or weight").select_option("weights/W_in")
    values(screen, "W_in")
    assert (state(screen)["mode"], state(screen)["x"], state(screen)["y"]) == ("heatmap", "neuron", "d_model")
    screen.get_by_label("activation or weight").select_option("weights/W_E")
    values(screen, "W_E")
    assert (state(screen)["mode"], state(screen)["x"]) == ("wave", "token")
    box = screen.locator("canvas.losses").bounding_box() if screen.locator("canvas.losses").count() else None
    assert box is None, "a run without losses has no strip"


@pytest.mark.browser
def test_a_pick_that_fails_is_said_and_what_is_shown_stays(screen: Any) -> None:
    screen.route("**/spec.json*", lambda route: route.fulfill(status=500, body="no such luck"))
    screen.get_by_label("activation or weight").select_option("activations/mlp_post")
    screen.get_by_role("alert").get_by_text("no such luck").wait_for()
    assert screen.get_by_label("activation or weight").input_value() == "activations/resid_post"
    assert screen.locator("h2").inner_text() == "resid_post at ="
    screen.unroute("**/spec.json*")
    # The answer of 500 is in the browser's console; that is its right.
    screen.allowed = "500"


@pytest.mark.browser
def test_the_bar_follows_dark_and_fits_a_phone(screen: Any) -> None:
    bar = screen.get_by_role("navigation", name="what is shown")
    light = bar.evaluate("e => getComputedStyle(e.parentElement).backgroundColor")
    screen.emulate_media(color_scheme="dark")
    screen.wait_for_function(
        "([e, light]) => getComputedStyle(e.parentElement).backgroundColor !== light",
        arg=[bar.element_handle(), light],
    )
    screen.set_viewport_size({"width": 360, "height": 700})
    assert screen.evaluate("() => document.documentElement.scrollWidth") <= 360


@pytest.mark.browser
def test_a_reload_comes_back_to_what_was_shown(screen: Any, wave: Callable[..., np.ndarray]) -> None:
    screen.get_by_label("activation or weight").select_option("activations/mlp_pre")
    values(screen, "mlp_pre")
    screen.evaluate(f"() => {{ {_MODEL}.set('c', 7); {_MODEL}.set('epoch', 1); }}")
    screen.wait_for_function("() => location.hash.includes('c=7') && location.search.includes('mlp_pre')")
    screen.reload()
    np.testing.assert_allclose(values(screen, "mlp_pre"), wave(40, "mlp_pre", 0, 7), rtol=2e-5, atol=2e-6)


@pytest.mark.browser
def test_playing_asks_for_one_pane_and_not_for_every_slice(screen: Any) -> None:
    asked: list[str] = []
    screen.on("request", lambda request: asked.append(request.url))
    screen.locator(".card").focus()
    for _ in range(P):
        screen.keyboard.press("ArrowRight")
        settle(screen)
    assert [url for url in asked if "/t/" in url] == []


@pytest.mark.browser
def test_an_epoch_that_cannot_be_read_and_a_server_that_is_gone_are_said(
    served_tab: Any, run_folder: Path, tmp_path: Path
) -> None:
    page, copy = served_tab, tmp_path / "broken"
    shutil.copytree(run_folder, copy)
    (copy / "checkpoints" / "epoch_000040.safetensors").write_bytes(b"cut")
    with viewing(str(copy)) as process:
        page.goto(address_of(process))
        values(page)
        page.evaluate(f"() => {_MODEL}.set('epoch', 1)")
        page.wait_for_function(f"() => {_MODEL}.reader.error")
        assert "epoch_000040.safetensors" in page.evaluate(f"() => {_MODEL}.reader.error")
        page.evaluate(f"() => {_MODEL}.set('epoch', 0)")
        assert len(values(page)) == P
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=20)
    page.get_by_label("activation or weight").select_option("activations/mlp_post")
    page.get_by_role("alert").get_by_text("no longer answers").wait_for()


@pytest.mark.browser
def test_axe_finds_no_fault_in_what_is_served(screen: Any) -> None:
    if not AXE.is_file():
        pytest.skip("axe-core is not there: run `npm ci` in js/")
    screen.emulate_media(reduced_motion="reduce")
    screen.evaluate(AXE.read_text())
    for scheme in ("light", "dark"):
        # Without motion colours do not fade into each other while axe reads them.
        screen.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        settle(screen)
        found = screen.evaluate(
            "() => axe.run(document, { resultTypes: ['violations'],"
            " runOnly: ['wcag2a', 'wcag2aa', 'wcag21aa', 'wcag22aa', 'best-practice'] })"
        )
        assert [(v["id"], v["nodes"][0]["html"][:140]) for v in found["violations"]] == [], scheme


def test_ctrl_c_with_requests_under_way_is_quiet(run_folder: Path) -> None:
    with viewing(str(run_folder)) as process:
        address = address_of(process)
        home, token = address.split("?token=")
        made = []
        for n in range(6):
            made.append(socket.create_connection(("127.0.0.1", int(home.split(":")[2].strip("/")))))
            made[-1].sendall(
                f"GET /t/activations/mlp_post/%3D/c%2Ca?keep=0,1,2,3&index=0,0,0,0&n={n}&token={token} "
                "HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
            )
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
    for one in made:
        one.close()
    assert (process.returncode, err) == (0, "")
    assert out.rstrip().endswith("ended")


def test_mistakes_are_one_line(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    with viewing("no/such/run") as process:
        out, err = process.communicate(timeout=90)
    answers = [(process.returncode, out, err, "no such file or folder")]
    for words, says in (
        (["--port", "70000"], "port 70000: expected 0 to 65535"),
        (["-p", "7"], "need the PATH"),
    ):
        monkeypatch.setattr(sys, "argv", ["modscope", "view", *words, "--no-open"])
        with pytest.raises(SystemExit) as ended:
            main()
        answers.append((ended.value.code, *capsys.readouterr(), says))
    for code, out, err, says in answers:
        assert (code, out) == (2, "")
        assert err.startswith("modscope: ")
        assert says in err
        assert err.count("\n") == 1
