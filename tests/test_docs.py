"""The documents lead somewhere: each relative link names a file, each command an existing one."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from typer.main import get_command

from modscope.cli import app

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("benchmarks/*.md")]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_relative_links_name_files(document: Path) -> None:
    text = document.read_text()
    links = re.findall(r"\]\(([^)#\s]+)", text) + re.findall(r'src="([^"]+)"', text)
    missing = [
        link for link in links if "://" not in link and not (document.parent / link).resolve().exists()
    ]
    assert not missing, f"{document.name} links to {', '.join(missing)}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_commands_exist(document: Path) -> None:
    commands = get_command(app).commands  # type: ignore[attr-defined]
    named = set(re.findall(r"`modscope ([a-z]+)", document.read_text()))
    assert named <= set(commands), f"{document.name} names {', '.join(sorted(named - set(commands)))}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_scripts_exist(document: Path) -> None:
    scripts = re.findall(r"python ((?:tools|benchmarks)/\w+\.py)", document.read_text())
    missing = [script for script in scripts if not (ROOT / script).is_file()]
    assert not missing, f"{document.name} runs {', '.join(missing)}"
