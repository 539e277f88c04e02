"""Networks that know their answers by heart, or not at all: nothing about p is used."""

from __future__ import annotations

import numpy as np
import torch

from modscope.boundary import public
from modscope.model import PairMLP, PairMLPConfig, Transformer, TransformerConfig
from modscope.planted.stream import Stream
from modscope.task import ModularTask, Split

__all__ = ["answering", "memoriser", "pair_table", "random_weights"]


@public
def memoriser(
    p: int, *, fraction: float = 0.3, operation: str = "add", gain: float = 30.0
) -> tuple[Transformer, ModularTask]:
    """A look-up table: one neuron for each training pair, silent for all others; nothing about p is used.

    operation: any that `Operation.of` takes.
    """
    task = ModularTask(p, operation, Split("python", fraction, 0))
    s = Stream(p, True)
    for name, size in {"token": p, "a": p, "b": p, "answer": p, "flags": 3}.items():
        s.add(name, size)
    for pos in ("a", "b"):
        s.head([s.only(pos)], [(s.unit("token", i), s.unit(pos, i)) for i in range(p)])
    for a, b in np.argwhere(task.train_mask):
        s.neuron(s.unit("a", a) + s.unit("b", b), -1.0, s.unit("answer", task.labels[a, b]))
    tokens, unembedding = np.zeros((p, s.width)), np.zeros((s.width, p))
    tokens[:, s.slots["token"]] = np.eye(p)
    unembedding[s.slots["answer"]] = gain * np.eye(p)
    return s.network(tokens, unembedding), task


@public
def pair_table(p: int, *, operation: str = "add", gain: float = 30.0) -> tuple[PairMLP, ModularTask]:
    """A network without attention, one neuron for each pair: it knows all answers of an operation and no reason."""
    task = ModularTask(p, operation, Split("python", 0.3, 0))
    a, b = np.divmod(np.arange(p * p), p)
    answers = np.maximum(task.labels.reshape(-1), 0)
    w = {
        name: torch.zeros(shape)
        for name, shape in PairMLPConfig(p, d_hidden=p * p, biases=("b_in",)).shapes().items()
    }
    w["mlp.W_in_a"][a, np.arange(p * p)] = 1.0
    w["mlp.W_in_b"][b, np.arange(p * p)] = 1.0
    w["mlp.b_in"] -= 1.0
    w["unembed.W_U"][np.arange(p * p), answers] = gain
    return PairMLP(PairMLPConfig(p, d_hidden=p * p, biases=("b_in",)), w), task


@public
def answering(answers: np.ndarray, *, gain: float = 30.0) -> PairMLP:
    """A network that gives a table of answers [a, b], whatever it is."""
    p = len(answers)
    network, _ = pair_table(p, gain=gain)
    W_U = torch.zeros_like(network.weights["unembed.W_U"])
    W_U[np.arange(p * p), answers.reshape(-1)] = gain
    return PairMLP(network.config, {**network.weights, "unembed.W_U": W_U})


@public
def random_weights(
    p: int, *, operation: str = "add", equals: bool = True, seed: int = 0
) -> tuple[Transformer, ModularTask]:
    """A network before training."""
    config = TransformerConfig(p, d_model=32, n_heads=4, d_mlp=64, equals=equals, causal=equals)
    return Transformer.initialised(config, seed=seed), ModularTask(p, operation)
