"""Writes the table of docs/scale.md from figures that were measured, each with the command that gave it.

python tools/scale_page.py
"""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BEGIN, END = "<!-- begin: tools/scale_page.py -->", "<!-- end -->"

# Core-seconds a network, from nothing to settled, one network a thread (docs/training.md, benchmarks/RECORDS.md).
QUICK = 60 / 4.5 * 2  # 4.5 settled a minute on two cores, `python benchmarks/training.py`
PUBLISHED = 10_112 * 8.7e-3  # steps (median of 8, the table of docs/training.md) times a step on one thread
LOOKING = (
    1.3  # s, all findings of one network: the least of those in the results of the study, machine shared
)
UNIT = (
    16e-3  # core-seconds of client and worker besides the work, `python benchmarks/sweep.py --units 100000`
)

# Bytes a network: what the study's 15 first networks came to, and a table of 10,000 (`python benchmarks/sweep.py`).
RESULT, NETWORK, TABLE, CSV = 18_100, 874_000, 1_930, 30_100

HEADS = (
    "networks",
    "quick, core-hours",
    "published, core-hours",
    "handing out",
    "results",
    "networks kept",
    "Parquet",
    "CSV",
)


def hours(seconds: float) -> str:
    return f"{seconds / 3600:,.0f}" if seconds > 36_000 else f"{seconds / 3600:.2g}"


def size(count: float) -> str:
    for unit in ("kB", "MB", "GB", "TB"):
        count /= 1000
        if count < 1000:
            return f"{count:.3g} {unit}"
    return f"{count:,.0f} TB"


def rows() -> list[str]:
    lines = ["| " + " | ".join(HEADS) + " |", "|" + "---|" * len(HEADS)]
    for power in (3, 5, 7):
        n = 10**power
        times = [hours(n * (each + LOOKING)) for each in (QUICK, PUBLISHED)]
        sizes = [size(n * each) for each in (RESULT, NETWORK, TABLE, CSV)]
        lines.append(
            f"| 10^{power} | " + " | ".join([*times, f"{hours(n * UNIT)} core-hours", *sizes]) + " |"
        )
    return lines


def main() -> None:
    path = ROOT / "docs" / "scale.md"
    head, _, rest = path.read_text(encoding="utf-8").partition(BEGIN)
    _, _, tail = rest.partition(END)
    path.write_text("\n".join([head + BEGIN, "", *rows(), "", END]) + tail, encoding="utf-8")
    print(path.relative_to(ROOT))


if __name__ == "__main__":
    main()
