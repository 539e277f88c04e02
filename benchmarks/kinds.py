"""Are the networks of `quick` of the same kind as those of the published recipe?

    python benchmarks/kinds.py runs/accelerations

Reads the settled networks that accelerations.py has trained (`--only quick,published`) and prints, for each operation
and p, key frequencies and mechanisms beside those of the published recipe, and every claim on which not all
networks of the operation have the same verdict: the median effect, and how many hold, hold in part, do not hold.
"""

from __future__ import annotations

import argparse
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from accelerations import CASES, Case, line
from modscope import analysis, record
from modscope.findings import Findings, findings
from modscope.findings.finding import VERDICTS

GRADES = VERDICTS[:3]  # holds, in part, does not
PARTS = {
    "rectified sum": "rectified sum",
    "product": "product in attention",
    "pizza": "pizza, share of the circles' weight",
}


@dataclass(frozen=True)
class Kind:
    """What the settled networks of one case have become."""

    name: str
    found: tuple[Findings, ...]
    keys: tuple[int, ...]

    @classmethod
    def of(cls, case: Case, folder: Path) -> Kind:
        settled = [record(run.model(), run.task) for run in case.runs(folder) if run.finished == "settled"]
        return cls(
            case.name,
            tuple(findings(acts) for acts in settled),
            tuple(len(analysis.key_frequencies(acts).frequencies) for acts in settled),
        )

    def verdicts(self, claim: str) -> Counter[str]:
        """How many of the networks have each verdict."""
        return Counter(found[claim].verdict for found in self.found)

    def row(self) -> str:
        """One line of the table of mechanisms: the smallest, median and largest of each number."""
        shares = [[found["which-mechanism"].numbers[part] for found in self.found] for part in PARTS.values()]
        return line(
            self.name,
            str(len(self.found)),
            f"{min(self.keys)} / {median(self.keys):.0f} / {max(self.keys)}",
            *(f"{100 * min(s):.0f} / {100 * median(s):.0f} / {100 * max(s):.0f} %" for s in shares),
        )


def claim_rows(kinds: list[Kind]) -> list[str]:
    """A line for each claim on which the networks are not of one verdict: median effect and count of each verdict."""
    rows = []
    for finding in kinds[0].found[0]:
        counts = [kind.verdicts(finding.id) for kind in kinds]
        if len(set().union(*counts)) > 1:
            effects = [median(found[finding.id].effect.value for found in kind.found) for kind in kinds]
            cells = [
                f"{effect:.2g} ({' / '.join(str(count[verdict]) for verdict in GRADES)})"
                for effect, count in zip(effects, counts, strict=True)
            ]
            rows.append(line(finding.id, *cells))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("runs", type=Path)
    folder = parser.parse_args().runs
    for operation in ("add", "subtract"):
        named = [
            case
            for case in CASES
            if case.operation == operation and case.name.startswith(("quick", "published"))
        ]
        kinds = [kind for case in named if (kind := Kind.of(case, folder)).found]
        if not kinds:
            print(f"no settled networks of {operation} in {folder}; accelerations.py trains them")
            continue
        print("\n" + line("case", "settled", "key frequencies", *PARTS))
        print("|---|---|---|---|---|---|")
        print("\n".join(kind.row() for kind in kinds))
        print("\n" + line("claim", *(kind.name for kind in kinds)))
        print("|---" * (1 + len(kinds)) + "|")
        print("\n".join(claim_rows(kinds)), flush=True)


if __name__ == "__main__":
    main()
