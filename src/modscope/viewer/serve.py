"""A run in the browser: one page, its description, and slices of whatever is picked, from this machine only."""

from __future__ import annotations

import asyncio
import hashlib
import json
import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any
from urllib.parse import unquote

import numpy as np
import xarray as xr
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from modscope.errors import InputError
from modscope.model import Network
from modscope.runs import Run
from modscope.task import ModularTask
from modscope.viewer.answers import gates, page_text, policy, refusal, sent
from modscope.viewer.api import show
from modscope.viewer.bounds import AtOnce, GivesBack, give_back_memory, patient_config
from modscope.viewer.catalogue import ACTIVATIONS, WEIGHTS, Catalogue, Layout, Pick
from modscope.viewer.early import listening
from modscope.viewer.html import bundle
from modscope.viewer.slices import Slices

__all__ = ["RunPage", "application", "listening", "serve"]

# Answers that are made and sent at one time, by how their paths begin; one of /t/ has up to 64 MB.
_AT_ONCE = {"/t/": 4, "/keys.json": 1, "/": 4}
_STYLE = (
    "html,body{margin:0}body{background:Canvas;color-scheme:light dark}main{display:grid;min-height:100vh}"
)
_LOSSES = ("train_loss", "test_loss")


@dataclass(frozen=True, eq=False)
class RunPage:
    """What the server says of a run: its page, the description of a pick, the values of a slice.

    keys: finds the key frequencies of a network; none are shown where there is no finder.
    """

    run: Run
    title: str
    notes: tuple[str, ...] = ()
    keys: Callable[[Network, ModularTask], Sequence[int]] | None = None

    @cached_property
    def catalogue(self) -> Catalogue:
        """What there is to pick."""
        return Catalogue(self.run)

    @cached_property
    def slices(self) -> Slices:
        """Where the values come from."""
        return Slices(self.catalogue)

    @cached_property
    def mark(self) -> str:
        """A text that differs between runs, and between states of one run on disk."""
        path = self.run.path
        stamps = [path, *sorted(path.glob("*.json"))] if path.is_dir() else [path]
        state = [(str(one), one.stat().st_mtime_ns, one.stat().st_size) for one in stamps]
        return hashlib.sha256(repr((state, self.catalogue.epochs, bundle())).encode()).hexdigest()[:16]

    @cached_property
    def key_frequencies(self) -> list[int]:
        """Those of the last epoch, computed when they are asked for."""
        if self.keys is None:
            return []
        return [int(k) for k in self.keys(self.run.model(), self.run.task)]

    @cached_property
    def losses(self) -> list[dict[str, Any]]:
        """The losses at the epochs that can be shown, for the strip under their slider; NaN as null."""
        known = self.run.losses
        if len(self.catalogue.epochs) < 2 or not known.sizes.get("epoch"):
            return []
        at = known.reindex(epoch=list(self.catalogue.epochs), method="nearest")
        return [
            {
                "name": name.replace("_", " "),
                "values": [float(v) if np.isfinite(v) else None for v in at[name].values],
            }
            for name in _LOSSES
            if name in at
        ]

    @cached_property
    def guide(self) -> list[dict[str, Any]]:
        """What to look at first: a text, a pick and a state of the view."""
        catalogue = self.catalogue
        among = {offer.name: offer for offer in catalogue.offers if offer.group == ACTIVATIONS}
        steps: list[tuple[str, str, dict[str, Any]]] = [
            ("even about c/2", "resid_post", {"mode": "wave", "fold": True}),
            ("its spectrum", "resid_post", {"mode": "spectrum", "fold": False}),
            ("one neuron", "mlp_post", {"mode": "wave", "fold": False}),
        ]
        if len(catalogue.epochs) > 1:
            steps.append(("over training", "resid_post", {"mode": "wave", "fold": False, "play": "epoch"}))
        return [
            {"label": label, "pick": vars(catalogue.pick(ACTIVATIONS, name)), "state": state}
            for label, name, state in steps
            if name in among and "c,a" in among[name].orders
        ]

    def spec(self, pick: Pick) -> dict[str, Any]:
        """The description of a pick as the page reads it; no value is computed for it."""
        catalogue, layout = self.catalogue, self.catalogue.layout(pick)
        task = catalogue.task
        empty = xr.DataArray(
            np.broadcast_to(np.float32(0), layout.shape),
            dims=layout.dims,
            coords=layout.coords,
            attrs={"p": task.p, "operation": task.operation, "hook": pick.name},
        )
        select = {"epoch": len(catalogue.epochs) - 1} if "epoch" in layout.dims else {}
        view = show(empty, select=select, title=self._named(pick), **self._opening(pick, layout))
        spec = {
            **view.views[0],
            "setup": self._setup(pick),
            "losses": {"axis": "epoch", "lines": self.losses} if self.losses and select else None,
        }
        meta = {
            "name": pick.name,
            "dims": layout.dims,
            "shape": layout.shape,
            "enc": "f32",
            "error": 0,
            # Extent and gaps of the whole are not known: that would take computing all of it.
            "lo": None,
            "hi": None,
            "nan": 0,
            "inf": 0,
            "src": pick.id,
        }
        return {
            "v": 1,
            "tensors": [meta],
            "views": [spec],
            "link": True,
            "across": 1,
            "theme": "auto",
            "source": "http",
        }

    def _opening(self, pick: Pick, layout: Layout) -> dict[str, Any]:
        """A weight opens as what it is: rows over tokens as waves, others as a picture."""
        if pick.group != WEIGHTS:
            return {}
        features = [dim for dim in layout.dims if dim != "epoch"]
        if "token" in features:
            others = [dim for dim in features if dim != "token"]
            return {"x": "token", "play": others[-1]} if others else {"x": "token"}
        if len(features) < 2:
            return {"x": features[-1]}
        return {"mode": "heatmap", "y": features[-2], "x": features[-1]}

    def _setup(self, pick: Pick) -> str:
        """Code that makes the array of a pick; the page fills in the epoch."""
        shipped = self.title == "the shipped network"
        opened = "from modscope.shipped import shipped_run\n\nrun = shipped_run()" if shipped else ""
        opened = opened or f"\nrun = ms.Run.open({str(self.run.path.resolve())!r})"
        name = pick.name if pick.name.isidentifier() else "x"
        if pick.group == WEIGHTS:
            made = f"{name} = run.weights({pick.name!r}).sel(epoch={{epoch}})"
        else:
            at = f"acts.at({pick.name!r}, {pick.position!r})" if pick.position else f"acts[{pick.name!r}]"
            kept = ', positions="all"' if pick.position not in (None, "=") else ""
            acts = f"acts = ms.record(run.model({{epoch}}), run.task{kept})"
            if pick.order:
                first, second = pick.order.split(",")
                at = f'ms.in_order({at}, "{first}", "{second}")'
            made = f"{acts}\n{name} = {at}"
        return f"import modscope as ms\n{opened}\n{made}"

    def _named(self, pick: Pick) -> str:
        where = f" at {pick.position}" if pick.position else ""
        return f"{pick.name}{where}"

    def description(self, pick: Pick) -> dict[str, Any]:
        """The choices, the epochs, and what is picked first."""
        catalogue = self.catalogue
        return {
            "title": self.title,
            "notes": list(self.notes),
            "offers": [vars(offer) for offer in catalogue.offers],
            "epochs": list(catalogue.epochs),
            "guide": self.guide,
            "hasKeys": self.keys is not None,
            "pick": vars(pick),
            "spec": self.spec(pick),
        }

    def page(self, pick: Pick) -> str:
        """The whole page; its script is the viewer's module."""
        return page_text(
            bundle(),
            self.description(pick),
            title=self.title,
            main='<main data-modscope-run="modscope-run"></main>',
            name="modscope-run",
            style=_STYLE,
        )


def application(page: RunPage, *, token: str) -> Starlette:
    """The ASGI application of a run; every request needs the token and a loopback Host.

    `/` is the page, `/keys.json` the key frequencies, `/spec.json?group=&name=&position=&order=` the description of a pick, `/t/ID?keep=&index=` the
    float32 values over the axes `keep` at `index`, little-endian, C order.
    """
    answers: Mapping[str, Callable[[Request], Response]] = {
        "/": lambda request: _answer(request, page, "text/html; charset=utf-8", _page_bytes),
        "/keys.json": lambda request: _answer(request, page, "application/json", _keys_bytes),
        "/spec.json": lambda request: _answer(request, page, "application/json", _spec_bytes),
        "/t/{id:path}": lambda request: _answer(request, page, "application/octet-stream", _slice_bytes),
    }
    # Not async, so that each runs on a thread and a long one holds nobody up.
    return Starlette(
        routes=[Route(path, answer, methods=["GET"]) for path, answer in answers.items()],
        middleware=[
            *gates(token, policy(bundle(), media="data: blob:"), cache="private, no-cache"),
            Middleware(GivesBack),
            Middleware(AtOnce, most=_AT_ONCE),
        ],
    )


def _page_bytes(request: Request, page: RunPage) -> bytes:
    return page.page(_picked(request, page.catalogue)).encode()


def _spec_bytes(request: Request, page: RunPage) -> bytes:
    spec = page.spec(_picked(request, page.catalogue))
    return json.dumps(spec, separators=(",", ":"), allow_nan=False).encode()


def _keys_bytes(_: Request, page: RunPage) -> bytes:
    return json.dumps(page.key_frequencies).encode()


def _slice_bytes(request: Request, page: RunPage) -> memoryview:
    group, name, position, order = _parts(request.scope["raw_path"].split(b"?")[0].decode("ascii"))
    pick = page.catalogue.pick(group, name, position, order)
    query = request.query_params
    values = page.slices.read(
        pick, _numbers("keep", query.get("keep", "")), _numbers("index", query.get("index", ""))
    )
    return values.reshape(-1).data.cast("B")


def _parts(path: str) -> list[str | None]:
    # Quoted slashes and dots are part of a name, so the path is cut before it is unquoted.
    parts = [unquote(part) for part in path.removeprefix("/t/").split("/")]
    if len(parts) != 4:
        raise InputError(f"{path}: expected /t/group/name/position/order")
    return [None if part == "-" else part for part in parts]


def _picked(request: Request, catalogue: Catalogue) -> Pick:
    query = request.query_params
    return catalogue.pick(*(query.get(word) or None for word in ("group", "name", "position", "order")))


def _numbers(word: str, text: str) -> Sequence[int]:
    try:
        return [int(part) for part in text.split(",")] if text else []
    except ValueError:
        raise InputError(f"{word}={text}: expected whole numbers with commas") from None


def _answer(
    request: Request, page: RunPage, kind: str, make: Callable[[Request, RunPage], bytes | memoryview]
) -> Response:
    """An answer with an ETag, packed where that pays; a mistake in the request is one sentence."""
    query = sorted((key, value) for key, value in request.query_params.multi_items() if key != "token")
    seen = repr((page.mark, request.url.path, query)).encode()
    etag = f'"{hashlib.sha256(seen).hexdigest()[:24]}"'
    head = {"etag": etag, "vary": "accept-encoding"}
    known = request.headers.get("if-none-match", "")
    # The tag says what is asked for, so asking again computes nothing; but it has to be askable.
    if etag in (tag.strip().removeprefix("W/") for tag in known.split(",")):
        return Response(status_code=304, headers=head)
    try:
        data = make(request, page)
    except Exception as error:
        return refusal(error, request.url.path)
    return sent(request, data, kind, head)


def serve(page: RunPage, *, on: socket.socket, token: str, waiting: Sequence[socket.socket] = ()) -> None:
    """Answers on a listening socket until the process is interrupted.

    waiting: connections that were made before, and whose requests nobody has read yet (`Early.taken_over`).
    """
    import uvicorn

    give_back_memory()

    class Server(uvicorn.Server):
        """A server that also answers those who came before it."""

        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets=sockets)
            loop, config = asyncio.get_running_loop(), self.config
            kind: Any = config.http_protocol_class
            for connection in waiting:
                connection.setblocking(False)
                made = partial(
                    kind, config=config, server_state=self.server_state, app_state=self.lifespan.state
                )
                await loop.connect_accepted_socket(made, connection)

    Server(patient_config(application(page, token=token))).run(sockets=[on])
