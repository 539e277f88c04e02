"""The record of a network on a task, of the kind that the network asks for."""

from __future__ import annotations

from modscope.activations.face import Activations
from modscope.activations.layered import LayeredRecord
from modscope.activations.one_layer import TransformerRecord
from modscope.activations.pair_mlp import PairRecord
from modscope.errors import InputError, UnknownName
from modscope.model import Network, Positions, Transformer
from modscope.networks.layered import LayeredTransformer
from modscope.task import ModularTask

__all__ = ["record"]


def record(network: Network, task: ModularTask, *, positions: Positions = "read") -> Activations:
    """All activations of a network on all pairs of a task: a mapping from hook to named array.

    What depends on one token is stored as p rows; what depends on both is (pos, a, b, feature) with the
    read position only ("=", or b where there is no "="), or every position with positions="all".
    Raises InputError where network and task differ in p.

    >>> from modscope.model import TransformerConfig
    >>> network = Transformer.initialised(TransformerConfig(5, d_model=8, n_heads=2, d_mlp=16))
    >>> acts = record(network, ModularTask(5))
    >>> acts["q"].dims, acts["resid_post"].dims
    (('pos', 'token', 'head', 'd_head'), ('pos', 'a', 'b', 'd_model'))
    """
    if network.config.p != task.p:
        raise InputError(f"the network has p = {network.config.p}, the task p = {task.p}: they must agree")
    if positions not in ("read", "all"):
        raise UnknownName.of("choice of positions", positions, ("read", "all"))
    if isinstance(network, Transformer):
        return TransformerRecord(network, task, positions)
    if isinstance(network, LayeredTransformer):
        return LayeredRecord(network, task, positions)
    return PairRecord(network, task, "read")  # without attention there is one joint position only
