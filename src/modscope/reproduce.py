"""The numbers of three papers beside those of a network, with what differs and why."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from html import escape
from textwrap import wrap

import numpy as np

from modscope.activations import Activations
from modscope.analysis.answer import (
    circle_fits,
    circularity,
    distance_irrelevance,
    gradient_symmetricity,
    key_frequencies,
    logit_fit,
    restriction,
)
from modscope.analysis.neurons import clusters, fve
from modscope.analysis.tables import Table
from modscope.analysis.weights import energy_shares, weight_table
from modscope.boundary import public
from modscope.display import WIDTH, Shown, details_html, number_text
from modscope.errors import InputError, UnknownName
from modscope.losses import accuracies, losses
from modscope.pace import paced

__all__ = ["PAPERS", "Paper", "Reproduction", "reproduce"]


class _Measured:
    """What the rows of a paper ask for, each computed once."""

    def __init__(self, acts: Activations) -> None:
        self.acts, self.task = acts, acts.task

    @cached_property
    def logits(self) -> np.ndarray:
        return np.asarray(self.acts.at("logits").values)

    @cached_property
    def keys(self) -> tuple[int, ...]:
        return key_frequencies(self.acts).frequencies

    @cached_property
    def counts(self) -> dict[int, int]:
        found = clusters(fve(self.acts.at("mlp_post")))
        return {k: n for k, n in found.counts().items() if k in self.keys}

    @cached_property
    def fit(self) -> float:
        return float(logit_fit(self.acts.at("logits"), self.task).share(self.keys))

    @cached_property
    def restricted(self) -> float:
        return float(restriction(self.logits, self.task, self.keys).restricted_loss.all)

    @cached_property
    def residual(self) -> float:
        shares = energy_shares(weight_table(self.acts.model, "neuron_logit"))
        return 1 - float(shares.sel(k=list(self.keys)).sum())

    @cached_property
    def circles(self) -> dict[str, str]:
        found = circle_fits(self.acts, self.keys)
        return {
            str(name): " ".join(f"{x:.3f}" for x in values.values) for name, values in found.data_vars.items()
        }


Value = float | str | None


@dataclass(frozen=True)
class _Row:
    what: str
    published: Value
    measure: Callable[[_Measured], Value]
    note: str = ""


@dataclass(frozen=True)
class Paper:
    """A paper, whose network its numbers are of, and the numbers."""

    name: str
    title: str
    of: str
    rows: Callable[[_Measured], tuple[_Row, ...]]


def _keys(found: _Measured) -> str:
    return " ".join(map(str, found.keys))


def _loss(split: str) -> Callable[[_Measured], Value]:
    return lambda found: losses(found.logits, found.task).to_dict()[split]


def _nanda(_: _Measured) -> tuple[_Row, ...]:
    return (
        _Row(
            "key frequencies",
            "14 35 41 42 52",
            _keys,
            "the paper reads them off W_L; here by the cosines of the logits",
        ),
        _Row("loss, all pairs", 2.412e-07, _loss("all"), "the paper's is that of epoch 40,000 in float64"),
        _Row("neurons more than 85 % one frequency", 433.0, lambda f: float(sum(f.counts.values()))),
        _Row(
            "of them by frequency",
            "44 93 145 87 64",
            lambda f: " ".join(str(f.counts.get(k, 0)) for k in f.keys),
        ),
        _Row("logits explained by cos w(a+b-c)", 0.95, lambda f: f.fit, "five cosines, centred logits"),
        _Row("W_L outside the key frequencies", 0.0055, lambda f: f.residual, "squared Frobenius norms"),
        _Row(
            "restricted loss, all pairs",
            None,
            lambda f: f.restricted,
            "only cos and sin w(a+b) of the key frequencies and each logit's mean; no number in the text",
        ),
    )


_MODELS = {0.0: ("A", 0.9937, 0.1717, 0.9978), 1.0: ("B", 0.3336, 0.848, None)}


def _zhong(found: _Measured) -> tuple[_Row, ...]:
    rate = getattr(found.acts.model.config, "attention_rate", None)
    name, symmetric, irrelevant, circular = _MODELS.get(rate, ("", None, None, None))  # type: ignore[arg-type]
    of = f"model {name}" if name else f"attention rate {rate}: neither of the two models"
    rows = (
        _Row(
            "gradient symmetricity",
            symmetric,
            lambda f: gradient_symmetricity(f.acts),
            f"{of}; 100 triples, seed 42",
        ),
        _Row(
            "distance irrelevance",
            irrelevant,
            lambda f: distance_irrelevance(f.logits, f.task),
            "by the paper's formula; its CSV files follow another protocol",
        ),
        _Row(
            "circularity",
            circular,
            lambda f: circularity(weight_table(f.acts.model, "embedding")),
            "first four principal components",
        ),
        _Row("circles", None, _keys, "key frequencies"),
    )
    fits = (
        _Row(f"{what}, circle by circle", near if name == "A" else None, _fit(what), "each circle alone")
        for what, near in (("pizza", "about 0.98"), ("clock", "about 0.75"))
    )
    return (*rows, *fits)


def _fit(what: str) -> Callable[[_Measured], Value]:
    return lambda found: found.circles.get(what)


def _chughtai(_: _Measured) -> tuple[_Row, ...]:
    return (
        _Row("key representations", "16 30 56", _keys, "of a cyclic group a representation is a frequency"),
        _Row("loss, train", 8.859e-08, _loss("train")),
        _Row("loss, test", 1.885e-07, _loss("test")),
        _Row("accuracy, test", 1.0, lambda f: accuracies(f.logits, f.task).to_dict()["test"]),
        _Row("logits explained by characters", 0.9685, lambda f: f.fit, "those of the key representations"),
    )


PAPERS: Mapping[str, Paper] = {
    paper.name: paper
    for paper in (
        Paper(
            "nanda2023",
            "Nanda et al. 2023, Progress measures for grokking via mechanistic interpretability",
            "the main run, p = 113, at epoch 40,000 (the published file holds epochs 49,900 and 50,000)",
            _nanda,
        ),
        Paper(
            "zhong2023",
            "Zhong et al. 2023, The clock and the pizza",
            "models A (attention rate 0) and B (attention rate 1), p = 59",
            _zhong,
        ),
        Paper(
            "chughtai2023",
            "Chughtai et al. 2023, A toy model of universality",
            "the transformer on the cyclic group of 113 elements, seed 1, by the authors' own record of it",
            _chughtai,
        ),
    )
}


@dataclass(frozen=True, repr=False)
class Reproduction(Shown):
    """Published and measured, row by row; differences: those that are more than the digits given, in words."""

    paper: Paper
    table: Table
    notes: tuple[str, ...]
    differences: tuple[str, ...]

    def __repr__(self) -> str:
        lines = [str(self.table), "", *wrap(f"Published: {self.paper.of}.", WIDTH), *_indented(self.notes)]
        if self.differences:
            lines += ["", "Different:", *_indented(self.differences)]
        return "\n".join(lines)

    __str__ = __repr__

    def _repr_html_(self) -> str:
        said = [f"Published: {self.paper.of}.", *self.notes]
        different = "".join(f"<li>{escape(text)}</li>" for text in self.differences)
        return (
            self.table._repr_html_()
            + "".join(f"<div>{escape(text)}</div>" for text in said)
            + (
                details_html(f"{len(self.differences)} differences", f"<ul>{different}</ul>")
                if different
                else ""
            )
        )

    def to_dict(self) -> dict[str, object]:
        """The rows and the differences as plain JSON values."""
        return {
            "paper": self.paper.title,
            "of": self.paper.of,
            "rows": self.table.records(),
            "notes": list(self.notes),
            "differences": list(self.differences),
        }


def _indented(texts: Iterable[str]) -> list[str]:
    return [
        line for text in texts for line in wrap(text, WIDTH, initial_indent="  ", subsequent_indent="    ")
    ]


@public
def reproduce(acts: Activations, paper: str) -> Reproduction:
    """The numbers of a paper of `PAPERS` beside those of a network.

    A number agrees where it has the published digits, within one in the last; every other difference is named. What cannot be measured on
    this network is a dash, with the reason among the notes. Raises UnknownName for a paper that there is not.
    """
    if paper not in PAPERS:
        raise UnknownName.of("paper", paper, PAPERS)
    chosen, found = PAPERS[paper], _Measured(acts)
    rows: list[tuple[object, ...]] = []
    notes: list[str] = []
    differences: list[str] = []
    for row in paced(chosen.rows(found), "measuring what the paper measures"):
        try:
            measured = row.measure(found)
        except InputError as error:
            measured = None
            notes.append(f"{row.what}: {error}")
        rows.append((row.what, row.published, measured))
        if row.note:
            notes.append(f"{row.what}: {row.note}")
        if row.published is not None and measured is not None and not _agree(row.published, measured):
            shown = [x if isinstance(x, str) else number_text(x) for x in (row.published, measured)]
            differences.append(f"{row.what}: published {shown[0]}, measured {shown[1]}")
    table = Table(chosen.title, ("", "published", "measured"), tuple(rows))
    return Reproduction(chosen, table, tuple(notes), tuple(differences))


_ABOUT = 0.03


def _agree(published: Value, measured: Value) -> bool:
    if isinstance(published, str) and published.startswith("about "):
        near = float(published.removeprefix("about "))
        return all(abs(float(x) - near) <= _ABOUT for x in str(measured).split())
    if isinstance(published, str) or isinstance(measured, str):
        return published == measured
    assert published is not None
    assert measured is not None
    digits = f"{published:.10g}".lower().split("e")[0].replace(".", "").strip("0")
    unit = 10.0 ** (np.floor(np.log10(abs(published))) - len(digits) + 1)
    return abs(published - measured) <= unit
