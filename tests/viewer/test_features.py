"""Each row of the table of features names a test that there is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROWS = re.findall(
    r"^\| (.+?) \| `(test_\w+\.py)::(test_\w+)` \|$",
    (HERE.parents[1] / "docs" / "viewer.md").read_text("utf-8"),
    re.M,
)


def test_the_table_is_long() -> None:
    assert len(ROWS) > 40
    assert len({feature for feature, _, _ in ROWS}) == len(ROWS)


@pytest.mark.parametrize(("feature", "file", "name"), ROWS, ids=[row[2] for row in ROWS])
def test_its_test_is_there(feature: str, file: str, name: str) -> None:
    assert re.search(rf"^def {name}\(", (HERE / file).read_text("utf-8"), re.M), feature
