"""`modscope compare`: networks or runs side by side, and a run against a published curve."""

from __future__ import annotations

import io
import json
import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from modscope.cli.opening import use_one_thread
from modscope.cli.progress import measuring
from modscope.errors import InputError
from modscope.writing import write_whole

if TYPE_CHECKING:
    import numpy as np
    import xarray as xr

    from modscope.progress import Comparison
    from modscope.runs import Run

__all__ = ["compare"]

_CURVES = (
    "loss.train",
    "loss.test",
    "restricted_loss.directions.all",
    "excluded_loss.directions.train",
    "gini.embedding",
    "squared_weights",
)
_DRAWN = (".svg", ".png", ".pdf")
_OVER_EPOCHS = ["loss", "restricted", "sparsity", "squared-weights"]


def compare(
    paths: Annotated[list[Path], typer.Argument(help="Runs or checkpoints, two or more; one with --curve.")],
    measures: Annotated[str, typer.Option(help="Progress measures, with commas, or fast or all.")] = "fast",
    curve: Annotated[
        Path | None, typer.Option(help="A published curve as CSV: epoch, then columns such as test_loss.")
    ] = None,
    figure: Annotated[
        Path | None, typer.Option(help="Draw the curves over each other into this file (.svg, .png, .pdf).")
    ] = None,
    all_rows: Annotated[
        bool, typer.Option("--all", help="Every measure, not only those that differ most.")
    ] = False,
    no_findings: Annotated[bool, typer.Option("--no-findings", help="Leave the findings out.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Write JSON to standard output instead.")] = False,
) -> None:
    """Compare networks or runs: measures, findings, curves.

    modscope compare runs/seed0 runs/seed1 --figure curves.svg
    modscope compare runs/seed0 --curve published.csv
    """
    use_one_thread()
    from modscope.progress import against_curve, own_curves, read_curve, unmeasured_columns
    from modscope.progress import compare as compare_runs
    from modscope.progress import progress as progress_of
    from modscope.runs import Run

    runs = _named([Run.open(path) for path in paths], paths)
    published = read_curve(curve) if curve is not None else None
    if len(runs) < 2 and published is None and figure is None:
        raise InputError("one network: give a second one to compare it with, or --curve FILE")
    if figure is not None and figure.suffix not in _DRAWN:
        raise InputError(f"{figure}: expected a name that ends with {', '.join(_DRAWN)}")
    told: dict[str, Any] = {}
    if len(runs) > 1:
        with measuring("measuring") as watch:
            found = compare_runs(runs, measures=measures.replace(",", " ").split(), watch=watch)
        told["comparison"] = found
        if not no_findings:
            told["findings"] = _verdicts(runs)
    over: dict[str, xr.Dataset] = {}
    if published is not None or figure is not None:
        with measuring("measuring over the epochs") as watch:
            for name, run in runs.items():
                over[name] = progress_of(run, measures=_OVER_EPOCHS, watch=watch)
                if published is not None and unmeasured_columns(over[name], published):
                    over[name] = progress_of(run, measures="fast", watch=watch)
    if published is not None:
        told["curves"] = {
            name: against_curve(one, published, losses=runs[name].losses) for name, one in over.items()
        }
    if figure is not None:
        curves = {name: own_curves(one, runs[name].losses) for name, one in over.items()}
        _draw(curves, published, figure)
    if as_json:
        json.dump(_plain(told), sys.stdout, indent=1, allow_nan=False)
        sys.stdout.write("\n")
        return
    _print(told, all_rows)
    if figure is not None:
        print(figure)


def _named(runs: list[Run], paths: list[Path]) -> dict[str, Run]:
    """Runs by their paths' last words, or by as much of the paths as tells them apart."""
    names = [path.name or str(path) for path in paths]
    if len(set(names)) < len(names):
        names = [str(path) for path in paths]
    if len(set(names)) < len(names):
        raise InputError("the same network is given twice")
    return dict(zip(names, runs, strict=True))


def _verdicts(runs: dict[str, Run]) -> dict[str, list[dict[str, Any]]]:
    """The findings of each network by claim."""
    from modscope.findings import findings

    rows: dict[str, list[dict[str, Any]]] = {}
    for run in runs.values():
        for finding in findings(run):
            rows.setdefault(finding.id, []).append(
                {"verdict": str(finding.verdict), "effect": finding.effect.value}
            )
    return rows


def _print(told: dict[str, Any], all_rows: bool) -> None:
    if "comparison" in told:
        print(_measures(told["comparison"], all_rows))
    if "findings" in told:
        print("\nfindings")
        for claim, each in told["findings"].items():
            verdicts = [str(one["verdict"]) for one in each]
            differs = "  *" if len(set(verdicts)) > 1 else ""
            print(f"  {claim:<28}{' | '.join(f'{v:<15}' for v in verdicts).rstrip()}{differs}")
    for name, matches in told.get("curves", {}).items():
        print(f"\n{name} against the published curve")
        for match in matches:
            print(f"  {match}")


def _measures(found: Comparison, all_rows: bool) -> str:
    names = list(found.values) if all_rows else found.largest()
    width = max(12, *(len(name) for name in found.names)) + 2
    lines = ["".join([f"{'':<38}", *(f"{name:>{width}}" for name in found.names), f"{'difference':>14}"])]
    keys = [",".join(map(str, ks)) or "none" for ks in found.keys]
    lines.append("".join([f"{'key frequencies':<38}", *(f"{text:>{width}}" for text in keys)]))
    for name in names:
        cells = [f"{_cell(value):>{width}}" for value in found.values[name]]
        lines.append("".join([f"{name[:37]:<38}", *cells, f"{_cell(found.difference(name)[-1]):>14}"]))
    if not all_rows:
        lines.append(
            f"the {len(names)} measures that differ most; --all shows every one of {len(found.values)}"
        )
    return "\n".join(lines)


def _cell(value: float) -> str:
    return f"{value:.4g}" if math.isfinite(value) else "-"


def _plain(told: dict[str, Any]) -> dict[str, Any]:
    plain: dict[str, Any] = {}
    if "comparison" in told:
        plain |= told["comparison"].to_dict()
    if "findings" in told:
        plain["findings"] = {
            claim: [one | {"effect": one["effect"] if _finite(one["effect"]) else None} for one in each]
            for claim, each in told["findings"].items()
        }
    if "curves" in told:
        plain["curves"] = {name: [vars(match) for match in each] for name, each in told["curves"].items()}
    return plain


def _finite(value: object) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def _draw(
    found: dict[str, dict[str, tuple[np.ndarray, np.ndarray]]],
    published: dict[str, np.ndarray] | None,
    file: Path,
) -> None:
    """Each curve in a panel of its own, the networks over each other, the published one in black."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    shown = [name for name in _CURVES if any(name in each for each in found.values())]
    figure, panels = pyplot.subplots(
        -(-len(shown) // 2), 2, figsize=(10, 2.8 * -(-len(shown) // 2)), squeeze=False
    )
    colours = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#666666"]
    styles = ["-", "--", "-.", ":"]
    for panel, name in zip(panels.flat, shown, strict=False):
        for i, (run, each) in enumerate(found.items()):
            if name in each:
                style = {"color": colours[i % 7], "linestyle": styles[i // 7 % 4]}
                panel.plot(*each[name], label=run, **style)
        short = {"loss.train": "train_loss", "loss.test": "test_loss"}.get(name, name)
        theirs = None if published is None else published.get(name, published.get(short))
        if published is not None and theirs is not None:
            panel.plot(published["epoch"], theirs, color="black", linewidth=0.8, label="published")
        panel.set_yscale("log" if "loss" in name else "linear")
        panel.set_title(name, fontsize=10)
        panel.set_xlabel("epoch")
    for panel in list(panels.flat)[len(shown) :]:
        panel.set_visible(False)
    panels.flat[0].legend(fontsize=8)
    figure.tight_layout()
    drawn = io.BytesIO()
    figure.savefig(drawn, format=file.suffix[1:])
    pyplot.close(figure)
    write_whole(file, drawn.getvalue())
