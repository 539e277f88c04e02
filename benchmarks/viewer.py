"""Building, opening and moving a page of one tensor [128, 113, 113], beside hvplot and plotly; first paint of a served run.

    python benchmarks/viewer.py [--quick] [--rivals PYTHON]

All sides make one self-contained page with a line over `a` and selectors for `d_model` and `c`. hvplot and plotly run in the
interpreter that --rivals names (default: this one), which needs `pip install plotly hvplot`. plotly writes a frame for
each of the 14464 states, by its figure objects and, as fast as it can, from unchecked dicts. hvplot embeds each state,
so it builds those of one row and its time for all is given in proportion. The last line is the time to build the
page, that of the fastest way of theirs divided by ours. Opening and moving are measured in Chromium
($MODSCOPE_CHROMIUM or the system's) where playwright is installed.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

CHECKPOINTS = 100

# What runs in the rivals' interpreter: builds a page of the first n rows of d_model, prints seconds and bytes.
_RIVALS = {
    "plotly": """
import plotly.graph_objects as go
def build(x, path):
    states = [(i, j) for i in range(x.shape[0]) for j in range(x.shape[1])]
    frames = [go.Frame(name=f"{i},{j}", data=[go.Scatter(y=x[i, j])]) for i, j in states]
    now = dict(mode="immediate", frame=dict(duration=0))
    steps = [dict(label=f.name, method="animate", args=[[f.name], now]) for f in frames]
    figure = go.Figure([go.Scatter(y=x[0, 0])], frames=frames, layout=dict(sliders=[dict(steps=steps)]))
    figure.write_html(path, include_plotlyjs=True)
""",
    "plotly from plain dicts, unchecked": """
import plotly.io
def build(x, path):
    states = [(i, j) for i in range(x.shape[0]) for j in range(x.shape[1])]
    frames = [dict(name=f"{i},{j}", data=[dict(type="scatter", y=x[i, j])]) for i, j in states]
    now = dict(mode="immediate", frame=dict(duration=0))
    steps = [dict(label=f["name"], method="animate", args=[[f["name"]], now]) for f in frames]
    figure = dict(data=[dict(type="scatter", y=x[0, 0])], frames=frames, layout=dict(sliders=[dict(steps=steps)]))
    plotly.io.write_html(figure, path, include_plotlyjs=True, validate=False, auto_open=False)
""",
    "hvplot": """
import bokeh.resources, hvplot.xarray, panel, xarray
def build(x, path):
    array = xarray.DataArray(x, dims=("d_model", "c", "a"), name="x", coords=dict(zip(("d_model", "c", "a"), map(range, x.shape))))
    plot = array.hvplot.line(x="a", groupby=["d_model", "c"], dynamic=False)
    panel.panel(plot).save(path, embed=True, max_states=10**6, max_opts=10**4, progress=False, resources=bokeh.resources.INLINE)
""",
}
_TIMED = """
import sys, time, os, json, numpy as np
x = np.load(sys.argv[1])[: int(sys.argv[3])]
build(x[:1, :2], sys.argv[2])  # imports and first times are not counted
start = time.perf_counter()
build(x, sys.argv[2])
print(json.dumps([time.perf_counter() - start, os.path.getsize(sys.argv[2])]))
"""


def tensor() -> np.ndarray:
    """resid_post of the shipped network in the order (c, a), [128, 113, 113] float32."""
    from modscope import in_order, record
    from modscope.shipped import shipped_network

    shipped = shipped_network()
    x = in_order(record(shipped.model, shipped.task).at("resid_post"), "c", "a")
    return np.ascontiguousarray(x.transpose("d_model", "c", "a").values)


def our_page(x: np.ndarray, path: Path) -> tuple[float, int]:
    import modscope as ms

    start = time.perf_counter()
    ms.show(x, dims=("d_model", "c", "a"), x="a", play="c").save(path)
    return time.perf_counter() - start, path.stat().st_size


def their_page(python: str, name: str, numbers: Path, path: Path, rows: int) -> tuple[float, int] | str:
    """Seconds and bytes of a rival's page of the first rows, or why there is none."""
    command = [python, "-W", "ignore", "-c", _RIVALS[name] + _TIMED, str(numbers), str(path), str(rows)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=240)
    except subprocess.TimeoutExpired:
        return "not done in 240 s"
    if done.returncode:
        return (done.stderr.strip().splitlines() or ["failed"])[-1]
    seconds, size = json.loads(done.stdout.strip().splitlines()[-1])
    return float(seconds), int(size)


def compare_building(x: np.ndarray, folder: Path, *, python: str, quick: bool) -> float:
    """Prints the times to build the page in alternating rounds; the median of the fastest way of theirs over ours."""
    numbers = folder / "x.npy"
    np.save(numbers, x)
    our_page(x, folder / "ours.html")
    ours: list[float] = []
    theirs: dict[str, list[float]] = {}
    for _ in range(1 if quick else 3):
        for name, rows in (("plotly", 128), ("plotly from plain dicts, unchecked", 128), ("hvplot", 1)):
            for _ in range(3):
                seconds, size = our_page(x, folder / "ours.html")
                ours.append(seconds)
            got = their_page(python, name, numbers, folder / f"{name.split()[0]}.html", rows)
            if isinstance(got, str):
                print(f"{name}: not compared: {got}")
                continue
            theirs.setdefault(name, []).append(got[0] * len(x) / rows)
            part = (
                ""
                if rows == len(x)
                else f", in proportion to {rows} of {len(x)} rows ({got[1] / 1e6:.1f} MB)"
            )
            whole = f", {got[1] / 1e6:.1f} MB" if rows == len(x) else ""
            print(
                f"  {name}: {theirs[name][-1]:.2f} s{whole}{part}; ours {seconds:.3f} s, {size / 1e6:.2f} MB"
            )
    mine = statistics.median(ours)
    if not theirs:
        print(
            "nothing to compare with: pip install plotly hvplot, or name a Python that has them with --rivals"
        )
    print(f"building the page of {x.shape}: ours {mine:.3f} s (median of {len(ours)}), {size / 1e6:.2f} MB")
    for name, times in theirs.items():
        print(f"  {name}: {statistics.median(times):.2f} s, {statistics.median(times) / mine:.1f} times ours")
    return min((statistics.median(times) for times in theirs.values()), default=float("nan")) / mine


@contextmanager
def browser() -> Iterator[Any]:
    """A Chromium, or None with the reason printed."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        print("opening and moving: not measured: playwright is not installed")
        yield None
        return
    found = os.environ.get("MODSCOPE_CHROMIUM") or shutil.which("chromium")
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        print(f"Chromium {opened.version}, headless, software rendering")
        yield opened
        opened.close()


_MODEL = "document.querySelector('[data-modscope]').modscope.models[0]"
_READY = "() => { const p = document.querySelector('[data-modscope]')?.shadowRoot?.querySelector('.page[data-ready]'); return p && new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done(performance.now())))); }"
# Frames a second, and the milliseconds of our own work in each.
_FRAMES = """async ([n, dim]) => {
    const model = MODEL, size = model.size(dim), next = () => new Promise(requestAnimationFrame);
    for (let i = 0; i < 10; i++) { model.set(dim, i); await next(); }
    const start = performance.now();
    for (let i = 0; i < n; i++) { model.set(dim, i % size); await next(); }
    return 1000 * n / (performance.now() - start);
}""".replace("MODEL", _MODEL)


def measure_ours(chromium: Any, x: np.ndarray, folder: Path, *, frames: int) -> None:
    """Ready time of our page, and frames a second of several pictures while c is scrubbed."""
    import modscope as ms

    page = chromium.new_page(viewport={"width": 1000, "height": 760})
    times = []
    for _ in range(3):
        page.goto("about:blank")
        page.goto(f"file://{folder}/ours.html")
        times.append(page.wait_for_function(_READY).json_value())
    print(f"ours: ready {statistics.median(times):.0f} ms after navigation")
    named = {"dims": ("d_model", "c", "a"), "x": "a", "play": "c"}
    sixteen = {"dims": ("d_model", "c", "a", "b"), "x": "b", "y": "a", "play": "c", "rows": "d_model"}
    views = {
        "1 wave": ms.show(x, **named),
        "4 waves": ms.show([x, 0.9 * x, 0.8 * x, 0.7 * x], **named, precision="int16"),
        "spectrum": ms.show(x, **named, mode="spectrum"),
        "16 waves": ms.show(x[:16], **named, mode="multiples", rows="d_model"),
        "128 lines": ms.show(x, **named, mode="ridge", rows="d_model"),
        "heat map [113, 113]": ms.show(x, **named, mode="heatmap", y="c"),
    }
    moved = {"heat map [113, 113]": "d_model"}
    for name, view in views.items():
        view.save(folder / "fps.html")
        page.goto(f"file://{folder}/fps.html")
        page.wait_for_function(_READY)
        fps = page.evaluate(_FRAMES, [frames, moved.get(name, "c")])
        print(f"ours: {name}: {fps:.0f} frames a second")
    maps = np.stack([np.roll(x[:16], s, axis=1) for s in range(4)], axis=1)
    ms.show(
        maps, **{**sixteen, "dims": ("d_model", "c", "a", "b")}, mode="multiples", precision="int16"
    ).save(folder / "fps.html")
    page.goto(f"file://{folder}/fps.html")
    page.wait_for_function(_READY)
    print(f"ours: 16 heat maps [113, 113]: {page.evaluate(_FRAMES, [frames, 'c']):.0f} frames a second")
    page.close()


def measure_plotly(chromium: Any, folder: Path, *, frames: int) -> None:
    """The same of plotly's page, if there is one."""
    path = folder / "plotly.html"
    if not path.exists():
        return
    page = chromium.new_page(viewport={"width": 1000, "height": 760})
    page.set_default_timeout(120_000)
    page.goto(f"file://{path}", timeout=120_000)
    ready = page.wait_for_function(
        "() => document.querySelector('.js-plotly-plot .slider-container') && performance.now()"
    )
    milliseconds = ready.json_value()
    fps = page.evaluate(
        """async n => {
            const plot = document.querySelector(".js-plotly-plot");
            const now = { mode: "immediate", frame: { duration: 0, redraw: false }, transition: { duration: 0 } };
            const start = performance.now();
            for (let i = 0; i < n; i++) { await Plotly.animate(plot, [`0,${i % 113}`], now); await new Promise(requestAnimationFrame); }
            return 1000 * n / (performance.now() - start);
        }""",
        min(frames, 30),
    )
    print(f"plotly: ready {milliseconds:.0f} ms after navigation, {fps:.1f} frames a second over c")
    page.close()


def write_run(folder: Path) -> Path:
    """A run folder with 100 checkpoints of the published size, p = 113."""
    from modscope.model import Transformer, TransformerConfig
    from modscope.runs.folder import RunFolder
    from modscope.task import ModularTask

    task, config = ModularTask(113), TransformerConfig(113)
    with RunFolder.create(folder / "run", recipe="", environment={}) as run:
        for i in range(CHECKPOINTS):
            run.write_checkpoint(Transformer.initialised(config, seed=i), task, {"epoch": 100 * i})
    return folder / "run"


_PAINTED = "() => { const m = document.querySelector('main')?.modscope?.models[0]; return m?.lines() && new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done(performance.now())))); }"


def measure_serving(chromium: Any, folder: Path) -> None:
    """From the command to its first answer, and from opening the address to the first picture."""
    run = write_run(folder)
    command = [sys.executable, "-m", "modscope", "view", str(run), "--no-open"]
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        address = next(found.group() for line in process.stdout if (found := re.search(r"http://\S+", line)))
        urllib.request.urlopen(urllib.request.Request(address, headers={"Accept": "text/html"})).read()
        answered = time.perf_counter() - start
        urllib.request.urlopen(address).read()
        started = time.perf_counter() - start
        page = chromium.new_page(viewport={"width": 1000, "height": 760})
        begin = time.perf_counter()
        page.goto(address)
        page.wait_for_function(_PAINTED)
        first = time.perf_counter() - begin
        sent = page.evaluate(
            "() => performance.getEntriesByType('resource').reduce((n, e) => n + e.encodedBodySize, 0)"
        )
        page.reload()
        again = page.wait_for_function(_PAINTED).json_value()
        print(
            f"modscope view, {CHECKPOINTS} checkpoints: first answer after {answered:.2f} s (the page that says what is being "
            f"opened), the run's page after {started:.2f} s, its first picture {first:.2f} s after "
            f"opening it ({sent / 1e3:.0f} kB of numbers), {again / 1e3:.2f} s on a reload"
        )
    finally:
        process.terminate()
        process.wait(10)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="one round, fewer frames")
    parser.add_argument("--rivals", default=sys.executable, help="the Python that has plotly and hvplot")
    arguments = parser.parse_args()
    x = tensor()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        ratio = compare_building(x, folder, python=arguments.rivals, quick=arguments.quick)
        with browser() as chromium:
            if chromium is not None:
                frames = 60 if arguments.quick else 300
                measure_ours(chromium, x, folder, frames=frames)
                if not arguments.quick:
                    measure_plotly(chromium, folder, frames=frames)
                measure_serving(chromium, folder)
    print(f"viewer ratio {ratio:.1f}")


if __name__ == "__main__":
    main()
