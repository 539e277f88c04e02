"""The live page over HTTP on the loopback: its page, server-sent events, pictures, knobs.

`/` is the page; `/stream` tells how training stands as it changes (server-sent events; a browser that is slow gets what
came meanwhile in one, and holds up nobody); `/frame?after=&hook=&feature=&order=&row=&epoch=` is a picture, for which the page asks when
it has drawn the one before; `/epochs` those that are kept; POST `/knob` and `/pause` steer.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
import socket
import threading
from collections.abc import AsyncIterator, Callable
from functools import cache, partial
from importlib.resources import files
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from modscope.errors import InputError
from modscope.viewer.answers import gates, page_text, policy, refusal
from modscope.viewer.bounds import patient_config
from modscope.viewer.live.scope import Scope
from modscope.viewer.serve import listening

__all__ = ["LiveServer", "application"]

_LARGEST = 4096  # bytes of a knob's message
_PAUSE = 0.1  # seconds between two messages of the stream at least


def application(scope: Scope, *, token: str, framed: bool = False) -> Starlette:
    """The ASGI application of a live scope; every request needs the token, a loopback Host and no foreign Origin.

    framed: whether pages of this machine, such as a notebook, may hold the page in a frame.
    """
    routes = [
        Route("/", partial(_answer, scope, "text/html; charset=utf-8", _page)),
        Route("/stream", partial(_stream, scope)),
        Route("/frame", partial(_answer, scope, "application/octet-stream", _frame)),
        Route("/epochs", partial(_answer, scope, "application/json", _epochs)),
        Route("/knob", partial(_steer, scope, _knob), methods=["POST"]),
        Route("/pause", partial(_steer, scope, _pause), methods=["POST"]),
    ]
    within = "http://127.0.0.1:* http://localhost:*" if framed else "'none'"
    return Starlette(
        routes=routes, middleware=gates(token, policy(_module(), within=within), cache="no-store")
    )


async def _answer(
    scope: Scope, kind: str, make: Callable[[Scope, Request], bytes | None], request: Request
) -> Response:
    """An answer made on a thread, so that one that waits holds nobody up; a mistake is one sentence."""
    loop = asyncio.get_running_loop()
    try:
        data = await loop.run_in_executor(scope.threads, make, scope, request)
    except Exception as error:
        return refusal(error, request.url.path)
    return Response(status_code=204) if data is None else Response(data, media_type=kind)


async def _steer(scope: Scope, make: Callable[[Scope, Any], None], request: Request) -> Response:
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > _LARGEST:
            return PlainTextResponse("more than a knob has to say", status_code=413)
    try:
        make(scope, json.loads(body))
    except InputError as error:
        return PlainTextResponse(str(error), status_code=400)
    except (ValueError, KeyError, TypeError):
        return PlainTextResponse("expected JSON with kind and value, or paused", status_code=400)
    return Response(status_code=204)


def _knob(scope: Scope, told: Any) -> None:
    kind, value = told["kind"], told["value"]
    if not isinstance(kind, str) or isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError
    scope.ask(kind, value)


def _pause(scope: Scope, told: Any) -> None:
    if not isinstance(told["paused"], bool):
        raise TypeError
    scope.pause(told["paused"])


def _frame(scope: Scope, request: Request) -> bytes | None:
    query = request.query_params
    words = {name: query.get(name) or None for name in ("hook", "feature", "order", "row")}
    epoch, after = (_number(query.get(name), name) for name in ("epoch", "after"))
    return scope.frame(scope.wanted(**words), after=-1 if after is None else after, epoch=epoch)


def _number(text: str | None, name: str) -> int | None:
    if not text:
        return None
    try:
        return int(text)
    except ValueError:
        raise InputError(f"{name} = {text}: expected a whole number") from None


def _epochs(scope: Scope, request: Request) -> bytes:
    return json.dumps(scope.epochs()).encode()


async def _stream(scope: Scope, request: Request) -> Response:
    return StreamingResponse(
        _messages(scope), media_type="text/event-stream", headers={"x-accel-buffering": "no"}
    )


async def _messages(scope: Scope) -> AsyncIterator[str]:
    """One message for each change, none before the one before is on its way: what a slow browser missed comes together."""
    serial, count = -1, 0
    idle = 0.0
    while True:
        found = scope.standing(serial, rows_from=count)
        if found is not None:
            serial, count, idle = found["serial"], found["count"], 0.0
            yield f"data: {json.dumps(found, separators=(',', ':'))}\n\n"
            if not found["serving"]:
                return
        await asyncio.sleep(_PAUSE)
        idle += _PAUSE
        if idle > 15:
            idle = 0.0
            yield ": still here\n\n"  # so that a browser that has gone is noticed


@cache
def _module() -> str:
    path = files("modscope.viewer") / "static" / "live.js"
    return path.read_text(encoding="utf-8")


def _page(scope: Scope, request: Request) -> bytes:
    main = '<main id="live"></main>'
    return page_text(
        _module(), scope.description(), title=scope.title, main=main, name="description"
    ).encode()


class LiveServer:
    """A live scope on a port of the loopback, served by a thread of its own.

    address: where the page is, with its token.
    """

    def __init__(self, scope: Scope, *, port: int = 0, framed: bool = False) -> None:
        self.scope = scope
        self._socket: socket.socket = listening(port)
        token = secrets.token_urlsafe(24)
        host, taken = self._socket.getsockname()[:2]
        self.address = f"http://{host}:{taken}/?token={token}"
        self._app = application(scope, token=token, framed=framed)
        self._server: Any = None
        self._thread: threading.Thread | None = None

    def start(self) -> LiveServer:
        """Begin to answer."""
        import uvicorn

        self._server = uvicorn.Server(patient_config(self._app))
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [self._socket]}, name="live scope", daemon=True
        )
        self._thread.start()
        return self

    def stop(self) -> None:
        """Answer no more; pages say that it has ended."""
        self.scope.end()
        if self._server is not None and self._thread is not None:
            self._server.should_exit = True
            self._thread.join(timeout=5)
        with contextlib.suppress(OSError):
            self._socket.close()

    def __enter__(self) -> LiveServer:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()
