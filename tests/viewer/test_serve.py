"""The server of a run: what it refuses, that its slices are the package's numbers, and the page in a real Chromium."""

from __future__ import annotations

import dataclasses
import json
import re
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import numpy as np
import pytest
import torch
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.testclient import TestClient

from modscope.activations import record
from modscope.errors import CheckpointError, InputError, UnknownName
from modscope.model import Network, PairMLP, PairMLPConfig, Transformer, TransformerConfig
from modscope.orders import in_order
from modscope.runs import Run
from modscope.runs.folder import RunFolder
from modscope.task import ModularTask
from modscope.viewer.answers import sent
from modscope.viewer.catalogue import Catalogue, Pick
from modscope.viewer.kept import Kept
from modscope.viewer.serve import RunPage, application, listening
from modscope.viewer.slices import Slices

TOKEN = "a-token-for-tests"
P = 7
EPOCHS = (0, 30, 70)


def network(seed: int, **changes: Any) -> Transformer:
    config = TransformerConfig(P, **({"d_model": 12, "n_heads": 2, "d_mlp": 10} | changes))
    return Transformer.initialised(config, seed=seed)


def write_run(path: Path, networks: Sequence[Network], task: ModularTask) -> Path:
    with RunFolder.create(path, recipe="", environment={}) as folder:
        for epoch, one in zip(EPOCHS, networks, strict=False):
            folder.write_checkpoint(one, task, {"epoch": epoch})
    return path


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_run(tmp_path_factory.mktemp("runs") / "run", [network(s) for s in range(3)], ModularTask(P))


@pytest.fixture(scope="module")
def run_page(run_folder: Path) -> RunPage:
    return RunPage(Run.open(run_folder), "a run")


@pytest.fixture(scope="module")
def server(run_page: RunPage) -> Iterator[str]:
    """The address of a server of the run, in a thread of its own."""
    on = listening()
    config = uvicorn.Config(application(run_page, token=TOKEN), log_level="warning", lifespan="off")
    serving = uvicorn.Server(config)
    thread = threading.Thread(target=serving.run, kwargs={"sockets": [on]}, daemon=True)
    thread.start()
    while not serving.started:
        time.sleep(0.01)
    yield f"http://127.0.0.1:{on.getsockname()[1]}"
    serving.should_exit = True
    thread.join(5)
    on.close()


def get(server: str, path: str, **headers: str) -> httpx.Response:
    join = "&" if "?" in path else "?"
    return httpx.get(f"{server}{path}{join}token={TOKEN}", headers=headers)


def activation(run: Run, epoch: int, hook: str, position: str, order: str | None) -> np.ndarray:
    """The same by the public functions: (features, first, second), or (features, token)."""
    acts = record(run.model(epoch), run.task, positions="all")
    x = acts.at(hook, position)
    if order is None:
        return (x.transpose(..., "token") if "token" in x.dims else x).values
    first, second = order.split(",")
    return in_order(x, first, second, operation=run.task.operation).transpose(..., first, second).values


# What it refuses


@pytest.mark.parametrize("query", ["", "?token=", "?token=wrong", f"?token={TOKEN}x", "?token=%C3%A9"])
@pytest.mark.parametrize("path", ["/", "/spec.json", "/t/activations/resid_post/%3D/c%2Ca"])
def test_nothing_is_said_without_the_token(server: str, path: str, query: str) -> None:
    answer = httpx.get(server + path + query)
    assert answer.status_code == 403
    assert "modscope-run" not in answer.text
    assert "resid" not in answer.text


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", "10.0.0.1", ""]
)
def test_a_request_for_another_host_is_refused_though_it_has_the_token(server: str, host: str) -> None:
    assert get(server, "/", host=host).status_code == 400


def test_names_of_this_machine_are_let_in_at_any_port(server: str) -> None:
    for host in ("localhost", "localhost:9999", "127.0.0.1:1"):
        assert get(server, "/", host=host).status_code == 200


def raw(server: str, target: str) -> bytes:
    """The answer to a request line sent as it stands, which clients would tidy up."""
    port = int(server.rsplit(":", 1)[1])
    with socket.create_connection(("127.0.0.1", port), timeout=5) as made:
        made.sendall(f"GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
        return b"".join(iter(lambda: made.recv(65536), b""))


@pytest.mark.parametrize(
    "target",
    [
        "/../../etc/passwd",
        "/t/../../../etc/passwd",
        "/t/%2e%2e/%2e%2e/%2e%2e/etc/passwd",
        "/t/activations/..%2f..%2fmanifest.json/%3D/c%2Ca",
        "/t/weights/..%2Fmanifest.json/-/-",
        "/t//etc/passwd/-",
        "/manifest.json",
        "/t/manifest.json",
    ],
)
def test_no_file_can_be_asked_for(server: str, target: str) -> None:
    answer = raw(server, f"{target}?keep=0&index=0,0,0,0&token={TOKEN}")
    assert re.match(rb"HTTP/1.1 40[04]", answer)
    assert b"root:" not in answer
    assert b"checkpoints/epoch" not in answer


def test_a_manifest_cannot_lead_out_of_its_folder(tmp_path: Path) -> None:
    inner = write_run(tmp_path / "run", [network(0)], ModularTask(P))
    outer = inner / "checkpoints" / "epoch_000000.safetensors"
    outer.rename(tmp_path / "secret.safetensors")
    manifest = json.loads((inner / "manifest.json").read_text())
    manifest["checkpoints"][0]["file"] = "../secret.safetensors"
    (inner / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(CheckpointError, match="outside of the run folder"):
        Run.open(inner)


def test_only_reading_is_possible(server: str) -> None:
    for method in ("POST", "PUT", "DELETE", "OPTIONS"):
        assert httpx.request(method, f"{server}/?token={TOKEN}").status_code == 405


def test_the_page_may_run_its_own_script_only_and_tells_nobody_its_address(server: str) -> None:
    headers = get(server, "/").headers
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'sha256-" in policy
    assert "unsafe-eval" not in policy
    assert "frame-ancestors 'none'" in policy
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    ("query", "status", "says"),
    [
        ("keep=4&index=0,0,0,0", 400, "expected different numbers from 0 to 3"),
        ("keep=1,1&index=0,0,0,0", 400, "expected different numbers"),
        ("keep=-1&index=0,0,0,0", 400, "expected different numbers"),
        ("keep=1&index=0,0,0", 400, "3 indices: expected one for each of epoch, d_model, c, a"),
        ("keep=1&index=3,0,0,0", 400, "index 3 of axis epoch: expected 0 to 2"),
        ("keep=1&index=0,0,0,-1", 400, "index -1 of axis a"),
        ("keep=x&index=0,0,0,0", 400, "keep=x: expected whole numbers"),
    ],
)
def test_a_mistaken_slice_is_one_sentence(server: str, query: str, status: int, says: str) -> None:
    answer = get(server, f"/t/activations/resid_post/%3D/c%2Ca?{query}")
    assert answer.status_code == status
    assert says in answer.text


def test_a_mistaken_pick_names_the_nearest(server: str) -> None:
    answer = get(server, "/spec.json?name=mlp_pots")
    assert answer.status_code == 404
    assert "did you mean 'mlp_post'?" in answer.text
    assert get(server, "/spec.json?name=q&order=c,a").status_code == 400
    assert get(server, "/spec.json?name=q&position=c").status_code == 404


# What it says


@pytest.mark.parametrize("hook", Transformer.hooks)
def test_slices_are_what_record_gives(server: str, run_page: RunPage, hook: str) -> None:
    rng = np.random.default_rng(Transformer.hooks.index(hook))
    offer = next(o for o in run_page.catalogue.offers if o.name == hook)
    for position in offer.positions or (None,):
        for order in offer.orders or (None,):
            pick = run_page.catalogue.pick("activations", hook, position, order)
            layout = run_page.catalogue.layout(pick)
            rank = len(layout.dims)
            keep = rng.permutation(rank)[: rng.integers(rank + 1)].tolist()
            index = [int(rng.integers(size)) for size in layout.shape]
            query = f"keep={','.join(map(str, keep))}&index={','.join(map(str, index))}"
            got = np.frombuffer(get(server, f"/t/{pick.id}?{query}").content, "<f4")
            if hook == "pos_embed":
                epochs = [record(run_page.run.model(e), run_page.run.task)[hook].values for e in EPOCHS]
            else:
                epochs = [activation(run_page.run, e, hook, str(position), order) for e in EPOCHS]
            whole = np.stack(epochs)
            assert whole.shape == layout.shape
            wanted = whole[tuple(slice(None) if axis in keep else index[axis] for axis in range(rank))]
            order_of = [sorted(keep).index(axis) for axis in keep]
            np.testing.assert_allclose(got, wanted.transpose(order_of).ravel(), rtol=2e-5, atol=2e-6)


def test_weights_are_those_of_the_run_without_the_row_of_equals(server: str, run_page: RunPage) -> None:
    for name in ("W_E", "W_O", "b_in", "W_U"):
        pick = run_page.catalogue.pick("weights", name)
        layout = run_page.catalogue.layout(pick)
        keep = ",".join(map(str, range(len(layout.dims))))
        got = get(server, f"/t/{pick.id}?keep={keep}&index={','.join('0' * len(layout.dims))}")
        wanted = run_page.run.weights(name)
        if name == "W_E":
            assert wanted.sizes["token"] == P + 1
            wanted = wanted.isel(token=slice(P))
        np.testing.assert_array_equal(
            np.frombuffer(got.content, "<f4").reshape(layout.shape), wanted.values.astype("<f4")
        )


@pytest.mark.parametrize("operation", ["subtract", "multiply", "x^2+xy+y^2"])
@pytest.mark.parametrize("equals", [True, False])
def test_orders_are_those_that_the_operation_has(tmp_path: Path, operation: str, equals: bool) -> None:
    task = ModularTask(P, operation)
    run = Run.open(write_run(tmp_path / "run", [network(1, equals=equals)], task))
    catalogue, slices = Catalogue(run), Slices(Catalogue(run))
    expected = ("a,b",) if operation == "x^2+xy+y^2" else ("c,a", "a,b", "c,b")
    offer = next(o for o in catalogue.offers if o.name == "mlp_post")
    assert offer.orders == expected
    for order in expected:
        pick = catalogue.pick("activations", "mlp_post", None, order)
        layout = catalogue.layout(pick)
        assert "epoch" not in layout.dims
        wanted = activation(run, 0, "mlp_post", "=" if equals else "b", order)
        got = slices.read(pick, [0, 1, 2], [0, 0, 0])
        np.testing.assert_allclose(got, wanted, rtol=2e-5, atol=2e-6)
        if operation == "multiply" and "c" in order:
            assert layout.coords["c"] == list(range(1, P))


def test_few_pairs_and_the_whole_give_the_same(run_page: RunPage) -> None:
    pick = run_page.catalogue.pick(name="mlp_post")
    fresh, used = Slices(run_page.catalogue), Slices(run_page.catalogue)
    used.read(pick, [1, 2, 3], [2, 0, 0, 0])
    assert used._kept.nbytes > 0
    few = fresh.read(pick, [3], [2, 5, 4, 0])
    assert fresh._kept.nbytes == 0, "a row of pairs must not compute the whole"
    np.testing.assert_allclose(few, used.read(pick, [3], [2, 5, 4, 0]), rtol=2e-5, atol=2e-6)


def test_an_mlp_without_attention_is_served(tmp_path: Path) -> None:
    mlp = PairMLP.initialised(PairMLPConfig(P, d_hidden=9), seed=3)
    run = Run.open(write_run(tmp_path / "run", [mlp], ModularTask(P)))
    catalogue = Catalogue(run)
    for offer in catalogue.offers:
        pick = catalogue.pick(offer.group, offer.name)
        layout = catalogue.layout(pick)
        every = list(range(len(layout.dims)))
        assert Slices(catalogue).read(pick, every, [0] * len(every)).shape == layout.shape
    got = Slices(catalogue).read(catalogue.pick(name="logits", order="a,b"), [1, 2, 0], [0, 0, 0])
    np.testing.assert_allclose(got, mlp.all_logits(), rtol=2e-5, atol=2e-6)


def test_every_pick_has_a_spec_without_computing_anything(run_page: RunPage) -> None:
    fresh = RunPage(run_page.run, "a run")
    for offer in fresh.catalogue.offers:
        pick = fresh.catalogue.pick(offer.group, offer.name)
        spec = json.loads(json.dumps(fresh.spec(pick), allow_nan=False))
        (view,), (tensor,) = spec["views"], spec["tensors"]
        assert tuple(view["dims"]) == tuple(tensor["dims"]) == fresh.catalogue.layout(pick).dims
        assert view["state"]["index"]["epoch"] == len(EPOCHS) - 1
    assert fresh.slices._kept.nbytes == 0


def test_keys_are_found_by_who_was_told_how_and_once(run_page: RunPage) -> None:
    asked: list[int] = []

    def finder(model: Network, task: ModularTask) -> tuple[int, ...]:
        asked.append(task.p)
        return (2, 3)

    page = RunPage(run_page.run, "a run", keys=finder)
    assert page.description(page.catalogue.pick())["hasKeys"]
    assert asked == [], "the first picture does not wait for them"
    assert page.key_frequencies == page.key_frequencies == [2, 3]
    assert asked == [P]
    assert not run_page.description(run_page.catalogue.pick())["hasKeys"]


def test_losses_stand_at_the_epochs_that_can_be_shown(run_page: RunPage) -> None:
    import xarray as xr

    losses = xr.Dataset(
        {"train_loss": ("epoch", [3.0, 2.0, 1.0, 0.5]), "test_loss": ("epoch", [4.0, np.nan, 2.0, 1.0])},
        coords={"epoch": [0, 30, 50, 70]},
    )
    page = RunPage(dataclasses.replace(run_page.run, losses=losses), "a run")
    assert [line["values"] for line in page.losses] == [[3.0, 2.0, 0.5], [4.0, None, 1.0]]
    view = page.spec(page.catalogue.pick())["views"][0]
    assert view["losses"]["axis"] == "epoch"
    assert [step["label"] for step in page.guide] == [
        "even about c/2",
        "its spectrum",
        "one neuron",
        "over training",
    ]


def test_code_of_a_pick_runs_as_it_stands(run_page: RunPage) -> None:
    catalogue = run_page.catalogue
    for pick in (
        catalogue.pick(),
        catalogue.pick("weights", "W_in"),
        catalogue.pick(name="q", position="a"),
        catalogue.pick(name="embed"),
    ):
        code = run_page.spec(pick)["views"][0]["setup"].replace("{epoch}", "30")
        names: dict[str, Any] = {}
        exec(code, names)
        layout = catalogue.layout(pick)
        made = names[pick.name]
        assert set(made.dims) >= set(layout.dims) - {"epoch", "token"}


def test_a_fault_of_ours_is_one_line(run_page: RunPage, capsys: pytest.CaptureFixture[str]) -> None:
    def broken(model: Network, task: ModularTask) -> tuple[int, ...]:
        raise RuntimeError("first line\nsecond")

    page = RunPage(run_page.run, "a run", keys=broken)
    client = TestClient(application(page, token=TOKEN), base_url="http://127.0.0.1")
    answer = client.get(f"/keys.json?token={TOKEN}")
    assert answer.status_code == 500
    assert answer.text == "modscope could not answer this: RuntimeError: first line"
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "could not be answered" in said


def test_an_answer_has_a_tag_and_is_not_sent_twice(server: str) -> None:
    path = "/t/activations/resid_post/%3D/c%2Ca?keep=2,3&index=2,1,0,0"
    first = get(server, path)
    assert first.status_code == 200
    again = get(server, path, **{"if-none-match": first.headers["etag"]})
    assert again.status_code == 304
    assert again.content == b""
    other = get(server, path.replace("index=2", "index=1"))
    assert other.headers["etag"] != first.headers["etag"]
    assert get(server, path, **{"if-none-match": other.headers["etag"]}).content == first.content


def test_gzip_where_it_pays(server: str) -> None:
    text = get(server, "/", **{"accept-encoding": "gzip"})
    assert text.headers["content-encoding"] == "gzip"
    assert int(text.headers["content-length"]) < 0.6 * len(text.content)
    noise = get(server, "/t/weights/W_E/-/-?keep=1,2&index=0,0,0", **{"accept-encoding": "gzip"})
    assert "content-encoding" not in noise.headers
    plain = get(server, "/", **{"accept-encoding": "identity"})
    assert "content-encoding" not in plain.headers
    assert plain.content == text.content


def test_an_answer_is_bounded(tmp_path: Path) -> None:
    large = network(0, d_mlp=120_000, d_model=2, n_heads=1)
    catalogue = Catalogue(Run.open(write_run(tmp_path / "run", [large, large, large], ModularTask(P))))
    with pytest.raises(InputError, match="values in one answer"):
        Slices(catalogue).read(catalogue.pick(name="mlp_post"), [0, 1, 2, 3], [0, 0, 0, 0])


def test_what_is_kept_stays_within_its_budget() -> None:
    kept: Kept[str] = Kept(100)
    for i in range(5):
        kept.put(i, "a thing", 40)
        kept.get(0)
    assert kept.get(0) is not None, "what is used stays"
    assert kept.get(3) is None
    assert kept.nbytes <= 100


@pytest.mark.parametrize("hook", ["mlp_post", "pattern", "logits"])
@pytest.mark.parametrize("position", ["=", "a"])
def test_of_what_is_larger_than_the_budget_some_features_are_kept(
    run_page: RunPage, hook: str, position: str
) -> None:
    catalogue = run_page.catalogue
    pick, budget = catalogue.pick(name=hook, position=position), 4 * P * P * 4
    tight, wide = Slices(catalogue, budget=budget), Slices(catalogue)
    shape = catalogue.layout(pick).shape
    last = len(shape) - 1
    for features in np.ndindex(shape[1:-2]):
        index = [1, *features, 3, 2]
        for keep in ([last - 1, last], [last, last - 1], [last]):
            got, right = tight.read(pick, keep, index), wide.read(pick, keep, index)
            np.testing.assert_allclose(got, right, rtol=2e-5, atol=2e-6)
        assert 0 < tight._kept.nbytes <= budget
    every = list(range(1, last + 1))
    np.testing.assert_allclose(
        tight.read(pick, every, [1] + [0] * last),
        wide.read(pick, every, [1] + [0] * last),
        atol=2e-6,
        rtol=2e-5,
    )


def test_what_is_kept_holds_on_to_nothing_else(run_page: RunPage) -> None:
    slices = Slices(run_page.catalogue)
    for position in ("a", "="):
        slices.read(run_page.catalogue.pick(name="mlp_post", position=position), [2, 3], [0, 0, 0, 0])
    arrays = [array for array, _ in slices._kept._things.values()]
    assert len(arrays) == 2
    assert all(array.base is None for array in arrays)
    assert slices._kept.nbytes == sum(array.nbytes for array in arrays) == 2 * 4 * P * P * 10


@pytest.mark.parametrize("packed", [True, False])
def test_a_large_answer_is_sent_in_pieces(packed: bool) -> None:
    noise = np.random.default_rng(0).bytes(1 << 18)
    data = bytes(3_000_001) if packed else noise + bytes(3_000_001)

    def app(request: Request) -> Response:
        return sent(request, memoryview(data), "application/octet-stream", {"etag": "x"})

    client = TestClient(Starlette(routes=[Route("/", app)]))
    answer = client.get("/", headers={"accept-encoding": "gzip"})
    assert answer.content == data
    assert answer.headers["etag"] == "x"
    assert ("content-encoding" in answer.headers) is packed
    assert answer.headers.get("content-length") == (None if packed else str(len(data)))


def test_epochs_of_a_foreign_file_are_all_there(tmp_path: Path) -> None:
    states = [dict(network(s).weights) for s in (4, 5)]
    torch.save({"state_dicts": states, "epochs": [100, 200]}, tmp_path / "many.pt")
    try:
        run = Run.open(tmp_path / "many.pt")
    except (CheckpointError, InputError) as error:
        pytest.skip(f"files of several state dicts with such names are not read: {error}")
    assert Catalogue(run).epochs == (100, 200)


def test_ids_are_safe_in_an_address() -> None:
    pick = Pick("activations", "mlp_post", "=", "c,a")
    assert pick.id == quote(pick.id, safe="/%")
    with pytest.raises(UnknownName):
        raise UnknownName.of("hook", "x", ["y"])


def test_a_port_that_is_taken_is_a_sentence() -> None:
    with listening() as first, pytest.raises(InputError, match="cannot be used"):
        listening(first.getsockname()[1])
    with pytest.raises(InputError, match="expected 0 to 65535"):
        listening(70000)
