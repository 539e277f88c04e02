"""Two ways to the same gradient: compiled tables on the CPU, and plain PyTorch anywhere."""

from __future__ import annotations

from collections.abc import Mapping
from typing import final

import torch
from torch import Tensor

from modscope.errors import InputError, UnknownName
from modscope.model import PairMLPConfig, TransformerConfig
from modscope.networks.kinds import obstacles_of
from modscope.training.engine import Batch, Engine
from modscope.training.plain import LOSSES, pair_logits
from modscope.training.shapes import Config
from modscope.training.tables import Pairs

__all__ = ["Batch", "Engine", "PlainEngine", "engine_for"]

ENGINES = ("auto", "fast", "exact", "plain", "many")


@final
class PlainEngine(Engine):
    """PyTorch's own differentiation on any device; the logits are read at one position only."""

    name = "plain"

    def __init__(self, config: Config, *, loss: str = "cross_entropy") -> None:
        self.config = config
        self.loss = LOSSES[loss]

    def gradients(self, weights: Mapping[str, Tensor], pairs: Pairs) -> Batch:
        for weight in weights.values():
            weight.grad = None
        with torch.enable_grad():
            logits = pair_logits(weights, self.config, pairs)
            loss = self.loss(logits, pairs.labels)
        loss.backward()
        return self._batch(loss, logits, pairs)

    @torch.no_grad()
    def scores(self, weights: Mapping[str, Tensor], pairs: Pairs) -> Batch:
        logits = pair_logits(weights, self.config, pairs)
        return self._batch(self.loss(logits, pairs.labels), logits, pairs)

    def _batch(self, loss: Tensor, logits: Tensor, pairs: Pairs) -> Batch:
        scores, labels = logits.detach(), pairs.labels[:, None]
        others = scores.scatter(1, labels, -torch.inf).amax(1)
        right = (scores.gather(1, labels)[:, 0] > others).float().mean()
        return Batch(loss.item(), right.item())


def engine_for(
    config: Config,
    *,
    choice: str = "auto",
    loss: str = "cross_entropy",
    device: str = "cpu",
    threads: int = 1,
) -> tuple[Engine, str]:
    """The fastest engine that can train this network, and why it is the one.

    choice: "auto", "fast" (compiled, CPU, ReLU, cross-entropy), "exact" (the same with weights folded in float64)
    "plain", or "many", which trains one network as it trains many in a stack (`modscope.training.many`).
    """
    if choice not in ENGINES:
        raise UnknownName.of("engine", choice, ENGINES)
    if choice == "many":
        from modscope.training.many import ManyEngine

        return ManyEngine(config), "many engine, one network"
    why = _obstacle(config, loss, device)
    if choice in ("fast", "exact") and why:
        raise InputError(f"the {choice} engine cannot train this network: {why}; use engine plain")
    if choice == "plain" or why:
        return PlainEngine(config, loss=loss), f"plain engine: {why or 'asked for'}"
    from modscope.training.fast import FastEngine

    assert isinstance(config, TransformerConfig | PairMLPConfig)
    engine = FastEngine(config, threads=threads, exact=choice == "exact")
    return engine, f"{engine.name} engine, {threads} thread{'s' * (threads > 1)}"


def _obstacle(config: Config, loss: str, device: str) -> str:
    if device != "cpu":
        return f"the compiled kernel runs on the CPU, not on {device}"
    if not isinstance(config, TransformerConfig | PairMLPConfig):
        return f"the compiled tables are those of one plain layer; this network has {obstacles_of(config)}"
    if config.activation != "relu":
        return f"the compiled kernel knows ReLU, not {config.activation}"
    if loss != "cross_entropy":
        return f"the compiled kernel knows cross-entropy, not {loss}"
    try:
        import modscope.training.kernel  # noqa: F401
    except ImportError as error:
        return f"numba cannot be used here ({error})"
    return ""
