"""All progress measures of one checkpoint against one plain forward pass over all pairs.

    python benchmarks/progress.py [--quick] [--memory RUN]

The network that ships with modscope (p = 113, d_mlp = 512), float32 on the CPU, one thread. The other side is
TransformerLens's forward pass on all 12,769 pairs; where it is not installed a stand-in takes its place, and the output says
so: modscope's own network run on all tokens at all positions. The fast set is every measure but gradient symmetricity and
simple neurons. Key frequencies, and the triples of the gradients, are those of the run and are found once, outside.

Lines `progress passes fast F` and `progress passes all A` say how many forward passes each takes; the last line is
the ratio, a forward pass divided by all measures. --memory measures a whole run and prints the peak memory of the process.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import torch

from memory import own_peak_megabytes
from modscope.activations import record
from modscope.model import Network
from modscope.progress import FAST, MEASURES, run_keys
from modscope.progress.moment import Frame, Moment
from modscope.runs import Run
from modscope.shipped import shipped_run
from modscope.task import ModularTask
from pairs import compare


def forward_pass(network: Network, task: ModularTask) -> tuple[str, Callable[[], object]]:
    """The other side, and what it is called."""
    tokens = torch.from_numpy(task.tokens())
    if find_spec("transformer_lens") is None:

        @torch.no_grad()
        def stand_in() -> object:
            return network.run(tokens, keep=("logits",), positions="all")

        return "stand-in for a forward pass (TransformerLens is not installed)", stand_in
    from modscope.checkpoints.convert import hooked_transformer

    hooked = hooked_transformer(network)

    @torch.no_grad()
    def plain() -> object:
        return hooked(tokens)

    return "TransformerLens forward pass", plain


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer pairs")
    parser.add_argument("--memory", type=Path, help="a run folder to measure whole, for the peak memory")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    if chosen.memory is not None:
        run = Run.open(chosen.memory)
        before = own_peak_megabytes()
        run.progress(keep=False)
        print(f"{len(run.epochs)} checkpoints of p = {run.task.p}; peak before measuring {before:.0f} MB")
        print(f"progress memory {own_peak_megabytes():.0f} MB")
        return
    run = shipped_run()
    network, task = run.model(), run.task
    frame = Frame(task, run_keys(run).frequencies)
    _ = frame.triples
    name, theirs = forward_pass(network, task)

    def measured(names: tuple[str, ...]) -> Callable[[], object]:
        def all_of_them() -> object:
            moment = Moment(record(network, task), frame)
            return [MEASURES[each].of(moment) for each in names]

        return all_of_them

    pairs, warm = (3, 1) if chosen.quick else (9, 1)
    fast = compare(measured(FAST), theirs, pairs=pairs, warm=warm)
    whole = compare(measured(tuple(MEASURES)), theirs, pairs=pairs, warm=warm)
    print(fast.lines("the fast progress measures of one checkpoint", "modscope", name))
    print(whole.lines("all progress measures of one checkpoint", "modscope", name))
    print(f"progress passes fast {1 / fast.ratio:.2f}")
    print(f"progress passes all {1 / whole.ratio:.2f}")
    print(f"progress ratio {whole.ratio:.3f}")


if __name__ == "__main__":
    main()
