"""What keeps a server on this machine within bounds: connections that say nothing, answers at once, who sees the token."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import html
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from starlette.types import ASGIApp, Receive, Scope, Send

from modscope.memory import release_freed

__all__ = ["AtOnce", "GivesBack", "give_back_memory", "patient_config", "redirecting"]

PATIENCE = 10.0  # seconds in which a connection has to say what it wants
STALLED = 60.0  # seconds in which a connection has to take a piece of its answer, of 128 kB
CONNECTIONS = 300
# Of the C library: how many places threads allocate from, and from how many bytes on a block is one of the system's.
_M_ARENA_MAX, _ARENAS = -8, 2
_M_MMAP_THRESHOLD, _BLOCK = -3, 1 << 20


def give_back_memory() -> bool:
    """From now on every large array of this process goes back to the system when it is let go; whether that could be had.

    glibc otherwise keeps what was freed, in a place for each thread, and a server that makes many large answers on
    many threads grows to several times what it holds. Other C libraries are left as they are.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return False
    return bool(mallopt(_M_MMAP_THRESHOLD, _BLOCK) and mallopt(_M_ARENA_MAX, _ARENAS))


class AtOnce:
    """Lets through a few requests at a time, so that what they ask for is never all in memory; the others wait.

    most: how many, by how their paths begin; the first that fits counts.
    """

    def __init__(self, app: ASGIApp, *, most: Mapping[str, int]) -> None:
        self.app = app
        self._turns = {start: asyncio.Semaphore(count) for start, count in most.items()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"] if scope["type"] == "http" else ""
        turn = next((turn for start, turn in self._turns.items() if path.startswith(start)), None)
        async with turn or contextlib.nullcontext():
            return await self.app(scope, receive, send)


class GivesBack:
    """Gives freed memory back to the system a moment after answers were made, so that what large ones leave does not stay."""

    def __init__(self, app: ASGIApp, *, pause: float = 2.0) -> None:
        self.app, self.pause = app, pause
        self._waits = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            return await self.app(scope, receive, send)
        finally:
            if not self._waits:
                self._waits = True
                asyncio.get_running_loop().call_later(self.pause, self._release)

    def _release(self) -> None:
        self._waits = False
        asyncio.get_running_loop().run_in_executor(None, release_freed)


def patient_config(app: ASGIApp) -> Any:
    """uvicorn's settings for an application on this machine; a connection that asks for nothing is closed."""
    import uvicorn

    return uvicorn.Config(
        app,
        http=_patient_protocol(),
        # Requests that Ctrl-C cuts off would be reported one by one, each with its whole stack.
        log_level="critical",
        access_log=False,
        lifespan="off",
        limit_concurrency=CONNECTIONS,
        timeout_graceful_shutdown=1,
        server_header=False,
    )


def _patient_protocol() -> type[Any]:
    from uvicorn.protocols.http.h11_impl import H11Protocol

    class Patient(H11Protocol):
        """A connection that is closed where no whole request has come in time, or nothing of an answer is taken."""

        stalled: Any = None

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            self._listen()

        def on_response_complete(self) -> None:
            super().on_response_complete()
            self._listen()

        def pause_writing(self) -> None:
            super().pause_writing()
            self.stalled = self.loop.call_later(STALLED, self.transport.abort)

        def resume_writing(self) -> None:
            super().resume_writing()
            if self.stalled is not None:
                self.stalled.cancel()

        def connection_lost(self, exc: Exception | None) -> None:
            if self.stalled is not None:
                self.stalled.cancel()
            super().connection_lost(exc)

        def _listen(self) -> None:
            self.loop.call_later(PATIENCE, self._close_if_silent, self.cycle)

        def _close_if_silent(self, before: Any) -> None:
            # The same cycle as then: nothing was asked for since.
            mine = self.transport.get_protocol() is self
            if mine and self.cycle is before and not self.transport.is_closing():
                self.transport.close()

    return Patient


@contextlib.contextmanager
def redirecting(address: str) -> Iterator[str]:
    """The address of a file that only its owner can read and that leads on to an address with a token.

    What a browser is started with can be read by everybody on the machine.
    """
    folder = Path(tempfile.mkdtemp(prefix="modscope-"))
    try:
        page = folder / "open.html"
        with os.fdopen(os.open(page, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(
                '<!doctype html><meta charset="utf-8"><meta name="referrer" content="no-referrer">'
                f'<meta http-equiv="refresh" content="0;url={html.escape(address, quote=True)}"><title>modscope</title>'
            )
        yield page.as_uri()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
