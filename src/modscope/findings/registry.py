"""All claims in the order of the forward pass, and the findings on one network."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from modscope.activations import Activations, record
from modscope.analysis.answer.logits import keep_streams, recorded_logits
from modscope.analysis.plane.energy import is_small
from modscope.analysis.plane.exponents import as_addition, renamed_to_places
from modscope.boundary import public
from modscope.errors import InputError, UnknownName
from modscope.findings.claim import Claim
from modscope.findings.claims import (
    constant_attention,
    cosines_carry,
    distance_irrelevant,
    equal_weights,
    even_about_half_c,
    key_frequencies_needed,
    key_frequencies_suffice,
    logits_are_cosines,
    one_frequency,
    output_phase,
    phases_agree,
    phases_tile,
    products_not_needed,
    rebuilt_stream,
    reversed_inputs,
    second_harmonics,
    shared_phases,
    sparse_embedding,
    turned_circles,
    which_mechanism,
)
from modscope.findings.evidence import Bench
from modscope.findings.finding import Findings
from modscope.grounds import Grounds, grounds_of
from modscope.model import Network
from modscope.pace import paced
from modscope.task import ModularTask

__all__ = ["CLAIMS", "findings"]

CLAIMS: Mapping[str, Claim] = {
    module.CLAIM.id: module.CLAIM
    for module in (
        which_mechanism,
        sparse_embedding,
        turned_circles,
        reversed_inputs,
        equal_weights,
        constant_attention,
        even_about_half_c,
        products_not_needed,
        one_frequency,
        phases_agree,
        phases_tile,
        second_harmonics,
        output_phase,
        cosines_carry,
        rebuilt_stream,
        shared_phases,
        logits_are_cosines,
        distance_irrelevant,
        key_frequencies_suffice,
        key_frequencies_needed,
    )
}


# what most claims look at; of a large network the rest passes by where it is asked for
_HOOKS = ("pattern", "resid_mid", "mlp_pre", "mlp_post", "resid_post", "logits")


@public
def findings(
    source: Any,
    *,
    only: Iterable[str] | None = None,
    key_frequencies: Sequence[int] | None = None,
    seed: int = 0,
    grounds: Grounds | None = None,
) -> Findings:
    """What a network says to each claim: a `Finding` for each, in order.

    A network that multiplies or divides mod a prime is read as one that adds or subtracts logarithms, and so on for every
    operation that turns on a circle (`as_addition`): a, b, c and the frequencies are then those of the circle's places.
    Where there is nothing to judge (`Grounds`) every claim is not applicable, and says why.

    source: a record of activations, or anything with `model` and `task`: a checkpoint, or a run, whose last epoch is
    taken. only: the ids of
    the claims wanted; all, if not given. key_frequencies: found by the default rule (`keys.DEFAULT_RULE`) if not
    given. seed: for controls and intervals. grounds: whether there is anything to judge, found if not given.
    Raises InputError for another source, UnknownName for an id that there is not.

    >>> from modscope.model import Transformer, TransformerConfig
    >>> network = Transformer.initialised(TransformerConfig(7, d_model=8, n_heads=2, d_mlp=16))
    >>> found = findings(record(network, ModularTask(7)), only=["which-mechanism"])
    >>> found["which-mechanism"].verdict, found["which-mechanism"].reason
    ('not applicable', 'the accuracy over all pairs is 0.1429, no better than guessing (1/7)...')
    """
    wanted = list(CLAIMS) if only is None else list(only)
    for name in wanted:
        if name not in CLAIMS:
            raise UnknownName.of("finding", name, CLAIMS)
    acts, own = _record_and_grounds(source, grounds)
    grounds = grounds or own
    if only is None and not (grounds and grounds.problems):
        if is_small(acts):
            acts.load(*(hook for hook in _HOOKS if hook in acts))  # in one pass
        elif "logits" in acts:
            keep_streams(acts)
    bench = Bench(acts, key_frequencies=key_frequencies, seed=seed, grounds=grounds)
    had = acts.kept
    found = Findings(CLAIMS[name].finding(bench) for name in paced(wanted, "judging claims"))
    if not is_small(acts):
        for hook in set(acts.kept) - set(had):  # what one claim looked at is not held for others
            acts.forget(hook)
    return found


def _record_and_grounds(source: Any, given: Grounds | None) -> tuple[Activations, Grounds | None]:
    """The record on which claims are measured, and whether there is anything to judge, asked of the task as it is."""
    acts, stated = _record_of(source), getattr(source, "stated", None)
    known = given or getattr(source, "grounds", None)
    if isinstance(known, Grounds):
        return acts, known
    own = source if isinstance(source, Activations) else record(_network_of(source), source.task)
    if "logits" not in own:
        return acts, None
    said = stated if isinstance(stated, Mapping) else None
    return acts, grounds_of(recorded_logits(own), own.task, stated=said)


def _network_of(source: Any) -> Network:
    network = source.model
    return network() if callable(network) and not isinstance(network, Network) else network


def _record_of(source: Any) -> Activations:
    if isinstance(source, Activations) and source.network is None:
        circle = source.circle
        return source if circle.sign is None or circle.whole else as_addition(source)
    network, task = getattr(source, "model", None), getattr(source, "task", None)
    if callable(network) and not isinstance(network, Network):
        network = network()  # a run's last epoch
    if not isinstance(network, Network) or not isinstance(task, ModularTask):
        raise InputError(
            f"findings on {type(source).__name__}: expected a record of activations, or a run or checkpoint, "
            "which have a model and a task"
        )
    adding, sums = renamed_to_places(network, task)
    # ablations run on from the read position alone
    if isinstance(source, Activations) and adding is network and source.positions == "read":
        return source
    if isinstance(source, Activations) and source.replaced:
        raise InputError(
            f"findings on a record in which {', '.join(source.replaced)} is replaced, of {task.operation}: not "
            "applicable, it is looked at as an addition of places on its circle"
        )
    return record(adding, sums)
