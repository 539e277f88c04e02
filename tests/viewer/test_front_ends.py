"""Journeys through JupyterLab, Notebook 7, nbconvert and marimo: run, play, save, reopen; slow, and only where these are installed.

MODSCOPE_FRONT_ENDS names a folder with the commands `jupyter-lab`, `jupyter-notebook`, `jupyter-nbconvert` and `marimo`, if they are not
on the path.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.processes import running

pytestmark = [pytest.mark.browser, pytest.mark.slow]

ROOT = Path(__file__).resolve().parents[2]
CODE = """import numpy as np, modscope as ms
c, a = np.arange(31)[:, None], np.arange(31)[None, :]
x = np.cos(2 * np.pi * 4 * (a - c / 2) / 31)
ms.show(x, dims=("c", "a"), title="Even about c/2")"""
AGAIN = 'ms.show(x, dims=("c", "a"), title="Again")'


def command(name: str) -> str:
    found = shutil.which(name, path=os.environ.get("MODSCOPE_FRONT_ENDS")) or shutil.which(name)
    if not found:
        pytest.skip(f"{name} is not installed; set MODSCOPE_FRONT_ENDS to the folder that has it")
    return found


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@contextmanager
def served(arguments: list[str], url: str, folder: Path) -> Iterator[None]:
    env = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "HOME": str(folder), "JUPYTER_PREFER_ENV_PATH": "1"}
    with (
        (folder / "server.log").open("w") as log,
        running(arguments, cwd=folder, env=env, stdout=log, stderr=log, patience=10.0) as server,
    ):
        for _ in range(240):
            try:
                urllib.request.urlopen(url, timeout=2).close()
                break
            except OSError:
                assert server.poll() is None, (folder / "server.log").read_text()[-2000:]
                time.sleep(0.5)
        yield


def notebook(path: Path) -> dict[str, Any]:
    cells = [
        {
            "cell_type": "code",
            "id": name,
            "metadata": {},
            "source": code,
            "outputs": [],
            "execution_count": None,
        }
        for name, code in (("one", CODE), ("two", AGAIN))
    ]
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    book = {"cells": cells, "metadata": kernel, "nbformat": 4, "nbformat_minor": 5}
    path.write_text(json.dumps(book))
    return book


def step(page: Any) -> str:
    """Plays one step in the first view and gives its caption."""
    frame = page.frame_locator("iframe[srcdoc]").first
    frame.locator('.page[data-ready="true"]').wait_for(timeout=60_000)
    frame.locator(".card").focus()
    page.keyboard.press("ArrowRight")
    return str(frame.locator(".caption").inner_text())


def second_is_there(page: Any) -> None:
    """The second view has found its numbers in the output of the first."""
    frame = page.frame_locator("iframe[srcdoc]").nth(1)
    frame.locator('.page[data-ready="true"]').wait_for(timeout=60_000)
    assert frame.locator("h2").inner_text() == "Again"


@pytest.mark.parametrize(("name", "tree"), [("jupyter-lab", "lab/tree"), ("jupyter-notebook", "notebooks")])
def test_jupyter_runs_plays_saves_and_reopens(screen: Any, tmp_path: Path, name: str, tree: str) -> None:
    lab, port = command(name), free_port()
    notebook(tmp_path / "one.ipynb")
    url = f"http://127.0.0.1:{port}"
    options = [
        "--no-browser",
        "--allow-root",
        f"--port={port}",
        "--IdentityProvider.token=",
        "--ServerApp.disable_check_xsrf=True",
        "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
    ]
    page = screen.context.new_page()
    page.set_default_navigation_timeout(120_000)
    with served([lab, *options], f"{url}/api", tmp_path):
        page.goto(f"{url}/{tree}/one.ipynb")
        page.locator(".jp-Notebook .jp-CodeCell").first.click(timeout=90_000)
        page.keyboard.press("Shift+Enter")
        page.locator("iframe[srcdoc]").first.wait_for(timeout=120_000)
        assert step(page) == "x[c=11, :]"
        page.locator(".jp-Notebook .jp-CodeCell .jp-InputArea").nth(1).click()
        page.keyboard.press("Shift+Enter")
        second_is_there(page)
        page.locator(".jp-Notebook").click(position={"x": 5, "y": 5})
        page.keyboard.press("Control+s")
        output = wait_for_output(tmp_path / "one.ipynb")
        assert set(output["data"]) == {"text/html", "text/plain"}
        (again,) = json.loads((tmp_path / "one.ipynb").read_text())["cells"][1]["outputs"]
        html = "".join(again["data"]["text/html"])
        assert 'data-carries=""' in html, "the second output has neither numbers nor viewer of its own"

        for session in json.load(urllib.request.urlopen(f"{url}/api/sessions")):
            request = urllib.request.Request(f"{url}/api/sessions/{session['id']}", method="DELETE")
            urllib.request.urlopen(request).close()
        page.goto("about:blank")
        page.goto(f"{url}/{tree}/one.ipynb?reset")
        page.locator("iframe[srcdoc]").first.wait_for(timeout=90_000)
        assert step(page) == "x[c=11, :]", "the saved output moves without the kernel that made it"
        second_is_there(page)

        book = json.loads((tmp_path / "one.ipynb").read_text())
        book["cells"][0]["source"] = "1 + 1  # not what was run and signed"
        (tmp_path / "other.ipynb").write_text(json.dumps(book))
        page.goto("about:blank")
        page.goto(f"{url}/{tree}/other.ipynb?reset")
        still = page.locator(".jp-OutputArea img").first
        still.wait_for(timeout=90_000)
        assert still.evaluate("e => e.naturalWidth") > 300
        assert page.locator("iframe[srcdoc]").count() == 0
        assert "Even about c/2" in page.locator(".jp-OutputArea").first.inner_text()
    page.close()


def wait_for_output(path: Path) -> dict[str, Any]:
    for _ in range(60):
        # What else is told while it runs (of fonts, say) is a stream.
        outputs = json.loads(path.read_text())["cells"][0]["outputs"]
        if views := [one for one in outputs if "data" in one]:
            return dict(views[0])
        time.sleep(0.5)
    raise AssertionError("the notebook was not saved with its output")


def test_nbconvert_keeps_the_view_alive(screen: Any, tmp_path: Path) -> None:
    convert = command("jupyter-nbconvert")
    notebook(tmp_path / "one.ipynb")
    env = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "HOME": str(tmp_path)}
    run = [convert, "--to", "html", "--execute", "one.ipynb"]
    subprocess.run(run, cwd=tmp_path, env=env, check=True, capture_output=True, timeout=300)
    page = screen.context.new_page()
    page.goto(f"file://{tmp_path}/one.html")
    assert step(page) == "x[c=11, :]"
    second_is_there(page)
    page.close()


def test_marimo_shows_the_view(screen: Any, tmp_path: Path) -> None:
    marimo, port = command("marimo"), free_port()
    body = "\n".join(f"    {line}" for line in CODE.splitlines())
    (tmp_path / "one.py").write_text(
        f"import marimo\n\napp = marimo.App()\n\n\n@app.cell\ndef _():\n{body}\n    return\n"
    )
    page = screen.context.new_page()
    arguments = [marimo, "--yes", "run", "one.py", "--headless", "--no-token", "--port", str(port)]
    with served(arguments, f"http://127.0.0.1:{port}/health", tmp_path):
        page.goto(f"http://127.0.0.1:{port}")
        page.locator("iframe[srcdoc]").first.wait_for(timeout=120_000)
        assert step(page) == "x[c=11, :]"
    page.close()
