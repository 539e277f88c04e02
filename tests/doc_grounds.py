"""What examples of the documents take as given: a model and arrays of one's own, and a run in runs/seed0."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.training.small import small

from modscope.training import running

__all__ = ["GROUNDS"]


def _own_model(_: pytest.MonkeyPatch) -> Mapping[str, Any]:
    """Two layers over sequences of tokens, whose parts have the names of the example."""

    class Block(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.mlp = torch.nn.ModuleDict(
                {"up": torch.nn.Linear(6, 8), "act": torch.nn.ReLU(), "down": torch.nn.Linear(8, 6)}
            )

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x + self.mlp["down"](self.mlp["act"](self.mlp["up"](x)))

    class Model(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed, self.unembed = torch.nn.Embedding(116, 6), torch.nn.Linear(6, 113)
            self.layers = torch.nn.ModuleList([Block(), Block()])

        def forward(self, tokens: torch.Tensor) -> torch.Tensor:
            x = self.embed(tokens)
            for layer in self.layers:
                x = layer(x.cumsum(1))
            return self.unembed(x)

    draw = np.random.default_rng(0).normal
    logits = draw(size=(113, 113, 113)).astype(np.float32)
    return {
        "post": draw(size=(113, 113, 8)),
        "logits": logits,
        "model": Model(),
        "my_logits": lambda a, b: logits[a, b],
    }


def _own_arrays(_: pytest.MonkeyPatch) -> Mapping[str, Any]:
    draw = np.random.default_rng(0).normal
    return {name: draw(size=(100, 100, 3)) for name in ("resid_12", "resid_18")}


def _short_training(monkeypatch: pytest.MonkeyPatch) -> Mapping[str, Any]:
    """Training is of a narrow network, and stops after a hundred steps."""
    whole = running.train
    short_and_narrow = {
        "stop.steps": 100,
        "stop.settled": False,
        "network.d_model": 16,
        "network.d_mlp": 32,
    }

    def short(recipe: Any, out: Any) -> Any:
        return whole(recipe.changed(short_and_narrow), out)

    monkeypatch.setattr(running, "train", short)
    return {}


def _own_run(_: pytest.MonkeyPatch) -> Mapping[str, Any]:
    running.train(small(network__d_mlp=48, keep__log=0, keep__every=30), Path("runs/seed0"))
    return {}


# page -> the names that its examples may use
GROUNDS: Mapping[str, Callable[[pytest.MonkeyPatch], Mapping[str, Any]]] = {
    "model-free.md": _own_model,
    "numbers.md": _own_arrays,
    "training.md": _short_training,
    "progress.md": _own_run,
}
