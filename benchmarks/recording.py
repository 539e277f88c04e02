"""Recording every activation on all pairs: modscope.record against HookedTransformer.run_with_cache.

    python benchmarks/recording.py [--quick] [--threads N]

Both sides run the network that ships with modscope (p = 113, d_mlp = 512) on all 12,769 pairs in float32 on the CPU, and
keep every activation. TransformerLens 2.x keeps all three positions and repeats what depends on one token;
`record` keeps each number once. Where TransformerLens is not installed (`pip install modscope[transformer-lens]`)
a stand-in takes its place, and the output says so: modscope's own network run on all tokens at all positions, every
hook kept, as run_with_cache does. Before timing, both sides are compared number by number at the read position.

The last line is the ratio of times; the line before it the ratio of bytes. The step that follows in an analysis, the
spectrum of mlp_post along b, is timed too: `spectrum` against torch.fft.rfft on the cached tensor.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from importlib.util import find_spec

import numpy as np
import torch
import xarray as xr

from modscope.activations import record
from modscope.model import Network
from modscope.shipped import shipped_network
from modscope.signal import spectrum
from modscope.task import ModularTask
from pairs import compare

Cache = Mapping[str, torch.Tensor]


def other_side(model: Network, task: ModularTask) -> tuple[str, Callable[[], Cache]]:
    """The straightforward way, and what it is called."""
    tokens = torch.from_numpy(task.tokens())
    if find_spec("transformer_lens") is None:

        @torch.no_grad()
        def stand_in() -> Cache:
            return model.run(tokens, keep=model.hooks, positions="all")

        return "stand-in for run_with_cache (TransformerLens is not installed)", stand_in
    from importlib.metadata import version

    from modscope.checkpoints.convert import hooked_transformer

    hooked = hooked_transformer(model)

    @torch.no_grad()
    def run_with_cache() -> Cache:
        logits, cache = hooked.run_with_cache(tokens)
        short = {**cache, "logits": logits}
        return {model.hook_name(name): value for name, value in short.items()}

    return f"TransformerLens {version('transformer-lens')} run_with_cache", run_with_cache


def size_of(cache: Cache) -> int:
    """Bytes of the memory behind the tensors; a tensor that repeats one row by stride counts once."""
    storages = {x.untyped_storage().data_ptr(): x.untyped_storage().nbytes() for x in cache.values()}
    return sum(storages.values())


def check(model: Network, task: ModularTask, cache: Cache) -> None:
    """Every hook of both sides holds the same numbers at the read position."""
    acts = record(model, task)
    for hook in acts.joint_hooks:
        theirs = cache[hook]
        if hook in ("attn_scores", "pattern"):  # there [pair, head, query, key]
            theirs = theirs[:, :, -1] if theirs.shape[1] == model.config.n_heads else theirs[:, -1]
        else:
            theirs = theirs[:, -1]
        ours = acts.at(hook).values.reshape(task.p**2, *theirs.shape[1:])
        np.testing.assert_allclose(ours, theirs.numpy(), rtol=1e-3, atol=2e-3, err_msg=hook)


def spectrum_lines(ours: xr.DataArray, theirs: torch.Tensor, pairs: int) -> str:
    """The step after the recording: the spectrum of mlp_post along b."""
    theirs = theirs.reshape(ours.shape)
    result = compare(lambda: spectrum(ours, "b"), lambda: torch.fft.rfft(theirs, dim=1), pairs=2 * pairs)
    return result.lines("spectrum of the recorded mlp_post along b", "modscope", "torch.fft.rfft")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer pairs of runs")
    parser.add_argument("--threads", type=int, default=1, help="threads of both sides")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    pairs = 5 if arguments.quick else 21

    shipped = shipped_network()
    model, task = shipped.model, shipped.task
    name, theirs = other_side(model, task)
    print(
        f"threads, both sides: {torch.get_num_threads()}; torch {torch.__version__}, numpy {np.__version__}"
    )
    cache = theirs()
    check(model, task, cache)
    print(spectrum_lines(record(model, task).at("mlp_post"), cache["mlp_post"][:, -1], pairs))
    their_bytes = size_of(cache)
    del cache
    result = compare(lambda: record(model, task).load(), theirs, pairs=pairs, warm=1)
    print(result.lines("record every activation on all pairs, p = 113", "modscope.record", name))
    ours_bytes = record(model, task).load().nbytes
    print(
        f"bytes held: modscope {ours_bytes / 1e6:.1f} MB, theirs {their_bytes / 1e6:.1f} MB, "
        f"ratio {their_bytes / ours_bytes:.2f}"
    )
    print(f"recording ratio {result.ratio:.2f}")


if __name__ == "__main__":
    main()
