"""Everything public prints in 80 columns, shows itself in a notebook, and never as a bare address."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Any

import pytest
from tests.viewer.conftest import _some_chromium, _tab, browser_type_launch_args, screen

import modscope as ms
from modscope import display
from modscope.analysis import answer, inputs, neurons, overview, plane, relations, stream, weights
from modscope.analysis.tables import Table
from modscope.citing import works_of
from modscope.sweep import Storage, Sweep
from modscope.training.recipe import Recipe

__all__ = ["_some_chromium", "_tab", "browser_type_launch_args", "screen"]


@pytest.fixture(scope="module")
def shown() -> dict[str, object]:
    net = ms.open()
    acts = net.acts
    ablated = net.ablate("pattern-constant", controls=1)
    return {
        "net": net,
        "counterfactual": net.with_(mlp_pre="linear"),
        "checkpoint": net.checkpoint,
        "run": net.run,
        "task": net.task,
        "activations": acts,
        "keys": net.key_frequencies,
        "findings": net.findings("sparse-embedding", "even-about-half-c"),
        "finding": net.finding("even-about-half-c"),
        "mechanism": net.mechanism,
        "ablation": ablated,
        "recipe": Recipe(),
        "summary": net.summary,
        "table": net.measure("clusters"),
        "relations": relations(net.keys, 113),
        "clusters": neurons.clusters(neurons.fve(acts.at("mlp_post"))),
        "logit fit": answer.logit_fit(acts.at("logits"), net.task),
        "restriction": answer.restriction(acts.at("logits").values, net.task, net.keys),
        "stream": stream.stream_model(acts, net.keys),
        "marginals": plane.marginals(acts, "resid_post"),
        "energy": plane.pair_energy(acts.at("attn_out")),
        "map": weights.linear_maps(acts.model)["W_in"],
        "measure": overview.MEASURES["clusters"],
        "specimen": overview.specimens.wave_specimen(acts),
        "waves": inputs.waves(acts, "q", net.keys),
        "network": net.model,
        "circle": acts.circle,
        "geometry": net.task.geometry,
        "phases": net.run.phases(),
        "recipe of the run": net.run.recipe,
        "measures": net.measures,
        "grounds": net.summary.grounds,
        "recognition": net.summary.grounds.recognition,
        "work": works_of(None)[1],
        "sweep that is not there": Sweep(Storage("no-such-sweep")),
        "view": net.show("resid_post", d_model=[0]),
    }


class Balanced(HTMLParser):
    """Every element that is opened is closed."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag not in ("br", "rect", "line", "polyline", "meta", "input", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in ("rect", "line", "polyline"):
            assert self.open.pop() == tag


def test_text_fits_a_terminal(shown: dict[str, object]) -> None:
    for name, thing in shown.items():
        text = repr(thing)
        assert not re.search(r"object at 0x|<function", text), name
        if name not in ("waves", "view"):
            lines = text.splitlines()
            assert max(map(len, lines)) <= (110 if name == "task" else 80), name
            assert len(lines) < 90, name


def test_everything_shows_itself_in_a_notebook(shown: dict[str, object]) -> None:
    for name, thing in shown.items():
        if name == "view":
            continue
        html = thing._repr_html_()  # type: ignore[attr-defined]
        if name == "waves":
            continue
        parser = Balanced()
        parser.feed(html)
        assert not parser.open, name
        assert not re.search(r"https?://(?!www\.w3\.org)", html), name


def test_findings_say_verdict_effect_and_control(shown: dict[str, object]) -> None:
    html = shown["findings"]._repr_html_()  # type: ignore[attr-defined]
    assert html.count("<svg") == 2
    assert "holds" in html
    assert "<details" in html


def test_the_run_draws_its_losses(shown: dict[str, object]) -> None:
    html = shown["run"]._repr_html_()  # type: ignore[attr-defined]
    assert html.count("<polyline") == 2
    assert "test loss" in html


def test_looking_computes_nothing() -> None:
    acts = ms.open().acts
    acts.forget()
    before = acts.nbytes
    text = repr(acts)
    assert "mlp_post     a 113, b 113, neuron 512" in text
    assert acts.nbytes == before
    assert not acts.kept


def test_what_is_shown_is_escaped() -> None:
    html = display.table_html("<b>", ("<i>",), [("<script>",)])
    assert "<script>" not in html
    assert "<i>" not in html
    assert "&lt;script&gt;" in html
    assert "&lt;b&gt;" in display.facts_html("<b>", {"<i>": "<u>"})


@pytest.mark.browser
def test_tables_sort_by_their_heads(screen: Any) -> None:
    table = Table("Energy", ("hook", "share"), (("q", 0.5), ("k", 0.25), ("v", 1e-3), ("z", None)))
    screen.set_content(table._repr_html_())

    def order() -> list[str]:
        return screen.locator("tbody tr td:first-child").all_inner_texts()  # type: ignore[attr-defined]

    screen.locator("th").nth(1).click()  # type: ignore[attr-defined]
    assert order() == ["v", "k", "q", "z"]
    screen.locator("th").nth(1).click()  # type: ignore[attr-defined]
    assert [head for head in order() if head != "z"] == ["q", "k", "v"]
    screen.locator("th").nth(0).click()  # type: ignore[attr-defined]
    assert order() == ["k", "q", "v", "z"]
