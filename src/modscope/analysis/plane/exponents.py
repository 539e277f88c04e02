"""Operations that turn on a circle in other names, as the addition or subtraction of places that they are."""

from __future__ import annotations

from modscope.activations import Activations, RecordWithoutNetwork, record
from modscope.boundary import public
from modscope.circle import Circle, circle_of
from modscope.errors import InputError
from modscope.model import Network
from modscope.networks.tokens import renamed
from modscope.task import ModularTask, Split

__all__ = ["as_addition", "renamed_to_places"]


@public
def as_addition(acts: Activations) -> Activations:
    """The same network on its task as an addition, or a subtraction, of places on the task's circle.

    For multiplication mod a prime p: every residue but 0 is a power of the smallest primitive root g, and
    g^i g^j = g^(i + j), so token and answer i of the result stand for g^i, and p - 1 is its modulus; a / b is i - j. For
    alpha (a + b) + gamma token i stands for i / alpha and answer i for i + gamma. Rows of the embedding and columns of the
    unembedding change places and those of residues without a place (0) are left out, so that all that is said of addition
    (waves over the tokens, evenness about c/2, output phases) can be asked. Losses differ from those of the task by the
    logit of 0 and the pairs with a 0. Addition and subtraction themselves are returned as they are.
    Raises InputError where a, b and the answer lie on no circle, or on it in different orders, for a record in which
    something is replaced, and for fewer than p answers.

    >>> import numpy as np
    >>> from modscope.model import Transformer, TransformerConfig
    >>> network = Transformer.initialised(TransformerConfig(7, d_model=8, n_heads=2, d_mlp=16))
    >>> acts = record(network, ModularTask(7, "multiply"))
    >>> found = as_addition(acts)  # the powers of 3 mod 7 are 1 3 2 6 4 5
    >>> found.task.p, bool(np.allclose(found.at("logits")[1, 2, 3], acts.at("logits")[3, 2, 6], atol=1e-6))
    (6, True)
    >>> as_addition(record(network, ModularTask(7, "x/y"))).task.operation
    'subtract'
    """
    task, circle = acts.task, acts.circle
    _ = circle.turn
    if circle.whole:
        return acts
    if acts.replaced:
        raise InputError(
            f"not applicable to a record in which {', '.join(acts.replaced)} is replaced: what stands there is given "
            "for the residues, not for their exponents"
        )
    if isinstance(acts, RecordWithoutNetwork):
        return acts.renamed(circle.residues, _places(task, circle), circle.answers)
    network, places = renamed_to_places(acts.model, task)
    return record(network, places, positions=acts.positions)


def renamed_to_places(network: Network, task: ModularTask) -> tuple[Network, ModularTask]:
    """A network and its task with residues renamed to their places on the task's circle (`as_addition`); both as they are
    where they lie in their natural order, or on no circle.

    Raises InputError for fewer than three places (p = 3).
    """
    circle = circle_of(task)
    if circle.sign is None or circle.whole:
        return network, task
    if circle.n < 3:
        raise InputError(
            f"{task.what.text} mod {task.p} has {circle.n} residues beside 0: expected p of at least 5"
        )
    return renamed(network, circle.residues, circle.answers), _places(task, circle)


def _places(task: ModularTask, circle: Circle) -> ModularTask:
    """The task of adding, or subtracting, the places of a circle, with the split of the pairs that remain."""
    known = task.split.kind != "none"
    split = Split.of_mask(circle.pairs(task.train_mask)) if known else Split("none")
    return ModularTask(circle.n, "add" if circle.turn > 0 else "subtract", split)
