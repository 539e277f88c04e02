"""The report is whole, self-contained and honest on every kind of network, broken ones included."""

from __future__ import annotations

import base64
import csv
import json
import re
from functools import cache
from html.parser import HTMLParser
from pathlib import Path

import pytest
import torch
from markupsafe import escape

from modscope.activations import Activations, record
from modscope.analysis.overview.summary import Summary, summarise
from modscope.errors import InputError
from modscope.findings import Picture, findings
from modscope.model import Network, PairMLP, PairMLPConfig, Transformer, TransformerConfig
from modscope.progress.story import training_story
from modscope.report import Look, report_page, write_page
from modscope.report.sections import SECTIONS, made_sections
from modscope.report.sections.training import training_section
from modscope.report.sketch import sketch
from modscope.shipped import shipped_network, shipped_run
from modscope.task import ModularTask, Split

VOID = {"meta", "br", "link", "img", "input", "hr"}


def transformer(p: int, **switches: object) -> Transformer:
    config = TransformerConfig(p, **{"d_model": 16, "n_heads": 2, "d_mlp": 24, **switches})
    return Transformer.initialised(config, seed=1)


def dead() -> Transformer:
    network = transformer(11)
    return Transformer(network.config, {name: torch.zeros_like(w) for name, w in network.weights.items()})


def broken() -> Transformer:
    network = transformer(11)
    weights = dict(network.weights)
    weights["unembed.W_U"] = weights["unembed.W_U"].clone()
    weights["unembed.W_U"][0, 0] = torch.nan
    return Transformer(network.config, weights)


CASES: dict[str, tuple[Network, ModularTask]] = {
    "odd": (transformer(11), ModularTask(11)),
    "even": (transformer(12), ModularTask(12)),
    "smallest": (transformer(3), ModularTask(3)),
    "no split": (transformer(11), ModularTask(11, split=Split("none"))),
    "pairs": (transformer(9, equals=False, causal=False, attention_rate=0.0), ModularTask(9)),
    "subtract": (transformer(11), ModularTask(11, "subtract")),
    "multiply": (transformer(11), ModularTask(11, "multiply")),
    "multiply, composite": (transformer(12), ModularTask(12, "multiply")),
    "squares": (transformer(11), ModularTask(11, "x^2+xy+y^2")),
    "random labels": (transformer(11), ModularTask(11, "random")),
    "one-hot": (PairMLP.initialised(PairMLPConfig(11, d_hidden=16)), ModularTask(11)),
    "two embeddings": (
        PairMLP.initialised(PairMLPConfig(11, d_hidden=16, d_embed=7, activation="quadratic")),
        ModularTask(11),
    ),
    "answer =": (transformer(11, d_vocab_out=12), ModularTask(11)),
    "dead": (dead(), ModularTask(11)),
    "broken": (broken(), ModularTask(11)),
}


@cache
def recorded(name: str) -> Activations:
    return record(*CASES[name])


@cache
def look_at(name: str, frequencies: tuple[int, ...] | None = None) -> tuple[Summary, Activations]:
    return summarise(recorded(name), frequencies=frequencies), recorded(name)


@cache
def page_of(name: str, frequencies: tuple[int, ...] | None = None) -> str:
    """The page of a network without findings, its title its name."""
    summary, acts = look_at(name, frequencies)
    return report_page(Look(summary, acts, title=name))


class Balanced(HTMLParser):
    """Reads a page and fails on a tag that is closed wrongly; collects ids, links and what would be loaded."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.loaded: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.ids += [values["id"]] if values.get("id") else []
        self.links += [values["href"]] if tag == "a" and values.get("href") else []
        self.loaded += [v for k, v in attrs if v and k in ("src", "href", "xlink:href") and tag != "a"]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.mark.parametrize(
    ("name", "frequencies"),
    [
        ("odd", (2, 3)),
        ("even", (6,)),
        ("pairs", None),
        ("multiply", (1, 5)),
        ("squares", (1,)),
        ("one-hot", None),
        ("broken", None),
    ],
)
def test_page_is_whole_and_self_contained(name: str, frequencies: tuple[int, ...] | None) -> None:
    page = page_of(name, frequencies)
    reader = Balanced()
    reader.feed(page)
    assert reader.open == []
    assert len(set(reader.ids)) == len(reader.ids)
    assert all(link.removeprefix("#") in reader.ids for link in reader.links if not link.startswith("data:"))
    assert all(place.startswith(("#", "data:")) for place in reader.loaded)
    used = set(re.findall(r"var\(--([a-z0-9-]+)\)", page))
    assert used <= set(re.findall(r"--([a-z0-9-]+):", page)) | {"b", "c"}, "a colour is not in the stylesheet"
    assert not re.search(
        r"\bnan\b|\binf\b|None",
        re.sub(r"data:[^\"]*|<style>.*?</style>|<script.*?</script>", "", page, flags=re.S),
    )


@pytest.mark.parametrize("name", CASES)
def test_json_has_every_key_and_no_nonsense(name: str) -> None:
    summary, _ = look_at(name)
    values = json.loads(json.dumps(summary.to_dict(), allow_nan=False))
    for key in ("accuracy", "loss"):
        assert set(values[key]) == {"train", "test", "all"}
    wanted = (
        "p key_frequencies key_frequency_rule harmonics subharmonics embedding_energy neurons_per_frequency "
        "neurons_explained logit_fve logit_fit_loss restricted_loss excluded_loss even_fraction energy"
    )
    assert set(wanted.split()) <= set(values)
    assert all(set(terms) == {"linear", "sum", "difference", "cross"} for terms in values["energy"].values())
    assert values["p"] == CASES[name][1].p


@pytest.mark.parametrize("name", ["multiply, composite", "squares", "random labels"])
def test_what_does_not_apply_is_null(name: str) -> None:
    summary, _ = look_at(name, (1,))
    values = summary.to_dict()
    for key in ("logit_fve", "logit_fit_loss", "restricted_loss", "excluded_loss"):
        assert values[key] is None
    assert set(values["even_fraction"].values()) == {None}
    assert values["key_frequency_sets"]["logit_share"] is None
    assert any("do not turn on a circle" in text for text in summary.cautions)


def test_another_rule_is_named_where_the_wanted_one_does_not_apply() -> None:
    summary, _ = look_at("random labels")
    assert summary.keys.rule == "neuron_clusters"
    assert any("logit_share does not apply" in text for text in summary.cautions)


@pytest.mark.parametrize("name", ["odd", "dead", "broken"])
def test_networks_that_do_nothing_have_no_key_frequencies(name: str) -> None:
    summary, _ = look_at(name)
    assert summary.keys.frequencies == ()
    assert any("no key frequencies" in text for text in summary.cautions)


def test_a_broken_network_is_called_broken() -> None:
    summary, _ = look_at("broken")
    assert "not finite" in summary.cautions[0]
    assert summary.to_dict()["loss"]["all"] is None


def test_even_p_uses_the_nyquist_frequency() -> None:
    summary, _ = look_at("even")
    assert list(summary.to_dict()["embedding_energy"]) == [str(k) for k in range(1, 7)]


@pytest.mark.parametrize("name", ["even", "subtract", "two embeddings", "broken"])
def test_findings_stand_on_the_page_with_their_verdicts(name: str) -> None:
    summary, acts = look_at(name)
    found = findings(acts, only=["which-mechanism", "sparse-embedding", "even-about-half-c", "phases-agree"])
    page = report_page(Look(summary, acts, title=name, findings=found))
    reader = Balanced()
    reader.feed(page)
    assert reader.open == []
    for finding in found:
        assert f'id="finding-{finding.id}"' in page
        assert str(escape(finding.statement)) in page
    assert "None" not in page.split("<main>")[1].split('id="frequencies"')[0]


def test_sketches_take_any_picture() -> None:
    nan = float("nan")
    pictures = [
        Picture("bars", ["a", "b <c>"], {"x": [1.0, nan], "y": [-1.0, 2.0]}, "x", "y", ("a",)),
        Picture("bars", list(range(60)), {"x": [0.0] * 60}, "x", "y"),
        Picture("lines", [0.0, 1.0, 2.0], {"x": [0.99, 1.0, nan]}, "x", "y", (1.0,)),
        Picture("points", [3.0], {"x": [3.0]}, "x", "y"),
    ]
    for picture in pictures:
        text = sketch(picture)
        reader = Balanced()
        reader.feed(text)
        assert reader.open == []
        assert "nan" not in text
        assert "<c>" not in text
    # The bar of 2 is twice as high as that of 1 and the one of -1 hangs from the same line.
    bars = re.findall(
        r'<rect x="[0-9.]+" y="([0-9.]+)" width="[0-9.]+" height="([0-9.]+)" style="fill:var\(--key-[12]\)"[^>]*>(?=<title>)',
        sketch(pictures[0]),
    )
    (y1, h1), (y3, h3), (y2, h2) = [(float(y), float(h)) for y, h in bars[:3]]
    assert h2 == pytest.approx(2 * h1, abs=0.2)
    assert h3 == pytest.approx(h1, abs=0.2)
    assert y1 + h1 == pytest.approx(y2 + h2, abs=0.2)
    assert y3 == pytest.approx(y1 + h1, abs=0.2)
    assert sketch(Picture("lines", [0.0], {"x": [nan]}, "x", "y")) == ""


def test_names_of_files_cannot_become_markup() -> None:
    summary, acts = look_at("odd")
    page = report_page(Look(summary, acts, title="<script>alert(1)</script>", facts={"file": "<b>"}))
    assert "<script>alert" not in page
    assert "&lt;script&gt;" in page


def test_the_same_look_gives_the_same_page() -> None:
    summary, acts = look_at("odd")
    assert report_page(Look(summary, acts, title="odd")) == page_of("odd")


def test_every_section_says_what_it_computed() -> None:
    from modscope import planted

    acts = record(*planted.rectified_sum(23, (3, 8)))
    made, left_out = made_sections(Look(summarise(acts), acts, title="x"))
    assert left_out == {}
    assert len(made) == len(SECTIONS) - 1, "all but what is told of training: this is no run"
    for section in made:
        assert section.seen
        assert section.warning
        assert section.definition


@pytest.mark.parametrize("name", CASES)
def test_sections_that_do_not_apply_say_why(name: str) -> None:
    summary, acts = look_at(name)
    made, left_out = made_sections(Look(summary, acts, title=name))
    assert made
    assert len(made) + len(left_out) <= len(SECTIONS)
    assert all(len(reason) > 10 for reason in left_out.values())
    page = page_of(name)
    for reason in left_out.values():
        assert str(escape(reason)) in page


def test_the_end_of_a_run_tells_of_its_training() -> None:
    run, network = shipped_run(), shipped_network()
    acts = record(network.model, network.task)
    story = training_story(run, neuron=3)
    section = training_section(Look(summarise(acts), acts, title="x", training=story))
    assert section is not None
    assert "settled to step 9,350" in section.seen
    assert [table.caption for table in section.tables] == ["Phases of training", "What still moves"]
    assert isinstance(section.viewer, tuple)
    assert len(section.viewer) == 2
    assert section.figure is not None
    charts = str(section.figure).count("<svg")
    assert charts == 6
    assert training_section(Look(summarise(acts), acts, title="x")) is None


def test_tables_and_numbers_can_be_taken_from_the_page() -> None:
    summary, _ = look_at("odd", (2, 3))
    page = page_of("odd", (2, 3))
    found = re.search(r'download="report.json" href="data:application/json;base64,([^"]+)"', page)
    assert found is not None
    values = json.loads(base64.b64decode(found[1]))
    assert values["key_frequencies"] == [2, 3]
    table = re.search(r'download="ablation.csv" href="data:text/csv;base64,([^"]+)"', page)
    assert table is not None
    rows = list(csv.reader(base64.b64decode(table[1]).decode().splitlines()))
    assert len({len(row) for row in rows}) == 1
    assert len(rows) == 1 + len(summary.restrictions)


def test_a_page_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is a folder"):
        write_page("x", tmp_path)
    with pytest.raises(InputError, match="cannot be written"):
        write_page("x", tmp_path / "missing" / "x.html")
    assert list(tmp_path.iterdir()) == []
    assert write_page("x", tmp_path / "x.html").read_text() == "x"
    assert [path.name for path in tmp_path.iterdir()] == ["x.html"]
