"""Multiplication mod a prime as the addition that it is."""

from __future__ import annotations

from modscope.activations import Activations, RecordWithoutNetwork, record
from modscope.analysis.circle import circle_of
from modscope.errors import InputError
from modscope.networks.tokens import renamed
from modscope.task import ModularTask, Split

__all__ = ["as_addition"]


def as_addition(acts: Activations) -> Activations:
    """The same network on a task of multiplication mod a prime p, as an addition mod p - 1.

    Every residue but 0 is a power of the smallest primitive root g, and g^i g^j = g^(i + j): token and answer
    i of the result stand for g^i. Rows of the embedding and columns of the unembedding change places and
    those of 0 are left out, so that all that is said of addition (waves over the tokens, evenness about c/2,
    output phases) can be asked. Losses differ from those of the task by the logit of 0 and the pairs with a 0.
    Raises InputError for other operations, a modulus that is no prime, and fewer than p answers.

    >>> import numpy as np
    >>> from modscope.model import Transformer, TransformerConfig
    >>> network = Transformer.initialised(TransformerConfig(7, d_model=8, n_heads=2, d_mlp=16))
    >>> acts = record(network, ModularTask(7, "multiply"))
    >>> found = as_addition(acts)  # the powers of 3 mod 7 are 1 3 2 6 4 5
    >>> found.task.p, bool(np.allclose(found.at("logits")[1, 2, 3], acts.at("logits")[3, 2, 6], atol=1e-6))
    (6, True)
    """
    task = acts.task
    if task.operation != "multiply":
        raise InputError(f"operation {task.operation!r}: expected multiply")
    if acts.replaced:
        raise InputError(
            f"not applicable to a record in which {', '.join(acts.replaced)} is replaced: what stands there is given "
            "for the residues, not for their exponents"
        )
    circle = circle_of(task)
    _ = circle.turn
    known = task.split.kind != "none"
    split = Split.of_mask(circle.pairs(task.train_mask)) if known else Split("none")
    addition = ModularTask(circle.n, "add", split)
    if isinstance(acts, RecordWithoutNetwork):
        return acts.renamed(circle.residues, addition)
    return record(renamed(acts.model, circle.residues), addition, positions=acts.positions)
