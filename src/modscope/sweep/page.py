"""The page of a sweep: one HTML file with everything inside, that formats what `Population` says."""

from __future__ import annotations

import json
import shlex
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from modscope._version import __version__
from modscope.findings import CLAIMS
from modscope.sweep.population import COURSE, Population, axes_of, wilson

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["opening_command", "population_page"]


def population_page(table: pd.DataFrame, *, title: str, by: str = "", where: str = "") -> str:
    """The page on a sweep's table; by: the column that it is read by at first.

    where: the sweep's folder, for the commands that open single networks.
    """
    from jinja2 import Environment, PackageLoader

    groupings = {name: Population(table, name or ()) for name in ("", *axes_that_vary(table))}
    first = groupings.get(by) or Population(table, by)
    environment = Environment(
        loader=PackageLoader("modscope.sweep"), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    data = {
        "by": by,
        "groupings": {name: one.to_dict() for name, one in (groupings | {by: first}).items()},
        "claims": {name: _claim(name) for name in first.findings},
        "measures": first.measures(),
        "course": list(COURSE),
        "networks": _networks(table, where),
    }
    return environment.get_template("page.html").render(
        title=title,
        facts=_facts(table),
        data=_json_in_page(data),
        script=Markup(_file("page.js")),
        style=Markup(_file("page.css")),
        version=__version__,
    )


def axes_that_vary(table: pd.DataFrame) -> list[str]:
    """The columns by which networks differ: case and axes with more than one value."""
    return [name for name in axes_of(table) if table[name].nunique(dropna=False) > 1 and name != "seed"]


def opening_command(network: str, where: str) -> str:
    """The command that opens one network of a sweep."""
    return shlex.join(["modscope", "report", f"{where.rstrip('/')}/networks/{network}.safetensors"])


def _facts(table: pd.DataFrame) -> list[tuple[str, str]]:
    """What stands at the head of the page, name and value."""
    networks = table.network.nunique()
    ended = table[table.measure == "ended"]
    settled = int((ended.text.astype(str) == "settled").sum())
    by = sorted(
        {
            f"{v} {c[:12]}".strip()
            for v, c in zip(table.modscope.astype(str), table.commit.astype(str), strict=True)
        }
    )
    facts = [
        ("networks", f"{networks}"),
        ("settled", str(wilson(settled, len(ended)))),
        ("judged by", ", ".join(f"modscope {one}" for one in by)),
    ]
    if len(by) > 1:
        facts.append(
            (
                "with care",
                "more than one version of modscope judged them: modscope sweep look judges all by one",
            )
        )
    return facts


def _claim(name: str) -> dict[str, Any]:
    claim = CLAIMS.get(name)
    if claim is None:
        return {"title": name, "statement": "", "holds": None, "part": None}
    return {
        "title": claim.title,
        "statement": claim.statement,
        "effect": claim.effect,
        "control": claim.control,
        "rule": str(claim.rule),
        "holds": claim.rule.holds,
        "part": claim.rule.in_part,
    }


def _networks(table: pd.DataFrame, where: str) -> list[dict[str, Any]]:
    """Each network with its groups, its values and the command that opens it."""
    shown = set(Population(table).measures())
    groups = {name: Population(table, name or ()).table.group for name in ("", *axes_that_vary(table))}
    found: dict[tuple[str, str], dict[str, Any]] = {}
    columns = zip(
        table.network,
        table.case,
        table.recipe,
        table.measure,
        table.value,
        table.control,
        table.verdict,
        strict=True,
    )
    for i, (network, case, recipe, measure, value, control, verdict) in enumerate(columns):
        one = found.setdefault(
            (str(network), str(case)),
            {
                "key": str(network),
                "recipe": str(recipe),
                "command": opening_command(str(network), where) if where else "",
                "groups": {name: group.iloc[i] for name, group in groups.items()},
                "values": {},
            },
        )
        if measure in shown:
            known = [None if x != x else round(float(x), 9) for x in (value, control)]
            one["values"][measure] = [*known, None if verdict != verdict else str(verdict)]
    return list(found.values())


def _json_in_page(data: Any) -> Markup:
    # A text inside must not end the script that it stands in.
    return Markup(json.dumps(data, allow_nan=False).replace("<", "\\u003c"))


def _file(name: str) -> str:
    from importlib.resources import files

    return (files("modscope.sweep") / "templates" / name).read_text(encoding="utf-8")
