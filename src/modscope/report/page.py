"""One self-contained HTML page from a look at a network."""

from __future__ import annotations

import base64
import json
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from markupsafe import Markup

from modscope._version import __version__
from modscope.boundary import public
from modscope.errors import InputError, path_of
from modscope.findings import VERDICTS
from modscope.report.gauge import gauge, threshold_text
from modscope.report.look import Look
from modscope.report.mechanism import mechanism_sentences
from modscope.report.sections import Section, made_sections
from modscope.report.sketch import sketch
from modscope.report.style import css_class
from modscope.report.words import answer, loss_text, order_note, percent, subtitle, verdict
from modscope.viewer import View, fragments
from modscope.writing import write_whole

__all__ = ["report_page", "write_page"]


@public
def report_page(look: Look) -> str:
    """The report as HTML: everything is inside, nothing is loaded from elsewhere."""
    from jinja2 import Environment, PackageLoader

    environment = Environment(
        loader=PackageLoader("modscope.report"), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    sections, left_out = made_sections(look)
    once, viewers = _viewers(sections)
    keys = [(k, css_class(k, look.colours)) for k in look.summary.keys.frequencies]
    return environment.get_template("page.html").render(
        look=look,
        summary=look.summary,
        sections=sections,
        left_out=left_out,
        findings_before=_place_of_findings(sections) if look.findings else None,
        viewers=viewers,
        viewer_once=once,
        keys=keys,
        tiles=_tiles(look),
        findings=[
            (f, gauge(f), threshold_text(f), sketch(f.picture) if f.picture else "")
            for f in look.findings or ()
        ],
        verdicts=_verdict_counts(look),
        mechanism=_mechanism(look),
        verdict=verdict(look.summary),
        subtitle=subtitle(look.summary),
        order_note=order_note(look.summary),
        version=__version__,
        data_uri=data_uri,
        numbers=_numbers(look),
    )


def data_uri(text: str, kind: str) -> str:
    """A text as an address that a link of the page can download, without a server.

    >>> data_uri("a,b", "text/csv")
    'data:text/csv;base64,YSxi'
    """
    return f"data:{kind};base64,{base64.b64encode(text.encode()).decode()}"


def _numbers(look: Look) -> str:
    """Every number of the summary and the findings as JSON, each part and each finding on a line."""
    values = look.summary.to_dict() | {"network": look.title, "modscope": __version__}
    if look.findings is not None:
        values["findings"] = [finding.to_dict() for finding in look.findings]
    # json indents in Python, many times slower than it writes lines
    parts = [f"{json.dumps(name)}: {_lines(value)}" for name, value in values.items()]
    return "{\n" + ",\n".join(parts) + "\n}"


def _lines(value: object) -> str:
    """A value as JSON on one line, a list of objects with each on a line of its own."""
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return "[\n" + ",\n".join(json.dumps(one, allow_nan=False) for one in value) + "\n]"
    return json.dumps(value, allow_nan=False)


def _viewers(sections: Sequence[Section]) -> tuple[Markup, dict[str, Markup]]:
    """What the page needs once for its viewers, and the elements of each section that has some."""
    shown = {section.name: _views_of(section) for section in sections if _views_of(section)}
    if not shown:
        return Markup(""), {}
    once, elements = fragments([view for views in shown.values() for view in views])
    rest = iter(elements)
    return Markup(once), {
        name: Markup("").join(Markup(next(rest)) for _ in views) for name, views in shown.items()
    }


def _views_of(section: Section) -> tuple[View, ...]:
    if section.viewer is None:
        return ()
    return section.viewer if isinstance(section.viewer, tuple) else (section.viewer,)


_COUNTED = {
    "holds": ("holds", "hold"),
    "holds in part": ("holds in part", "hold in part"),
    "does not hold": ("does not", "do not"),
    "not applicable": ("is not applicable", "are not applicable"),
}


def _place_of_findings(sections: Sequence[Section]) -> int:
    """The section before which the findings stand: after all that is measured of the signal's path."""
    path = [
        i for i, section in enumerate(sections) if section.name in ("energy", "stream", "logits", "ablation")
    ]
    return max(path, default=-1) + 1


def _verdict_counts(look: Look) -> list[tuple[str, str]]:
    """How many findings have each verdict, in words: "12 hold", "2 do not"; those that none has are left out."""
    found = Counter(finding.verdict for finding in look.findings or ())
    return [(v, f"{found[v]} {_COUNTED[v][found[v] != 1]}") for v in VERDICTS if found[v]]


def _mechanism(look: Look) -> list[str]:
    """The outcome of the finding that tells mechanisms apart in sentences, if it was made."""
    return mechanism_sentences(next((f for f in look.findings or () if f.id == "which-mechanism"), None))


_LOGITS = "energy of the cosines cos w_k(a+b−c) of the key frequencies over the centred sum of squares of the p³ logits"
_NEURONS = "energy of the centred mlp_post in {1, cos wa, sin wa} × {1, cos wb, sin wb} of one frequency over all its energy"
_KEPT = "cross-entropy with only cos and sin w_k(a+b) of the key frequencies, and each logit's mean, left in the logits"
_SCORES = {
    "accuracy": "share of the pairs whose largest logit is the answer",
    "loss": "cross-entropy in float64, mean over the pairs, in nats",
}


def _tiles(look: Look) -> list[tuple[str, str, str, str]]:
    """The numbers at the head of the page: name, value, small print, definition."""
    summary = look.summary
    found = summary.clusters
    tiles = []
    for name, scores, text in (("accuracy", summary.accuracy, percent), ("loss", summary.loss, loss_text)):
        main = "test" if scores.test is not None else "all"
        rest = ", ".join(
            f"{split} {text(value)}"
            for split, value in scores.to_dict().items()
            if split != main and value is not None
        )
        tiles.append((f"{name}, {main} pairs", text(scores.to_dict()[main]), rest, _SCORES[name]))
    if summary.logit_fve is not None:
        words = f"by cosines of w({answer(summary)}−c)"
        tiles.append(("logits explained", percent(summary.logit_fve), words, _LOGITS))
    neurons = f"{int(found.explained.sum())} of {len(found.fve)}"
    tiles.append(("neurons explained", neurons, "to more than 85 % by one frequency", _NEURONS))
    if (main_mask := summary.restrictions.get("directions")) is not None:
        kept, without = main_mask.restricted_loss.all, main_mask.excluded_loss.all
        tiles.append(
            ("key frequencies only", loss_text(kept), f"loss; without them {loss_text(without)}", _KEPT)
        )
    return tiles


@public
def write_page(page: str, path: str | os.PathLike[str]) -> Path:
    """Writes a page beside its place and renames it, so that nobody sees half of one. Returns the path."""
    if path_of(path).is_dir():
        raise InputError(f"{path} is a folder: expected the name of an HTML file")
    return write_whole(path, page)
