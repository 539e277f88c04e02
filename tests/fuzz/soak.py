"""`python -m tests.fuzz.soak --minutes 60 --kills 1000`: trainings that are killed at random moments, servers under requests.

Each training is killed again and again (KILL, TERM, INT, HUP in turn) and gone on with until it ends, and must end at
the bits of one that was not disturbed. This takes at most half of the time. For the rest of it several threads ask
four servers for whatever their pages ask for, wrong things among them, and break connections off: `modscope view` of the network that
ships, of a run with several checkpoints and of a wide network whose activations are larger than what is kept, and
`modscope live`. No answer may be a fault, and no server's memory in the last tenth of the time may be more than 1.1 times that in
the second tenth, nor may what is left of 200 large slices that are asked for at once. A line a minute says how it stands; Ctrl-C ends it with what was done so far.
"""

from __future__ import annotations

import argparse
import http.client
import random
import signal
import statistics
import sys
import tempfile
import threading
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from tests.fuzz.forked import exit_code_of
from tests.fuzz.killing import ENGINES, SIZES, TRAIN, Kills, trained
from tests.fuzz.served import Live, Served, Viewer
from tests.fuzz.telling import EveryMinute

GROWTH = 1.1  # of a server's memory from the second tenth of the time to the last
THREADS = 6
BURST = 200
LARGE = "/t/activations/mlp_post/{at}/c%2Ca?keep=1,2,3&index={e},0,0,0"


def main() -> int:
    reader = argparse.ArgumentParser(prog="python -m tests.fuzz.soak", description=__doc__)
    reader.add_argument("--minutes", type=float, default=60)
    reader.add_argument("--kills", type=int, default=1000, help="0: requests all the time")
    reader.add_argument("--seed", type=int, default=0)
    reader.add_argument("--engine", default=",".join(ENGINES), help="engines that train in turn")
    options = reader.parse_args()
    # A shell that starts this in the background has Ctrl-C ignored, here and in all that is started from here.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    start, chance = time.monotonic(), random.Random(options.seed)
    with tempfile.TemporaryDirectory() as place:
        kills = Kills(Path(place), chance, tuple(options.engine.split(",")))
        requests = Requests(Path(place), chance)
        said = EveryMinute()
        try:
            kills.until(options.kills, start + 30 * options.minutes, said)
            requests.until(start + 60 * options.minutes, said)
            ended = True
        except KeyboardInterrupt:
            ended = False
        took = (time.monotonic() - start) / 60
    print(
        f"{took:.1f} minutes{'' if ended else ', interrupted'}\n{kills}: the same bits, losses and measures"
    )
    print("\n".join(requests.lines()))
    return 130 if not ended else int(not requests.well)


@dataclass
class Requests:
    """Servers, what each held after how many seconds, and what went wrong."""

    place: Path
    chance: random.Random
    servers: list[Served] = field(default_factory=list)
    samples: list[tuple[float, list[int]]] = field(default_factory=list)
    peaks: list[int] = field(default_factory=list)
    rest: list[int] = field(default_factory=list)
    burst: tuple[int, int] | None = None
    seconds: float = 0.0

    def until(self, end: float, said: EveryMinute) -> None:
        with ExitStack() as stack:
            self.servers = _servers(self.place)
            for server in self.servers:
                stack.enter_context(server)
            start, stop = time.monotonic(), threading.Event()
            end = max(end, start + 30)
            threads = [
                threading.Thread(target=self._ask, args=(self.chance.randrange(10**9), stop))
                for _ in range(THREADS)
            ]
            for thread in threads:
                thread.start()
            try:
                while (now := time.monotonic()) < end:
                    self.seconds = now - start
                    self.samples.append((self.seconds, [s.memory for s in self.servers]))
                    said.tell(self._standing)
                    time.sleep(min(1.0, (end - start) / 200))
            finally:
                stop.set()
                for thread in threads:
                    thread.join(150)
                time.sleep(5)
                self.rest = [server.memory for server in self.servers]
                self.peaks = [server.peak for server in self.servers]
            self.burst = self._burst(self.servers[0])

    def _burst(self, server: Served) -> tuple[int, int]:
        """The most bytes a server holds while it is asked for 200 large slices at once, and what it holds afterwards."""
        threads = [
            threading.Thread(
                target=server.take,
                args=(LARGE.format(e=number % 11, at=("%3D", "a")[number % 2]),),
                daemon=True,
            )
            for number in range(BURST)
        ]
        for thread in threads:
            thread.start()
        most = 0
        while any(thread.is_alive() for thread in threads):
            most = max(most, server.memory)
            time.sleep(0.05)
        time.sleep(5)
        return most, server.memory

    def _ask(self, seed: int, stop: threading.Event) -> None:
        chance, connections = random.Random(seed), {}
        while not stop.is_set():
            # The network that ships is what most of the requests are for.
            server = chance.choice((self.servers[0], *self.servers))
            if server.name not in connections or chance.random() < 0.02:
                connections[server.name] = http.client.HTTPConnection(server.host, server.port, timeout=120)
            try:
                server.ask(connections[server.name], chance)
            except (http.client.RemoteDisconnected, ConnectionError):
                # A connection kept open is closed by the server after ten seconds without a request.
                connections.pop(server.name).close()
            except Exception as error:
                connections.pop(server.name).close()
                server.faults.append(f"{type(error).__name__}: {error}")

    def _standing(self) -> str:
        held = ", ".join(f"{s.name} {s.memory / 1e6:.0f} MB" for s in self.servers)
        faults = sum(len(server.faults) for server in self.servers)
        return f"{self.count} requests, {faults} faults; {held}"

    @property
    def count(self) -> int:
        return sum(sum(server.asked.values()) for server in self.servers)

    def memory(self, number: int, first: float, last: float) -> float:
        """The median of what a server held in a part of the time, in bytes."""
        held = [
            sizes[number] for at, sizes in self.samples if first * self.seconds <= at <= last * self.seconds
        ]
        return statistics.median(held) if held else float("nan")

    def growth(self, number: int) -> float:
        return self.memory(number, 0.9, 1.0) / self.memory(number, 0.1, 0.2)

    @property
    def well(self) -> bool:
        flat = all(self.growth(number) <= GROWTH for number in range(len(self.servers)))
        if self.burst is not None:
            flat = flat and self.burst[1] <= GROWTH * self.rest[0]
        return flat and not any(server.faults for server in self.servers)

    def lines(self) -> list[str]:
        said = [f"{self.count} requests in {self.seconds / 60:.1f} minutes by {THREADS} threads"]
        for number, server in enumerate(self.servers if self.rest else ()):
            early, late = self.memory(number, 0.1, 0.2) / 1e6, self.memory(number, 0.9, 1.0) / 1e6
            peak, rest = self.peaks[number] / 1e6, self.rest[number] / 1e6
            answers = ", ".join(f"{count} x {what}" for what, count in sorted(server.asked.items()))
            said.append(
                f"  {server.name}: {early:.0f} MB in the second tenth, {late:.0f} MB in the last, {rest:.0f} MB afterwards, at most {peak:.0f} MB; {answers}"
            )
            said += [f"    {fault}" for fault in server.faults[:20]]
        if self.burst is not None:
            most, left = self.burst
            said.append(
                f"{BURST} slices of 26 MB at once: at most {most / 1e6:.0f} MB, {left / 1e6:.0f} MB afterwards"
            )
        return said


def _servers(place: Path) -> list[Served]:
    """The servers, with what they show."""
    assert exit_code_of(trained, (*TRAIN, *SIZES, "--out", str(place / "shown"))) == 0
    assert exit_code_of(_write_wide, place / "wide.safetensors") == 0
    live = ("--preset", "quick", "--p", "11", "--steps", "2000", *SIZES, "--out", str(place / "live"))
    return [
        Viewer("view", ("view",)),
        Viewer("view of a run", ("view", str(place / "shown"))),
        Viewer("view of a wide network", ("view", str(place / "wide.safetensors"))),
        Live("live", ("live", *live)),
    ]


def _write_wide(path: Path) -> None:
    from modscope.checkpoints import save_safetensors
    from modscope.model import Transformer, TransformerConfig
    from modscope.task import ModularTask

    network = Transformer.initialised(TransformerConfig(67, d_mlp=16384))
    save_safetensors(path, network, ModularTask(67), {"epoch": 0})


if __name__ == "__main__":
    sys.exit(main())
