"""Main-thread time of one paint of the viewer, by kind of picture, while it plays one step each display frame.

    python benchmarks/painting.py [--frames N] [--pairs N] [--ratio R] [--against OLD/viewer.js]

Run it under `chrt -f 10` on a machine that does other work: only then the figures are those of the viewer.
Chromium ($MODSCOPE_CHROMIUM or the system's), headless, software rendering. The time is the browser's own count of what its
main thread did (tasks of script, layout and painting) between two readings, divided by the paints between them. `--ratio`
is the device pixel ratio; `--against` measures another bundle in turn with the present one. Data: waves over 113 residues, seed 0.
"""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

import modscope as ms
from modscope.viewer import View, html

P = 113
_MODEL = "document.querySelector('[data-modscope]').modscope.models[0]"
# After opening: until the numbers are there and one frame later.
_READY = """async () => {
  const holder = document.querySelector('[data-modscope]');
  while (!holder.modscope) await new Promise(requestAnimationFrame);
  await holder.modscope.ready;
  await new Promise(requestAnimationFrame);
  return performance.now();
}"""
# Plays so fast that every display frame is a step; resolves after n frames to the paints and how long they took.
_PLAY = """async ([n, dim]) => {
  const m = MODEL, next = () => new Promise(requestAnimationFrame);
  m.assign("play", dim);
  m.state.seconds.value = m.size(dim) / 64;
  await next();
  const card = document.querySelector('[data-modscope]').shadowRoot.querySelector('.card');
  const key = () => card.dispatchEvent(new KeyboardEvent('keydown', {key: ' ', bubbles: true}));
  key();
  let [paints, at] = [0, m.index[dim].value];
  const start = performance.now();
  for (let i = 0; i < n; i++) { await next(); if (m.index[dim].value !== at) { paints++; at = m.index[dim].value; } }
  const took = performance.now() - start;
  key();
  return [paints, took];
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
        "10,000,000 numbers, wave": (
            ms.show(
                (big := rng.standard_normal((500, 20_000)).astype(np.float32)),
                dims=("row", "sample"),
                precision="int16",
            ),
            "row",
        ),
        "10,000,000 numbers, heat map": (
            ms.heatmap(big.reshape(10, 1000, 1000), dims=("s", "y", "x"), precision="int16"),
            "s",
        ),
    }


def opened(context: Any, view: View, folder: Path, bundle: str | None) -> tuple[Any, float]:
    """A page with a view, with another bundle in place of the present one where it is given, and after how many
    milliseconds its numbers were there.
    """
    path = view.save(folder / "view.html")
    if bundle is not None:
        now = html.bundle().replace("</script", "<\\/script")
        path.write_text(
            path.read_text("utf-8").replace(now, bundle.replace("</script", "<\\/script")), "utf-8"
        )
    page = context.new_page()
    page.goto(f"file://{path}")
    ready = page.evaluate(_READY)
    return page, ready


def time_of_a_paint(context: Any, page: Any, axis: str, frames: int) -> tuple[float, float]:
    """Milliseconds of the main thread for one paint, and paints a second."""
    page.evaluate(_PLAY, [10, axis])
    client = context.new_cdp_session(page)
    client.send("Performance.enable")

    def spent() -> float:
        metrics = client.send("Performance.getMetrics")["metrics"]
        return float(next(one["value"] for one in metrics if one["name"] == "TaskDuration"))

    before = spent()
    paints, took = page.evaluate(_PLAY, [frames, axis])
    return 1000 * (spent() - before) / paints, 1000 * paints / took


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, default=60)
    parser.add_argument("--ratio", type=float, default=1.0)
    parser.add_argument(
        "--pairs", type=int, default=3, help="times each picture is measured; the median counts"
    )
    parser.add_argument(
        "--against", type=Path, help="another viewer.js, measured in turn with the present one"
    )
    parser.add_argument("--only", action="append", help="the name of a picture; may be given several times")
    arguments = parser.parse_args()
    from playwright.sync_api import sync_playwright

    found = os.environ.get("MODSCOPE_CHROMIUM") or shutil.which("chromium")
    bundles = [None, arguments.against.read_text("utf-8")] if arguments.against else [None]
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as name:
        chromium = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        context = chromium.new_context(
            viewport={"width": 1000, "height": 760}, device_scale_factor=arguments.ratio
        )
        print(
            f"Chromium {chromium.version}, {os.getloadavg()[0]:.1f} processes ready to run on {os.cpu_count()} cores"
        )
        for kind, (view, axis) in pictures().items():
            if arguments.only and kind not in arguments.only:
                continue
            got: list[list[tuple[float, float, float]]] = [[] for _ in bundles]
            for _ in range(arguments.pairs):
                for times, bundle in zip(got, bundles, strict=True):
                    page, ready = opened(context, view, Path(name), bundle)
                    times.append((*time_of_a_paint(context, page, axis, arguments.frames), ready))
                    page.close()
            told = "   against ".join(
                f"{median(one[0] for one in times):6.1f} ms {median(one[1] for one in times):4.0f} a second,"
                f" ready after {median(one[2] for one in times) / 1000:.2f} s"
                for times in got
            )
            print(f"{kind:29} {told}", flush=True)
        chromium.close()


if __name__ == "__main__":
    main()
