"""What answers on the server's address before the server is there: the standard library alone, so within a moment.

A page that somebody opens in a browser says at once what is being opened, and asks again; that and every other request
waits, unread, until the server takes it over.
"""

from __future__ import annotations

import contextlib
import html
import re
import secrets
import selectors
import socket
import threading
from typing import Self
from urllib.parse import parse_qs, urlsplit

from modscope.errors import InputError

__all__ = ["LOOPBACK", "Early", "listening"]

LOOPBACK = "127.0.0.1"
_MOST = 200  # connections that may wait
_HEAD = 65536  # bytes of a request that are looked at
_PAGE = """<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<meta http-equiv="refresh" content="0"><link rel="icon" href="data:,"><title>modscope: opening</title><style>
html{{color-scheme:light dark;font:16px system-ui,sans-serif}}body{{display:grid;place-content:center;min-height:90vh;text-align:center}}
i{{display:block;height:3px;width:12em;margin:1em auto;border-radius:2px;background:#0072b2;animation:b 1.2s ease-in-out infinite alternate}}
@keyframes b{{from{{opacity:.25;transform:scaleX(.3)}}}}@media(prefers-reduced-motion:reduce){{i{{animation:none}}}}
</style></head><body><main><p>Opening {what}</p><i></i><p><small>torch first, then the network: a few seconds</small></p></main></body></html>"""
_HEADERS = (
    "HTTP/1.1 200 OK\r\ncontent-type: text/html; charset=utf-8\r\ncontent-length: {size}\r\ncache-control: no-store\r\n"
    "content-security-policy: default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'none'\r\n"
    "referrer-policy: no-referrer\r\nx-content-type-options: nosniff\r\ncross-origin-resource-policy: same-origin\r\n"
    "connection: close\r\n\r\n"
)


def listening(port: int = 0) -> socket.socket:
    """A socket that listens on this machine's loopback; port 0 takes a free one.

    Raises InputError where the port is taken or not a port.
    """
    if not 0 <= port <= 65535:
        raise InputError(f"port {port}: expected 0 to 65535")
    made = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        made.bind((LOOPBACK, port))
        made.listen(128)
    except OSError as error:
        made.close()
        raise InputError(
            f"port {port} of {LOOPBACK} cannot be used: {error.strerror}; leave --port away for a free one"
        ) from None
    return made


class Early:
    """Answers on a listening socket, on a thread, until `taken_over`.

    what: what is being opened, for the page. A request for the page by a browser that knows the token is answered; all
    others wait. With a `with` around it nothing is left open, and an error that ends it is what those who wait are told.
    """

    def __init__(self, on: socket.socket, *, token: str, what: str) -> None:
        self._on, self._token = on, token
        self._page = _PAGE.format(what=html.escape(what)).encode()
        self._waiting: list[socket.socket] = []
        self._wake, self._woken = socket.socketpair()
        self._thread = threading.Thread(target=self._answer, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        for connection in self.taken_over():
            with contextlib.closing(connection), contextlib.suppress(OSError):
                text = str(error).encode() if isinstance(error, Exception) else b"modscope has ended"
                connection.setblocking(False)
                connection.recv(_HEAD)  # a connection closed with something unread is reset
                connection.sendall(
                    b"HTTP/1.1 500 Internal Server Error\r\ncontent-type: text/plain; charset=utf-8\r\n"
                    b"connection: close\r\ncontent-length: %d\r\n\r\n%s" % (len(text), text)
                )

    def taken_over(self) -> list[socket.socket]:
        """Stops answering and gives away the connections that wait, with what they ask for still unread."""
        if self._thread.is_alive():
            self._wake.send(b"x")
            self._thread.join()
            self._wake.close()
            self._woken.close()
        found, self._waiting = self._waiting, []
        return found

    def _answer(self) -> None:
        with selectors.DefaultSelector() as ready:
            for one in (self._on, self._woken):
                ready.register(one, selectors.EVENT_READ)
            while True:
                for key, _ in ready.select():
                    one = _socket(key)
                    if one is self._woken:
                        self._waiting += [
                            c for c in map(_socket, ready.get_map().values()) if c not in (self._on, one)
                        ]
                        return
                    if one is self._on:
                        self._accept(ready)
                        continue
                    ready.unregister(one)
                    self._heard(one)

    def _accept(self, ready: selectors.BaseSelector) -> None:
        with contextlib.suppress(OSError):
            connection, _ = self._on.accept()
            if len(ready.get_map()) + len(self._waiting) > _MOST:
                connection.close()
            else:
                ready.register(connection, selectors.EVENT_READ)

    def _heard(self, connection: socket.socket) -> None:
        """Answers a browser that asks for the page for the first time; whoever asks for anything else waits."""
        try:
            head = connection.recv(_HEAD, socket.MSG_PEEK)
            if not head or not self._is_first_look(head.decode("latin-1")):
                (self._waiting.append if head else socket.socket.close)(connection)
                return
            connection.recv(_HEAD)
            connection.sendall(_HEADERS.format(size=len(self._page)).encode() + self._page)
            connection.close()
        except OSError:
            connection.close()

    def _is_first_look(self, head: str) -> bool:
        request, _, rest = head.partition("\r\n")
        fields = {
            name.strip().lower(): value.strip()
            for name, _, value in (line.partition(":") for line in rest.split("\r\n"))
        }
        method, _, target = request.partition(" ")
        address = urlsplit(target.rpartition(" ")[0])
        given = parse_qs(address.query).get("token", [""])[0]
        return (
            "\r\n\r\n" in head
            and method == "GET"
            and address.path == "/"
            and re.fullmatch(r"(127\.0\.0\.1|localhost)(:\d+)?", fields.get("host", "")) is not None
            and "text/html" in fields.get("accept", "")
            # the page's own asking again waits for the server
            and fields.get("sec-fetch-site") != "same-origin"
            and secrets.compare_digest(given.encode(), self._token.encode())
        )


def _socket(key: selectors.SelectorKey) -> socket.socket:
    assert isinstance(key.fileobj, socket.socket)
    return key.fileobj
