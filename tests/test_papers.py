"""Papers beside measurements, and what to cite."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

import modscope as ms
from modscope.checkpoints import open_checkpoint
from modscope.citing import WORKS, bibtex, works_of
from modscope.cli import app
from modscope.errors import UnknownName
from modscope.reproduce import PAPERS, _agree, reproduce

ROOT = Path(__file__).resolve().parents[1]


def test_agreement_is_to_the_digits_given() -> None:
    assert _agree(0.9937, 0.99372)
    assert not _agree(0.9937, 0.9950)
    assert _agree(2.412e-07, 2.4125e-07)
    assert not _agree(2.412e-07, 2.478e-07)
    assert not _agree(433.0, 443.0)
    assert _agree("14 35", "14 35")
    assert not _agree("14 35", "14 36")
    assert _agree("about 0.98", "0.97 0.99")
    assert not _agree("about 0.98", "0.97 0.75")


def test_every_paper_on_a_network_that_is_not_its_own() -> None:
    """On the shipped network the numbers are other ones, and the differences say so."""
    acts = ms.open().acts
    for name in PAPERS:
        found = reproduce(acts, name)
        assert len(found.table.rows) >= 5
        assert json.loads(json.dumps(found.to_dict(), allow_nan=False))["paper"] == PAPERS[name].title
    assert any("14 35 41 42 52" in text for text in reproduce(acts, "nanda2023").differences)
    with pytest.raises(UnknownName, match="did you mean 'nanda2023'"):
        reproduce(acts, "nanda2022")


def test_published_networks(published: Path) -> None:
    def differing(folder: str, paper: str) -> list[str]:
        checkpoint = open_checkpoint(published / folder)
        found = reproduce(ms.record(checkpoint.model, checkpoint.task), paper)
        return [text.split(":")[0] for text in found.differences]

    # 10,000 epochs later than the paper's: the loss and a few neurons have moved, the frequencies and the logits have not
    assert differing("nanda_mainline", "nanda2023") == [
        "loss, all pairs",
        "neurons more than 85 % one frequency",
        "of them by frequency",
        "W_L outside the key frequencies",
    ]
    assert differing("pizza_A", "zhong2023") == []
    assert differing("pizza_B", "zhong2023") == []
    assert differing("chughtai_C113_T_seed1", "chughtai2023") == []


def test_the_commands() -> None:
    runner = CliRunner()
    table = runner.invoke(app, ["reproduce", "zhong2023"])
    assert table.exit_code == 0
    assert "gradient symmetricity" in table.stdout
    as_csv = runner.invoke(app, ["reproduce", "nanda2023", "--csv"])
    assert as_csv.stdout.splitlines()[0] == ",published,measured"
    entries = runner.invoke(app, ["cite"]).stdout
    assert entries.count("@misc{") == 4
    assert ms.__version__ in entries
    assert len(json.loads(runner.invoke(app, ["cite", "--json"]).stdout)) == 4


def test_the_networks_own_paper_comes_first(published: Path) -> None:
    for folder, key in (("nanda_mainline", "nanda2023progress"), ("pizza_A", "zhong2023clock")):
        works = works_of(open_checkpoint(published / folder))
        assert [work.key for work in works][:2] == ["modscope", key]
        assert len(works) == 4


def test_entries_are_well_formed() -> None:
    text = bibtex(works_of())
    assert text.count("{") == text.count("}")
    assert re.findall(r"^@misc\{(\w+),$", text, re.M) == ["modscope", *(work.key for work in WORKS)]


def test_the_citation_file_is_of_this_version() -> None:
    text = (ROOT / "CITATION.cff").read_text("utf-8")
    assert f"version: {ms.__version__}\n" in text
    for work in WORKS:
        assert work.title in text
        for author in work.authors:
            family, given = author.split(", ")
            assert f"family-names: {family}, given-names: {given}" in text
