"""Train the network that ships with modscope and put it, its record and a thin trajectory into the package.

    python tools/ship_network.py

One thread, so that the bits do not depend on the machine's cores. A few minutes.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from pathlib import Path

import torch

from modscope.checkpoints import save_safetensors
from modscope.checkpoints.manifest import Listed, file_sum
from modscope.runs import Run, written
from modscope.training.presets import preset
from modscope.training.running import train

TARGET = Path(__file__).resolve().parents[1] / "src" / "modscope" / "data" / "add113"
MOMENTS = 10  # of the trajectory, beside the settled network


def main() -> None:
    recipe = preset("nanda").changed({"seed": 0, "threads": 1, "keep.every": 125})
    with tempfile.TemporaryDirectory() as scratch:
        run = train(recipe, Path(scratch) / "run", watch=_report)
        ship(run)


def _report(status) -> None:
    if status.epoch % 1000 == 0 or status.finished:
        test = f"{status.test.loss:.3e}" if status.test else "-"
        print(
            f"step {status.epoch}: train {status.train.loss:.3e}, test {test} {status.finished}", flush=True
        )


def ship(run: Run) -> None:
    """Copy a finished run into the package: the last network in float32, telling epochs before it in float16."""
    shutil.rmtree(TARGET, ignore_errors=True)
    (TARGET / "checkpoints").mkdir(parents=True)
    for name in ("recipe.toml", "environment.json", "losses.csv"):
        shutil.copy(run.path / name, TARGET / name)
    listed = []
    for epoch in [*telling_epochs(run), run.epochs[-1]]:
        network, last = run.model(epoch), epoch == run.epochs[-1]
        train_loss, test_loss = (
            float(written(run.losses, name).sel(epoch=epoch, method="nearest"))
            for name in ("train_loss", "test_loss")
        )
        record = {
            "epoch": epoch,
            "recipe": dict(run.recipe),
            "environment": dict(run.environment),
            "command": "python tools/ship_network.py",
        }
        if last:
            record["losses"] = {"train": train_loss, "test": test_loss}
        name = f"checkpoints/epoch_{epoch:06d}{'_settled' if last else ''}.safetensors"
        path = save_safetensors(
            TARGET / name, network if last else network.to(torch.float16), run.task, record
        )
        listed.append(Listed(epoch, name, path.stat().st_size, file_sum(path)).to_dict())
        print(f"epoch {epoch}: train {train_loss:.3e}, test {test_loss:.3e}")
    manifest = {"format": 1, "checkpoints": listed, "finished": run.finished}
    (TARGET / "manifest.json").write_text(json.dumps(manifest, indent=1))
    print(f"{sum(entry['bytes'] for entry in listed) / 1e6:.2f} MB in {TARGET}")


def telling_epochs(run: Run) -> list[int]:
    """The start, the memorised network, and moments spread evenly over the fall of the test loss."""
    every = [e for e in run.epochs if e == 0 or e % 125 == 0]
    losses = written(run.losses, "test_loss")
    at = {e: float(losses.sel(epoch=e, method="nearest")) for e in every[:-1]}
    grokked = min(e for e in every if at.get(e, 1.0) < 1e-2)
    memorised = min(e for e in every if e >= grokked // 6)
    spread = [memorised + round((grokked - memorised) * part) for part in (0.35, 0.65, 0.8, 0.9, 1.0)]
    late = [grokked + round((run.epochs[-1] - grokked) * part) for part in (0.12, 0.25, 0.5)]
    wanted = [0, memorised, *spread, *late]
    chosen = sorted({min(every, key=lambda e: abs(e - moment)) for moment in wanted})
    return chosen[:MOMENTS]


if __name__ == "__main__":
    if len(sys.argv) > 1:
        ship(Run.open(sys.argv[1]))
    else:
        main()
