"""Which modscope this is, to the commit: what a result has to say of itself."""

from __future__ import annotations

import json
import subprocess
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

__all__ = ["source_commit"]


def source_commit() -> str:
    """The commit of the git checkout that modscope runs from, or that pip installed it from; empty for a release.

    "-dirty" at its end: files of the checkout have been changed since.
    """
    here = Path(__file__).resolve()
    # A package inside of somebody else's repository is not of that repository's commit.
    if _git(here.parent, "ls-files", "--error-unmatch", here.name):
        return _git(here.parent, "describe", "--always", "--dirty", "--exclude=*", "--abbrev=40")
    try:
        origin = json.loads(distribution("modscope").read_text("direct_url.json") or "{}")
    except (PackageNotFoundError, ValueError):
        return ""
    return str(origin.get("vcs_info", {}).get("commit_id", ""))


def _git(folder: Path, *words: str) -> str:
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *words], capture_output=True, text=True, timeout=10, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip()
