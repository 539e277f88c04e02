"""The live scope: what it says is what the training is; nobody else may ask; slow pages hold up nothing."""

from __future__ import annotations

import json
import struct
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from starlette.testclient import TestClient
from tests.training.small import assert_same_bits, small, wait_until

import modscope as ms
from modscope.errors import InputError, UnknownName
from modscope.progress.glance import glance
from modscope.runs import Run
from modscope.runs.events import Event
from modscope.training.running import train
from modscope.training.steering import Steering
from modscope.viewer.live import LiveServer, Scope
from modscope.viewer.live.following import Followed, LiveView
from modscope.viewer.live.server import application

TOKEN = "token"


def scope_of(folder: Path, recipe: Any, **options: Any) -> Scope:
    network = ms.Transformer.initialised(recipe.config)

    def check(kind: str, value: float) -> None:
        Event(0, kind, value).checked(recipe.task.p)

    return Scope(recipe.modular_task, folder, title="a run", network=network, check=check, **options)


def unpacked(data: bytes) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    (length,) = struct.unpack_from("<I", data)
    head = json.loads(data[4 : 4 + length])
    at, arrays = 4 + length, {}
    for name, shape in head["arrays"]:
        count = int(np.prod(shape))
        arrays[name] = np.frombuffer(data, "<f4", count, at).reshape(shape)
        at += 4 * count
    assert at == len(data)
    return head, arrays


@pytest.fixture(scope="module")
def shown(tmp_path_factory) -> tuple[Run, Scope]:
    """A run that has been trained under a scope, with a page that waited all the time."""
    folder = tmp_path_factory.mktemp("live") / "run"
    recipe = small(keep__every=20)
    scope = scope_of(folder, recipe)
    return train(recipe, folder, watch=scope.watch), scope


def client(scope: Scope, token: str = TOKEN, **options: Any) -> TestClient:
    return TestClient(application(scope, token=token, **options), base_url="http://127.0.0.1")


def test_a_picture_is_that_of_the_network(shown) -> None:
    run, scope = shown
    acts = ms.record(run.model(), run.task)
    x = ms.in_order(acts.at("mlp_post").isel(neuron=3), "c", "a").values
    head, arrays = unpacked(scope.frame(scope.wanted(hook="mlp_post", feature="3", order="c,a")))
    assert head["step"] == run.epochs[-1]
    np.testing.assert_allclose(arrays["picture"], x, rtol=1e-5, atol=1e-6)
    row = unpacked(scope.frame(scope.wanted(hook="mlp_post", feature="3", order="c,a", row="2")))[1]
    np.testing.assert_allclose(row["picture"], x[2], rtol=1e-5, atol=1e-6)
    head_of = scope.wanted(hook="pattern", feature="1,0", order="a,b")
    pattern = unpacked(scope.frame(head_of))[1]["picture"]
    expected = acts.at("pattern").isel(head=1, key_pos=0).values
    np.testing.assert_allclose(pattern, expected, rtol=1e-5, atol=1e-6)


def test_neurons_and_spectrum_are_those_of_the_analysis(shown) -> None:
    from modscope.analysis.neurons.waves import neuron_waves
    from modscope.analysis.weights.frequencies import energy_shares, weight_table

    run, _ = shown
    found = glance(run.model(), run.task)
    waves = neuron_waves(ms.record(run.model(), run.task), rectified=False)
    same = (waves.frequency.values == found.frequency) & (found.frequency > 0)
    assert same.any()
    np.testing.assert_allclose(found.amplitude[same], waves.amplitude.values[same], rtol=1e-4)
    np.testing.assert_allclose(
        np.exp(1j * found.phase[same]), np.exp(1j * waves.phase.values[same]), atol=1e-4
    )
    np.testing.assert_array_equal(found.spectrum, energy_shares(weight_table(run.model(), "embedding")))


@pytest.mark.parametrize("p", [6, 7])
@pytest.mark.parametrize("operation", ["add", "subtract"])
def test_a_glance_is_exact_for_every_p_and_operation(p: int, operation: str) -> None:
    network = ms.Transformer.initialised(ms.TransformerConfig(p, d_model=8, n_heads=2, d_mlp=12), seed=3)
    task = ms.ModularTask(p, operation)
    found = glance(network, task)
    pre = ms.record(network, task).at("mlp_pre").values.astype(float)
    n = np.arange(p)
    for neuron in range(12):
        k = found.frequency[neuron]
        turn = np.exp(-2j * np.pi * k * n / p) * (1 if 2 * k == p else 2) / p
        of_a, of_b = turn @ pre[:, :, neuron].mean(1), turn @ pre[:, :, neuron].mean(0)
        both = (of_a + (of_b.conjugate() if operation == "subtract" else of_b)) / 2
        assert found.amplitude[neuron] == pytest.approx(abs(both), rel=1e-3, abs=1e-6)


def test_a_kept_epoch_can_be_gone_back_to(shown) -> None:
    run, scope = shown
    assert scope.epochs() == list(run.epochs)
    head, arrays = unpacked(scope.frame(scope.wanted(row="1"), epoch=20))
    assert head["step"] == 20
    acts = ms.record(run.model(20), run.task)
    x = ms.in_order(acts.at("mlp_post").isel(neuron=0), "c", "a").values[1]
    np.testing.assert_allclose(arrays["picture"], x, rtol=1e-5, atol=1e-6)
    with pytest.raises(InputError, match="nearest"):
        scope.frame(scope.wanted(), epoch=21)


def test_what_is_not_there_is_said(shown) -> None:
    _, scope = shown
    for words, error in (
        ({"hook": "mlp_pots"}, UnknownName),
        ({"feature": "99"}, InputError),
        ({"feature": "x"}, InputError),
        ({"order": "b,q"}, UnknownName),
        ({"row": "7"}, InputError),
    ):
        with pytest.raises(error):
            scope.wanted(**words)
    asked = client(scope).get("/frame", params={"token": TOKEN, "hook": "mlp_pots"})
    assert asked.status_code == 404
    assert "mlp_post" in asked.text


def test_without_a_page_nothing_is_copied(tmp_path) -> None:
    recipe = small()
    scope = scope_of(tmp_path / "run", recipe)
    looks = []

    def watch(status) -> None:
        class Seen:
            def __getattr__(self, name: str) -> Any:
                return (
                    (lambda: looks.append(status.epoch) or status.look())
                    if name == "look"
                    else getattr(status, name)
                )

        scope.watch(Seen())

    train(recipe, tmp_path / "run", watch=watch)
    assert looks == [60]  # the last alone, for pages that come later


@pytest.mark.parametrize("path", ["/", "/stream", "/frame", "/epochs"])
def test_nobody_without_the_token_or_from_elsewhere_is_answered(shown, path: str) -> None:
    _, scope = shown
    asking = client(scope)
    assert asking.get(path).status_code == 403
    assert asking.get(path, params={"token": "other"}).status_code == 403
    named = asking.get(path, params={"token": TOKEN}, headers={"host": "evil.example"})
    assert named.status_code == 400
    foreign = asking.get(path, params={"token": TOKEN}, headers={"origin": "http://evil.example"})
    assert foreign.status_code == 403


def test_knobs_are_refused_to_foreign_pages_and_for_nonsense(tmp_path) -> None:
    recipe = small()
    scope = scope_of(tmp_path / "run", recipe)
    asking, own = client(scope), {"token": TOKEN}
    good = {"kind": "learning_rate", "value": 1e-3}
    assert asking.post("/knob", json=good).status_code == 403
    assert (
        asking.post("/knob", params=own, json=good, headers={"origin": "http://evil.example"}).status_code
        == 403
    )
    assert asking.get("/knob", params=own).status_code == 405
    for bad in (
        b"{",
        b"[]",
        b"{}",
        b'{"kind": 3, "value": 1}',
        b'{"kind": "learning_rate", "value": "x"}',
        b'{"kind": "learning_rate", "value": true}',
        b'{"kind": "learning_rate", "value": -1}',
        b'{"kind": "learning_rate", "value": NaN}',
        b'{"kind": "remove_frequency", "value": 4}',
        b'{"kind": "momentum", "value": 1}',
    ):
        answer = asking.post("/knob", params=own, content=bad)
        assert answer.status_code == 400, bad
        assert answer.text
    assert asking.post("/knob", params=own, content=b" " * 5000).status_code == 413
    assert scope.changes() == []
    mine = asking.post("/knob", params=own, json=good, headers={"origin": "http://127.0.0.1"})
    assert mine.status_code == 204
    assert scope.changes() == [("learning_rate", 1e-3)]
    assert asking.post("/pause", params=own, json={"paused": 1}).status_code == 400
    assert asking.post("/pause", params=own, json={"paused": True}).status_code == 204
    assert scope.paused()


def test_the_page_may_run_its_own_script_alone(shown) -> None:
    _, scope = shown
    page = client(scope).get("/", params={"token": TOKEN})
    policy = page.headers["content-security-policy"]
    assert "script-src 'sha256-" in policy
    assert "frame-ancestors 'none'" in policy
    assert page.headers["cache-control"] == "no-store"
    framed = client(scope, framed=True).get("/", params={"token": TOKEN})
    assert "frame-ancestors http://127.0.0.1:*" in framed.headers["content-security-policy"]


def get(address: str, path: str, **query: str) -> bytes:
    base, token = address.split("/?token=")
    words = "".join(f"&{k}={v}" for k, v in query.items())
    with urllib.request.urlopen(f"{base}{path}?token={token}{words}", timeout=20) as answer:
        return answer.read()


def test_a_knob_turned_on_the_page_is_an_event_of_the_run(tmp_path) -> None:
    recipe = small(stop__steps=4000, keep__resume=500)
    scope = scope_of(tmp_path / "run", recipe)
    ended = threading.Event()
    with LiveServer(scope) as server:
        steering = Steering(paused=scope.paused, changes=scope.changes)

        def turn() -> None:
            base, token = server.address.split("/?token=")
            wait_until(lambda: scope.standing()["step"] >= 20)
            for body in ({"kind": "weight_decay", "value": 0.5}, {"kind": "remove_frequency", "value": 1}):
                data = json.dumps(body).encode()
                urllib.request.urlopen(f"{base}/knob?token={token}", data=data, timeout=10).close()
            wait_until(lambda: len(scope.standing()["events"]) == 2)
            ended.set()

        turning = threading.Thread(target=turn)
        turning.start()
        run = train(recipe, tmp_path / "run", watch=scope.watch, stop=ended.is_set, steering=steering)
        turning.join()
    assert [(e["kind"], e["value"]) for e in run.events] == [("weight_decay", 0.5), ("remove_frequency", 1)]
    assert [e["step"] for e in run.events] == [e["step"] for e in scope.standing()["events"]]


def test_replayed_events_end_at_the_bits_of_the_steered_run(tmp_path) -> None:
    recipe = small()
    scope = scope_of(tmp_path / "run", recipe)

    def watch(status) -> None:
        scope.watch(status)
        if status.epoch == 20:
            scope.ask("weight_decay", 0.5)
            scope.ask("remove_frequency", 2)

    run = train(recipe, tmp_path / "run", watch=watch, steering=Steering(changes=scope.changes))
    events = tuple(Event(**event) for event in run.events)
    assert [event.step for event in events] == [21, 21]
    train(recipe, tmp_path / "again", steering=Steering(events=events))
    assert_same_bits(tmp_path / "run", tmp_path / "again")


def test_two_pages_get_the_same_pictures_and_one_that_reads_nothing_holds_up_nobody(tmp_path) -> None:
    recipe = small(stop__steps=300, keep__losses=1, keep__resume=300)
    scope = scope_of(tmp_path / "run", recipe, share=0.5)
    pictures: dict[str, list[int]] = {"one": [], "two": []}
    with LiveServer(scope) as server:
        import socket

        base, token = server.address.split("/?token=")
        host, port = base.removeprefix("http://").split(":")
        deaf = socket.create_connection((host, int(port)))
        deaf.sendall(f"GET /stream?token={token} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        going = threading.Event()

        def page(name: str) -> None:
            last = -1
            while not going.is_set():
                data = get(server.address, "/frame", after=str(last), row="0")
                if data:
                    last = unpacked(data)[0]["step"]
                    pictures[name].append(last)

        pages = [threading.Thread(target=page, args=(name,)) for name in pictures]
        for one in pages:
            one.start()
        train(recipe, tmp_path / "run", watch=scope.watch)
        wait_until(lambda: all(steps and steps[-1] == 300 for steps in pictures.values()))
        going.set()
        for one in pages:
            one.join()
        deaf.close()
    for steps in pictures.values():
        assert steps == sorted(set(steps))
        assert steps[-1] == 300


def test_the_stream_tells_every_row_once(shown) -> None:
    _, scope = shown
    first = scope.standing()
    assert [row[0] for row in first["rows"]] == [*range(0, 60, 5), 60]
    assert first["finished"] == "last step"
    scope.take([[61, 1.0, 0.5, None, None]], step=61)
    more = scope.standing(first["serial"], rows_from=first["count"])
    assert more["rows"] == [[61, 1.0, 0.5, None, None]]
    assert scope.standing(more["serial"], rows_from=more["count"]) is None


def test_a_run_of_another_process_is_followed(tmp_path) -> None:
    recipe = small(stop__steps=400, keep__resume=50, keep__every=100)
    training = threading.Thread(
        target=train, args=(recipe, tmp_path / "run"), kwargs={"watch": lambda status: time.sleep(0.002)}
    )
    training.start()
    wait_until(lambda: Run.is_folder(tmp_path / "run") and (tmp_path / "run" / "checkpoints").exists())
    wait_until(lambda: any((tmp_path / "run" / "checkpoints").glob("*.safetensors")))
    view = Run.open(tmp_path / "run").live()
    try:
        assert isinstance(view, LiveView)
        assert "iframe" in view._repr_html_()
        training.join()
        last = -1
        deadline = time.monotonic() + 30
        while last < 400 and time.monotonic() < deadline:
            data = get(view.address, "/frame", after=str(last), row="0")
            last = unpacked(data)[0]["step"] if data else last
        assert last == 400
        base, token = view.address.split("/?token=")
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(f"{base}/pause?token={token}", data=b'{"paused": true}', timeout=10)
        assert refused.value.code == 400
        assert b"another process" in refused.value.read()
    finally:
        view.stop()


def test_the_state_to_go_on_from_is_the_newest_network_of_a_folder(tmp_path) -> None:
    recipe = small(keep__log=0, keep__resume=20)
    seen = []
    run = train(recipe, tmp_path / "run", stop=lambda: len(seen) > 45 or bool(seen.append(1)))
    scope = Scope(run.task, tmp_path / "run", title="followed")
    Followed(scope).look()
    head, _ = unpacked(scope.frame(scope.wanted(row="0")))
    assert head["step"] > run.epochs[-1]
    assert not scope.can_be_steered


def test_a_file_that_is_no_folder_cannot_be_watched(shown) -> None:
    run, _ = shown
    with pytest.raises(InputError, match="not a run folder"):
        Run.open(run.files[run.epochs[-1]]).live()
