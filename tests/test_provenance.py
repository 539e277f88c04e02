"""The commit that a result names."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import modscope
from modscope.provenance import source_commit


def git(folder: Path, *words: str) -> str:
    author = ["-c", "user.name=a", "-c", "user.email=a@b"]
    done = subprocess.run(
        ["git", *author, "-C", str(folder), *words], check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


def commit_seen_by(source: Path) -> str:
    program = "from modscope.provenance import source_commit; print(source_commit())"
    done = subprocess.run(
        [sys.executable, "-c", program],
        check=True,
        capture_output=True,
        text=True,
        env={"PYTHONPATH": str(source), "PATH": "/usr/bin:/bin"},
    )
    return done.stdout.strip()


def test_a_checkout_is_named_by_its_commit_and_whether_it_was_changed(tmp_path):
    source = tmp_path / "src" / "modscope"
    source.mkdir(parents=True)
    for name in ("__init__.py", "provenance.py", "_version.py", "errors.py"):
        shutil.copy(Path(modscope.__file__).with_name(name), source / name)
    git(tmp_path, "init", "-q")
    assert commit_seen_by(source.parent) == ""  # somebody else's repository
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "first")
    commit = git(tmp_path, "rev-parse", "HEAD")
    assert commit_seen_by(source.parent) == commit
    (source / "errors.py").write_text("")
    assert commit_seen_by(source.parent) == f"{commit}-dirty"


def test_this_modscope_has_a_commit_or_is_a_release():
    assert re.fullmatch(r"([0-9a-f]{40}(-dirty)?)?", source_commit())
