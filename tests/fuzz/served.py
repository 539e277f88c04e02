"""Servers under requests: what a page asks for, at random, what is wrong, and connections that break off."""

from __future__ import annotations

import http.client
import json
import math
import random
import re
import signal
import socket
import subprocess
import threading
from collections import Counter, deque
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from tests.processes import modscope_running
from tests.training.small import wait_until

__all__ = ["Live", "Served", "Viewer"]

MOST_VALUES = 1 << 24
_ALLOWED = (200, 204, 304, 503)
_WRONG = (400, 403, 404, 405, 503)


@dataclass
class Served:
    """A server in a process of its own, what it was asked for, and what it should not have answered."""

    name: str
    words: tuple[str, ...]
    asked: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)

    def __enter__(self) -> Served:
        with ExitStack() as ends:
            said: dict[str, Any] = {"environment": {"PYTHONUNBUFFERED": "1"}, "stderr": subprocess.STDOUT}
            self.process = ends.enter_context(modscope_running(*self.words, "--no-open", **said))
            self._begin()
            self._ends = ends.pop_all()
        return self

    def _begin(self) -> None:
        """Waits until it answers."""
        # Read as it comes: a program that nobody listens to waits.
        self._said: list[str] = []
        self._hearing = threading.Thread(
            target=lambda: self._said.extend(self.process.stdout or ()), daemon=True
        )
        self._hearing.start()
        wait_until(lambda: self._address() or self.process.poll() is not None)
        found = self._address()
        assert found, f"{' '.join(self.words)} did not start: {''.join(self._said)}"
        self.host, self.port, self.token = found[1], int(found[2]), found[3]
        self._silent: deque[socket.socket] = deque()
        self.look()

    def __exit__(self, *_: object) -> None:
        with self._ends:
            for one in self._silent:
                one.close()
            self.process.send_signal(signal.SIGINT)
            try:
                self.process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.faults.append("did not end on Ctrl-C")
            self._hearing.join()
        words = ("could not be answered", "Traceback")
        self.faults += [line.strip() for line in self._said if any(word in line for word in words)]

    def _address(self) -> re.Match[str] | None:
        return re.search(r"Open http://([\d.]+):(\d+)/\?token=(\S+)\s", "".join(self._said))

    def look(self) -> None:
        """Reads the page's own description of what can be asked."""
        page = self.got(http.client.HTTPConnection(self.host, self.port, timeout=120), "/").decode()
        text = re.search(r'<script type="application/json" id="[\w-]+">(.*?)</script>', page, re.S)
        assert text is not None
        self.description = json.loads(text[1])

    @property
    def memory(self) -> int:
        """Bytes in memory at this moment."""
        return self._status("VmRSS")

    @property
    def peak(self) -> int:
        """The most bytes in memory at any moment."""
        return self._status("VmHWM")

    def _status(self, name: str) -> int:
        text = Path(f"/proc/{self.process.pid}/status").read_text()
        return 1024 * int(re.search(rf"{name}:\s+(\d+)", text)[1])  # type: ignore[index]

    def got(self, connection: http.client.HTTPConnection, path: str, **headers: str) -> bytes:
        """The answer to a request that is as it should be; a status that it should not have is a fault."""
        answer, data = self._asked(connection, "GET", path, _ALLOWED, headers)
        if answer.status == 503:
            raise ConnectionRefusedError(f"{path}: too many connections")
        return data

    def take(self, path: str) -> None:
        """Reads an answer through, keeping nothing of it."""
        connection = http.client.HTTPConnection(self.host, self.port, timeout=300)
        try:
            connection.request("GET", f"{path}{'&' if '?' in path else '?'}token={self.token}")
            answer = connection.getresponse()
            while answer.read(1 << 16):
                pass
            self.asked[str(answer.status)] += 1
        except OSError as error:
            self.faults.append(f"{type(error).__name__}: {error} for {path}")
        finally:
            connection.close()

    def refused(self, connection: http.client.HTTPConnection, path: str, method: str = "GET") -> None:
        """A request that should be refused."""
        self._asked(connection, method, path, _WRONG, {})

    def _asked(
        self,
        connection: http.client.HTTPConnection,
        method: str,
        path: str,
        allowed: tuple[int, ...],
        headers: dict[str, str],
    ) -> tuple[http.client.HTTPResponse, bytes]:
        full = path if "token=" in path else f"{path}{'&' if '?' in path else '?'}token={self.token}"
        connection.request(method, full, headers={name.replace("_", "-"): v for name, v in headers.items()})
        answer = connection.getresponse()
        data = answer.read()
        self.asked[str(answer.status)] += 1
        if answer.status not in allowed:
            self.faults.append(f"{answer.status} to {method} {path}: {data[:200]!r}")
        return answer, data

    def break_off(self, chance: random.Random, path: str) -> None:
        """A connection that says nothing, half of something, or leaves in the middle of the answer."""
        made = socket.create_connection((self.host, self.port), timeout=30)
        line = f"GET {path}{'&' if '?' in path else '?'}token={self.token} HTTP/1.1\r\nHost: {self.host}\r\n\r\n".encode()
        kind = chance.randrange(4)
        if kind == 0:
            made.sendall(line)
            made.recv(chance.choice((1, 1000, 100_000)))
            made.close()
        elif kind == 1:
            made.sendall(bytes(chance.randrange(256) for _ in range(200)))
            made.close()
        else:
            made.sendall(line[: chance.randrange(len(line) - 2)] if kind == 2 else b"")
            self._silent.append(made)
            if len(self._silent) > 40:
                self._silent.popleft().close()
        self.asked["broken off"] += 1

    def ask(self, connection: http.client.HTTPConnection, chance: random.Random) -> None:
        """One request, whatever the page or a mistake would ask."""
        raise NotImplementedError


class Viewer(Served):
    """`modscope view`."""

    def look(self) -> None:
        super().look()
        self.layouts: dict[str, tuple[str, list[int]]] = {}
        self.picks = [
            {"group": offer["group"], "name": offer["name"], "position": position, "order": order}
            for offer in self.description["offers"]
            for position in offer["positions"] or [""]
            for order in offer["orders"] or [""]
        ]

    def ask(self, connection: http.client.HTTPConnection, chance: random.Random) -> None:
        drawn = chance.random()
        if drawn < 0.03:
            self.got(connection, chance.choice(("/", "/keys.json")), Accept_Encoding="gzip")
        elif drawn < 0.10:
            self.refused(connection, *self._wrong(chance))
        elif drawn < 0.13:
            self.break_off(chance, self._slice(connection, chance)[0])
        else:
            self._read(connection, chance)

    def _read(self, connection: http.client.HTTPConnection, chance: random.Random) -> None:
        path, size = self._slice(connection, chance)
        packed = {"Accept-Encoding": "gzip"} if chance.random() < 0.5 else {}
        answer, data = self._asked(connection, "GET", path, _ALLOWED, packed)
        if answer.status == 200 and not packed and len(data) != size:
            self.faults.append(f"{len(data)} bytes instead of {size} to {path}")
        if answer.status == 200 and chance.random() < 0.05:
            tag = answer.headers["etag"]
            again, _ = self._asked(connection, "GET", path, _ALLOWED, {"If-None-Match": tag})
            if again.status != 304:
                self.faults.append(f"{again.status} instead of 304 to {path}")

    def _slice(self, connection: http.client.HTTPConnection, chance: random.Random) -> tuple[str, int]:
        """The address of a slice, most of them over one or two axes, and how many bytes it has."""
        source, shape = self._layout(connection, chance)
        while True:
            count = chance.choice((1, 2, 2, 2, 2, 3, len(shape)))
            keep = chance.sample(range(len(shape)), min(count, len(shape)))
            values = math.prod(shape[axis] for axis in keep)
            if values <= MOST_VALUES and (values < 1 << 20 or chance.random() < 0.3):
                break
        index = [chance.randrange(n) for n in shape]
        query = f"keep={','.join(map(str, keep))}&index={','.join(map(str, index))}"
        return f"/t/{source}?{query}", 4 * values

    def _layout(self, connection: http.client.HTTPConnection, chance: random.Random) -> tuple[str, list[int]]:
        words = urlencode({name: word for name, word in chance.choice(self.picks).items() if word})
        if words not in self.layouts or chance.random() < 0.02:
            (tensor,) = json.loads(self.got(connection, f"/spec.json?{words}"))["tensors"]
            self.layouts[words] = tensor["src"], tensor["shape"]
        return self.layouts[words]

    def _wrong(self, chance: random.Random) -> tuple[str, str]:
        source, shape = self.layouts[chance.choice(list(self.layouts))] if self.layouts else ("x/x/x/x", [1])
        zeros = ",".join("0" for _ in shape)
        return chance.choice(
            (
                ("/?token=wrong", "GET"),
                (f"/t/{source}?keep=0&index={zeros},0", "GET"),
                (f"/t/{source}?keep={len(shape)}&index={zeros}", "GET"),
                (f"/t/{source}?keep=0,0&index={zeros}", "GET"),
                (f"/t/{source}?keep=x&index={zeros}", "GET"),
                (f"/t/{source}?keep=0&index={'9' * 400}", "GET"),
                ("/t/activations/no_such_hook/-/-?keep=0&index=0", "GET"),
                ("/t/%2e%2e/%2e%2e/etc/passwd?keep=0&index=0", "GET"),
                ("/spec.json?name=mlp_pots", "GET"),
                ("/spec.json?group=x", "GET"),
                (f"/{'x' * 3000}", "GET"),
                ("/", "POST"),
            )
        )


class Live(Served):
    """`modscope live`."""

    def ask(self, connection: http.client.HTTPConnection, chance: random.Random) -> None:
        drawn = chance.random()
        if drawn < 0.05:
            self.got(connection, chance.choice(("/", "/epochs")))
        elif drawn < 0.1:
            self.refused(connection, *self._wrong(chance))
        elif drawn < 0.15:
            self.break_off(chance, chance.choice(("/stream", self._frame(chance))))
        else:
            self.got(connection, self._frame(chance))

    def _frame(self, chance: random.Random) -> str:
        offer = chance.choice(self.description["offers"])
        words: dict[str, Any] = {
            "hook": offer["hook"],
            "after": -1,
            "order": chance.choice(self.description["orders"]),
        }
        words["feature"] = ",".join(str(chance.randrange(n)) for n in offer["sizes"])
        if chance.random() < 0.5:
            words["row"] = chance.randrange(self.description["p"])
        return f"/frame?{urlencode(words)}"

    def _wrong(self, chance: random.Random) -> tuple[str, str]:
        return chance.choice(
            (
                ("/frame?hook=no_such_hook", "GET"),
                ("/frame?epoch=x", "GET"),
                ("/frame?feature=99999", "GET"),
                ("/knob", "POST"),
                ("/epochs?token=wrong", "GET"),
                ("/x", "GET"),
            )
        )
