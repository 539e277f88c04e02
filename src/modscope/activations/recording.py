"""The record of a network on a task, of the kind that the network asks for."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from modscope.activations.counterfactual import Counterfactual, Replacement, replaced_values
from modscope.activations.face import Activations
from modscope.activations.layered import LayeredRecord
from modscope.activations.one_layer import TransformerRecord
from modscope.activations.pair_mlp import PairRecord
from modscope.boundary import public
from modscope.errors import InputError, UnknownName
from modscope.model import Network, Positions, Transformer
from modscope.networks.layered import LayeredTransformer
from modscope.task import ModularTask

__all__ = ["record", "with_replaced"]

_TOKEN_HOOKS = ("embed", "resid_pre", "q", "k", "v")


@public
def record(
    network: Network,
    task: ModularTask,
    *,
    positions: Positions = "read",
    replace: Mapping[str, Replacement] | None = None,
) -> Activations:
    """All activations of a network on all pairs of a task: a mapping from hook to named array.

    What depends on one token is stored as p rows; what depends on both is (pos, a, b, feature) with the
    read position only ("=", or b where there is no "="), or every position with positions="all".
    replace: hook -> what stands in the place of its activation (`with_replaced`), the rest being run again.
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
    own: Activations
    if isinstance(network, Transformer):
        own = TransformerRecord(network, task, positions)
    elif isinstance(network, LayeredTransformer):
        own = LayeredRecord(network, task, positions)
    else:
        own = PairRecord(network, task, "read")  # without attention there is one joint position only
    return with_replaced(own, replace) if replace else own


@public
def with_replaced(acts: Activations, replace: Mapping[str, Replacement]) -> Activations:
    """The record that the network would have left, had some activations been others: a counterfactual.

    replace: hook -> an array or number that broadcasts to the activation (a DataArray by the names of its axes, also
    in the order (c, a)), a function of the activation, or "mean", "linear" (its part f(a) + g(b)), "zero". Hooks of
    both tokens are (a, b, feature), at the read position; of a one-layer transformer embed (token, d_model) and
    resid_pre, q, k, v (pos, token, ...) too. Everything behind them is computed again. Whatever takes activations takes
    this one. Raises UnknownName for a hook that cannot be replaced, InputError for another shape.

    >>> from modscope.model import TransformerConfig
    >>> network = Transformer.initialised(TransformerConfig(5, d_model=8, n_heads=2, d_mlp=16))
    >>> acts = record(network, ModularTask(5))
    >>> half = with_replaced(acts, {"pattern": [0.5, 0.5, 0.0]})
    >>> half.at("pattern").values[0, 3, 1].tolist(), half.replaced
    ([0.5, 0.5, 0.0], ('pattern',))
    """
    if acts.positions == "all":
        raise InputError('a record of every position takes no replacements: record with positions="read"')
    changes = {acts.hook_name(name): change for name, change in replace.items()}
    if isinstance(acts, Counterfactual):
        changes = dict(acts.changes) | changes
        acts = acts.base
    waves = {hook: change for hook, change in changes.items() if not acts.is_joint(hook)}
    acts = _with_waves(acts, waves)
    joint = {hook: change for hook, change in changes.items() if hook not in waves}
    return Counterfactual(acts, joint) if joint else acts


def _with_waves(acts: Activations, waves: Mapping[str, Replacement]) -> Activations:
    for hook in sorted(waves, key=acts.hooks.index):
        if not isinstance(acts, TransformerRecord) or hook not in _TOKEN_HOOKS:
            choices = acts.joint_hooks
            if isinstance(acts, TransformerRecord):
                choices = (*_TOKEN_HOOKS, *choices)
            raise UnknownName.of("hook that can be replaced", hook, choices)
        values = replaced_values(acts[hook], waves[hook])
        acts = acts.with_wave(hook, torch.from_numpy(values))
    return acts
