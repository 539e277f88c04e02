"""The live widget in JupyterLab and marimo themselves, each with its kernel; slow, and only where these are installed.

MODSCOPE_FRONT_ENDS names a folder with the commands `jupyter-lab` and `marimo` if they are not on the path; anywidget has
to be installed beside them.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.viewer.test_front_ends import command, free_port, served

pytestmark = [pytest.mark.browser, pytest.mark.slow]

# 5.1 MB: more than is sent whole, so the numbers come slice by slice.
CODE = """import numpy as np, modscope as ms
n, c, a = np.ogrid[:1300, :31, :31]
w = ms.show(np.cos(2 * np.pi * 4 * (a - c / 2) / 31) * (1 + n), dims=("neuron", "c", "a"), live=True, select={"neuron": 2})
w"""


def test_a_live_view_in_jupyterlab_tells_its_kernel(screen: Any, tmp_path: Path) -> None:
    lab, port = command("jupyter-lab"), free_port()
    cells = [CODE, "print('told', w.index, w.data == b'')", "w.index = {'c': 9}"]
    book = {
        "cells": [
            {
                "cell_type": "code",
                "id": str(i),
                "metadata": {},
                "source": text,
                "outputs": [],
                "execution_count": None,
            }
            for i, text in enumerate(cells)
        ],
        "metadata": {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    (tmp_path / "live.ipynb").write_text(json.dumps(book))
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
    page.set_default_timeout(60_000)
    with served([lab, *options], f"{url}/api", tmp_path):
        page.goto(f"{url}/lab/tree/live.ipynb")
        page.locator(".jp-Notebook .jp-CodeCell").first.click(timeout=90_000)
        page.keyboard.press("Shift+Enter")
        card = page.locator(".jp-OutputArea .card")
        card.wait_for(timeout=120_000)
        page.wait_for_function(
            "() => [...document.querySelectorAll('.jp-OutputArea *')].some(e => e.shadowRoot?.querySelector('canvas')?.getAttribute('aria-label'))"
        )
        card.focus()
        for _ in range(3):
            page.keyboard.press("ArrowRight")
        assert page.locator(".caption").inner_text() == "x[neuron=2, c=13, :]"
        page.wait_for_timeout(1000)
        run(page, 1)
        page.get_by_text("told {'neuron': 2, 'c': 13, 'a': 0} True").wait_for()
        run(page, 2)
        page.locator(".caption", has_text="x[neuron=2, c=9, :]").wait_for()
    page.close()


def run(page: Any, number: int) -> None:
    page.locator(".jp-Notebook .jp-CodeCell").nth(number).locator(".jp-InputArea-editor").click()
    page.keyboard.press("Shift+Enter")


def test_a_live_view_in_marimo_comes_slice_by_slice(screen: Any, tmp_path: Path) -> None:
    marimo, port = command("marimo"), free_port()
    body = "\n".join(f"    {line}" for line in CODE.splitlines())
    (tmp_path / "live.py").write_text(
        f"import marimo\n\napp = marimo.App()\n\n\n@app.cell\ndef _():\n{body}\n    return\n"
    )
    page = screen.context.new_page()
    page.set_default_timeout(60_000)
    arguments = [marimo, "--yes", "run", "live.py", "--headless", "--no-token", "--port", str(port)]
    with served(arguments, f"http://127.0.0.1:{port}/health", tmp_path):
        page.goto(f"http://127.0.0.1:{port}")
        card = page.locator(".card")
        card.wait_for(timeout=120_000)
        card.focus()
        page.keyboard.press("ArrowRight")
        assert page.locator(".caption").inner_text() == "x[neuron=2, c=11, :]"
        box = page.locator("canvas").bounding_box()
        page.mouse.move(box["x"] + 0.6 * box["width"], box["y"] + 0.5 * box["height"])
        page.locator(".tip div").first.wait_for()
    page.close()
