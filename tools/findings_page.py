"""Writes docs/findings.md: what holds on the published checkpoints.

    python tools/findings_page.py [FOLDER]

FOLDER holds the published checkpoints (default: $MODSCOPE_CHECKPOINTS, else ../shared/checkpoints). The network that
ships with modscope is always among them; those that are not there are left out.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from modscope.checkpoints import Checkpoint, open_checkpoint
from modscope.findings import Findings, findings
from modscope.findings.markdown import findings_markdown
from modscope.shipped import shipped_network

ROOT = Path(__file__).resolve().parents[1]

PUBLISHED = {
    "nanda": "nanda_mainline",
    "chughtai": "chughtai_C113_T_seed1",
    "pizza A": "pizza_A",
    "pizza B": "pizza_B",
    "flat": "flat_p113/checkpoint_final.pt",
    "flat, epoch 1000": "flat_p113/checkpoint_e001000.pt",
}

HEAD = """# What holds of trained networks

Each claim about how a network adds is a *finding*: a sentence, a number that could contradict it, a control of which the
claim must fail, and a rule from the two to a verdict. `modscope findings PATH` measures them all; this page is written by

    python tools/findings_page.py

on the main run of Nanda et al. 2023 (nanda), a network of Chughtai et al. 2023 (chughtai), models A and B of Zhong et al. 2023
(pizza A, pizza B), a third party's run at its end and at epoch 1000, where it has memorised and not generalised (flat),
and the network that ships with modscope (shipped).

In Python: `from modscope.findings import findings; found = findings(open_checkpoint(PATH))`, then
`found["which-mechanism"]`. `--explain` says of each claim how it is measured, `--json` gives everything. A network that multiplies
mod a prime is read as one that adds logarithms; of other operations most claims are not applicable, and say why. Where there is
[nothing to judge](operations.md), as of a network that has memorised, no claim is applicable.

## Which mechanism?

The MLP's input is divided into what is linear in the tokens, f(a) + g(b), and the rest, which depends on both. Each part
alone is put in the place of the whole and the pass run on; the share of a part is its Shapley value of the margin (right logit
minus mean logit). What the first part gives, the MLP makes by *rectifying a sum of waves*; what the second gives, attention
made as a *product* (the clock). What the margin on training pairs has more than on test pairs is *memorised*. A *pizza* is a
rectified sum of equal waves: it is told, circle by circle, by the envelope |cos w(a - b)/2| of the weight of cos w(a + b - c) when
the embedding holds that frequency alone.
"""

EVEN = """
**What evenness about c/2 cannot tell.** In the order (c, a), to be even about c/2 for every c is to be symmetric under the
swap of a and b. A clock has it, a pizza has it, an untrained network with nearly constant attention has it, and a grokked network
with its tokens permuted keeps it while its answers are wrong. It cannot separate a sum from a product; the replacements above do.

## Verdicts
"""


def networks(folder: Path) -> dict[str, Checkpoint]:
    found = {
        name: open_checkpoint(folder / path) for name, path in PUBLISHED.items() if (folder / path).exists()
    }
    return {**found, "shipped": shipped_network()}


def mechanisms(found: dict[str, Findings]) -> str:
    lines = ["| network | mechanism |", "|---|---|"]
    circles = [
        "| network | k | share of the weight | rectified sum | product | pizza's envelope |",
        "|---|---|---|---|---|---|",
    ]
    for name, each in found.items():
        finding = each["which-mechanism"]
        lines.append(f"| {name} | {finding.summary or finding.reason} |")
        numbers = finding.numbers
        ks = [key.removeprefix("rectified at ") for key in numbers if key.startswith("rectified at ")]
        for k in ks:
            cells = [
                f"{100 * numbers[f'{what} at {k}']:.0f} %"
                for what in ("weight", "rectified", "product", "pizza")
            ]
            circles.append(f"| {name} | {k} | {' | '.join(cells)} |")
    return "\n".join([*lines, "", "Frequency by frequency:", "", *circles, ""])


def main() -> None:
    default = os.environ.get("MODSCOPE_CHECKPOINTS", ROOT.parent / "shared" / "checkpoints")
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else default)
    found = {name: findings(checkpoint) for name, checkpoint in networks(folder).items()}
    page = HEAD + "\n" + mechanisms(found) + READING + EVEN + "\n" + findings_markdown(found)
    target = ROOT / "docs" / "findings.md"
    beside = target.with_suffix(".part")
    beside.write_text(page, encoding="utf-8")
    beside.replace(target)
    print(target)


READING = """
Two measures that know nothing of each other agree: the circles whose margin is made from f(a) + g(b) alone are those whose
weight follows |cos w(a - b)/2|. So one network holds pizzas and clocks at once, frequency by frequency (Zhong et al. 2023
saw this for whole networks).
"""


if __name__ == "__main__":
    main()
