"""Many networks in a stack against one after another.

    python benchmarks/many.py [--quick] [--device cuda] [--population N --preset quick]

On the CPU: steps of networks in a stack against steps of the compiled engine on one network, each on one thread, for
several sizes; what the numbers say is where `pays` (modscope.training.many) draws its line. The last line is
`many ratio R`, at the smallest size.
On CUDA: a step of 256 networks of the published size, divided by 256, against a training step of one
HookedTransformer of TransformerLens on the same card (or the same network in plain PyTorch where that is not installed);
the last line is that ratio. Needs no network.
--population N trains N networks of a preset to their ends and says how many that is a second, how many settled, and how
large the stack was.
"""

from __future__ import annotations

import argparse
import importlib.util
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

from modscope.training.many import train_many
from modscope.training.many.slots import Slot, Slots
from modscope.training.presets import preset
from modscope.training.recipe import Recipe
from modscope.training.trainer import Trainer, quiet_machine
from pairs import compare
from training import naive_step, transformer_lens_step

SIZES = (
    (5, 16, 32),
    (7, 64, 32),
    (13, 64, 32),
    (23, 128, 16),
    (29, 512, 8),
    (53, 128, 8),
    (53, 512, 4),
    (113, 512, 2),
)


def recipe_of(p: int, d_mlp: int, **changes: Any) -> Recipe:
    sizes = {"task.p": p, "network.d_mlp": d_mlp, "network.d_model": min(128, max(8, d_mlp // 4))}
    return preset("quick").changed({**sizes, "threads": 1, **changes})


def filled(recipe: Recipe, networks: int) -> Slots:
    recipes = [recipe.with_seed(seed) for seed in range(networks)]
    slots = Slots(recipes, steps=recipe.stop.steps)
    for i, one in enumerate(recipes):
        Slot(slots, i, one)
    slots.advance(4)
    return slots


def on_cpu(p: int, d_mlp: int, networks: int, pairs: int) -> float:
    """CPU time of a network's step in the compiled engine over that in a stack; other work of the machine is left out."""
    single = Trainer(recipe_of(p, d_mlp))
    slots = filled(recipe_of(p, d_mlp), networks)
    for _ in range(20):
        single.advance()
    ours, theirs = [], []
    for _ in range(pairs):
        began = time.process_time()
        for _ in range(networks):
            single.advance()
        theirs.append((time.process_time() - began) / networks)
        began = time.process_time()
        slots.advance(1)
        ours.append((time.process_time() - began) / networks)
    mine, other = 1000 * statistics.median(ours), 1000 * statistics.median(theirs)
    print(
        f"p = {p}, d_mlp = {d_mlp}: {networks} in a stack {mine:.3f} ms a network and step, "
        f"one with the {single.engine.name} engine {other:.3f} ms, ratio {other / mine:.2f}",
        flush=True,
    )
    return other / mine


def on_cuda(networks: int, pairs: int) -> float:
    recipe = preset("nanda").changed({"device": "cuda", "engine": "plain"})
    slots = filled(recipe, networks)
    trainer = Trainer(recipe)
    known = importlib.util.find_spec("transformer_lens") is not None
    theirs = transformer_lens_step(trainer) if known else naive_step(trainer)

    def one() -> None:
        theirs()
        torch.cuda.synchronize()

    found = compare(lambda: slots.advance(1), one, pairs=pairs)
    name = "TransformerLens, one network" if known else "plain PyTorch, all positions, one network"
    print(found.lines(f"a step on {torch.cuda.get_device_name()}", f"{networks} networks in a stack", name))
    print(f"  a network's step in the stack: {1000 * statistics.median(found.ours) / networks:.4f} ms")
    return found.ratio * networks


def population(name: str, networks: int, device: str) -> None:
    recipe = preset(name).changed({"device": device, "engine": "many", "keep.log": 0, "keep.resume": 5000})
    with tempfile.TemporaryDirectory() as folder:
        began = time.monotonic()
        recipes = {Path(folder) / f"seed{seed}": recipe.with_seed(seed) for seed in range(networks)}
        ended = list(train_many(recipes))
        seconds = time.monotonic() - began
    settled = sum(one.finished == "settled" for one in ended)
    print(
        f"{networks} of {name} on {device}: {seconds:.0f} s, {networks / seconds:.2f} a second, {settled} settled"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--population", type=int, default=0)
    parser.add_argument("--preset", default="quick")
    given = parser.parse_args()
    if given.population:
        population(given.preset, given.population, given.device)
    elif given.device == "cpu":
        with quiet_machine(1):
            chosen = SIZES[:4] if given.quick else SIZES
            ratios = [on_cpu(*size, pairs=5 if given.quick else 9) for size in chosen]
        print(f"many ratio {ratios[0]:.2f}")
    else:
        print(f"many ratio {on_cuda(64 if given.quick else 256, 7 if given.quick else 15):.1f}")


if __name__ == "__main__":
    sys.exit(main())
