"""Records in which something is replaced: what is before stays, what is behind is run again."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st
from tests.test_activations import random_network

from modscope.activations import Activations, record, with_replaced
from modscope.analysis import ablate, measure_table
from modscope.analysis.answer import gradient_symmetricity
from modscope.analysis.controls import permuted_tokens
from modscope.errors import InputError, UnknownName
from modscope.findings import findings
from modscope.model import PairMLP, PairMLPConfig
from modscope.orders import in_order
from modscope.signal import keep_frequencies
from modscope.task import ModularTask

P = 7
JOINT = (
    "attn_scores",
    "pattern",
    "z",
    "attn_out",
    "resid_mid",
    "mlp_pre",
    "mlp_post",
    "mlp_out",
    "resid_post",
)


@pytest.fixture(scope="module")
def acts() -> Activations:
    return record(random_network({}), ModularTask(P))


def by_tokens(acts: Activations, replace: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The forward pass on all pairs with the read position's activation replaced, every position computed."""
    network = acts.model
    tokens = torch.as_tensor(acts.task.tokens(equals=network.config.equals))
    given = {hook: torch.as_tensor(x).flatten(0, 1) for hook, x in replace.items()}
    kept = network.run(tokens, keep=network.hooks, replace=given)
    return {hook: x.numpy().reshape(P, P, *x.shape[1:]) for hook, x in kept.items()}


@given(hook=st.sampled_from(JOINT), seed=st.integers(0, 99))
def test_what_follows_is_the_forward_pass_from_there(acts: Activations, hook: str, seed: int) -> None:
    values = np.random.default_rng(seed).normal(size=acts.at(hook).shape)
    changed, expected = with_replaced(acts, {hook: values}), by_tokens(acts, {hook: values})
    for other in acts.joint_hooks:
        found = changed.at(other).values
        if acts.hooks.index(other) < acts.hooks.index(hook):
            np.testing.assert_array_equal(found, acts.at(other).values)
        else:
            np.testing.assert_allclose(found, expected[other], atol=1e-10, err_msg=other)
    whole = xr.concat([block["logits"] for block in changed.blocks("logits")], "a")
    np.testing.assert_allclose(whole, changed.at("logits"), atol=1e-12)


def test_replaced_by_itself_nothing_changes(acts: Activations) -> None:
    for hook in JOINT:
        changed = with_replaced(acts, {hook: lambda x: x})
        np.testing.assert_allclose(changed.at("logits"), acts.at("logits"), atol=1e-12)


@pytest.mark.parametrize("hook", ["embed", "resid_pre", "q", "k", "v"])
def test_waves_of_one_token_can_be_replaced(acts: Activations, hook: str) -> None:
    """Twice the embedding is the network with twice the embedding; other waves by the same forward pass."""
    changed = with_replaced(acts, {hook: lambda x: 2 * x})
    np.testing.assert_allclose(changed[hook], 2 * acts[hook], atol=1e-12)
    assert changed.replaced == (hook,)
    if hook == "embed":
        weights = dict(acts.model.weights)
        weights["embed.W_E"] = weights["embed.W_E"].clone()
        weights["embed.W_E"][:P] *= 2
        same = record(type(acts.model)(acts.model.config, weights), acts.task)
        np.testing.assert_allclose(changed.at("logits"), same.at("logits"), atol=1e-12)
    else:
        tokens = torch.as_tensor(acts.task.tokens(equals=True))
        own = acts.model.run(tokens, keep=(hook,))[hook].clone()
        own[:, :2] *= 2
        expected = acts.model.run(tokens, replace={hook: own})["logits"]
        np.testing.assert_allclose(changed.at("logits").values.reshape(P * P, -1), expected, atol=1e-10)


def test_forms_of_a_replacement(acts: Activations) -> None:
    """An array, what broadcasts to it, a named array in any order of axes or in (c, a), a name, a function."""
    pre = acts.at("mlp_pre")
    logits = [
        with_replaced(acts, {"mlp_pre": change}).at("logits").values
        for change in (
            pre.values * 2,
            torch.from_numpy(pre.values * 2),
            (pre * 2).transpose("neuron", "b", "a"),
            in_order(pre, "c", "a") * 2,
            lambda x: x * 2,
        )
    ]
    for other in logits[1:]:
        np.testing.assert_allclose(other, logits[0], atol=1e-12)
    mean = with_replaced(acts, {"mlp_pre": "mean"}).at("mlp_pre")
    np.testing.assert_allclose(mean, 0 * pre + pre.mean(("a", "b")))
    linear = with_replaced(acts, {"mlp_pre": "linear"}).at("mlp_pre")
    rest = pre - linear
    np.testing.assert_allclose(rest.mean("a"), 0, atol=1e-12)
    np.testing.assert_allclose(rest.mean("b"), 0, atol=1e-12)
    assert float(abs(with_replaced(acts, {"blocks.0.mlp.hook_pre": "zero"}).at("mlp_pre")).max()) == 0
    filtered = with_replaced(acts, {"mlp_post": lambda x: keep_frequencies(x, ("a", "b"), [0, 1])})
    np.testing.assert_allclose(
        filtered.at("mlp_post"), keep_frequencies(acts.at("mlp_post"), ("a", "b"), [0, 1])
    )


def test_functions_see_what_came_before_them(acts: Activations) -> None:
    both = with_replaced(acts, {"mlp_pre": "linear", "pattern": [0.5, 0.5, 0.0]})
    first = with_replaced(acts, {"pattern": [0.5, 0.5, 0.0]})
    assert both.replaced == ("pattern", "mlp_pre")
    again = with_replaced(first, {"mlp_pre": "linear"})
    np.testing.assert_allclose(both.at("logits"), again.at("logits"), atol=1e-12)
    np.testing.assert_allclose(both.at("mlp_pre"), with_replaced(first, {"mlp_pre": "linear"}).at("mlp_pre"))
    # and when a later run replaces something before it
    linear = with_replaced(acts, {"mlp_pre": "linear"})
    pattern = np.broadcast_to([0.5, 0.5, 0.0], acts.at("pattern").shape)
    resumed = np.concatenate([block["logits"] for _, block in linear.resume({"pattern": pattern})])
    np.testing.assert_allclose(resumed, both.at("logits"), atol=1e-10)


def test_measures_findings_and_ablations_take_it(acts: Activations) -> None:
    changed = with_replaced(acts, {"pattern": lambda x: x.mean(("a", "b"))})
    assert float(changed.at("pattern").std(("a", "b")).max()) < 1e-12
    assert measure_table(changed, "symmetry", (1,)).rows != measure_table(acts, "symmetry", (1,)).rows
    result = ablate(changed, "pattern-mean", (1,), controls=1)
    assert result.ablated.loss.all == pytest.approx(result.intact.loss.all)
    assert findings(changed, only=["even-about-half-c"], key_frequencies=(1,))
    permuted = permuted_tokens(changed)
    assert permuted.replaced == ("pattern",)


def test_memory_is_given_back(acts: Activations) -> None:
    changed = with_replaced(acts, {"mlp_pre": "mean"})
    before = changed.nbytes
    changed.load("logits", "resid_post")
    assert changed.nbytes > before
    assert {"logits", "resid_post"} <= set(changed.kept)
    changed.forget()
    assert changed.nbytes <= before


def test_a_network_without_attention() -> None:
    config = PairMLPConfig(P, d_hidden=9)
    acts = record(PairMLP.initialised(config, seed=0), ModularTask(P))
    hook = next(hook for hook in acts.joint_hooks if hook.startswith("mlp"))
    changed = with_replaced(acts, {hook: "mean"})
    assert float(changed.at("logits").std(("a", "b")).max()) < 1e-6


def test_what_is_refused(acts: Activations) -> None:
    with pytest.raises(UnknownName, match="did you mean 'mlp_pre'"):
        with_replaced(acts, {"mlp_prr": "mean"})
    with pytest.raises(UnknownName, match="expected one of mean, linear, zero, an array, a function"):
        with_replaced(acts, {"mlp_pre": "men"})
    with pytest.raises(
        InputError, match=r"shape \(3,\): expected what broadcasts to \(7, 7, 13\), that is \(a, b, neuron\)"
    ):
        with_replaced(acts, {"mlp_pre": np.zeros(3)})
    with pytest.raises(UnknownName, match="axis of what replaces mlp_pre"):
        with_replaced(acts, {"mlp_pre": acts.at("mlp_out")})
    with pytest.raises(InputError, match="5 places along a: expected 7"):
        with_replaced(acts, {"mlp_pre": acts.at("mlp_pre").isel(a=slice(5))})
    with pytest.raises(InputError, match="not all finite"):
        with_replaced(acts, {"mlp_pre": np.nan})
    with pytest.raises(InputError, match="linear already"):
        with_replaced(acts, {"q": "linear"})
    with pytest.raises(UnknownName, match="hook that can be replaced 'pos_embed'"):
        with_replaced(acts, {"pos_embed": "zero"})
    with pytest.raises(InputError, match='positions="read"'):
        record(acts.model, acts.task, positions="all", replace={"mlp_pre": "mean"})
    with pytest.raises(InputError, match="gradients are those of the network's own forward pass"):
        gradient_symmetricity(with_replaced(acts, {"mlp_pre": "mean"}))
