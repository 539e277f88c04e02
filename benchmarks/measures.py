"""Seconds of every measure of `modscope measure --list` and of every public function of analysis, on one network.

    python benchmarks/measures.py [--quick] [PATH]

PATH: a checkpoint of addition; without it the network that ships with modscope, which has the published sizes (p = 113,
d_model 128, 512 neurons). Everything is run on the same record, after one untimed run of the cheapest, on one thread unless
the environment says otherwise. Beside each time stands how many plain forward passes over all pairs it is worth, timed in
the same process between the functions. The last line is `measures ratio R`: the forward passes that all of them together
are worth, inverted (theirs is one forward pass). --quick: one run of each; otherwise the median of three.
"""

from __future__ import annotations

import argparse
import inspect
import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from modscope import analysis
from modscope.activations import Activations, record
from modscope.checkpoints import Checkpoint, open_checkpoint
from modscope.shipped import shipped_network

WINGS = ("plane", "weights", "inputs", "stream", "neurons", "answer", "causes", "overview")
# what a function needs that its parameters' names do not tell
SPECIAL: Mapping[str, Mapping[str, Any]] = {
    "waves": {"hook": "q"},
    "group_defects": {"hook": "q", "across": "d_head"},
    "compare_hooks": {"before": "mlp_pre", "after": "mlp_post"},
    "tap_coherence": {"name": "W_in"},
    "measure_table": {"name": "clusters"},
    "ablate": {"name": "pattern-constant"},
    "ablate_all": {"names": ("pattern-constant", "pattern-equal")},  # as many `ablate` as there are names
    "ablate_with": {"hook": "mlp_post"},
    "coefficient_plane": {"hook": "mlp_post", "feature": 0},
    "block_energy": {"hook": "mlp_post"},
    "weight_table": {"which": "embedding"},
}


class Supply:
    """Arguments by the names of parameters, from one record."""

    def __init__(self, acts: Activations) -> None:
        keys = analysis.key_frequencies(acts).frequencies
        fve = analysis.neurons.fve(acts.at("mlp_post"), acts.circle if hasattr(acts, "circle") else None)
        waves = analysis.neurons.waves(acts)
        table = analysis.weights.weight_table(acts.model, "embedding")
        p = acts.task.p
        self.of: dict[str, Any] = {
            "acts": acts,
            "source": acts,
            "network": acts.model,
            "task": acts.task,
            "key_frequencies": keys,
            "ks": keys,
            "frequencies": keys,
            "p": p,
            "n": p,
            "k": keys[0],
            "hook": "resid_post",
            "x": acts.at("mlp_post"),
            "logits": acts.at("logits").values,
            "labels": acts.task.labels,
            "table": table,
            "embedding": table,
            "shares": analysis.weights.energy_shares(table),
            "fve": fve,
            "wave": table[:, 0],
            "bias": 0.1,
            "phases": np.linspace(-3, 3, 32),
            "number": 32,
            "weighted": True,
            "c": 40,
            "a": 3,
            "head": 0,
            "dim": 0,
            "plane": analysis.plane.coefficient_plane(acts, "mlp_post", 0),
            "Z": analysis.stream.center_phasors(acts, keys),
            "pre": acts.at("mlp_pre").isel(neuron=range(32)).transpose("neuron", "a", "b"),
            "values": acts.at("mlp_post").values,
            "results": [analysis.ablate(acts, "pattern-constant", keys, controls=2)],
        }
        self.waves = waves
        self.examples = analysis.overview.examples(acts)

    def arguments(self, name: str, function: Callable[..., Any]) -> dict[str, Any] | None:
        """The arguments of a function; None where one is not known."""
        found: dict[str, Any] = {}
        for parameter in inspect.signature(function).parameters.values():
            special = SPECIAL.get(name, {})
            if parameter.name in special:
                found[parameter.name] = special[parameter.name]
            elif parameter.name == "waves":
                found["waves"] = self.waves
            elif name == "worst_examples" and parameter.name == "table":
                found["table"] = self.examples
            elif name == "product_and_sum_of_waves" and parameter.name in ("frequencies", "phases"):
                found[parameter.name] = {"frequencies": (1, 2), "phases": (0.1, 0.2)}[parameter.name]
            elif parameter.default is not inspect.Parameter.empty:
                continue
            elif parameter.name in self.of:
                found[parameter.name] = self.of[parameter.name]
            else:
                return None
        return found


def public_functions() -> dict[str, Callable[..., Any]]:
    """Every public function of the wings of analysis, by "wing.name"."""
    found = {}
    for wing in WINGS:
        module = getattr(analysis, wing)
        for name in module.__all__:
            if inspect.isfunction(function := getattr(module, name)):
                found[f"{wing}.{name}"] = function
    return found


def seconds(function: Callable[[], object], runs: int) -> float:
    """The median of the CPU time of a few runs: on one thread what an idle machine takes, however busy this one is."""
    times = []
    for _ in range(runs):
        start = time.process_time()
        function()
        times.append(time.process_time() - start)
    return statistics.median(times)


@torch.no_grad()
def forward_pass(checkpoint: Checkpoint) -> Callable[[], object]:
    """All logits of the network, at all positions, as its own code runs it on the tokens."""
    model = checkpoint.model
    tokens = torch.from_numpy(checkpoint.task.tokens(equals=len(model.config.positions) == 3))
    return lambda: model.run(tokens, keep=("logits",), positions="all")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("path", nargs="?", type=Path)
    parser.add_argument("--quick", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    checkpoint = open_checkpoint(arguments.path) if arguments.path else shipped_network()
    acts = record(checkpoint.model, checkpoint.task)
    acts.load()
    supply, runs = Supply(acts), 1 if arguments.quick else 3
    keys = supply.of["key_frequencies"]
    jobs: dict[str, Callable[[], object]] = {
        f"measure {name}": (lambda name=name: analysis.measure_table(acts, name, keys))
        for name in analysis.MEASURES
    }
    left_out = []
    for name, function in public_functions().items():
        given = supply.arguments(name.split(".")[-1], function)
        if given is None:
            left_out.append(name)
        else:
            jobs[name] = lambda function=function, given=given: function(**given)
    forward = forward_pass(checkpoint)
    forward()
    passes, found, refused = [], {}, {}
    for number, (name, job) in enumerate(jobs.items()):
        if number % 8 == 0:
            passes.append(seconds(forward, 1))
        acts.derived.clear()
        try:
            found[name] = seconds(job, runs)
        except Exception as error:
            refused[name] = f"{type(error).__name__}: {error}"
    one = statistics.median(passes)
    for name, took in sorted(found.items(), key=lambda item: -item[1]):
        print(f"{took:8.3f} s  {took / one:7.1f} passes  {name}")
    for name, why in refused.items():
        print(f"refused: {name}: {why}")
    if left_out:
        print(f"not timed, arguments unknown: {', '.join(left_out)}")
    whole = sum(found.values())
    print(
        f"{len(found)} timed, together {whole:.1f} s; the slowest {max(found.values()):.2f} s; a forward pass {one:.3f} s"
    )
    print(f"measures ratio {one / whole:.4f}")


if __name__ == "__main__":
    main()
