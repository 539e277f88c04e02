"""The server's bounds: silent connections, many large answers at once, and a token that nobody else reads."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import stat
import threading
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlparse
from urllib.request import url2pathname

import pytest
import uvicorn
from starlette.requests import Request
from starlette.responses import PlainTextResponse

from modscope.cli.view import page_shown
from modscope.viewer import bounds
from modscope.viewer.answers import sent
from modscope.viewer.bounds import AtOnce, GivesBack, patient_config, redirecting
from modscope.viewer.serve import listening


def file_of(address: str) -> Path:
    return Path(url2pathname(urlparse(address).path))


def test_the_browser_is_started_with_a_file_that_only_its_owner_reads(monkeypatch) -> None:
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    monkeypatch.setenv("DISPLAY", ":0")
    with page_shown("http://127.0.0.1:1/?token=secret&x=1"):
        page = file_of(opened[0])
        assert "secret" not in opened[0]
        assert "token=secret&amp;x=1" in page.read_text()
        assert stat.S_IMODE(page.stat().st_mode) == 0o600
        assert stat.S_IMODE(page.parent.stat().st_mode) == 0o700
    assert not page.parent.exists()
    with page_shown("http://127.0.0.1:1/", wanted=False):
        assert len(opened) == 1


def test_the_file_goes_with_the_server() -> None:
    with pytest.raises(RuntimeError), redirecting("http://127.0.0.1:1/") as page:
        raise RuntimeError(page)
    assert not file_of(page).exists()


LONG = 40 << 20  # bytes: more than the buffers of a connection hold


@pytest.fixture
def ended() -> threading.Event:
    """Set when a long answer has been sent or given up."""
    return threading.Event()


@pytest.fixture
def port(monkeypatch, ended: threading.Event) -> Iterator[int]:
    monkeypatch.setattr(bounds, "PATIENCE", 0.5)
    monkeypatch.setattr(bounds, "STALLED", 0.5)

    async def app(scope, receive, send) -> None:
        if scope["path"] == "/long":
            try:
                return await sent(Request(scope), bytes(LONG), "text/plain", {})(scope, receive, send)
            finally:
                ended.set()
        await PlainTextResponse("here")(scope, receive, send)

    made = listening()
    server = uvicorn.Server(patient_config(app))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [made]}, daemon=True)
    thread.start()
    yield made.getsockname()[1]
    server.should_exit = True
    thread.join(10)


def test_connections_that_ask_for_nothing_are_closed_and_the_others_are_answered(port: int) -> None:
    address = f"http://127.0.0.1:{port}/"
    for _ in range(100):
        try:
            urllib.request.urlopen(address, timeout=5).read()
            break
        except OSError:
            time.sleep(0.1)
    silent = [socket.create_connection(("127.0.0.1", port)) for _ in range(60)]
    for one in silent[::2]:
        one.sendall(b"GET / HTTP/1.1\r\nHost: x")
    again = socket.create_connection(("127.0.0.1", port))
    again.sendall(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
    again.settimeout(20)
    assert b"200 OK" in again.recv(4096)
    again.sendall(b"GET / HT")
    for one in (*silent, again):
        one.settimeout(20)
        while one.recv(4096):  # what may be left of an answer, then the end
            pass
        one.close()
    assert urllib.request.urlopen(address, timeout=5).read() == b"here"


def test_who_takes_nothing_of_an_answer_is_sent_away(port: int, ended: threading.Event) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=20) as deaf:
        deaf.sendall(b"GET /long HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        assert ended.wait(20)
        taken = sum(map(len, iter(lambda: deaf.recv(1 << 20), b"")))
        assert 0 < taken < LONG
    assert len(urllib.request.urlopen(f"http://127.0.0.1:{port}/long", timeout=20).read()) == LONG


def test_only_a_few_answers_are_made_at_once() -> None:
    running, most = 0, 0

    async def app(scope, receive, send) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.01)
        running -= 1

    async def many() -> None:
        guarded = AtOnce(app, most={"/t/": 3, "/": 1})
        asks = [guarded({"type": "http", "path": path}, None, None) for path in ["/t/x"] * 20]
        await asyncio.gather(*asks)

    with ThreadPoolExecutor() as pool:  # a browser of another test may have a loop in this thread
        pool.submit(asyncio.run, many()).result()
    assert most == 3


def test_memory_is_given_back_once_for_many_answers_and_after_the_last(monkeypatch) -> None:
    given: list[bool] = []
    monkeypatch.setattr(bounds, "release_freed", lambda: given.append(True))

    async def app(scope, receive, send) -> None:
        if scope["path"] == "/fails":
            raise OSError

    async def many() -> None:
        guarded = GivesBack(app, pause=0.05)
        for path in ["/t/x"] * 20 + ["/fails"]:
            with contextlib.suppress(OSError):
                await guarded({"type": "http", "path": path}, None, None)
        for _ in range(200):
            if given:
                break
            await asyncio.sleep(0.05)

    with ThreadPoolExecutor() as pool:
        pool.submit(asyncio.run, many()).result()
    assert given == [True]
