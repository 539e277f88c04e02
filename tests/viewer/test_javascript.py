"""The page's own tests, and that the committed bundle is what its sources build."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BUNDLE = ROOT / "src/modscope/viewer/static/viewer.js"


def run(*command: str) -> None:
    if shutil.which("node") is None:
        pytest.skip("node is not installed: the page's sources cannot be checked")
    if not (ROOT / "js/node_modules").is_dir():
        pytest.skip("js/node_modules is not there: run `npm ci` in js/")
    done = subprocess.run(command, cwd=ROOT / "js", capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]


def test_core_and_display_lists() -> None:
    run("node", "test.mjs")


def test_the_committed_bundle_is_built_from_its_sources() -> None:
    run("node", "build.mjs", "--check")


def test_the_bundle_is_small_and_holds_no_address() -> None:
    text = BUNDLE.read_text("utf-8")
    assert len(text) <= 180_000
    assert not re.search(r"(https?|wss?):\/\/", text)
    assert "export" in text
