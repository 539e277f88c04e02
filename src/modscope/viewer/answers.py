"""What the servers of this machine have in common: who is let in, what a page may do, how an answer is made and sent."""

from __future__ import annotations

import base64
import gzip
import hashlib
import html
import json
import secrets
import sys
import zlib
from collections.abc import AsyncIterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from anyio import to_thread
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from modscope.errors import InputError, ModscopeError, UnknownName
from modscope.viewer.early import LOOPBACK

__all__ = ["gates", "page_text", "policy", "refusal", "sent"]

Bytes = bytes | memoryview

# A page of another site that had its name resolve to this machine would send that name.
_HOSTS = [LOOPBACK, "localhost"]
_WORTH_GZIP = 0.75
_SMALL = 1 << 17  # bytes up to which an answer is sent in one piece
_PACKED_AT_ONCE = 1 << 20


def gates(token: str, policy: str, *, cache: str) -> list[Middleware]:
    """What every request goes through: a Host of this machine, the token, no foreign Origin.

    policy, cache: what browsers are told that the pages may do, and what of them they may keep.
    """
    return [
        Middleware(TrustedHostMiddleware, allowed_hosts=_HOSTS, www_redirect=False),
        Middleware(_Guard, token=token, policy=policy, cache=cache),
    ]


class _Guard:
    """Lets through only requests that know the token and come from the page itself; tells browsers to keep it to themselves."""

    def __init__(self, app: ASGIApp, token: str, policy: str, cache: str) -> None:
        self.app, self.token = app, token
        self.headers = [
            (b"content-security-policy", policy.encode()),
            (b"referrer-policy", b"no-referrer"),
            (b"x-content-type-options", b"nosniff"),
            (b"cross-origin-resource-policy", b"same-origin"),
            (b"cache-control", cache.encode()),
        ]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)

        async def guarded(message: Any) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *self.headers]
            await send(message)

        if why := self._refused(Request(scope)):
            return await PlainTextResponse(why, status_code=403)(scope, receive, guarded)
        return await self.app(scope, receive, guarded)

    def _refused(self, request: Request) -> str:
        given = request.query_params.get("token", "")
        if not secrets.compare_digest(given.encode(), self.token.encode()):
            return "no token: open the address that modscope printed"
        origin = request.headers.get("origin")
        if origin is not None and urlsplit(origin).netloc != request.headers.get("host", ""):
            return f"a page of {origin} may not ask here"
        return ""


def policy(script: str, *, media: str = "data:", within: str = "'none'") -> str:
    """What a page may do: run this one script, ask this server, draw.

    media: where pictures and sounds may come from. within: the pages that may hold it in a frame.
    """
    own = base64.b64encode(hashlib.sha256(_closed(script).encode()).digest()).decode()
    return (
        f"default-src 'none'; script-src 'sha256-{own}'; style-src 'unsafe-inline'; img-src {media}; media-src {media}; "
        f"connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors {within}"
    )


def page_text(
    script: str, description: Mapping[str, Any], *, title: str, main: str, name: str, style: str = ""
) -> str:
    """A whole page: the element `main`, a description as JSON in the element `name`, and the script that reads it."""
    text = json.dumps(description, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
    styled = f"<style>{style}</style>" if style else ""
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1"><link rel="icon" href="data:,">'
        f"<title>{html.escape(title)}</title>{styled}</head><body>{main}"
        f'<script type="application/json" id="{name}">{text}</script>'
        f'<script type="module">{_closed(script)}</script></body></html>'
    )


def _closed(script: str) -> str:
    return script.replace("</script", "<\\/script")


def refusal(error: Exception, path: str) -> Response:
    """A mistake in a request, or a fault of ours, as one sentence with the status that says which."""
    if isinstance(error, UnknownName):
        return PlainTextResponse(str(error), status_code=404)
    if isinstance(error, InputError):
        return PlainTextResponse(str(error), status_code=400)
    if isinstance(error, ModscopeError | OSError):
        return PlainTextResponse(str(error), status_code=500)
    # A fault of ours: one line here and in the page, where the server's own report would be two hundred.
    said = f"{type(error).__name__}: {error}".splitlines()[0]
    print(f"modscope: {path} could not be answered: {said}", file=sys.stderr)
    return PlainTextResponse(f"modscope could not answer this: {said}", status_code=500)


def sent(request: Request, data: Bytes, kind: str, headers: Mapping[str, str]) -> Response:
    """An answer, packed where that pays, and a large one in pieces, each made when the one before is on its way."""
    head, packed = dict(headers), "gzip" in request.headers.get("accept-encoding", "") and _pays(data)
    if packed:
        head["content-encoding"] = "gzip"
    if len(data) <= (_PACKED_AT_ONCE if packed else _SMALL):
        body = gzip.compress(data, 1, mtime=0) if packed else bytes(data)
        return Response(body, media_type=kind, headers=head)
    if packed:
        return StreamingResponse(_packed(memoryview(data)), media_type=kind, headers=head)
    head["content-length"] = str(len(data))
    return StreamingResponse(_pieces(memoryview(data)), media_type=kind, headers=head)


def _pays(data: Bytes) -> bool:
    """Whether a piece of the bytes says that packing pays; float32 noise does not."""
    piece = data[: 1 << 16]
    return len(data) >= 1024 and len(gzip.compress(piece, 1, mtime=0)) <= _WORTH_GZIP * len(piece)


async def _pieces(data: memoryview) -> AsyncIterator[bytes]:
    for start in range(0, len(data), _SMALL):
        yield bytes(data[start : start + _SMALL])


async def _packed(data: memoryview) -> AsyncIterator[bytes]:
    pack = zlib.compressobj(1, wbits=31)
    for start in range(0, len(data), _PACKED_AT_ONCE):
        yield await to_thread.run_sync(pack.compress, data[start : start + _PACKED_AT_ONCE])
    yield pack.flush()
