"""Every example of the documents runs; blocks of one page share their names, in order."""

from __future__ import annotations

import doctest
import re
import sys
from pathlib import Path

import pytest
from tests.doc_grounds import GROUNDS

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tools"))
from docs_views import BLOCK, LEFT_OUT, value_of  # noqa: E402

DOCS = ROOT / "docs"
# the quick start and the original notebook have tests of their own, which compare what is printed
ELSEWHERE = {"quickstart.md", "original-notebook.md"}
PAGES = sorted(
    path
    for path in DOCS.rglob("*.md")
    if BLOCK.search(path.read_text("utf-8")) and path.name not in LEFT_OUT | ELSEWHERE
)


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(DOCS)))
def test_examples_run(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    given = GROUNDS[page.name](monkeypatch) if page.name in GROUNDS else {}
    names: dict[str, object] = {"__name__": "example", **given}
    for match in BLOCK.finditer(page.read_text("utf-8")):
        if match[2].startswith(">>>"):
            examples = doctest.DocTestParser().get_doctest(match[2], names, page.name, page.name, 0)
            runner = doctest.DocTestRunner()
            runner.run(examples, clear_globs=False)
            assert runner.failures == 0
            names = examples.globs
            continue
        value = value_of(match[2], names)
        if match[1]:
            assert "<iframe" in value._repr_html_()  # type: ignore[attr-defined]


def test_every_page_is_in_the_navigation_once() -> None:
    """A new page of docs/ gets a line under `nav` in mkdocs.yml."""
    named = re.findall(r"[\w\-/]+\.md", (ROOT / "mkdocs.yml").read_text("utf-8"))
    assert sorted(named) == sorted(str(path.relative_to(DOCS)) for path in DOCS.rglob("*.md"))


def test_the_reference_names_modules_that_are_there() -> None:
    for page in (DOCS / "reference").glob("*.md"):
        for name in re.findall(r"^::: (\S+)$", page.read_text("utf-8"), re.M):
            parts, found = name.split("."), None
            for end in range(len(parts), 0, -1):
                base = ROOT / "src" / Path(*parts[:end])
                if base.with_suffix(".py").is_file() or (base / "__init__.py").is_file():
                    found = base
                    break
            assert found is not None, name
            assert len(parts) - end <= 1, name
