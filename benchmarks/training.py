"""Steps per second of exact full-batch training: modscope against a TransformerLens training step.

    python benchmarks/training.py [--quick | --brief] [--threads N]

Train step against train step, five in a row on each side in turn (forward, float64 loss, backward, AdamW) on the published task: addition mod
113, 3830 pairs, d_model 128, 4 heads, d_mlp 512, on the trained network that ships with modscope (and, for
information, on fresh weights: there fewer neurons are active). Theirs is HookedTransformer of TransformerLens 2.x if
it is installed beside modscope (pip install -e . -r benchmarks/requirements.txt, in an environment of its own),
otherwise the same network written in plain PyTorch: all positions, one autograd graph. The last line is
`training ratio R`.
--brief: trained weights and the fast engine alone, six pairs, a quarter of a minute. AVX2 on a machine that has more is
asked for on both sides by NUMBA_CPU_NAME=haswell, NUMBA_CPU_FEATURES (the name alone leaves AVX-512 on; a list is in
tests/training/test_processor.py), ATEN_CPU_CAPABILITY=avx2 and MKL_ENABLE_INSTRUCTIONS=AVX2.
Without --quick also: from nothing to test loss < .01 and to a settled network, `--seeds 0:8`, steps against p and
d_mlp, and the memory that training takes on both sides.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import importlib.util
import math
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from torch import Tensor

from memory import own_peak_megabytes
from modscope.shipped import shipped_network
from modscope.training.presets import preset
from modscope.training.recipe import Recipe
from modscope.training.running import train
from modscope.training.seeds import pace, train_seeds
from modscope.training.trainer import Trainer, available_threads
from pairs import Comparison, compare

STEPS = 5  # in a row: training is one long row of steps


def naive_step(trainer: Trainer) -> Callable[[], object]:
    """The network of a trainer in plain PyTorch at all positions, with its own weights and AdamW."""
    short = {name.split(".")[-1]: w.detach().clone().requires_grad_() for name, w in trainer.weights.items()}
    tokens, labels = _tokens(trainer)
    optimiser = torch.optim.AdamW(short.values(), lr=1e-9, weight_decay=1.0, betas=(0.9, 0.98))
    hidden = torch.ones(3, 3, dtype=torch.bool).triu(1)
    size = short["W_Q"].shape[-1]

    def step() -> float:
        x = short["W_E"][tokens] + short["W_pos"]
        q, k, v = (torch.einsum("npd,hde->nphe", x, short[name]) for name in ("W_Q", "W_K", "W_V"))
        scores = torch.einsum("nqhe,nkhe->nhqk", q, k) / math.sqrt(size)
        pattern = scores.masked_fill(hidden, -1e9).softmax(-1)
        z = torch.einsum("nhqk,nkhe->nqhe", pattern, v)
        x = x + torch.einsum("nqhe,hed->nqd", z, short["W_O"])
        post = torch.relu(x @ short["W_in"] + short["b_in"])
        x = x + post @ short["W_out"] + short["b_out"]
        return _finish(x @ short["W_U"], labels, optimiser)

    return step


def transformer_lens_step(trainer: Trainer) -> Callable[[], object]:
    """The same network as a HookedTransformer, biases of attention not trained, as in its grokking demo."""
    from transformer_lens import HookedTransformer, HookedTransformerConfig

    config = trainer.recipe.config
    network = HookedTransformer(
        HookedTransformerConfig(
            n_layers=1,
            n_heads=config.n_heads,
            d_model=config.d_model,
            d_head=config.head_size,
            d_mlp=config.d_mlp,
            act_fn="relu",
            normalization_type=None,
            d_vocab=config.vocabulary,
            d_vocab_out=config.answers,
            n_ctx=3,
            init_weights=True,
            device="cpu",
            seed=0,
        )
    )
    with torch.no_grad():
        own = dict(network.named_parameters())
        for name, weight in trainer.weights.items():
            own[name].copy_(weight)
    for name, weight in own.items():
        weight.requires_grad_(name in trainer.weights)
    tokens, labels = _tokens(trainer)
    learnt = [weight for weight in own.values() if weight.requires_grad]
    optimiser = torch.optim.AdamW(learnt, lr=1e-9, weight_decay=1.0, betas=(0.9, 0.98))
    return lambda: _finish(network(tokens), labels, optimiser)


def _tokens(trainer: Trainer) -> tuple[Tensor, Tensor]:
    task = trainer.task
    chosen = task.train_mask.ravel()
    return torch.from_numpy(task.tokens()[chosen]), torch.from_numpy(task.labels.ravel()[chosen])


def _finish(logits: Tensor, labels: Tensor, optimiser: torch.optim.Optimizer) -> float:
    exact = logits[:, -1].to(torch.float64).log_softmax(-1)
    loss = -exact.gather(1, labels[:, None]).mean()
    loss.backward()
    optimiser.step()
    optimiser.zero_grad()
    return loss.item()


def their_step(trainer: Trainer) -> tuple[str, Callable[[], object]]:
    """The best known name of the other side, and its step."""
    if importlib.util.find_spec("transformer_lens"):
        version = importlib.metadata.version("transformer-lens")
        return f"TransformerLens {version}", transformer_lens_step(trainer)
    return "plain PyTorch at all positions", naive_step(trainer)


def trainer_of(
    changes: Mapping[str, object], threads: int, weights: Mapping[str, Tensor] | None = None
) -> Trainer:
    """A trainer of the published recipe at a rate that moves nothing, so every step is of the same network."""
    fixed = {"optimiser.learning_rate": 1e-9, "threads": threads}
    trainer = Trainer(preset("nanda").changed(fixed | dict(changes)))
    if weights is not None:
        with torch.no_grad():
            for name, weight in trainer.weights.items():
                weight.copy_(weights[name])
    return trainer


def in_turn(trainer: Trainer, theirs: Callable[[], object], threads: int, pairs: int) -> Comparison:
    """Our step and theirs, each with PyTorch on the threads that suit it."""

    def ours() -> object:
        torch.set_num_threads(trainer.torch_threads)
        return trainer.advance()

    def other() -> object:
        torch.set_num_threads(threads)
        return theirs()

    torch.set_flush_denormal(True)
    return compare(ours, other, pairs=pairs, warm=1, repeats=STEPS)


def peak_gflops(threads: int) -> float:
    """The best rate of a 2048 x 2048 matrix product."""
    torch.set_num_threads(threads)
    x, y, out = torch.randn(2048, 2048), torch.randn(2048, 2048), torch.empty(2048, 2048)
    best = math.inf
    for _ in range(6):
        start = time.perf_counter()
        torch.mm(x, y, out=out)
        best = min(best, time.perf_counter() - start)
    return 2 * 2048**3 / best / 1e9


def steps_per_second(trainer: Trainer, seconds: float = 2.0) -> float:
    torch.set_num_threads(trainer.torch_threads)
    for _ in range(3):
        trainer.advance()
    start, count = time.perf_counter(), 0
    while time.perf_counter() - start < seconds:
        trainer.advance()
        count += 1
    return count / (time.perf_counter() - start)


def report_scaling(threads: int) -> None:
    """Steps per second against p and d_mlp, and which share of the peak of matrix products a step is worth."""
    print(
        "\nfresh weights, published recipe otherwise; worth: the three dense products at the peak rate / the step"
    )
    print("| size | pairs | steps per second | worth of the peak |\n|---|---|---|---|")
    peak = peak_gflops(threads)
    sizes: list[dict[str, object]] = [{"task.p": p} for p in (31, 59, 97, 113, 149, 227)]
    sizes += [{"network.d_mlp": d} for d in (128, 256, 512, 1024, 2048)]
    for changes in sizes:
        trainer = trainer_of(changes, threads)
        rate = steps_per_second(trainer)
        dense = dense_flops(trainer) / peak / 1e9
        (path, value), *_ = changes.items()
        name = path.rpartition(".")[2]
        print(
            f"| {name} = {value} | {len(trainer.train_pairs)} | {rate:.0f} | {100 * dense * rate:.0f} % |",
            flush=True,
        )


def dense_flops(trainer: Trainer) -> float:
    """Three products of pairs x d_mlp x answers: what a step cannot do without unless zeros are passed over."""
    config = trainer.recipe.config
    return 6.0 * len(trainer.train_pairs) * config.d_mlp * (config.answers - 1)


def memory_of_steps(side: str, threads: int) -> float:
    """Peak MB of this whole process, which has built one side and taken ten steps."""
    trainer = trainer_of({}, threads)
    step = trainer.advance if side == "ours" else their_step(trainer)[1]
    torch.set_num_threads(trainer.torch_threads if side == "ours" else threads)
    for _ in range(10):
        step()
    return own_peak_megabytes()


def report_memory(threads: int) -> None:
    """Each side in a process of its own, imports included."""
    peak = {}
    for side in ("ours", "theirs"):
        command = [sys.executable, __file__, "--memory", side, "--threads", str(threads)]
        printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        peak[side] = float(printed.split()[-1])
    ratio = peak["theirs"] / peak["ours"]
    print(
        f"\npeak memory of a process that trains: ours {peak['ours']:.0f} MB, theirs {peak['theirs']:.0f} MB, ratio {ratio:.1f}"
    )


def report_grokking(threads: int, their_seconds: float) -> None:
    """Seconds from nothing to a generalised and to a settled network, beside the naive loop's for its steps."""
    print("\nfrom nothing, seed 0, evaluations and files included")
    with tempfile.TemporaryDirectory() as scratch:
        for name, changes in (
            ("quick", {"stop.test_loss": 0.01}),
            ("quick", {}),
            ("nanda", {"stop.test_loss": 0.01}),
            ("nanda", {}),
        ):
            what = "to test loss < .01" if changes else "until settled"
            own = {"threads": threads, "keep.log": 0, "keep.test": 25}
            recipe: Recipe = preset(name).changed(own | changes)
            start = time.perf_counter()
            run = train(recipe, Path(scratch) / f"{name}{len(changes)}")
            seconds, steps = time.perf_counter() - start, run.epochs[-1]
            theirs = steps * their_seconds
            print(
                f"  {name}, {what}: {steps} steps, {seconds:.1f} s; {steps} steps of theirs would take {theirs:.0f} s",
                flush=True,
            )
        for what, changes in (("to test loss < .01", {"stop.test_loss": 0.01}), ("until settled", {})):
            folder = Path(scratch) / f"seeds{len(changes)}"
            start = time.perf_counter()
            ended = list(train_seeds(preset("quick").changed(changes), range(8), folder))
            print(f"  --seeds 0:8, quick, {what}: {pace(ended, time.perf_counter() - start)}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="the main comparison only")
    parser.add_argument("--brief", action="store_true", help="the fast engine on trained weights only")
    parser.add_argument("--threads", type=int, default=0, help="threads of both sides; all if not said")
    parser.add_argument("--memory", choices=("ours", "theirs"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    threads = arguments.threads or available_threads()
    if arguments.memory:
        print(memory_of_steps(arguments.memory, threads))
        return
    pairs = 6 if arguments.brief else 20 if arguments.quick else 60
    trained = shipped_network().model.weights
    print(f"threads, both sides: {threads}; torch {torch.__version__}")
    trainer = trainer_of({}, threads, trained)
    name, theirs = their_step(trainer)
    result = in_turn(trainer, theirs, threads, pairs)
    ours = sorted(result.ours)[len(result.ours) // 2]
    if arguments.brief:
        print(f"kernel: {trainer.engine.kernel}")
        print(result.lines("training step, trained weights", "modscope, fast engine", name, name="training"))
        return
    peak = peak_gflops(threads)
    dense = dense_flops(trainer) / peak / 1e6
    print(f"matrix product peak {peak:.0f} GFLOP/s; the three products alone, dense at peak: {dense:.1f} ms")
    fresh = trainer_of({}, threads)
    fresh_result = in_turn(fresh, their_step(fresh)[1], threads, pairs // 2)
    print(fresh_result.lines("training step, fresh weights", "modscope, fast engine", name))
    plain = trainer_of({"engine": "plain"}, threads, trained)
    plain_result = in_turn(plain, theirs, threads, pairs // 2)
    print(plain_result.lines("training step, trained weights", "modscope, plain engine", name))
    exact = trainer_of({"engine": "exact"}, threads, trained)
    exact_result = in_turn(exact, theirs, threads, pairs // 2)
    print(exact_result.lines("training step, trained weights", "modscope, exact engine", name))
    if not arguments.quick:
        report_grokking(threads, sorted(result.theirs)[len(result.theirs) // 2])
        report_scaling(threads)
        report_memory(threads)
    print(f"\n{1 / ours:.0f} steps per second")
    print(result.lines("training step, trained weights", "modscope, fast engine", name, name="training"))


if __name__ == "__main__":
    main()
