"""How far the gradients of the engines are from float64, at moments of the shipped network's training.

    python benchmarks/gradients.py

Relative Euclidean distance of each weight's gradient from that of the plain engine in float64, on the training
pairs: the plain engine in float32, the fast engine, the fast engine with weights folded in float64 ("exact"), and
how many times as far as the plain one the last two are. Then, of the pre-activations in both orders of sums: the root
mean square error, and how many have another sign than in float64. One such sign moves the gradient of a trained
network, a difference of large terms, by more than all roundings together.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from modscope.model import Network
from modscope.shipped import shipped_run
from modscope.training.engine import Engine
from modscope.training.engines import PlainEngine
from modscope.training.fast import FastEngine
from modscope.training.tables import Pairs, pair_tables
from modscope.training.trainer import quiet_machine


def gradients(engine: Engine, weights: Mapping[str, Tensor], pairs: Pairs) -> dict[str, Tensor]:
    leaves = {name: weight.clone().requires_grad_() for name, weight in weights.items()}
    # The second time, the neurons that are mostly active have been turned.
    for _ in range(2):
        engine.gradients(leaves, pairs)
    return {name: leaf.grad.double() for name, leaf in leaves.items() if leaf.grad is not None}


def pre_activations(network: Network, pairs: Pairs, *, folded: bool) -> Tensor:
    """Pre-activations [pair, neuron] in the order of sums of the fast engine, or in that of the network."""
    if not folded:
        tokens = torch.stack((pairs.a, pairs.b, torch.full_like(pairs.a, network.config.p)), 1)
        return network.run(tokens, keep=("mlp_pre",))["mlp_pre"]
    tables = pair_tables(network.weights, network.config, pairs)
    u = tables.base.expand(len(pairs), -1)
    for weights, table, tokens in (
        (tables.weights_left, tables.left, pairs.a),
        (tables.weights_right, tables.right, pairs.b),
    ):
        for term in range(len(table)):
            u = u + weights[:, term, None] * table[term][tokens]
    return u[:, : network.weight("W_in").shape[1]]


def print_signs(network: Network, pairs: Pairs) -> None:
    exact = pre_activations(network.to(torch.float64), pairs, folded=False)
    for name, folded in (("plain", False), ("fast", True)):
        found = pre_activations(network, pairs, folded=folded)
        error = float((found - exact).square().mean().sqrt())
        print(
            f"       pre-activations, {name}: error {error:.1e}, {int(((found > 0) != (exact > 0)).sum())} signs"
        )


def distances(found: Mapping[str, Tensor], exact: Mapping[str, Tensor]) -> dict[str, float]:
    return {name: float((found[name] - grad).norm() / grad.norm()) for name, grad in exact.items()}


def main() -> None:
    run = shipped_run()
    pairs = Pairs.of(run.task, run.task.train_mask).tiled()
    print("epoch  weight   plain      fast     ratio  exact    ratio")
    worst = {"fast": 0.0, "exact": 0.0}
    with quiet_machine(1):
        for epoch in run.epochs:
            network = run.model(epoch)
            double = {name: weight.double() for name, weight in network.weights.items()}
            exact = gradients(PlainEngine(network.config), double, pairs)
            found = {
                name: distances(gradients(engine, network.weights, pairs), exact)
                for name, engine in (
                    ("plain", PlainEngine(network.config)),
                    ("fast", FastEngine(network.config)),
                    ("exact", FastEngine(network.config, exact=True)),
                )
            }
            for weight in exact:
                plain, text = found["plain"][weight], f"{epoch:6d} {weight.split('.')[-1]:7s}"
                text += f" {plain:.2e}"
                for name in worst:
                    ratio = found[name][weight] / plain
                    worst[name] = max(worst[name], ratio)
                    text += f"   {found[name][weight]:.1e} {ratio:5.1f}"
                print(text)
            print_signs(network, pairs)
            true = PlainEngine(network.config).scores(double, pairs).loss
            losses = [
                f"{engine.name} {abs(engine.scores(network.weights, pairs).loss / true - 1):.1e}"
                for engine in (PlainEngine(network.config), FastEngine(network.config))
            ]
            print(f"       loss {true:.3e}, relative error: {', '.join(losses)}")
    for name, ratio in worst.items():
        print(f"{name}: at most {ratio:.1f} times as far from float64 as the plain engine")


if __name__ == "__main__":
    main()
