"""What a network from a file answers to all pairs, within bounds of memory and time."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from modscope import memory
from modscope.errors import CheckpointError
from modscope.losses import Logits, StreamedLogits
from modscope.model import Network, Transformer
from modscope.networks.tokens import pair_logits

__all__ = ["LARGEST_P", "answers_of"]

LARGEST_P = 2048  # at which all logits are 34 GB, made block by block in minutes
_HELD = 256 * 2**20  # bytes of logits that are kept; more are made again where they are asked for


def answers_of(network: Network, source: object) -> Logits:
    """The logits of all pairs, held where they are few, else made block by block.

    Raises CheckpointError where they are too many, or where some are no numbers although the weights are.
    """
    p, answers = network.config.p, network.config.answers
    if p > LARGEST_P:
        raise CheckpointError(
            f"{source}: p = {p}: a network is judged on all p * p pairs, whose logits would take "
            f"{memory.in_words(4 * p * p * answers)}: expected p of at most {LARGEST_P}"
        )
    # Some ten arrays over the pairs, in which the split is found.
    memory.require(80 * p * p, f"{source}: p = {p}: looking at all p * p pairs")
    if 4 * p * p * answers <= _HELD:
        logits = np.concatenate(list(_blocks(network, source))).reshape(p, p, answers)
        return logits
    return StreamedLogits(lambda: _blocks(network, source), p, answers)


def _blocks(network: Network, source: object) -> Iterator[np.ndarray]:
    # Whole rows of a: few, so that a block stays in the caches and under 16 MB, and enough that tables of single tokens
    # cost little.
    p = network.config.p
    rows = min(max(16, 2048 // p), max(1, min(16384, 2**22 // network.config.answers) // p))
    for tokens in network.token_blocks(rows * p):
        with torch.no_grad():
            # what one token alone decides is computed once a token in the network where pairs are all there is
            plain = isinstance(network, Transformer)
            block = (pair_logits(network, tokens[:, 0], tokens[:, 1]) if plain else network(tokens)).numpy()
        if not np.isfinite(block).all():
            wrong = int((~np.isfinite(block).all(axis=-1)).sum())
            raise CheckpointError(
                f"{source}: its weights are numbers, but the logits of {wrong} pairs are NaN or infinite: the network "
                "computes nothing that could be analysed"
            )
        yield block
