"""Firefox as it is installed, driven over its own remote protocol: no other program between it and the test."""

from __future__ import annotations

import json
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.processes import running

KEYS = {"ArrowRight": "\ue014", "ArrowLeft": "\ue012"}


class Firefox:
    """One window. Messages are "length:[0, number, command, parameters]", answers "length:[1, number, error, result]"."""

    def __init__(self, port: int) -> None:
        self._line = socket.create_connection(("127.0.0.1", port), timeout=90)
        self._number = 0
        self._read()
        self.ask("WebDriver:NewSession", {"capabilities": {"alwaysMatch": {"timeouts": {"script": 60_000}}}})

    def _read(self) -> Any:
        head = b""
        while not head.endswith(b":"):
            head += self._got(1)
        return json.loads(self._got(int(head[:-1])))

    def _got(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            piece = self._line.recv(count - len(data))
            assert piece, "Firefox ended"
            data += piece
        return data

    def ask(self, command: str, parameters: dict[str, Any]) -> Any:
        """The result of a command."""
        self._number += 1
        text = json.dumps([0, self._number, command, parameters]).encode()
        self._line.sendall(b"%d:%s" % (len(text), text))
        _, _, error, result = self._read()
        assert error is None, error
        return result

    def goto(self, address: str) -> None:
        self.ask("WebDriver:Navigate", {"url": address})

    def run(self, script: str, *arguments: object) -> Any:
        """What an asynchronous function's body returns in the page."""
        body = f"const done = arguments[arguments.length - 1]; (async () => {{ {script} }})().then(done, error => done('wrong: ' + error));"
        found = self.ask("WebDriver:ExecuteAsyncScript", {"script": body, "args": list(arguments)})["value"]
        assert not str(found).startswith("wrong: "), found
        return found

    def until(self, condition: str, *arguments: object) -> None:
        """Waits in the page until a condition is true."""
        self.run(
            f"while (!({condition})) await new Promise(done => setTimeout(done, 20)); return true;",
            *arguments,
        )

    def press(self, key: str) -> None:
        value = KEYS.get(key, key)
        actions = [{"type": "keyDown", "value": value}, {"type": "keyUp", "value": value}]
        self.ask("WebDriver:PerformActions", {"actions": [{"type": "key", "id": "keys", "actions": actions}]})

    def point(self, *steps: tuple[str, float, float]) -> None:
        """The mouse: ("move" | "down" | "up", x, y) in pixels of the page."""
        actions = []
        for kind, x, y in steps:
            actions.append({"type": "pointerMove", "x": round(x), "y": round(y), "duration": 0})
            if kind != "move":
                actions.append({"type": f"pointer{kind.capitalize()}", "button": 0})
        source = {
            "type": "pointer",
            "id": "mouse",
            "parameters": {"pointerType": "mouse"},
            "actions": actions,
        }
        self.ask("WebDriver:PerformActions", {"actions": [source]})

    def end(self) -> None:
        self._line.close()


@contextmanager
def firefox(program: str, profile: Path) -> Iterator[Firefox | None]:
    """A Firefox without a window, on a profile of its own; None where it does not start within a minute and a half."""
    profile.mkdir()
    (profile / "user.js").write_text(
        'user_pref("marionette.port", 0);\nuser_pref("browser.shell.checkDefaultBrowser", false);\n'
        'user_pref("datareporting.policy.dataSubmissionEnabled", false);\nuser_pref("app.update.enabled", false);\n'
    )
    command = [program, "--headless", "--no-remote", "--profile", str(profile), "--marionette"]
    command += ["--width", "1000", "--height", "800"]
    quiet = dict.fromkeys(("stdout", "stderr"), subprocess.DEVNULL)
    with running(command, patience=15.0, **quiet) as process:
        told, end = profile / "MarionetteActivePort", time.monotonic() + 90
        while not (told.is_file() and told.read_text().strip()) and time.monotonic() < end:
            assert process.poll() is None, "Firefox did not start"
            time.sleep(0.05)
        if not told.is_file():
            yield None
            return
        one = Firefox(int(told.read_text()))
        yield one
        one.end()
