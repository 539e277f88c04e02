"""What answers on the address before the server is there: the page that says so, and requests that wait unread."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest

from modscope.errors import InputError
from modscope.viewer.early import Early, listening

TOKEN = "a-token-for-tests"
BROWSER = {"Host": "127.0.0.1", "Accept": "text/html,*/*", "Sec-Fetch-Site": "none"}


@pytest.fixture
def on() -> Iterator[socket.socket]:
    with contextlib.closing(listening()) as made:
        yield made


def asking(on: socket.socket, target: str, method: str = "GET", **fields: str) -> socket.socket:
    connection = socket.create_connection(on.getsockname(), timeout=20)
    head = "".join(f"{name}: {value}\r\n" for name, value in (BROWSER | fields).items())
    connection.sendall(f"{method} {target} HTTP/1.1\r\n{head}\r\n".encode())
    return connection


def answer(connection: socket.socket) -> str:
    with contextlib.closing(connection), connection.makefile("rb") as file:
        return file.read().decode()


def test_a_browser_is_told_what_is_being_opened_and_asks_again(on: socket.socket) -> None:
    with Early(on, token=TOKEN, what="<b>.pth"):
        head, _, page = answer(asking(on, f"/?token={TOKEN}")).partition("\r\n\r\n")
    assert head.startswith("HTTP/1.1 200")
    assert f"content-length: {len(page.encode())}" in head
    assert "Opening &lt;b&gt;.pth" in page
    assert '<meta http-equiv="refresh" content="0">' in page
    assert "default-src 'none'" in head


@pytest.mark.parametrize(
    ("target", "method", "fields"),
    [
        (f"/?token={TOKEN}", "GET", {"Sec-Fetch-Site": "same-origin"}),
        (f"/?token={TOKEN}", "GET", {"Accept": "*/*"}),
        (f"/?token={TOKEN}", "GET", {"Host": "elsewhere.example"}),
        (f"/?token={TOKEN}", "POST", {}),
        (f"/spec.json?token={TOKEN}", "GET", {}),
        ("/?token=other", "GET", {}),
        ("/", "GET", {}),
    ],
)
def test_every_other_request_waits_unread(
    on: socket.socket, target: str, method: str, fields: dict[str, str]
) -> None:
    with Early(on, token=TOKEN, what="x") as early:
        connection = asking(on, target, method, **fields)
        # once a later request is answered, the one before has been looked at
        assert answer(asking(on, f"/?token={TOKEN}")).startswith("HTTP/1.1 200")
        (waiting,) = early.taken_over()
        with contextlib.closing(waiting), contextlib.closing(connection):
            assert waiting.recv(65536).decode().startswith(f"{method} {target} HTTP/1.1\r\n")


def test_those_who_wait_are_told_why_it_ended(on: socket.socket) -> None:
    asked: list[socket.socket] = []

    def opening() -> None:
        with Early(on, token=TOKEN, what="x"):
            asked.append(asking(on, "/spec.json"))
            assert answer(asking(on, f"/?token={TOKEN}")).startswith("HTTP/1.1 200")
            raise InputError("no such network")

    with pytest.raises(InputError, match="no such"):
        opening()
    told = answer(asked[0])
    assert told.startswith("HTTP/1.1 500")
    assert told.endswith("no such network")


def test_a_connection_that_says_nothing_is_given_away_too(on: socket.socket) -> None:
    with Early(on, token=TOKEN, what="x") as early:
        silent = socket.create_connection(on.getsockname(), timeout=20)
        assert answer(asking(on, f"/?token={TOKEN}")).startswith("HTTP/1.1 200")
        given = early.taken_over()
        assert len(given) == 1
        for one in (silent, *given):
            one.close()


def test_nothing_heavy_is_imported_for_it() -> None:
    code = "import sys, modscope.cli, modscope.viewer.early; print({'torch', 'numpy', 'xarray', 'starlette'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "set()"
