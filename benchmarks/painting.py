"""Main-thread time of one paint of the viewer, by kind of picture, while the played axis moves.

    python benchmarks/painting.py [--frames N] [--ratio R]

Chromium ($MODSCOPE_CHROMIUM or the system's), headless, software rendering. The time is the browser's own count of what its
main thread did (tasks of script, layout and painting) between two readings, divided by the frames between them; load of
the machine lengthens it. `--ratio` is the device pixel ratio. Data: waves over 113 residues, seed 0.
"""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

import modscope as ms
from modscope.viewer import View

P = 113
_MODEL = "document.querySelector('[data-modscope]').modscope.models[0]"
_MOVE = """async ([n, dim]) => {
  const m = MODEL, size = m.size(dim), next = () => new Promise(requestAnimationFrame);
  const start = performance.now();
  for (let i = 0; i < n; i++) { m.set(dim, i % size); await next(); }
  return 1000 * n / (performance.now() - start);
}""".replace("MODEL", _MODEL)


def pictures() -> dict[str, tuple[View, str]]:
    """Each kind of picture, and the axis that moves it."""
    rng = np.random.default_rng(0)
    c, a = np.arange(P)[:, None], np.arange(P)[None, :]
    waves = np.stack([np.cos(2 * np.pi * (1 + k % 56) * (a - c / 2) / P) for k in range(512)])
    waves = (waves * (1 + rng.random((512, P, 1)))).astype(np.float32)
    named: dict[str, Any] = {"dims": ("neuron", "c", "a"), "p": P, "x": "a", "play": "c"}
    rows = {**named, "rows": "neuron"}
    maps = np.stack([np.roll(waves[:16], s, axis=1) for s in range(4)], axis=1)
    kinds = {"precision": "int16"}
    return {
        "one wave": (ms.show(waves[:8], **named), "c"),
        "four waves": (ms.show([waves[:8] * f for f in (1, 0.9, 0.8, 0.7)], **named, **kinds), "c"),
        "ten waves": (ms.show([waves[:8] * (1 - 0.05 * i) for i in range(10)], **named, **kinds), "c"),
        "spectrum": (ms.show(waves[:8], **named, mode="spectrum"), "c"),
        "heat map": (ms.heatmap(waves[:8], **{**named, "play": "neuron"}, y="c"), "neuron"),
        "16 heat maps": (
            ms.show(
                maps,
                dims=("neuron", "s", "c", "a"),
                x="a",
                y="c",
                play="s",
                rows="neuron",
                mode="multiples",
                **kinds,
            ),
            "s",
        ),
        "128 multiples": (ms.show(waves[:128], **rows, mode="multiples", **kinds), "c"),
        "128 ridges": (ms.show(waves[:128], **rows, mode="ridge", **kinds), "c"),
        "512 ridges": (ms.show(waves, **rows, mode="ridge", **kinds), "c"),
        "20,000 samples": (
            ms.show(rng.standard_normal((64, 20_000)).astype(np.float32), dims=("row", "sample")),
            "row",
        ),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, default=120)
    parser.add_argument("--ratio", type=float, default=1.0)
    arguments = parser.parse_args()
    from playwright.sync_api import sync_playwright

    found = os.environ.get("MODSCOPE_CHROMIUM") or shutil.which("chromium")
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as name:
        chromium = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        context = chromium.new_context(
            viewport={"width": 1000, "height": 760}, device_scale_factor=arguments.ratio
        )
        print(
            f"Chromium {chromium.version}, {os.getloadavg()[0]:.1f} processes ready to run on {os.cpu_count()} cores"
        )
        for kind, (view, axis) in pictures().items():
            page = context.new_page()
            page.goto(f"file://{view.save(Path(name) / 'view.html')}")
            page.wait_for_selector('.page[data-ready="true"]')
            page.evaluate(_MOVE, [10, axis])
            client = context.new_cdp_session(page)
            client.send("Performance.enable")

            def spent(client: Any = client) -> float:
                metrics = client.send("Performance.getMetrics")["metrics"]
                return float(next(one["value"] for one in metrics if one["name"] == "TaskDuration"))

            before = spent()
            fps = page.evaluate(_MOVE, [arguments.frames, axis])
            print(
                f"{kind:16} {1000 * (spent() - before) / arguments.frames:6.1f} ms  {fps:5.0f} frames a second",
                flush=True,
            )
            page.close()
        chromium.close()


if __name__ == "__main__":
    main()
