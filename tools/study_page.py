"""Writes docs/study.md from the table of the study: every sentence from its rows, which it names.

    python tools/study_page.py [--from sweeps/study]

--from: a sweep of src/modscope/data/study/study.toml, whose table is first put in the place of the one that ships.
"""

from __future__ import annotations

import argparse
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd

from modscope.findings import CLAIMS
from modscope.sweep import Plan, Storage, Sweep
from modscope.sweep.population import COURSE, MECHANISM, Population, Verdicts, wilson
from modscope.sweep.study import study_table
from modscope.sweep.table import written

ROOT = Path(__file__).resolve().parents[1]
DATA = ROOT / "src" / "modscope" / "data" / "study"
SUM, PRODUCT = f"{MECHANISM}rectified sum", f"{MECHANISM}product in attention"


def row(measure: str, *cases: str) -> str:
    """The citation of rows of the table: a measure, and the cases whose networks are meant."""
    return f"[`{measure}`" + (f"; {', '.join(cases)}" if cases else "") + "]"


def percent(x: float) -> str:
    return f"{100 * x:.0f} %"


def whole(x: float) -> str:
    return f"{x:,.0f}" if x >= 1000 else f"{x:.4g}"


def spanned(values: np.ndarray) -> str:
    """The range of some shares; one number where they are the same to the percent."""
    low, high = percent(values.min()), percent(values.max())
    return low if low == high else f"{low} to {high}"


def values_of(table: pd.DataFrame, measure: str, operation: str) -> np.ndarray:
    chosen = table[(table.measure == measure) & (table["task.operation"] == operation)]
    return chosen.value.dropna().to_numpy(float)


def cases_of(table: pd.DataFrame, operation: str) -> list[str]:
    return list(dict.fromkeys(map(str, table.case[table["task.operation"] == operation])))


def reached(table: pd.DataFrame, plan: Plan) -> list[str]:
    asked = pd.Series([unit.case for unit in plan.units]).value_counts(sort=False)
    there = table.groupby("case", observed=True).network.nunique()
    ended = table[table.measure == "ended"]
    settled = ended[ended.text == "settled"].groupby("case", observed=True).size()
    lines = ["| case | asked for | there | of these settled |", "|---|---|---|---|"]
    for case, count in asked.items():
        n = int(there.get(case, 0))
        lines.append(f"| {case} | {count} | {n} | {wilson(int(settled.get(case, 0)), n) if n else '-'} |")
    return lines


def surprises(table: pd.DataFrame) -> list[str]:
    """What one would not have said before: of subtraction, of what carries the answer, of attention."""
    said = []
    constant = table.case.astype(str).str.contains("attention rate 0")
    for rows, operation, kind in (
        (table[~constant], "subtract", "subtraction"),
        (table[~constant], "add", "addition"),
        (table[~constant], "multiply", "multiplication"),
        (table[constant], "add", "addition with constant attention"),
    ):
        sums, products = (values_of(rows, name, operation) for name in (SUM, PRODUCT))
        if len(sums):
            n = "the one network" if len(sums) == 1 else f"{len(sums)} networks"
            cases = cases_of(rows, operation)
            said.append(
                f"- In {n} trained on {kind}, a rectified sum of waves gives {spanned(sums)} of the answer (median "
                f"{percent(float(np.median(sums)))}) and a product in attention {spanned(products)}. "
                f"{row(SUM, *cases)} {row(PRODUCT, *cases)}"
            )
    everywhere = {one.measure: one for one in Population(table).verdicts()}
    for name in ("cosines-carry-the-answer", "constant-attention", "even-about-half-c", "second-harmonics"):
        if name in everywhere:
            said.append(f"- {counted(everywhere[name])} {row(name)}")
    return said


def counted(one: Verdicts) -> str:
    """A claim and in how many networks it stands."""
    statement = CLAIMS[one.measure].statement if one.measure in CLAIMS else one.measure
    return (
        f"“{statement}” holds in {one.holds}, in part in {one.in_part.count} and does not in {one.fails.count} "
        "of the networks that it applies to."
    )


def shares(table: pd.DataFrame) -> list[str]:
    population = Population(table, "case")
    groups = population.groups
    found = {(one.measure, one.group): one for one in population.verdicts()}
    everywhere = {one.measure: one for one in Population(table).verdicts()}
    lines = [
        f"| claim | all | {' | '.join(f'{group} ({population.sizes[group]})' for group in groups)} |",
        "|" + "---|" * (len(groups) + 2),
    ]
    for name in population.findings:
        cells = []
        for group in groups:
            one = found.get((name, group))
            cells.append(
                f"{one.holds.count} / {one.in_part.count} / {one.fails.count}"
                if one and one.holds.of
                else "-"
            )
        lines.append(f"| {name} | {everywhere[name].holds} | {' | '.join(cells)} |")
    return lines


def differences(table: pd.DataFrame, by: str) -> list[str]:
    """Claims for which the shares of two groups have intervals that do not meet."""
    said = []
    found: dict[str, list[Verdicts]] = {}
    for one in Population(table, by).verdicts():
        found.setdefault(one.measure, []).append(one)
    for name, groups in found.items():
        known = [one for one in groups if one.holds.of]
        for one, two in combinations(known, 2):
            low, high = sorted((one, two), key=lambda g: g.holds.share)
            if low.holds.high < high.holds.low:
                said.append(
                    f"- {name} holds in {high.holds} of {high.group}, and in {low.holds} of {low.group}. "
                    f"{row(name, high.group, low.group)}"
                )
    return said


def spread_table(table: pd.DataFrame, measures: list[str]) -> list[str]:
    population = Population(table, "case")
    lines = ["| case | " + " | ".join(measures) + " |", "|" + "---|" * (len(measures) + 1)]
    by_group = {name: {one.group: one for one in population.spreads(name)} for name in measures}
    for group in population.groups:
        cells = []
        for name in measures:
            one = by_group[name].get(group)
            if one is None or not one.reached.count:
                cells.append("-")
            else:
                of = (
                    ""
                    if one.reached.count == one.reached.of
                    else f" ({one.reached.count} of {one.reached.of})"
                )
                cells.append(f"{whole(one.low)} / {whole(one.median)} / {whole(one.high)}{of}")
        lines.append(f"| {group} | " + " | ".join(cells) + " |")
    return lines


def page(table: pd.DataFrame, plan: Plan) -> str:
    asked, there = len(plan.units), table.network.nunique()
    commits = ", ".join(sorted({str(c)[:12] for c in table.commit}))
    one_recipe = table[(table["task.operation"] == "add") & (table["task.p"] == 113)]
    parts = [
        "# A study of our own",
        "",
        f"{asked} networks were asked for (`src/modscope/data/study/study.toml`); {there} of them are here, which "
        "the first table says case by case. Where a case has few, its intervals are wide, and nothing is said of what they "
        "do not tell apart. The table ships with modscope (`modscope sweep-report` opens it), judged by commit "
        f"{commits}; the weights do not. It was made, and is gone on with, by",
        "",
        "    modscope sweep src/modscope/data/study/study.toml --out sweeps/study",
        "    python tools/study_page.py --from sweeps/study",
        "",
        "The second writes this page. In square brackets: the measure and the cases whose rows of the table a sentence is "
        "from. Intervals are those of Wilson (1927), 95 %, for the share among all seeds of the same recipes.",
        "",
        *reached(table, plan),
        "",
        "## What one would not have said",
        "",
        *surprises(table),
        "",
        "## What holds, in what share",
        "",
        "All: in how many networks the claim holds; over several recipes the interval is a reader's help and no estimate of "
        "any one share. By case: holds / in part / does not. A "
        "claim that does not apply to a network is not counted.",
        "",
        *shares(table),
        "",
        "## What depends on the operation, the recipe, p",
        "",
        "Claims for which two groups have shares whose intervals do not meet.",
        "",
    ]
    for title, by, rows in (
        ("By operation", "task.operation", table),
        ("By p, addition", "task.p", table[table["task.operation"] == "add"]),
        ("By case, addition mod 113", "case", one_recipe),
    ):
        found = differences(rows, by) if len(rows) else []
        parts += [f"{title}:", "", *(found or ["- none that so few networks can tell."]), ""]
    parts += [
        "## How training went, and what was found in it",
        "",
        "Least / median / most; in brackets how many got there, where not all did. Steps; then the number of key frequencies.",
        "",
        *spread_table(table, [*COURSE, "key frequencies"]),
        "",
        "Shares of the answer, by mechanism:",
        "",
        *spread_table(table, Population(table).mechanisms()),
    ]
    return "\n".join(parts) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--from", dest="source", default="")
    given = parser.parse_args()
    if given.source:
        (DATA / "table.parquet").write_bytes(written(Sweep(Storage(given.source)).table()))
    plan = Plan.from_file(DATA / "study.toml")
    (ROOT / "docs" / "study.md").write_text(page(study_table(), plan), encoding="utf-8")
    print("docs/study.md")


if __name__ == "__main__":
    main()
